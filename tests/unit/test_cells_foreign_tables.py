"""Tables as laboratories and other programs write them: they enter whole and right, or are refused.

Each case is one of a public report: a filtered DataFrame, a join of CytoTable, a table of DuckDB,
doubled rows, a second label of controls.
"""

import logging
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mcvae_ops.benchmarks.doses.dose_response import doses_of
from mcvae_ops.cells.labels import _LIKE_CONTROL
from mcvae_ops.errors import InputError
from mcvae_ops.screen import DOSE_OF_GUIDE
from tests.helpers.cell_tables import cells_of, enter, write_table

TABLE = {"table": "cells.parquet"}
BY_WELL = {"plates": {"P1": [f"A{k}" for k in range(1, 13)]}, "batch": ["plate"]}


def from_frame(frame: pd.DataFrame, folder, **options):
    write_table(frame, folder / "cells.parquet")
    return enter(folder, TABLE, **options)


def from_arrow(table: pa.Table, folder, **options):
    pq.write_table(table, folder / "cells.parquet")
    return enter(folder, TABLE, **options)


# --- Numbers, names and places ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["int64", "uint64", "int32", "float64", "bool"])
def test_a_number_of_any_type_is_a_feature(kind, tmp_path):
    values = np.arange(40) % 2 if kind == "bool" else np.arange(40) + 20_000_001
    frame = cells_of(total=values.astype(kind))
    _, features, _ = from_frame(frame, tmp_path)
    frame = frame.sort_values(["tile", "y_px", "x_px"])
    assert features["total"].dtype == np.float32
    np.testing.assert_array_equal(features["total"], frame["total"].astype(np.float32))


def test_an_index_and_identifiers_are_no_features(tmp_path):
    frame = cells_of(cell_id=np.arange(40)).sample(40, random_state=0)
    _, features, listed = from_frame(frame, tmp_path)
    assert list(features) == ["cell_id", "area", "mean"]
    reasons = listed.set_index("column")["reason"]
    assert reasons["__index_level_0__"] == "index of the table"
    assert reasons["cell_id"] == "identifier"


def test_the_index_of_a_csv_is_no_feature(tmp_path):
    """pandas writes it without a name, and calls it Unnamed: 0 when it reads it again."""
    folder = tmp_path / "in"
    folder.mkdir()
    cells_of().to_csv(folder / "cells.csv")
    _, features, listed = enter(folder, {"table": "cells.csv"})
    assert list(features)[1:] == ["area", "mean"]
    assert listed["reason"][0] == "index of the table"
    pd.read_csv(folder / "cells.csv").to_csv(folder / "cells.csv")
    _, features, _ = enter(folder, {"table": "cells.csv"})
    assert list(features)[1:] == ["area", "mean"]


def test_a_column_that_is_there_twice_is_named(tmp_path):
    table = pa.Table.from_pandas(cells_of(), preserve_index=False)
    with pytest.raises(InputError) as caught:
        from_arrow(table.append_column("area", table["mean"]), tmp_path)
    assert str(caught.value) == (
        "table cells.parquet: column 'area' is defined twice; rename or remove one of the two, or "
        "name it in screen.not_features."
    )


@pytest.mark.parametrize("tile", ["nan", "null", "float", "half", "text"])
def test_a_tile_is_a_number_of_any_spelling_and_nothing_drops_its_cell(tile, tmp_path):
    table = pa.Table.from_pandas(cells_of(), preserve_index=False)
    tiles = table["tile"].to_numpy().astype(float)
    tiles[3] = np.nan
    column = {
        "nan": pa.array(tiles),  # NaN and not null: DuckDB, polars
        "null": pa.array(tiles, from_pandas=True).cast(pa.int64()),
        "float": pa.array(tiles, from_pandas=True),
        "half": pa.array(tiles.astype(np.float16), from_pandas=True),
        "text": pa.array([None if np.isnan(t) else f"{int(t)}" for t in tiles]),
    }[tile]
    cells, _, _ = from_arrow(table.set_column(2, "tile", column), tmp_path)
    assert sorted(cells["tile"]) == sorted(tiles[~np.isnan(tiles)].astype(int))


@pytest.mark.parametrize("spelled", ["A01", "a1", "a01", "r01c01", "A1"])
@pytest.mark.parametrize("configured", ["A1", "A01"])
def test_a_well_has_one_form(spelled, configured, tmp_path):
    cells, _, _ = from_frame(
        cells_of(well=spelled), tmp_path, screen={"plates": {"P1": [configured]}}
    )
    assert set(cells["well"]) == {configured} and len(cells) == 40


@pytest.mark.parametrize(
    ("plate", "configured"),
    [("007", "007"), (7.0, "7"), (7, "7"), ("7.0", "7"), ("10.00", "10.00")],
)
def test_a_plate_is_text(plate, configured, tmp_path):
    cells, _, _ = from_frame(
        cells_of(plate=plate), tmp_path, screen={"plates": {configured: ["A1"]}}
    )
    assert set(cells["plate"]) == {configured}


