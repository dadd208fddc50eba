"""Tables of public screens, in the columns and formats of each: they enter as they are."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from mcvae_ops.archive.table_header import Header
from mcvae_ops.cells.columns import Named
from mcvae_ops.cells.feature_names import reason_against
from tests.helpers.cell_tables import enter, write_table
from tests.helpers.object_server import serving

GENES = ["AAA", "BBB", "CCC", "nontargeting"]


def called(plates: dict, tiles: list[int], n: int = 8) -> pd.DataFrame:
    """Return calls of `n` cells of every tile, with a guide and a gene."""
    places = [(p, w, t) for p, wells in plates.items() for w in wells for t in tiles]
    frame = pd.DataFrame(places, columns=["plate", "well", "tile"])
    frame = frame.loc[frame.index.repeat(n)].reset_index(drop=True)
    k = np.arange(len(frame))
    rng = np.random.default_rng(0)
    frame["y"], frame["x"] = rng.uniform(12, 84, (2, len(frame))).round(3)
    frame["gene"] = np.array(GENES)[k % 4]
    frame["barcode"] = [f"{gene}_{j // 4 % 2}" for gene, j in zip(frame["gene"], k, strict=True)]
    return frame.assign(feature_0=rng.normal(size=len(k)), feature_1=rng.normal(size=len(k)))


def library_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a perturbation library as the OPS standard has it: one id per control barcode."""
    library = frame[["barcode", "gene"]].drop_duplicates().rename(columns={"gene": "gene_symbol"})
    is_control = library["gene_symbol"] == "nontargeting"
    library["role"] = np.where(is_control, "control", "targeting")
    library["control_type"] = np.where(is_control, "nontargeting", None)
    library["perturbation_id"] = np.arange(len(library)) + 100
    library.loc[is_control, "gene_symbol"] = library["barcode"][is_control]
    return library.assign(gene_id=np.arange(len(library)) + 7000, protospacer_sequence="ACGT")


def aconcagua(folder) -> tuple[dict, int]:
    """Parquet with the row and column of the well apart, and a barcode that no library has."""
    frame = called({"1": ["A1", "A2"], "2": ["A1", "A2"]}, [0, 1])
    write_table(library_of(frame), folder / "metadata/perturbation_library.csv")
    frame.loc[5, "barcode"] = "unknown"
    cells = frame.assign(
        well_row=frame["well"].str[0], well_col=frame["well"].str[1:].astype(int),
        cell_uid=[f"c{k}" for k in frame.index], perturbation_id="p",
        cell_class=np.where(frame.index % 5 == 0, "mitotic", "interphase"),
    ).drop(columns=["well", "gene"])  # fmt: skip
    write_table(cells, folder / "cell_data.parquet")
    return {
        "screen": {"plates": {"1": ["A1", "A2"], "2": ["A1", "A2"]}, "tiles": "0-1",
                   "control": {"role": "control"}},
        "cells": {"table": "cell_data.parquet", "columns": {
            "well": "{well_row}{well_col}", "y_px": "y", "x_px": "x", "guide": "barcode",
            "stage": "cell_class"}},
        "labels": {"table": "metadata/perturbation_library.csv",
                   "columns": {"guide": "barcode", "gene": "gene_symbol"}},
    }, len(frame) - 1  # fmt: skip


def periscope(folder) -> tuple[dict, int]:
    """CSV.gz, whose positions are sums, with a position that is none and cells of another well."""
    frame = called({"CP186A": ["Well1", "Well2"]}, [1, 2, 3, 4])
    cells = pd.DataFrame({
        "Metadata_Foci_plate": frame["plate"], "Metadata_Foci_well": frame["well"],
        "Metadata_Foci_site_location": frame["tile"].astype(float),
        "Metadata_Foci_Barcode_MatchedTo_Barcode": frame["barcode"],
        "Metadata_Foci_Barcode_MatchedTo_GeneCode": frame["gene"],
        "Metadata_Cells_ObjectNumber": frame.index, "Cells_AreaShape_Center_Y": frame["y"] - 7,
        "Cells_AreaShape_Center_X": frame["x"] + 2, "Align_Yshift_ConA": 7.0,
        "Align_Xshift_ConA": -2.0, "Cells_Texture_0": frame["feature_0"],
        "Nuclei_Texture_0": frame["feature_1"],
    })  # fmt: skip
    cells.loc[3, "Cells_AreaShape_Center_Y"] = np.nan
    name = "b_single_cell_profiles_ALLBATCHES___CP186A___ALLWELLS.csv.gz"
    write_table(cells, folder / "workspace/single_cell" / name)
    return {
        "screen": {"plates": {"CP186A": ["Well1"]}, "tiles": "1-100",
                   "not_features": ["Align_*"]},
        "cells": {
            "table": "workspace/single_cell/{*}single_cell_profiles{*}___{plate}___{*}.csv.gz",
            "columns": {
                "well": "Metadata_Foci_well", "tile": "Metadata_Foci_site_location",
                "y_px": "{Cells_AreaShape_Center_Y} + {Align_Yshift_ConA}",
                "x_px": "{Cells_AreaShape_Center_X} + {Align_Xshift_ConA}",
                "guide": "Metadata_Foci_Barcode_MatchedTo_Barcode",
                "gene": "Metadata_Foci_Barcode_MatchedTo_GeneCode"}},
    }, 4 * 8 - 1  # fmt: skip


