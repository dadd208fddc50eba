"""Parts of the feature table become cells and features per well."""

import json

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.archive.cells import split_cells
from mcvae_ops.archive.dataverse import list_feature_parts
from mcvae_ops.errors import InputError

COLUMNS = {
    "plate": "plate",
    "well": "well",
    "tile": "tile",
    "y_px": "cell_i",
    "x_px": "cell_j",
    "guide": "sgRNA_0",
    "gene": "gene_symbol_0",
}
SCREEN = {
    "plates": {"P1": ["A1", "A2"]},
    "tiles": "0-5",
    "columns": COLUMNS,
    "not_features": ["i_0", "j_0"],
    "control": "nontargeting",
}
ARCHIVE = {"streams": 2, "retries": 1, "timeout_s": 5, "keep_raw": False}
NAMES = [f"{stage}-reclassified_cp.parquet" for stage in ("interphase", "mitotic")]


def part_of(rng, n, well):
    genes = rng.choice(["nontargeting", "AAA", "BBB"], n)
    return pd.DataFrame(
        {
            "plate": "P1",
            "well": well,
            "tile": rng.integers(0, 6, n),
            "i_0": rng.uniform(0, 99, n),
            "j_0": rng.uniform(0, 99, n),
            "cell_i": rng.uniform(0, 640, n),
            "cell_j": rng.uniform(0, 640, n),
            "sgRNA_0": [f"{gene}-{k % 4}" for k, gene in enumerate(genes)],
            "gene_symbol_0": genes,
            "cell_dapi_mean": rng.normal(size=n),
            "gene": rng.normal(size=n),
        }
    )


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    return {(d, f"{well}.parquet"): part_of(rng, 80, well) for d in NAMES for well in ("A1", "A2")}


@pytest.fixture
def run(tmp_path):
    def call(parts, screen=SCREEN):
        files = []
        for number, ((directory, name), table) in enumerate(parts.items()):
            (tmp_path / directory).mkdir(exist_ok=True)
            table.to_parquet(tmp_path / directory / name)
            size = (tmp_path / directory / name).stat().st_size
            data = {"id": number, "filename": name, "filesize": size, "md5": "0"}
            files.append({"label": name, "directoryLabel": directory, "dataFile": data})
        files.append({"label": "README.txt", "dataFile": {"id": 99, "filesize": 1}})
        dataset = {"status": "OK", "data": {"latestVersion": {"files": files}}}
        (tmp_path / "dataset.json").write_text(json.dumps(dataset))
        listed = str(tmp_path / "parts.parquet")
        list_feature_parts(str(tmp_path / "dataset.json"), ARCHIVE, listed)
        targets = [
            [str(tmp_path / kind / "P1" / f"{well}.parquet") for well in ("A1", "A2")]
            for kind in ("cells", "features")
        ]
        split_cells(listed, screen, ARCHIVE, str(tmp_path / "cache"), *targets)
        assert not (tmp_path / "cache").exists()
        return [[pd.read_parquet(path) for path in paths] for paths in targets]

    return call


def test_cells_and_features_stay_aligned(parts, run):
    (cells, other), (features, _) = run(parts)
    assert len(cells) == len(other) == 160
    assert cells["cell_id"].tolist() == features["cell_id"].tolist()
    assert list(features.columns) == ["cell_id", "cell_dapi_mean", "gene"]
    assert set(features.dtypes[1:].astype(str)) == {"float32"}
    source = pd.concat([table.assign(directory=d) for (d, _), table in parts.items()])
    source = source[source["well"] == "A1"].sort_values(["tile", "cell_i", "cell_j"])
    np.testing.assert_allclose(features["cell_dapi_mean"], source["cell_dapi_mean"], rtol=1e-6)
    np.testing.assert_allclose(cells["y_px"], source["cell_i"], rtol=1e-6)
    assert cells["guide"].tolist() == source["sgRNA_0"].tolist()
    stage = source["directory"].str.partition("-")[0]
    assert cells["cell_cycle_stage"].tolist() == stage.tolist()
    assert (cells["is_ntc"] == (source["gene_symbol_0"] == "nontargeting").to_numpy()).all()
    assert set(cells["gene"]) == {"NTC", "AAA", "BBB"}
    assert cells["tile"].dtype == np.int32 and cells["y_px"].dtype == np.float32


def test_names_rank_the_cells_of_a_tile(parts, run):
    (cells, _), _ = run(parts)
    for tile, of_tile in cells.groupby("tile"):
        assert of_tile["y_px"].is_monotonic_increasing
        expected = [f"P1_A1_{tile:04d}_{n:05d}" for n in range(len(of_tile))]
        assert of_tile["cell_id"].tolist() == expected


def test_duplicates_and_cells_without_a_place_are_dropped(parts, run):
    first = parts[(NAMES[0], "A1.parquet")]
    first.loc[0, "cell_i"] = np.nan
    first.loc[1, "gene_symbol_0"] = None
    first.loc[2, "tile"] = 77
    mitotic = parts[(NAMES[1], "A1.parquet")]
    parts[(NAMES[1], "A1.parquet")] = pd.concat([mitotic, first.iloc[[10]]], ignore_index=True)
    (cells, _), _ = run(parts)
    assert len(cells) == 157
    twice = cells[np.isclose(cells["y_px"], first.loc[10, "cell_i"])]
    assert twice["cell_cycle_stage"].tolist() == ["interphase"]


def test_a_missing_column_names_part_and_column(parts, run):
    key = (NAMES[1], "A2.parquet")
    parts[key] = parts[key].drop(columns="cell_j")
    with pytest.raises(InputError, match=r"mitotic-.*A2\.parquet.*'cell_j'"):
        run(parts)


def test_a_part_with_other_features_is_refused(parts, run):
    key = (NAMES[1], "A2.parquet")
    parts[key] = parts[key].assign(extra=1.0)
    with pytest.raises(InputError, match="'extra'"):
        run(parts)


def test_a_control_that_labels_nothing_lists_the_labels(parts, run):
    with pytest.raises(InputError, match=r"'NTC', which labels none of 320 cells.*'nontargeting'"):
        run(parts, SCREEN | {"control": "NTC"})


def test_a_well_without_cells_is_refused(parts, run):
    del parts[(NAMES[0], "A2.parquet")], parts[(NAMES[1], "A2.parquet")]
    with pytest.raises(InputError, match="plate P1 well A2"):
        run(parts)


def test_a_damaged_part_is_named(parts, run, tmp_path, monkeypatch):
    real = pd.DataFrame.to_parquet

    def damaged(table, path):
        real(table, path)
        path.write_bytes(path.read_bytes()[:-100])

    monkeypatch.setattr(pd.DataFrame, "to_parquet", damaged)
    with pytest.raises(InputError, match=r"A1\.parquet: found damage"):
        run(parts)