def test_cells_of_tiles_that_are_not_named_are_counted(tmp_path, caplog):
    frame = cells_of(tile=np.arange(40) % 4)
    cells, _, _ = from_frame(frame, tmp_path, screen={"tiles": "0"})
    said = "30 of the 40 cells in the tables lie in tiles that screen.tiles (0) does not name: left"
    assert len(cells) == 10 and said in caplog.text
    caplog.clear()
    embedded = {"tiles": "all", "spaces": {"mine": {"combined": "area"}}}
    cells, _, _ = from_frame(frame, tmp_path, screen=embedded)
    assert sorted(cells["tile"].unique()) == [0, 1, 2, 3] and len(cells) == 40
    cells, _, _ = from_frame(frame.drop(columns="tile"), tmp_path, screen=embedded)
    assert set(cells["tile"]) == {0} and "tiles" not in caplog.text


def test_a_well_without_cells_names_those_that_have_some(tmp_path):
    with pytest.raises(InputError) as caught:
        from_frame(cells_of(well="B07"), tmp_path, screen={"plates": {"P1": ["A1"]}})
    assert str(caught.value) == (
        "the tables of cells: every cell of the screen is missing; the configuration names its "
        "plates, wells and tiles (0-20), and the tables have cells of P1/B07 (40 of other plates "
        "or wells); correct screen.plates, screen.tiles or cells.columns."
    )
    frame = pd.concat([cells_of(), cells_of(well="B07")], ignore_index=True)
    with pytest.raises(InputError, match=r"plate P1 well A2 is missing.*cells of A01, B07"):
        from_frame(frame, tmp_path, screen={"plates": {"P1": ["A1", "A2"]}})


def test_missing_columns_are_named_all_at_once(tmp_path):
    write_table(cells_of(), tmp_path / "cells.parquet")
    columns = {"guide": "sgRNA", "gene": "gene_symbol"}
    with pytest.raises(InputError) as caught:
        enter(tmp_path, TABLE | {"columns": columns})
    assert str(caught.value) == (
        "table cells.parquet: column 'sgRNA', 'gene_symbol' is missing; cells.columns.guide, "
        "cells.columns.gene names it, and the columns are gene, plate, well, tile, y_px, x_px, "
        "guide, area ...; correct cells.columns.guide or replace the table."
    )
    write_table(cells_of().drop(columns=["y_px", "gene"]), tmp_path / "cells.parquet")
    with pytest.raises(InputError, match=r"y_px, gene is missing; their columns are plate, well"):
        enter(tmp_path, TABLE)


# --- Features ---------------------------------------------------------------------------------


def test_bookkeeping_is_left_out_and_listed_with_its_reason(tmp_path, caplog):
    more = {
        "Metadata_ImageNumber": 3, "Image_ExecutionTime_02Metadata": 0.1, "Image_Width": 1080,
        "Nuclei_Number_Object_Number": np.arange(40), "Image_FileName_DNA": "a.tif",
        "Image_MD5Digest_DNA": "f00", "Cells_Parent_Nuclei": np.arange(40),
        "Cells_Location_Center_X": 1.5, "Cells_AreaShape_BoundingBoxMaximum_X": 2.5,
        "bbox-0": 3, "centroid-1": 3.5, "when": pd.Timestamp("2020-01-01"), "note": "good",
        "Cells_AreaShape_EulerNumber": 1.0, "Cells_Neighbors_NumberOfNeighbors_5": 2,
    }  # fmt: skip
    with caplog.at_level(logging.WARNING):
        _, features, listed = from_frame(cells_of(**more), tmp_path)
    kept = ["area", "mean", "Cells_AreaShape_EulerNumber", "Cells_Neighbors_NumberOfNeighbors_5"]
    assert list(features)[1:] == kept
    reasons = listed.set_index("column")["reason"].drop(kept).to_dict()
    assert reasons == dict.fromkeys(
        ("plate", "well", "tile", "y_px", "x_px", "guide", "gene"), "named under columns"
    ) | {
        "Metadata_ImageNumber": "metadata", "Image_ExecutionTime_02Metadata": "of the image",
        "Image_Width": "of the image", "Nuclei_Number_Object_Number": "identifier",
        "Image_FileName_DNA": "of the image", "Image_MD5Digest_DNA": "of the image",
        "Cells_Parent_Nuclei": "identifier", "Cells_Location_Center_X": "position",
        "Cells_AreaShape_BoundingBoxMaximum_X": "position", "bbox-0": "position",
        "centroid-1": "position", "when": "time", "note": "text",
    }  # fmt: skip
    assert "1 columns of text are no features: note" in caplog.text