def jump(folder) -> tuple[dict, int]:
    """SQLite of cytominer: Image, Nuclei and Cells; a plate map, and metadata with the roles."""
    plate = "BR00117006"
    frame = called({plate: [f"{r}{c:02d}" for r in "AB" for c in range(1, 4)]}, [1, 2])
    frame["image"] = frame.groupby(["well", "tile"]).ngroup() + 1
    frame["nucleus"] = frame.groupby("image").cumcount() + 1
    images = frame.drop_duplicates("image")
    keys = pd.DataFrame({"TableNumber": "t" + frame["image"].astype(str),
                         "ImageNumber": frame["image"]})  # fmt: skip
    tables = {
        "Image": pd.DataFrame({
            "TableNumber": "t" + images["image"].astype(str), "ImageNumber": images["image"],
            "Image_Metadata_Plate": plate, "Image_Metadata_Well": images["well"],
            "Image_Metadata_Site": images["tile"], "Image_Count_Cells": 8.0}),
        "Nuclei": keys.assign(
            ObjectNumber=frame["nucleus"], Nuclei_Location_Center_X=frame["x"],
            Nuclei_Location_Center_Y=frame["y"], Nuclei_Number_Object_Number=frame["nucleus"],
            Nuclei_Texture_0=frame["feature_0"]),
        "Cells": keys.assign(
            ObjectNumber=9 - frame["nucleus"], Cells_Parent_Nuclei=frame["nucleus"],
            Cells_Location_Center_X=frame["x"], Cells_Texture_0=frame["feature_1"])[::-1],
    }  # fmt: skip
    for name, table in tables.items():
        write_table(table, folder / f"backend/{plate}/{plate}.sqlite", name)
    plate_map = pd.DataFrame({"well_position": sorted(set(frame["well"]))})
    plate_map["broad_sample"] = [f"BRD{k}" for k in range(len(plate_map))]
    write_table(plate_map, folder / "platemap.txt")
    metadata = pd.DataFrame({
        "broad_sample": plate_map["broad_sample"], "gene": [f"G{k}" for k in range(6)],
        "control_type": ["negcon", "negcon", None, None, "poscon", None],
    })  # fmt: skip
    write_table(metadata, folder / "orf_metadata.tsv")
    image = "{TableNumber}/{ImageNumber}"
    table = "backend/{plate}/{plate}.sqlite"
    return {
        "screen": {"plates": {plate: sorted(set(frame["well"]))}, "tiles": "1-2",
                   "control": {"role": "negcon"}},
        "cells": [
            {"table": f"{table}#Nuclei", "columns": {
                "image": image, "nucleus": "ObjectNumber", "y_px": "Nuclei_Location_Center_Y",
                "x_px": "Nuclei_Location_Center_X"}},
            {"table": f"{table}#Image", "columns": {
                "image": image, "well": "Image_Metadata_Well", "tile": "Image_Metadata_Site"}},
            {"table": f"{table}#Cells", "columns": {
                "image": image, "nucleus": "Cells_Parent_Nuclei"}},
        ],
        "labels": [
            {"table": "platemap.txt",
             "columns": {"well": "well_position", "guide": "broad_sample"}},
            {"table": "orf_metadata.tsv",
             "columns": {"guide": "broad_sample", "role": "control_type"}},
        ],
    }, len(frame)  # fmt: skip


def leonetti(folder) -> tuple[dict, int]:
    """Stitched wells: the column tile is of what was stitched; positions say the window."""
    frame = called({"Biohub": ["A1", "A2"]}, [3, 900])
    write_table(library_of(frame), folder / "metadata/perturbation_library.csv")
    cells = frame.assign(
        well_row=frame["well"].str[0], well_col=frame["well"].str[1:].astype(int),
        cell_uid=[f"c{k}" for k in frame.index], bounding_box="(1, 2)", perturbation_id="p",
    ).drop(columns=["well", "gene", "feature_0", "feature_1"])  # fmt: skip
    write_table(cells, folder / "cell_data.parquet")
    return {
        "screen": {"plates": {"Biohub": ["A1", "A2"]}, "tiles": "0-3", "tile_size_px": [100, 90],
                   "cut_px": 50, "control": {"role": "control"}, "features": []},
        "cells": {"table": "cell_data.parquet", "columns": {
            "well": "{well_row}{well_col}", "y_px": "y", "x_px": "x", "guide": "barcode"}},
        "labels": {"table": "metadata/perturbation_library.csv",
                   "columns": {"guide": "barcode", "gene": "gene_symbol"}},
    }, len(frame)  # fmt: skip


SCREENS = {one.__name__: one for one in (aconcagua, periscope, jump, leonetti)}


