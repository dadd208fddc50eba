"""Embeddings of others: the columns of their spaces, row-aligned with the index."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mcvae_ops.embeddings.embedded_cells import read_embedding
from mcvae_ops.embeddings.given_embedding import take_embedding
from mcvae_ops.errors import InputError
from mcvae_ops.files import read_rows, write_parquet
from mcvae_ops.shards.index import chunk_order, index_cells
from mcvae_ops.shards.split import assign_splits

COLUMNS = ["dino_10", "dino_2", "s_0", "z_0", "z_1"]
TWO = {"salient": "s_*", "background": ["z_0", "z_1"]}


@pytest.fixture
def tables(tmp_path):
    """Cells and numbers of two plates; the cells of a well are sorted by tile."""
    rng, paths = np.random.default_rng(0), {"cells": [], "features": []}
    for plate in ("P2", "P1"):
        cells = pd.concat(
            pd.DataFrame({"well": well, "tile": np.repeat([2, 3, 5], 10)}) for well in ("B1", "A1")
        )
        cells.insert(0, "plate", plate)
        cells.insert(0, "cell_id", [f"{plate}_{k:03d}" for k in range(len(cells))])
        cells["guide"] = cells["gene"] = rng.choice(["G1", "NTC"], len(cells))
        cells["is_ntc"] = cells["gene"] == "NTC"
        cells["split"] = rng.choice(["train", "test"], len(cells))
        numbers = pd.DataFrame(
            rng.normal(size=(len(cells), len(COLUMNS))).astype(np.float32), columns=COLUMNS
        )
        numbers.insert(0, "cell_id", cells["cell_id"].to_numpy())
        for name, table in (("cells", cells), ("features", numbers)):
            path = tmp_path / name / f"{plate}.parquet"
            write_parquet(table.reset_index(drop=True), path)
            paths[name].append(str(path))
    return paths


@pytest.fixture
def index(tables, tmp_path):
    path = str(tmp_path / "index.parquet")
    index_cells(tables["cells"], [2, 3, 5], 2, ["plate", "well"], path)
    return path


def test_cells_stand_where_their_crops_would(tables, index):
    table = pd.read_parquet(index)
    cells = pd.concat(map(pd.read_parquet, sorted(tables["cells"])))
    assert sorted(table["cell_id"]) == sorted(cells["cell_id"])
    assert table.groupby(["plate", "well"], sort=False).ngroup().is_monotonic_increasing
    assert list(zip(*(table[name].unique() for name in ("plate", "well")), strict=True)) == [
        ("P1", "A1"), ("P2", "B1")
    ]  # fmt: skip
    assert (table["batch"] == table["plate"] + "/" + table["well"]).all()
    # Tiles 2 and 3 are the first chunk of a well, shuffled as its crops are, controls first.
    first = cells[(cells["plate"] == "P1") & (cells["well"] == "A1") & (cells["tile"] < 5)]
    shuffled = first.iloc[chunk_order("P1", "A1", 0, len(first))]
    expected = pd.concat([shuffled[shuffled["is_ntc"]], shuffled[~shuffled["is_ntc"]]])
    assert table["cell_id"].head(20).tolist() == expected["cell_id"].tolist()


def test_tiles_that_nobody_names_are_those_of_the_tables(tables, index, tmp_path):
    index_cells(tables["cells"], None, 2, ["plate", "well"], str(tmp_path / "all.parquet"))
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "all.parquet"), pd.read_parquet(index))


def test_the_split_of_the_tables_is_taken(index, tmp_path):
    assign_splits(index, {}, str(tmp_path / "splits.parquet"))
    splits = pd.read_parquet(tmp_path / "splits.parquet")
    pd.testing.assert_frame_equal(splits, pd.read_parquet(index)[["cell_id", "split"]])


def test_a_split_of_another_name_is_refused(index, tmp_path):
    table = pd.read_parquet(index)
    table.loc[[3, 9], "split"] = ["eval", None]
    write_parquet(table, index)
    with pytest.raises(InputError, match="found 'eval', an empty field, expected one of train, "):
        assign_splits(index, {}, str(tmp_path / "splits.parquet"))


@pytest.mark.parametrize(
    ("spaces", "taken", "names"),
    [
        (TWO, ["s_0", "z_0", "z_1"], ["s_00", "z_00", "z_01"]),
        ({"combined": "dino_*"}, ["dino_10", "dino_2"], ["z_00", "z_01"]),
        ({"combined": ["z_1", "dino_2"]}, ["z_1", "dino_2"], ["z_00", "z_01"]),
    ],
)
@pytest.mark.parametrize("values_at_once", [1 << 26, 40, 1])
def test_the_columns_of_an_embedding_are_aligned(
    spaces, taken, names, values_at_once, tables, index, tmp_path, monkeypatch
):
    monkeypatch.setattr("mcvae_ops.embeddings.given_embedding._VALUES_AT_ONCE", values_at_once)
    path = str(tmp_path / "embedding.parquet")
    take_embedding(index, tables["features"], "theirs", spaces, path)
    table = pd.read_parquet(path)
    numbers = pd.concat(map(pd.read_parquet, tables["features"])).set_index("cell_id")
    assert table.columns.tolist() == ["cell_id", *names]
    np.testing.assert_array_equal(table[names], numbers.loc[table["cell_id"], taken])
    read = read_embedding(index, path, np.arange(len(table)))
    assert (read.model, read.seed) == ("theirs", 0)
    assert pq.read_schema(path).field("z_00").type == "float"


@pytest.mark.parametrize(
    ("spaces", "sentence"),
    [
        ({"combined": "sub_*"}, "found no column 'sub_*' among 5 (dino_10, "),
        ({"combined": "0-1"}, "found no column '0' among 5"),
        ({"salient": "z_0", "background": "z_*"}, "embeddings.theirs.spaces: z_0 is defined twice"),
    ],
)
def test_columns_that_are_not_there_are_named(spaces, sentence, tables, index, tmp_path):
    with pytest.raises(InputError) as caught:
        take_embedding(index, tables["features"], "theirs", spaces, str(tmp_path / "e.parquet"))
    assert sentence in str(caught.value)


def test_no_plate_is_held_in_memory(tables, index, tmp_path, monkeypatch):
    read = []

    def counted(path, columns, rows):
        read.append(len(rows))
        return read_rows(path, columns, rows)

    monkeypatch.setattr("mcvae_ops.embeddings.given_embedding.read_rows", counted)
    monkeypatch.setattr("mcvae_ops.embeddings.given_embedding._VALUES_AT_ONCE", 75)
    take_embedding(index, tables["features"], "theirs", TWO, str(tmp_path / "e.parquet"))
    assert read == [25, 25, 10] * 2


def test_an_embedding_without_any_finite_vector_is_refused(tables, index, tmp_path):
    for path in tables["features"]:
        write_parquet(pd.read_parquet(path).assign(z_0=np.nan), path)
    with pytest.raises(InputError, match="a finite vector of any cell"):
        take_embedding(index, tables["features"], "theirs", TWO, str(tmp_path / "e.parquet"))
    assert not (tmp_path / "e.parquet").exists()
