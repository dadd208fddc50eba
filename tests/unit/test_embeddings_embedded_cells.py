"""Cells and embeddings that are read in parts: the same as when they are read whole."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

from mcvae_ops.embeddings.embedded_cells import (
    Latent,
    check_aligned,
    groups_of,
    read_cells,
    read_latent,
)
from mcvae_ops.errors import InputError
from mcvae_ops.files import parquet_writer, read_blocks, write_parquet
from mcvae_ops.profiles import exchange, sequential
from mcvae_ops.profiles.aggregate import GUIDE_KEYS, ProfileSums, cell_sets

N, ROWS = 400, 64
RNG = np.random.default_rng(0)
GUIDE = RNG.integers(0, 12, N)
CELLS = pd.DataFrame(
    {
        "cell_id": [f"c{k}" for k in range(N)],
        "batch": RNG.choice(["P/A2", "P/A1"], N),
        "guide": [f"g{k}" for k in GUIDE],
        "gene": np.where(GUIDE < 3, "NTC", np.array([f"G{k // 2}" for k in GUIDE])),
        "is_ntc": GUIDE < 3,
        "cell_cycle_stage": RNG.choice(["mitotic", None], N),
    }
)
VECTORS = RNG.normal(size=(N, 3)).astype(np.float32)
VECTORS[[7, 90], 1] = np.nan
COLUMNS = ["s_00", "z_00", "z_01"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An index, and an embedding in row groups of 64 cells."""
    root = tmp_path_factory.mktemp("embedded")
    write_parquet(CELLS, root / "index.parquet")
    columns = [("cell_id", pa.string()), *((name, pa.float32()) for name in COLUMNS)]
    schema = pa.schema(columns, metadata={"model": "m", "seed": "3"})
    with parquet_writer(root / "embedding.parquet", schema) as writer:
        table = pa.table([CELLS["cell_id"], *map(pa.array, VECTORS.T.copy())], schema=schema)
        writer.write_table(table, row_group_size=ROWS)
    return root


def test_text_becomes_categories_in_order(folder):
    names = list(CELLS.columns[1:])
    found = read_cells(folder / "index.parquet", names)
    assert list(found["batch"].cat.categories) == ["P/A1", "P/A2"]
    assert found.memory_usage(deep=True)["guide"] < 5 * N
    as_text = {name: object for name in names if name != "is_ntc"}
    found, wanted = (t.astype(as_text).replace({np.nan: None}) for t in (found, CELLS[names]))
    assert_frame_equal(found, wanted)


@pytest.mark.parametrize("chosen", [slice(None), slice(100, 200)])
def test_groups_are_those_of_text(chosen, folder):
    found = read_cells(folder / "index.parquet", GUIDE_KEYS).iloc[chosen]
    table, group_of = groups_of(found, GUIDE_KEYS)
    of_text = CELLS.iloc[chosen].groupby(GUIDE_KEYS, sort=True)
    sizes = of_text.size().rename("n_cells").reset_index()
    assert_frame_equal(table.astype(object), sizes.astype(object))
    np.testing.assert_array_equal(group_of, of_text.ngroup())


@pytest.mark.parametrize(
    "rows",
    [np.arange(N), np.array([0, 63, 64, 399]), np.array([], int), RNG.random(N) < 0.1],
    ids=["all", "edges", "none", "mask"],
)
def test_rows_of_an_embedding_are_those_of_the_file(rows, folder):
    latent = read_latent(folder / "index.parquet", folder / "embedding.parquet")
    assert (latent.model, latent.seed, latent.shape) == ("m", 3, VECTORS.shape)
    np.testing.assert_array_equal(latent[rows], VECTORS[rows])
    np.testing.assert_array_equal(np.asarray(latent), VECTORS)
    np.testing.assert_array_equal(latent.finite(), np.isfinite(VECTORS).all(axis=1))
    part = latent.part(rows, ["z_00", "z_01"])
    np.testing.assert_array_equal(np.asarray(part), VECTORS[rows][:, 1:])
    if len(part):
        np.testing.assert_array_equal(part[np.array([len(part) - 1])], VECTORS[rows][-1:, 1:])


def test_blocks_add_up_to_the_same_profiles(folder):
    split = pd.Series(np.where(np.arange(N) % 3, "train", "test"))
    groups, sets = groups_of(CELLS, GUIDE_KEYS), cell_sets(CELLS, split)
    whole, blocks = (ProfileSums(groups, sets, COLUMNS) for _ in range(2))
    whole.add(slice(0, N), VECTORS)
    for rows, block in Latent(folder / "embedding.parquet").blocks():
        blocks.add(rows, block)
    for one, two in zip(whole.tables({"model": "m"}), blocks.tables({"model": "m"}), strict=True):
        assert_frame_equal(one, two)
    assert set(whole.tables({})[0]["cells"]) == {"all", "train", "test"}


def test_an_exchange_of_labels_in_parts_gives_the_same_p_values(folder, monkeypatch):
    kept = np.isfinite(VECTORS).all(axis=1)
    cells = CELLS[kept]
    _, group_of = groups_of(cells, GUIDE_KEYS)
    labels = groups_of(cells, ["batch"])[1], cells["is_ntc"].to_numpy(), group_of, 60, 0
    monkeypatch.setattr(sequential, "BLOCK", 25)  # several blocks of exchanges
    whole = exchange.distance_of_means(VECTORS[kept], *labels)
    monkeypatch.setattr(exchange, "PART", 6_000)
    monkeypatch.setattr(exchange, "SUMS", 100)
    latent = Latent(folder / "embedding.parquet").part(kept, COLUMNS)
    assert len(exchange._parts(exchange.strata_of(group_of, *labels[:2]), 3, 1)) > 3
    np.testing.assert_array_equal(exchange.distance_of_means(latent, *labels), whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ids: ids[:-1], "found 399 rows, expected 400 rows"),
        (lambda ids: [*ids[:300], "x", *ids[301:]], "found cell x, expected cell c300"),
    ],
)
def test_other_cells_are_refused(change, message, folder, tmp_path):
    write_parquet(pd.DataFrame({"cell_id": change(list(CELLS["cell_id"]))}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=message):
        check_aligned(folder / "index.parquet", tmp_path / "t.parquet")


@pytest.mark.parametrize("n_rows", [1, 50, 64, 1000])
def test_blocks_of_a_table_are_the_table(n_rows, folder):
    blocks = list(read_blocks(folder / "embedding.parquet", ["cell_id"], n_rows))
    assert [len(block) for block in blocks[:-1]] == [n_rows] * (len(blocks) - 1)
    assert pa.concat_tables(blocks)["cell_id"].to_pylist() == CELLS["cell_id"].to_list()