@pytest.mark.parametrize("where", ["folder", "bucket"])
@pytest.mark.parametrize("name", SCREENS)
def test_the_tables_of_a_public_screen_enter(name, where, tmp_path, monkeypatch):
    folder = tmp_path / name
    config, n_cells = SCREENS[name](folder)
    archive = {} if where == "folder" else {"root": f"s3://{name}"}
    with serving(tmp_path) as objects:
        monkeypatch.setenv("AWS_ENDPOINT_URL", objects.address)
        cells, features, _ = enter(folder, config["cells"], config.get("labels"),
                                   config["screen"], archive)  # fmt: skip
    assert len(cells) == n_cells and cells["is_ntc"].any() and not cells["is_ntc"].all()
    if name == "jump":
        assert list(features)[1:] == ["Nuclei_Texture_0", "Cells_Texture_0"]
        assert features.notna().all(axis=None)
        assert cells.groupby("well")["gene"].first().tolist() == [
            "NTC", "NTC", "G2", "G3", "G4", "G5"
        ]  # fmt: skip
    if name == "periscope":
        assert list(features)[1:] == ["Cells_Texture_0", "Nuclei_Texture_0"]
        assert set(cells["well"]) == {"Well1"} and cells["y_px"].between(12, 84).all()
    if name == "aconcagua":
        assert set(cells["cell_cycle_stage"]) == {"mitotic", "interphase"}
        assert set(cells["gene"]) == {"AAA", "BBB", "CCC", "NTC"}
        assert cells.loc[cells["is_ntc"], "guide"].nunique() == 2
        assert list(features)[1:] == ["feature_0", "feature_1"]
    if name == "leonetti":
        expected = (cells["y_px"] // 50 * 2 + cells["x_px"] // 50).astype(int)
        assert cells["tile"].tolist() == expected.tolist() and list(features) == ["cell_id"]


def test_the_text_of_a_column_says_plate_and_well():
    """The table of cp-posh: an ID such as P1_A1_7_123, and no other place."""
    frame = pd.DataFrame({"ID": ["P1_A1_7_123", "P_2_B03_1_4", "odd"], "barcode": "b",
                          "gene_id": "g"})  # fmt: skip
    entry = {"table": "dataframe.pq", "columns": {"guide": "barcode", "gene": "gene_id"},
             "parse": {"ID": "{plate}_{well}_{*}"}}  # fmt: skip
    header = Header(dict.fromkeys(frame, "text"))
    named = Named(entry, "cells", "dataframe.pq", header, {}, ["P1", "P_2"])
    rows = named.rows(pa.Table.from_pandas(frame))
    assert rows["plate"].to_pylist() == ["P1", "P_2", None]
    assert rows["well"].to_pylist() == ["A01", "B03", None]


# --- Real tables ------------------------------------------------------------------------------

NF1 = """
cells:
  table: Plate_2_cells.parquet
  columns:
    well: Image_Metadata_Well_x
    tile: Image_Metadata_Site_x
    y_px: Nuclei_AreaShape_Center_Y
    x_px: Nuclei_AreaShape_Center_X
labels: {table: platemap.csv, columns: {gene: genotype}}
"""
JUMP = """
cells:
  table: BR00117006_cells.parquet
  columns:
    well: Metadata_Well
    tile: Image_Metadata_Site
    y_px: Nuclei_Location_Center_Y
    x_px: Nuclei_Location_Center_X
labels: {table: platemap.csv, columns: {gene: genotype}}
"""


@pytest.mark.parametrize(
    ("folder", "text", "well", "n_features"),
    [("nf1", NF1, "Image_Metadata_Well_x", 1642), ("jump", JUMP, "Metadata_Well", 5607)],
)
def test_the_real_tables_enter_without_an_identifier(
    folder, text, well, n_features, shared, tmp_path
):
    """Genotypes are in no public file: a label by well stands for them."""
    config = yaml.safe_load(text)
    assert len(text.strip().splitlines()) <= 15
    source = shared / "data/real" / folder / config["cells"]["table"]
    frame = pd.read_parquet(source)
    (tmp_path / "screen").mkdir()
    (tmp_path / "screen" / source.name).symlink_to(source)
    wells = sorted(set(frame[well]))
    labels = pd.DataFrame({"well": wells, "genotype": (["WT", "null"] * len(wells))[: len(wells)]})
    labels.to_csv(tmp_path / "screen/platemap.csv", index=False)
    screen = {"plates": {"Plate": wells}, "tiles": "1-20", "control": "WT"}
    cells, features, listed = enter(tmp_path / "screen", **config, screen=screen)
    assert len(cells) == len(frame) == 5
    assert len(listed) == len(pq.read_schema(source)) + len(labels.columns)
    names = list(features)[1:]
    assert len(names) == n_features
    words = ("Metadata", "Image_", "Number_Object", "ObjectNumber", "Parent", "Location", "index")
    assert not [name for name in names if any(word in name for word in words)]


def test_all_features_of_the_papers_table_are_features(shared):
    names = (shared / "data/published/cellprofiler_feature_names_1084.txt").read_text().split()
    assert not [name for name in names if reason_against(name, "number") is not None]
