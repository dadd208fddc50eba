"""A simulated screen as a collection of the OPS Data Standard, and read again."""

import copy
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
import zarr
from scipy.stats import false_discovery_control, ttest_ind

from mcvae_ops.archive.image_files import list_files
from mcvae_ops.benchmarks.cell_neighbours import cell_neighbours
from mcvae_ops.cells.cell_tables import split_cells
from mcvae_ops.cells.table_parts import list_feature_parts
from mcvae_ops.embeddings.baselines import cellprofiler_pca
from mcvae_ops.errors import InputError
from mcvae_ops.files import read_frame
from mcvae_ops.ops_standard.aggregated_data import (
    Moments,
    map_of,
    moments_of,
    ops_aggregated,
    significance_of,
)
from mcvae_ops.ops_standard.cell_data import check_features, ops_cells
from mcvae_ops.ops_standard.collection_metadata import ops_metadata
from mcvae_ops.ops_standard.collection_names import (
    ImageStores,
    aggregation_name,
    perturbation_id,
    well_parts,
    writes_images,
)
from mcvae_ops.ops_standard.collection_reading import ops_reading
from mcvae_ops.ops_standard.example_images import chosen_cells, ops_examples
from mcvae_ops.ops_standard.perturbation_library import library_of, ops_library, read_gene_ids
from mcvae_ops.ops_standard.plate_images import ops_images, ops_plate
from mcvae_ops.ops_standard.standard_features import standard_columns, standard_feature
from mcvae_ops.screen import CONTROL
from mcvae_ops.shards.format import open_shard
from mcvae_ops.shards.index import index_shards
from mcvae_ops.shards.split import assign_splits
from mcvae_ops.shards.training_cells import training_cells
from mcvae_ops.tiles.chunk import crop_chunk
from mcvae_ops.tiles.consensus import plate_shifts
from mcvae_ops.training.untrained import project_pixels
from tests.helpers.configurations import checked
from tests.helpers.ops_conformance import standardised, violations
from tests.helpers.simulated import PLATE, WELLS, draw_plate, small_screen

GENES = ["AAAS", "BRCA2", "TUBB"]
GENE_IDS = ["ENSG00000094914", "ENSG00000139618", "ENSG00000196230"]
CHANNELS = [
    {"name": "A594", "stain": "gamma-H2AX"},
    {"name": "DAPI", "stain": "DNA"},
    {"name": "GFP", "stain": "alpha-tubulin"},
]


def to_index(config: dict, run: Path) -> Path:
    """Take a screen from its archive to its index, by the functions of the rules."""
    screen, archive = config["screen"], config["archive"]
    run.mkdir()
    files, parts = str(run / "files.parquet"), str(run / "parts.parquet")
    list_files(archive, screen, files, str(run / "left_out.tsv"))
    list_feature_parts(config["cells"], config["labels"], screen, archive, parts)
    cells, features = (f"{run}/{kind}/{PLATE}.parquet" for kind in ("cells", "features"))
    split_cells(parts, config["cells"], config["labels"], screen, archive, str(run / "split"),
                [cells], [features], str(run / "features.tsv"),
                str(run / "rows.tsv"))  # fmt: skip
    shifts = {name: f"{run}/{name}.parquet" for name in ("consensus", "checks", "overlay")}
    plate_shifts(files, screen, config["alignment"], archive, PLATE, str(run / "cache"), **shifts)
    shards = []
    for well in WELLS:
        stem = f"{run}/crops/{PLATE}/{well}/000"
        crop_chunk(
            files, cells, shifts["consensus"], None, screen, config["alignment"], config["crop"],
            archive, PLATE, well, "000", str(run / "cache"), f"{stem}.ntc.npy",
            f"{stem}.ntc.parquet", f"{stem}.perturbed.npy", f"{stem}.perturbed.parquet",
            f"{run}/{well}.alignment.parquet", f"{run}/{well}.dropped.parquet",
        )  # fmt: skip
        shards += [f"{stem}.ntc.npy", f"{stem}.perturbed.npy"]
    index_shards(shards, str(run), screen["batch"], str(run / "shards/index.parquet"))
    return run / "shards/index.parquet"