def test_patterns_choose_features(tmp_path):
    frame = cells_of(area_2=1.0, mean_2=2.0)
    _, features, _ = from_frame(frame, tmp_path, screen={"features": ["area*", "mean"]})
    assert list(features)[1:] == ["area", "mean", "area_2"]
    _, features, _ = from_frame(frame, tmp_path, screen={"not_features": ["*_2"]})
    assert list(features)[1:] == ["area", "mean"]
    _, features, _ = from_frame(frame.assign(time=1.0), tmp_path, screen={"features": ["time"]})
    assert list(features)[1:] == ["time"]
    with pytest.raises(InputError) as caught:
        from_frame(frame.assign(note="x"), tmp_path, screen={"features": ["area", "note", "plate"]})
    assert str(caught.value) == (
        "configuration key screen.features: found columns that cannot be features: note (text), "
        "plate (named under columns), expected columns of numbers that are measured of each cell; "
        "leave them out."
    )


BOOKKEEPING = ("z_{}", "y_{}", "i_{}", "cell_z_{}", "bbox_{}", "Channel_{}", "label_{}", "id_{}")


@pytest.mark.parametrize("name", [*BOOKKEEPING, "index_{}", "emb[{}]", "Image_vit/{}"])
@pytest.mark.parametrize("is_pattern", [True, False])
def test_a_column_that_a_space_names_is_taken_whatever_its_name(name, is_pattern, tmp_path):
    values = {name.format(k): np.linspace(k, k + 1, 40) for k in range(12)}
    frame = cells_of(**values, label=1)
    columns = [name.partition("{")[0].rstrip("[") + "*"] if is_pattern else list(values)
    spaces = {"mine": {"combined": columns}}
    screen = {"features": columns, "spaces": spaces}
    _, features, _ = from_frame(frame, tmp_path, screen=screen)
    assert list(features)[1:] == list(values)


def test_a_space_of_all_columns_takes_no_bookkeeping(tmp_path):
    frame = cells_of(label=1, note="x", z_0=0.5)
    screen = {"spaces": {"mine": {"combined": "*"}}}
    _, features, _ = from_frame(frame, tmp_path, screen=screen)
    assert list(features)[1:] == ["area", "mean"]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("v_*", "embeddings.mine.spaces: found columns that cannot be taken: v_1 (text), expected "
         "columns of numbers; correct the spaces, or name the columns in screen.not_features."),
        (["v_0", "gene"], "cannot be taken: gene (named under columns), expected columns of"),
        ("w_*", "the tables of cells: found no column 'w_*' among 0"),
    ],
)  # fmt: skip
def test_a_space_that_a_table_does_not_have_is_said_by_its_key(columns, said, tmp_path):
    frame = cells_of(v_0=0.5, v_1="0,5")
    spaces = {"mine": {"combined": columns}}
    screen = {"features": [columns] if isinstance(columns, str) else columns, "spaces": spaces}
    with pytest.raises(InputError) as caught:
        from_frame(frame, tmp_path, screen=screen)
    assert said in str(caught.value)
    left_out = screen | {"spaces": {"mine": {"combined": "v_*"}}, "not_features": ["v_1"]}
    _, features, _ = from_frame(frame, tmp_path, screen=left_out)
    assert list(features)[1:] == ["v_0"]


def test_embedded_cells_need_no_positions(tmp_path):
    frame = cells_of(name=[f"c{k}" for k in range(40)]).drop(columns=["y_px", "x_px"])
    screen = {"spaces": {"mine": {"combined": "area"}}, "features": ["area"]}
    cells, features, _ = from_frame(frame, tmp_path, screen=screen)
    frame = frame.sort_values("tile", kind="stable")
    assert cells["y_px"].isna().all() and cells["guide"].tolist() == frame["guide"].tolist()
    assert cells["cell_id"].is_unique
    np.testing.assert_array_equal(features["area"], frame["area"].astype(np.float32))
    named, _, _ = enter(tmp_path, TABLE | {"columns": {"cell_id": "name"}}, screen=screen)
    assert named["cell_id"].tolist() == frame["name"].tolist()
    for more in ({"cut_px": 64}, {"duplicates": {"overlap_px": 3, "max_distance_px": 3}}):
        with pytest.raises(InputError, match="labels: y_px, x_px is missing"):
            from_frame(frame, tmp_path, screen=screen | more)


def test_an_embedded_cell_without_its_position_is_dropped_where_others_have_one(tmp_path):
    frame = cells_of()
    frame.loc[4, "y_px"] = np.nan
    screen = {"spaces": {"mine": {"combined": "area"}}, "features": ["area"]}
    cells, _, _ = from_frame(frame, tmp_path, screen=screen)
    assert len(cells) == 39


