"""The feature table of a simulated screen holds the called cells, measured on aligned images."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from mcvae_ops.archive.patterns import Pattern
from mcvae_ops.cells.measure import measure_tile
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet
from mcvae_ops.screen import channels_from
from mcvae_ops.simulate.feature_parts import measure_features
from mcvae_ops.simulate.layout import LABELS_PATH
from mcvae_ops.tiles.crop import resample
from mcvae_ops.tiles.read import read_tile
from tests.helpers.simulated import PLATE, TILE_SIZE_PX, draw_plate, small_screen


@pytest.fixture(scope="module")
def well(tmp_path_factory) -> dict:
    """One small tile of a simulated well, its features measured by the rule."""
    folder = tmp_path_factory.mktemp("measured")
    config = small_screen()
    config["screen"] |= {"tiles": "0", "plates": {PLATE: ["A1"]}}
    config["simulate"]["library"]["control_fraction"] = 0.4
    plate = draw_plate(config, folder)
    consensus = pd.read_parquet(plate["truth_tiles"])[["plate", "channel", "dy_px", "dx_px"]]
    consensus[["well", "range_counts", "focus"]] = "", np.nan, np.nan
    write_parquet(consensus, folder / "consensus.parquet")
    return {"folder": folder, "config": config, **plate}


def measure(well: dict, **changes) -> dict[str, pd.DataFrame]:
    paths = {stage: well["folder"] / f"{stage}.parquet" for stage in ("interphase", "mitotic")}
    measure_features(
        well["config"]["screen"] | changes,
        well["config"]["alignment"],
        16,
        PLATE,
        "A1",
        str(well["images"]),
        str(well["folder"] / "consensus.parquet"),
        **{stage: str(path) for stage, path in paths.items()},
    )
    return {stage: pd.read_parquet(path) for stage, path in paths.items()}


def test_tables_hold_the_called_cells_by_stage_in_the_columns_of_the_archive(well):
    tables = measure(well)
    called = pd.read_csv(well["images"] / "phenotype/calls/A1.csv")
    names = [*called.columns.drop(["label", "stage"])]
    for stage, table in tables.items():
        assert list(table.columns[: len(names)]) == names
        assert not {"label", "stage"} & set(table.columns)
        rows = called[called["stage"] == stage]
        np.testing.assert_array_equal(table["sgRNA_0"], rows["sgRNA_0"])
        np.testing.assert_allclose(table["cell_i"], rows["cell_i"])
    cells = pd.concat(tables.values())
    controls = cells.loc[cells["gene_symbol_0"] == "nontargeting"].drop(columns=names)
    assert len(controls) >= 5
    varies = controls.notna().all()
    assert varies.mean() > 0.8
    np.testing.assert_allclose(controls.loc[:, varies].mean(), 0, atol=1e-4)
    np.testing.assert_allclose(controls.loc[:, varies].std(ddof=0), 1, atol=1e-4)
    assert np.isfinite(cells.drop(columns=names).to_numpy()[:, varies]).mean() > 0.99


def test_features_stay_as_measured_where_controls_stand_in_wells_of_their_own(well):
    raw = pd.concat(measure(well, batch=["plate"]).values())
    control = pd.concat(measure(well, batch=["plate"], control="no such label").values())
    pd.testing.assert_frame_equal(raw.drop(columns="gene_symbol_0"),
                                  control.drop(columns="gene_symbol_0"))  # fmt: skip
    assert raw["DAPI_Intensity_MeanIntensity"].min() > 0
    with pytest.raises(InputError, match="a control cell is missing"):
        measure(well, batch=["plate", "well"], control="no such label")


def test_measured_on_channels_brought_back_by_their_planted_shifts(well):
    screen = well["config"]["screen"]
    channels = channels_from(screen["channels"])
    names = {"plate": PLATE, "well": "A1", "tile": 0}
    paths = {
        channel.group: well["images"].parents[1]
        / Pattern(screen["images"]).fill(names | {"channel": channel.group})
        for channel in channels
    }
    image = read_tile(paths, channels, screen["z_planes"], "max", TILE_SIZE_PX)
    shifts_px = pd.read_parquet(well["truth_tiles"])[["dy_px", "dx_px"]].to_numpy()
    labels = tifffile.imread(well["images"] / LABELS_PATH.format(**names)).astype(np.int32)
    expected = measure_tile(resample(image, shifts_px), labels, channels, 16)

    called = pd.read_csv(well["images"] / "phenotype/calls/A1.csv")
    found = pd.concat(measure(well).values()).merge(called[["sgRNA_0", "cell_i", "label"]])
    found = found.set_index("label").sort_index()
    for channel in channels:
        for measure_name in ("MeanIntensity", "MeanIntensityEdge", "MassDisplacement"):
            name = f"{channel.name}_Intensity_{measure_name}"
            both = np.corrcoef(found[name], expected.loc[found.index, name])
            assert both[0, 1] > 0.98, name


def test_a_well_without_controls_or_without_a_whole_tile_is_refused(well):
    with pytest.raises(InputError, match=r"a control cell is missing.*screen\.control"):
        measure(well, control="safe harbour")
    with pytest.raises(InputError, match="none of 1 tiles"):
        measure(well, z_planes=5)