def table_of_cells(truth: str, rng: np.random.Generator) -> pd.DataFrame:
    """Return the drawn cells with a few genes, two features of the standard's set and one more."""
    cells = pd.read_parquet(truth)[["plate", "well", "tile", "y_px", "x_px", "guide", "is_mitotic"]]
    guides = cells["guide"].unique()
    genes = {guide: [*GENES, "nontargeting"][k % 4] for k, guide in enumerate(sorted(guides))}
    stage = np.where(cells.pop("is_mitotic"), "mitotic", "interphase")
    return cells.assign(
        gene=cells["guide"].map(genes), stage=stage, cell_Area=rng.normal(500, 50, len(cells)),
        DAPI_Intensity_MeanIntensity=rng.normal(900, 90, len(cells)),
        DAPI_Contrast_3_00_256=rng.normal(size=len(cells)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict:
    """A small simulated screen, cropped, and its collection."""
    folder = tmp_path_factory.mktemp("ops")
    config = small_screen()
    paths = draw_plate(config, folder)
    rng = np.random.default_rng(0)
    table_of_cells(str(paths["truth_cells"]), rng).to_parquet(folder / "cells.parquet")
    ids = pd.DataFrame({"symbol": GENES, "ensembl_gene_id": GENE_IDS})
    ids.to_csv(folder / "ids.tsv", sep="\t", index=False)
    del config["simulate"], config["screen"]["columns"]
    lists = dict.fromkeys(config["archive"]["annotations"]) | {"pairs": {}}
    config |= {"source": "archive", "cells": {"table": str(folder / "cells.parquet")}}
    config["archive"] |= {"root": str(folder / "study/Files"), "annotations": lists}
    config["alignment"]["consensus_tiles"] = 6
    config["crop"]["max_failed_fraction"] = 0.4
    config = checked(config)
    index = to_index(config, folder / "run")
    screen, ops = config["screen"], config["exports"]["ops_standard"]
    root = folder / "run/ops_standard"
    name = aggregation_name(screen["name"], ops["title"])
    here, run = root / name, folder / "run"
    ops_metadata(screen, ops, str(root / "collection_metadata.yaml"),
                 str(here / "metadata/experimental_metadata.yaml"))  # fmt: skip
    ops_library(str(index), None, str(folder / "ids.tsv"),
                str(here / "metadata/perturbation_library.csv"))  # fmt: skip
    tables = [f"{run}/{kind}/{PLATE}.parquet" for kind in ("cells", "features")]
    ops_cells(str(index), tables[:1], tables[1:], screen, str(here / "cell_data.parquet"),
              str(here / "metadata/feature_definitions.csv"))  # fmt: skip
    maps = pd.DataFrame({"level": "gene", "name": GENES, "space": "combined",
                         "x": [0.0, 1.0, 2.0], "y": [3.0, 4.0, 5.0]})  # fmt: skip
    maps.to_parquet(run / "umap.parquet")
    profiles = pd.DataFrame({"gene": [*GENES, CONTROL], "cells": "all", "z_00": [1.0, 2, 3, 0],
                             "is_ntc": [False] * 3 + [True]})  # fmt: skip
    profiles.to_parquet(run / "genes.parquet")
    shown = here / "visualizations/mcvae-0"
    ops_aggregated(str(index), tables[1:], str(run / "genes.parquet"), str(run / "umap.parquet"),
                   screen["channels"], "test", str(shown / "aggregated_data.h5ad"))  # fmt: skip
    ops_examples(str(index), screen["channels"], screen["pixel_size_um"], 1,
                 str(shown / "examples.zarr"))  # fmt: skip
    stores = ImageStores(name, screen["plates"])
    for store, row, column in zip(*stores.wells.values(), strict=True):
        well = stores.well(SimpleNamespace(store=store, row=row, column=column))
        ops_images(str(run / "files.parquet"), str(index), str(run / "consensus.parquet"), None,
                   screen, config["alignment"], config["crop"], config["archive"],
                   stores.plates[store], well, str(run / "cache"),
                   str(here / f"{store}.zarr/{row}/{column}"))  # fmt: skip
    ops_plate(str(index), WELLS, screen["channels"], PLATE, str(here / f"{store}.zarr/zarr.json"))
    ops_reading(config, str(root / "collection_metadata.yaml"), str(run / "ops_standard.yaml"))
    return {"config": config, "folder": folder, "index": index, "root": root, "here": here}


def test_the_collection_is_as_the_standard_says(written):
    assert violations(written["root"]) == []
    assert (written["here"] / "simulated_screen.zarr").is_dir()
    assert writes_images(written["config"])


BREAKS = {
    "library: V-11 control_type of targeting guides": ("library", "control_type", "intergenic"),
    "library: barcode is not unique": ("library", "barcode", "ACGT"),
    "cells: well_row": ("cells", "well_row", "AB"),
    "cells: a pipe character": ("cells", "cell_class", "a|b"),
}


@pytest.mark.parametrize("found", BREAKS)
def test_the_conformance_test_finds_what_is_broken(written, found, tmp_path):
    table, column, value = BREAKS[found]
    root = tmp_path / "collection"
    shutil.copytree(written["root"], root, ignore=shutil.ignore_patterns("*.zarr"))
    shutil.copytree(written["here"] / "visualizations", root / "simulated_screen/visualizations",
                    dirs_exist_ok=True)  # fmt: skip
    if table == "library":
        path = root / "simulated_screen/metadata/perturbation_library.csv"
        pd.read_csv(path).assign(**{column: value}).to_csv(path, index=False)
    else:
        path = root / "simulated_screen/cell_data.parquet"
        pd.read_parquet(path).assign(**{column: value}).to_parquet(path)
    assert found in violations(root)


@pytest.fixture(scope="module")
def read_again(written) -> tuple[dict, Path]:
    """Configuration that reads the collection, and the index of the screen that it gives."""
    described = yaml.safe_load((written["folder"] / "run/ops_standard.yaml").read_text())
    described["screen"]["name"] = "again"
    config = checked(described)
    return config, to_index(config, written["folder"] / "again")


def test_read_again_it_has_the_same_cells_labels_features_and_crops(written, read_again):
    """So whatever comes after the index, and depends on nothing else, is the same."""
    config, again = read_again
    first, second = (read_frame(path) for path in (written["index"], again))
    pd.testing.assert_frame_equal(first, second)
    assert len(first) > 100 and first["is_ntc"].any() and (first["gene"] != CONTROL).any()
    for shard in first["shard"].unique():
        one, other = (open_shard(path.parents[1] / shard) for path in (written["index"], again))
        np.testing.assert_array_equal(one.crops, other.crops)
    features = [read_frame(path.parents[1] / f"features/{PLATE}.parquet").set_index("cell_id")
                for path in (written["index"], again)]  # fmt: skip
    pd.testing.assert_frame_equal(features[0].loc[features[1].index], features[1])
    methods = ("models", "training", "split", "benchmarks")
    assert {key: config[key] for key in methods} == {key: written["config"][key] for key in methods}


def numbers_of(index: Path, config: dict) -> pd.DataFrame:
    """Return a benchmark of two embeddings, of pixels and of features, by the rules' functions."""
    run = index.parents[1]
    splits, cells, table = (f"{run}/shards/{name}" for name in ("splits", "cells", "neighbours"))
    models = ("random_pixels", "cellprofiler")
    embeddings = [f"{run}/embeddings/{model}/0.parquet" for model in models]
    for_few_cells = {"fractions": {"train": 0.6, "validation": 0.2, "test": 0.2}}
    assign_splits(str(index), config["split"] | for_few_cells, splits)
    training_cells(str(index), splits, cells)
    project_pixels(str(index), cells, None, "random_pixels", 0, 1, 0, embeddings[0])
    cellprofiler_pca(str(index), splits, [f"{run}/features/{PLATE}.parquet"], 3, 0, embeddings[1])
    cell_neighbours(str(index), splits, embeddings, config["benchmarks"]["seed"], table)
    return pd.read_parquet(table)


def test_read_again_it_gives_the_same_benchmark_numbers(written, read_again):
    config, again = read_again
    first = numbers_of(written["index"], written["config"])
    assert len(first) > 10 and first["value"].between(0, 1).all() and first["value"].nunique() > 3
    pd.testing.assert_frame_equal(numbers_of(again, config), first)


def test_examples_are_the_crops_of_their_cells(written):
    index = read_frame(written["index"]).set_index("cell_id")
    root = zarr.open_group(written["here"] / "visualizations/mcvae-0/examples.zarr", mode="r")
    seen = 0
    for _, group in root.members(max_depth=None):
        if isinstance(group, zarr.Group) and "ome" in group.attrs:
            cell = index.loc[group.attrs["ome"]["multiscales"][0]["name"]]
            crops = open_shard(written["index"].parents[1] / cell["shard"]).crops
            np.testing.assert_array_equal(group["0"][0, :, 0], crops[cell["row"]])
            assert group["0"].shards == group["0"].shape
            seen += 1
    assert seen == sum(min(n, 10) for n in index.groupby("gene")["guide"].nunique())


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("cell_Area", "cell_area"),
        ("Nuclei_AreaShape_FormFactor", "nucleus_form_factor"),
        ("DAPI_Intensity_MeanIntensity", "cell_DAPI_mean"),
        ("nucleus_dapi_mean", "nucleus_DAPI_mean"),
        ("cell_tubulin_int", "cell_GFP_integrated"),
        ("cell_gh2ax_mean_edge", "cell_A594_mean_edge"),
        ("Cells_RadialDistribution_MeanFrac_GFP_4of4", "cell_GFP_mean_frac_3"),
        ("Cells_Correlation_Correlation_GFP_DAPI", "cell_correlation_DAPI_GFP"),
        ("A594_DAPI_Correlation_Pearson", "cell_correlation_A594_DAPI"),
        ("Cells_Texture_Correlation_DAPI_3_00_256", None),
        ("Cytoplasm_Intensity_MeanIntensity_DAPI", None),
        ("cell_BoundingBoxArea", None),
        ("DAPI_Correlation_3_00_256", None),
    ],
)
def test_features_get_the_names_of_the_standard(name, wanted):
    found = standard_feature(name, CHANNELS)
    assert (found and found.feature_id) == wanted
    if found:
        names = [channel["name"] for channel in CHANNELS]
        assert standardised(names)[found.feature_id] == found.feature_type