def test_a_pattern_that_chooses_nothing_is_said_once(tmp_path, caplog):
    frame = cells_of(frame=1.0, frame_number=2.0)
    screen = {"features": ["a*", "meen*", "frame*"], "not_features": ["aera", "y*"]}
    with caplog.at_level(logging.WARNING):
        _, features, _ = from_frame(frame, tmp_path, screen=screen)
    assert list(features)[1:] == ["area"]
    said = [record.getMessage() for record in caplog.records if "screen." in record.getMessage()]
    assert said == [
        "screen.features: no column is like 'meen*'",
        "screen.not_features: no column is like 'aera'",
        "screen.features: 'frame*' chooses no feature, of 2 columns: frame (time), frame_number "
        "(identifier); a column of numbers that is named outright is one",
    ]


def test_a_table_without_features_gives_no_advice_on_patterns(tmp_path, caplog):
    frame = cells_of().drop(columns=["area", "mean"])
    with pytest.raises(InputError, match="no feature in the tables of cells"):
        from_frame(frame, tmp_path)
    assert "chooses no feature" not in caplog.text


def test_a_feature_that_no_table_has_is_named(tmp_path):
    with pytest.raises(InputError) as caught:
        from_frame(cells_of(), tmp_path, screen={"features": ["area", "meen", "sum"]})
    assert str(caught.value) == (
        "the tables of cells: column 'meen', 'sum' is missing; screen.features names it, and the "
        "columns are mean, plate, well, tile, y_px, x_px, guide, gene ...; correct screen.features."
    )


def test_a_feature_that_tells_the_well_is_named(tmp_path, caplog):
    rng = np.random.default_rng(0)
    frame = pd.concat([cells_of(60, k, well=w) for k, w in enumerate(("A1", "A2", "B1"))])
    number = frame["well"].map({"A1": 1.0, "A2": 2.0, "B1": 5.0})
    frame = frame.reset_index(drop=True).assign(
        lamp=1e6 + number.to_numpy(), nearly=number.to_numpy() + rng.normal(0, 0.05, 180),
        batch_effect=number.to_numpy() + rng.normal(0, 2, 180), constant=0.1,
    )  # fmt: skip
    with caplog.at_level(logging.WARNING):
        _, _, listed = from_frame(frame, tmp_path, screen={"plates": {"P1": ["A1", "A2", "B1"]}})
    share = listed.set_index("column")["variance_between_wells"]
    assert share["lamp"] > 0.999 and share["nearly"] > 0.99
    assert abs(share["area"]) < 0.1 and 0.1 < share["batch_effect"] < 0.7
    assert np.isnan(share["constant"])
    assert "features that tell the well" in caplog.text and "lamp, nearly" in caplog.text


# --- Labels -----------------------------------------------------------------------------------


def with_genes(*genes: str) -> pd.DataFrame:
    names = np.resize(np.array(genes), 40)
    return cells_of(gene=names, guide=[f"{g}-1" for g in names])


@pytest.mark.parametrize(
    "control",
    [
        ["nontargeting", "non-targeting", "no-guide"],
        ["non*targeting ", " no-guide"],
        "no*",
    ],
)
def test_several_labels_mark_controls(control, tmp_path):
    frame = with_genes("nontargeting", "non-targeting", "no-guide", "AAA")
    cells, _, _ = from_frame(frame, tmp_path, screen={"control": control})
    assert cells["gene"].value_counts().to_dict() == {"NTC": 30, "AAA": 10}
    assert cells["is_ntc"].sum() == 30


def test_numbered_controls_are_one_pattern(tmp_path):
    frame = with_genes("nontargeting_0001", "nontargeting_0002", "AAA", "BBB")
    cells, _, _ = from_frame(frame, tmp_path, screen={"control": "nontargeting_*"})
    assert cells["is_ntc"].sum() == 20 and cells["guide"].nunique() == 4


def test_controls_by_their_role(tmp_path):
    frame = with_genes("X1", "X2", "AAA", "BBB")
    frame["role"] = np.where(frame["gene"].str.startswith("X"), "control", "perturbation")
    cells, _, _ = from_frame(frame, tmp_path, screen={"control": {"role": "control"}})
    assert cells["gene"].value_counts().to_dict() == {"NTC": 20, "AAA": 10, "BBB": 10}
    with pytest.raises(InputError, match=r"^the tables of cells and labels: role is missing"):
        from_frame(frame.drop(columns="role"), tmp_path, screen={"control": {"role": "control"}})