def test_of_two_columns_of_one_feature_the_first_is_taken():
    columns = standard_columns(["cell_area", "Cells_AreaShape_Area"], CHANNELS)
    assert list(columns) == ["cell_area"]


def test_features_are_tested_as_scipy_tests_cells_in_units_of_the_controls():
    rng = np.random.default_rng(1)
    batches, pooled = [], {0: [], 1: [], 2: []}
    for batch, shift in (("a", 0.0), ("b", 50.0)):
        values = rng.normal(shift, 3, (60, 2))
        group = np.repeat([0, 1, 2], 20)
        values[group == 1, 0] += 6
        values[3, 1] = np.nan
        cells = pd.DataFrame({"batch": batch, "is_ntc": group == 0, "group": group})
        batches.append((values, cells))
        controls = values[group == 0]
        scaled = (values - np.nanmean(controls, axis=0)) / np.nanstd(controls, axis=0)
        for k in pooled:
            pooled[k].append(scaled[group == k])
    moments = moments_of(batches, 3, 2)
    cells = {k: np.concatenate(v) for k, v in pooled.items()}
    np.testing.assert_allclose(moments.mean, [np.nanmean(cells[k], axis=0) for k in range(3)])
    p, neg_log10_fdr = significance_of(moments, 0)
    expected = ttest_ind(np.stack([cells[1], cells[2]], axis=1)[:, :, 0],
                         cells[0][:, [0]], equal_var=False).pvalue  # fmt: skip
    np.testing.assert_allclose(p[1:, 0], expected)
    fdr = false_discovery_control(p[1:].ravel()).reshape(2, 2)
    np.testing.assert_allclose(neg_log10_fdr[1:], -np.log10(fdr))
    assert (p[0] == 1).all() and (neg_log10_fdr[0] == 0).all()


def test_a_feature_without_variance_or_values_is_not_tested():
    zero = np.zeros((2, 2))
    p, neg_log10_fdr = significance_of(Moments(zero, zero, zero), 0)
    assert (p == 1).all() and (neg_log10_fdr == 0).all()


def test_the_controls_stand_beside_the_genes_that_are_nearest_to_them():
    names = [f"g{k}" for k in range(7)] + [CONTROL]
    maps = pd.DataFrame({"name": names[:7], "x": np.arange(7.0), "y": 0.0})
    latent = np.array([[k] for k in (1, 2, 3, 4, 5, 90, 91, 0)], float)
    places = map_of(maps, names, latent, 7)
    np.testing.assert_array_equal(places[7], [2, 0])
    np.testing.assert_array_equal(places[:7, 0], np.arange(7))


def test_no_more_than_ten_guides_and_the_asked_cells_of_each_are_shown():
    guides = [f"g{k}" for k in range(14) for _ in range(4)]
    cells = pd.DataFrame({"gene": "A", "guide": guides,
                          "cell_id": [f"c{k}" for k in range(56)]})  # fmt: skip
    shown = chosen_cells(cells, 3)
    assert shown["guide"].nunique() == 10
    assert (shown.groupby("guide")["number"].apply(list).map(len) == 3).all()
    pd.testing.assert_frame_equal(shown, chosen_cells(cells, 3))