def test_labels_that_read_like_controls_are_said(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        from_frame(with_genes("nontargeting", "non-targeting", "Neg Ctrl 2", "AAA"), tmp_path)
    assert "'Neg Ctrl 2' (10 cells), 'non-targeting' (10 cells) reads like a control" in caplog.text


@pytest.mark.parametrize(
    "label",
    ["NT", "nt-12", "non-target", "nontarget", "NO-TARGET", "non_targeting_control", "sgNTC",
     "NonTargeting_Human_0001", "NonTargetingControlGuideForHuman_0001", "Non-Targeting Control",
     "nontargeting-AAAC", "NT-ctrl", "INTERGENIC", "one-intergenic", "ONE_NON-GENE_SITE", "siNT",
     "EMPTY_VECTOR", "luciferase", "LacZ", "neg_ctrl_12", "control guide", "OR10A2-control"],
)  # fmt: skip
def test_what_laboratories_call_controls_is_known(label):
    assert _LIKE_CONTROL.search(label)


@pytest.mark.parametrize(
    "gene",
    ["NT5E", "NT5C3A", "NTN1", "NTS", "NTF3", "WT1", "LUC7L", "SAFB", "CTRB1", "CTRC", "SCRIB",
     "NTRK1", "NONO", "NOG", "Scr", "EMP1", "MT-CO1", "HLA-A", "NKX2-1", "CONT1"],
)  # fmt: skip
def test_no_gene_reads_like_a_control(gene):
    assert not _LIKE_CONTROL.search(gene)


def test_the_word_of_the_pipeline_is_no_gene(tmp_path):
    frame = with_genes("nontargeting", "NTC", "AAA", "BBB")
    with pytest.raises(InputError) as caught:
        from_frame(frame, tmp_path)
    assert str(caught.value) == (
        "the tables of cells: found a gene NTC, which screen.control ('nontargeting') does not "
        "name, expected another name: NTC is the pipeline's own word for controls; add it to "
        "screen.control if it marks controls, or rename it."
    )
    cells, _, _ = from_frame(frame, tmp_path, screen={"control": ["nontargeting", "NTC"]})
    assert cells["is_ntc"].sum() == 20


@pytest.mark.parametrize("kind", ["float64", "float32", "str"])
@pytest.mark.parametrize("place", ["cells.parquet", "labels.csv", "labels.tsv"])
def test_a_compound_and_its_dose_make_a_guide(kind, place, tmp_path):
    """Of a table of cells or a plate map; the doses of controls, if they have any, are not read."""
    doses = np.array([0.1, 0.00002, 10, 1_000_000])
    wells = pd.DataFrame({"plate": "P1", "well": [f"A{k}" for k in range(1, 13)],
                          "gene": np.repeat(["nontargeting", "AAA", "BBB"], 4),
                          "um": np.r_[0, np.nan, 3, 0, doses, doses]})  # fmt: skip
    frame = cells_of(60, well=[f"A{k % 12 + 1}" for k in range(60)]).drop(columns=["guide", "gene"])
    truth = frame.merge(wells)
    wells["um"] = wells["um"].astype(kind).replace("nan", "")
    labels = None
    if place == "cells.parquet":
        write_table(frame.merge(wells), tmp_path / place)
    else:
        write_table(frame, tmp_path / "cells.parquet")
        write_table(wells, tmp_path / place)
        labels = {"table": place, "columns": {"dose": "um"}}
    table = TABLE if labels else TABLE | {"columns": {"dose": "um"}}
    cells, _, _ = enter(tmp_path, table, labels, screen=BY_WELL)
    texts = ["0.1", "0.00002", "10", "1000000"]
    expected = {"nontargeting", *(f"{gene} {text}" for gene in ("AAA", "BBB") for text in texts)}
    assert len(cells) == 60 and set(cells["guide"]) == expected
    cells = cells.merge(truth.astype({"y_px": "float32", "x_px": "float32"}), on=["y_px", "x_px"])
    found = doses_of(cells["guide"], cells["is_ntc"].to_numpy(), DOSE_OF_GUIDE)
    np.testing.assert_allclose(found, cells["um"].where(~cells["is_ntc"], 0))


def test_a_dose_is_added_to_the_guide_and_cells_without_one_are_counted(tmp_path, caplog):
    frame = cells_of(um=2.0)
    frame.loc[frame["gene"] == "BBB", "um"] = np.resize([0, np.nan, 3], 13)
    write_table(frame, tmp_path / "cells.parquet")
    with caplog.at_level(logging.INFO):
        cells, _, _ = enter(tmp_path, TABLE | {"columns": {"dose": "um"}})
    assert set(cells["guide"]) == {
        "nontargeting_0", "nontargeting_1", "AAA_0 2", "AAA_1 2", "BBB_0 3", "BBB_1 3"
    }  # fmt: skip
    assert "9 cells dropped: without a dose above 0" in caplog.text


def test_a_dose_is_a_number(tmp_path):
    write_table(cells_of(um="10 uM"), tmp_path / "cells.parquet")
    with pytest.raises(InputError, match=r"column 'um': found .*10 uM.*, expected numbers"):
        enter(tmp_path, TABLE | {"columns": {"dose": "um"}})


def test_a_name_that_joins_nothing_is_refused(tmp_path):
    write_table(cells_of(repeat=1), tmp_path / "cells.parquet")
    with pytest.raises(InputError) as caught:
        enter(tmp_path, TABLE | {"columns": {"replicate": "repeat"}})
    assert str(caught.value) == (
        "configuration key cells.columns.replicate: found a name that no other table has, expected "
        "plate, well, tile, y_px, x_px, guide, gene, role, stage, dose, split, cell_id, crop, or a "
        "name by which two tables are joined; remove it, or name it so (replicates are told by "
        "plate and well: see screen.batch)."
    )


def test_a_guide_stands_for_one_gene(tmp_path, caplog):
    frame = cells_of()
    frame.loc[frame["gene"].isin(["AAA", "BBB"]) & (frame.index < 10), "guide"] = "g1"
    with pytest.raises(InputError) as caught:
        from_frame(frame, tmp_path)
    assert str(caught.value) == (
        "the tables of cells and labels: found 1 guides of several genes (g1: AAA, BBB), expected "
        "one gene of each guide; correct the labels (a dose alone is no guide: name it "
        "columns.dose), or set screen.ambiguous_labels: drop to leave their cells out."
    )
    with caplog.at_level(logging.WARNING):
        cells, _, _ = from_frame(frame, tmp_path, screen={"ambiguous_labels": "drop"})
    assert len(cells) == 40 - (frame["guide"] == "g1").sum() and "g1" not in set(cells["guide"])
    assert "left out: the cells of 1 guides of several genes (g1: AAA, BBB)" in caplog.text


def test_a_cell_stands_there_once(tmp_path, caplog):
    first = cells_of()
    with caplog.at_level(logging.WARNING):
        cells, _, _ = from_frame(pd.concat([first, first[:7]], ignore_index=True), tmp_path)
    assert len(cells) == 40 and "P1/A1: 7 cells stand there twice" in caplog.text
    doubled = first[first["gene"] == "AAA"].assign(gene="CD99_Y", guide="other")
    frame = pd.concat([first, doubled], ignore_index=True)
    with pytest.raises(InputError) as caught:
        from_frame(frame, tmp_path)
    assert "found 13 cells that stand twice with different labels, as in tile" in str(caught.value)
    assert "gene AAA and CD99_Y" in str(caught.value)
    cells, _, _ = from_frame(frame, tmp_path, screen={"ambiguous_labels": "drop"})
    assert set(cells["gene"]) == {"NTC", "BBB"}


def test_one_table_given_as_both_stages_is_said(tmp_path, caplog):
    for stage in ("interphase", "mitotic"):
        write_table(cells_of(), tmp_path / f"{stage}-cells/a.parquet")
    with caplog.at_level(logging.WARNING):
        cells, _, _ = enter(tmp_path, {"table": "{stage}-{*}"})
    assert set(cells["cell_cycle_stage"]) == {"interphase"}
    assert "40 cells stand there in several stages of the cell cycle" in caplog.text


def test_controls_stand_in_wells_of_the_screen(tmp_path):
    frame = pd.concat([with_genes("AAA", "BBB"), with_genes("nontargeting").assign(well="H12")])
    with pytest.raises(InputError) as caught:
        from_frame(frame.reset_index(drop=True), tmp_path)
    assert str(caught.value) == (
        "configuration key screen.control: found 'nontargeting', which labels cells of wells "
        "P1/H12 alone, expected controls in wells that screen.plates names; add these wells to "
        "screen.plates."
    )


@pytest.mark.parametrize(
    ("spelled", "pattern"), [("s{}", "s{tile}"), ("f{:02d}", "f{tile}"), ("A1_S{}b", "A1_S{tile}b")]
)
def test_tiles_that_are_spelled_otherwise_are_shown_with_the_way_to_read_them(
    spelled, pattern, tmp_path
):
    frame = cells_of(tile=np.arange(40) % 3 + 1)
    numbers = frame.copy()
    frame["tile"] = frame["tile"].map(spelled.format)
    with pytest.raises(InputError) as caught:
        from_frame(frame, tmp_path, screen={"tiles": "1-3"})
    shown = ", ".join(repr(spelled.format(k)) for k in (1, 2, 3))
    assert f"tiles (1-3), and the tables have cells of P1/A01, tiles {shown} (40 without" in str(
        caught.value
    )
    assert f'cells.parse: {{COLUMN: "{pattern}"}} in place of cells.columns.tile' in str(
        caught.value
    )
    parsed = {"table": "cells.csv", "parse": {"Site": pattern}}
    frame.rename(columns={"tile": "Site"}).to_csv(tmp_path / "cells.csv", index=False)
    cells, _, _ = enter(tmp_path, parsed, screen={"tiles": "1-3"})
    assert cells["tile"].value_counts().to_dict() == numbers["tile"].value_counts().to_dict()


def test_a_table_that_is_corrected_in_place_is_read_again(tmp_path):
    """A run that has stopped keeps what it has read; a correction need not change the size."""
    path, text = tmp_path / "cells.csv", cells_of().to_csv(index=False)
    path.write_text(text.replace("nontargeting", "nontargetinX").replace(",area", ",arex"))
    with pytest.raises(InputError, match="labels no cell"):
        enter(tmp_path, {"table": "cells.csv"})
    path.write_text(text)
    cells, features, _ = enter(tmp_path, {"table": "cells.csv"})
    assert set(cells["gene"]) == {"NTC", "AAA", "BBB"}
    assert features.columns.tolist() == ["cell_id", "area", "mean"]


def test_tiles_of_other_numbers_are_shown(tmp_path):
    with pytest.raises(InputError, match=r"tiles \(1-2\).*tiles '9', '10' \(40 of tiles that"):
        from_frame(cells_of(tile=np.arange(40) % 2 + 9), tmp_path, screen={"tiles": "1-2"})


def test_positions_of_obsm_are_named_x_first(tmp_path):
    """As scanpy and squidpy have them: obsm["spatial"] is (cell, 2), x and then y."""
    frame = cells_of()
    obs = frame[["plate", "well", "tile", "guide", "gene"]].set_axis(frame.index.astype(str))
    data = anndata.AnnData(frame[["area", "mean"]].to_numpy(np.float32), obs,
                           pd.DataFrame(index=["area", "mean"]))  # fmt: skip
    data.obsm["spatial"] = frame[["x_px", "y_px"]].to_numpy()
    data.write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(InputError, match="y_px, x_px is missing") as caught:
        enter(tmp_path, {"table": "cells.h5ad"})
    names = "{x_px: spatial_0, y_px: spatial_1}"
    assert f'obsm["spatial"] has positions, x first: cells.columns: {names}' in str(caught.value)
    columns = {"x_px": "spatial_0", "y_px": "spatial_1"}
    cells, features, _ = enter(tmp_path, {"table": "cells.h5ad", "columns": columns})
    expected = frame.sort_values(["tile", "y_px", "x_px"])
    np.testing.assert_allclose(cells[["y_px", "x_px"]], expected[["y_px", "x_px"]], rtol=1e-6)
    assert features.columns.tolist() == ["cell_id", "area", "mean"]


def test_every_row_is_counted_once_by_what_became_of_it(tmp_path):
    frame = cells_of(60, tile=np.arange(60) % 3)
    frame.loc[0, "plate"] = None
    frame.loc[1, "well"] = "H12"
    frame.loc[2, "tile"] = None
    frame.loc[3, "tile"] = 99
    frame.loc[4, "x_px"] = np.nan
    frame.loc[5, ["guide", "gene"]] = None
    frame.loc[[6, 7], "gene"] = None
    frame.loc[8, "guide"] = None
    twice = frame.loc[[10, 11, 12]].assign(stage="mitotic")
    frame["stage"] = "interphase"
    twice.loc[12, "stage"] = "interphase"
    elsewhere = cells_of(5, seed=1, plate="P9", stage="interphase")
    second = cells_of(9, seed=2, plate="P2", stage="interphase")
    tables = pd.concat([frame, twice, elsewhere, second], ignore_index=True)
    from_frame(tables, tmp_path, screen={"plates": {"P1": ["A1"], "P2": ["A1"]}})
    rows = pd.read_csv(tmp_path.parent / f"{tmp_path.name}_out/rows.tsv", sep="\t",
                       keep_default_na=False)  # fmt: skip
    assert rows["n_rows"].sum() == len(tables)
    found = {
        plate: of.set_index("reason")["n_rows"].to_dict() for plate, of in rows.groupby("plate")
    }
    assert found == {
        "": {"without a plate or well": 1, "of other plates or wells": 5},
        "P1": {
            "used": 51, "of other plates or wells": 1, "without the number of a tile": 1,
            "of tiles that screen.tiles does not name": 1, "without a position": 1,
            "with neither guide nor gene": 1, "of a guide without a gene": 2,
            "of a gene without a guide": 1, "listed twice": 1,
            "listed twice in several stages": 2,
        },
        "P2": {"used": 9},
    }  # fmt: skip
    assert rows.groupby("plate")["n_listed"].first().to_dict() == {"": 6, "P1": 62, "P2": 9}
    assert rows.loc[rows["is_lost"], "n_rows"].sum() == 1 + 1 + 1 + 1 + 2 + 1


@pytest.mark.parametrize("empty", [None, "", "  ", "nan", np.nan])
def test_a_cell_without_a_label_is_dropped(empty, tmp_path):
    frame = cells_of()
    frame.loc[4, "gene"] = empty
    cells, _, _ = from_frame(frame, tmp_path)
    assert len(cells) == 39 and set(cells["gene"]) == {"NTC", "AAA", "BBB"}


@pytest.mark.parametrize(("n_without", "is_warned"), [(8, False), (12, True)])
def test_many_cells_that_tables_say_too_little_of_are_a_warning(
    n_without, is_warned, tmp_path, caplog
):
    elsewhere = cells_of(seed=1, plate="P9")
    frame = pd.concat([cells_of(), elsewhere], ignore_index=True)
    frame.loc[: n_without - 1, "gene"] = None
    from_frame(frame, tmp_path)
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    shown = [f"30 % of the cells are dropped: {n_without} of a guide without a gene"]
    assert warned == shown * is_warned


# --- Stage ------------------------------------------------------------------------------------


def test_a_stage_comes_from_a_column_or_is_absent(tmp_path):
    frame = cells_of(phase=np.resize(["M", "G1", "mitotic_early", None], 40))
    write_table(frame, tmp_path / "cells.parquet")
    cells, _, _ = enter(tmp_path, TABLE | {"columns": {"stage": "phase"}})
    assert cells["cell_cycle_stage"].value_counts().to_dict() == {"mitotic": 20, "G1": 10}
    assert cells["cell_cycle_stage"].isna().sum() == 10
    cells, _, _ = enter(tmp_path, TABLE)
    assert cells["cell_cycle_stage"].isna().all()


def test_cells_that_all_are_of_one_stage_are_a_warning(tmp_path, caplog):
    write_table(cells_of(stage="interphase"), tmp_path / "cells.parquet")
    cells, _, _ = enter(tmp_path, TABLE)
    assert set(cells["cell_cycle_stage"]) == {"interphase"}
    assert "no cell is mitotic (screen.mitotic): all are 'interphase' (40 cells)" in caplog.text


def test_stages_are_mitotic_in_any_case_and_said(tmp_path, caplog):
    stages = np.array(["Mitotic", "Interphase"])[np.arange(40) // 30]
    write_table(cells_of(stage=stages), tmp_path / "cells.parquet")
    with caplog.at_level("INFO"):
        cells, _, _ = enter(tmp_path, TABLE)
    assert cells["cell_cycle_stage"].value_counts().to_dict() == {"mitotic": 30, "Interphase": 10}
    assert "mitotic: 'Mitotic' (30 cells); other stages: 'Interphase' (10 cells)" in caplog.text


@pytest.mark.parametrize("stage", ["metaphase", "M-phase", "1"])
def test_stages_that_no_pattern_is_like_are_said_before_any_crop(tmp_path, stage):
    stages = np.array([stage, "interphase"])[np.arange(40) // 30]
    write_table(cells_of(stage=stages), tmp_path / "cells.parquet")
    message = (
        rf"screen.mitotic: found 'mitotic\*', 'M', .*'{stage}' \(30 cells\), 'interphase' \(10"
    )
    with pytest.raises(InputError, match=message):
        enter(tmp_path, TABLE)


def in_two_tables(folder: Path, change) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The feature `mean` in a table of its own, joined by well, tile, object; what is expected."""
    cells = cells_of(60)
    cells["object"] = cells.groupby("tile").cumcount()
    write_table(cells.drop(columns="mean"), folder / "cells.csv")
    other = cells[["well", "tile", "object", "mean"]].sample(frac=1, random_state=0)
    write_table(change(other), folder / "other.csv")
    tables = [{"table": f"{name}.csv", "columns": {"object": "object"}}
              for name in ("cells", "other")]  # fmt: skip
    _, features, _ = enter(folder, tables)
    return features, cells.sort_values(["tile", "y_px", "x_px"])["mean"].to_numpy()


@pytest.mark.parametrize(
    "change", [lambda rows: rows, lambda rows: rows.assign(well="a01", tile=rows["tile"] * 1.0)]
)
def test_a_further_table_is_matched_by_well_tile_and_object(change, tmp_path):
    features, expected = in_two_tables(tmp_path / "in", change)
    np.testing.assert_allclose(features["mean"], expected, rtol=1e-6)


def test_cells_without_a_row_of_a_further_table_are_counted(tmp_path, caplog):
    features, _ = in_two_tables(tmp_path / "in", lambda rows: rows.iloc[:-7])
    assert features["mean"].isna().sum() == 7
    assert "cells[1]: no row for 7 of 60 cells" in caplog.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.assign(object=rows["object"] + 1000), r"cells\[1\]: the row of every "
         r"cell is missing; .*by object well tile.*correct the columns"),
        (lambda rows: rows.assign(area=1.0), "feature area is defined twice"),
    ],
    ids=["no row of any cell", "a feature of both"],
)  # fmt: skip
def test_a_further_table_that_does_not_fit_is_refused(change, said, tmp_path):
    with pytest.raises(InputError, match=said):
        in_two_tables(tmp_path / "in", change)