GUIDES = pd.DataFrame({"guide": ["ACGTACGTACGTACGT", "TTTTACGTACGTACGT"],
                       "gene": ["BRCA2", CONTROL], "is_ntc": [False, True]})  # fmt: skip


def test_the_library_takes_what_a_table_knows():
    known = pd.DataFrame({"barcode": GUIDES["guide"], "gene_id": ["ENSG9", ""],
                          "control_type": ["intergenic"] * 2,
                          "protospacer_sequence": ["A" * 20, ""],
                          "sgrna_target_locus": ["7:1-23(+)", ""]})  # fmt: skip
    library = library_of(GUIDES, known, {}).set_index("perturbation_id")
    assert library.loc["BRCA2", "gene_id"] == "ENSG9"
    assert library.loc["BRCA2", "protospacer_sequence"] == "A" * 20
    assert library.loc["BRCA2", "control_type"] == ""
    assert library.loc["non-targeting", "control_type"] == "intergenic"
    assert library.loc["non-targeting", "protospacer_sequence"] == "TTTTACGTACGTACGT"
    assert library.loc["non-targeting", "gene_id"] == "non-targeting"
    assert library["sgrna_target_locus"].tolist() == ["", "7:1-23(+)"]


@pytest.mark.parametrize(
    ("guides", "said"),
    [
        (GUIDES, "gene_id: found '' for BRCA2 and 0 others"),
        (GUIDES.assign(guide=["BRCA2 1 uM", "C" * 15]), "compounds and doses cannot be written"),
        (GUIDES.assign(guide=["ACGT", "C" * 15]), "protospacer_sequence: found 'ACGT'"),
        (GUIDES.assign(gene=["A|B", CONTROL]), r"found 'A\|B'"),
    ],
)
def test_a_library_that_the_standard_refuses_is_refused_here(guides, said):
    ids = {} if guides is GUIDES else {"BRCA2": "ENSG1"}
    with pytest.raises(InputError, match=said):
        library_of(guides, None, ids)


def test_earlier_symbols_mean_the_gene_that_bears_them_alone(tmp_path):
    path = tmp_path / "hgnc.tsv"
    rows = [("H2AX", "ENSG1", "H2AFX"), ("AARS1", "ENSG2", "AARS|OLD"), ("X", "ENSG3", "OLD|H2AX")]
    pd.DataFrame(rows, columns=["symbol", "ensembl_gene_id", "prev_symbol"]).to_csv(
        path, sep="\t", index=False
    )
    ids = read_gene_ids(str(path))
    assert ids == {"H2AX": "ENSG1", "AARS1": "ENSG2", "X": "ENSG3", "H2AFX": "ENSG1",
                   "AARS": "ENSG2"}  # fmt: skip


def test_everything_that_is_missing_is_named_at_once(tmp_path):
    config = checked(small_configuration())
    ops = copy.deepcopy(config["exports"]["ops_standard"])
    ops["collection"]["title"] = None
    del ops["metadata"]["microscope"], ops["metadata"]["experiment"]["assay"]
    with pytest.raises(InputError) as error:
        ops_metadata(config["screen"] | {"pixel_size_um": None}, ops, "a", "b")
    for name in ("pixel_size_um", "collection.title", "microscope.system", "experiment.assay"):
        assert name in str(error.value)


def small_configuration() -> dict:
    config = small_screen()
    del config["screen"]["columns"]
    return config


def test_exposure_times_are_those_of_the_channels():
    config = checked(small_configuration())
    ops = copy.deepcopy(config["exports"]["ops_standard"])
    ops["metadata"]["phenotype"]["exposure_time_ms"] = [1, 2]
    with pytest.raises(InputError, match="a time in ms of each of the 4 channels"):
        ops_metadata(config["screen"], ops, "a", "b")


@pytest.mark.parametrize(("well", "parts"), [("A1", ("A", 1)), ("h12", ("H", 12)), ("AA1", None)])
def test_a_well_is_a_letter_and_a_number(well, parts):
    if parts:
        assert well_parts(well) == parts
    else:
        with pytest.raises(InputError, match="one capital letter and a number"):
            well_parts(well)


def test_names_that_the_standard_reserves_are_refused():
    assert perturbation_id(CONTROL) == "non-targeting"
    for name in ("A|B", "plate"):
        with pytest.raises(InputError):
            check_features([name])
