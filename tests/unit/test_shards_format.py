"""Shards: what is written is what is read, and what does not belong together is refused."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mcvae_ops.errors import InputError
from mcvae_ops.shards.format import index_path, open_shard, write_shard


@pytest.fixture
def shard(tmp_path):
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 65536, (300, 2, 8, 8), dtype=np.uint16)
    order = rng.permutation(300)[:280]
    cells = pd.DataFrame({"cell_id": [f"c{k}" for k in order]})
    path = tmp_path / "000.ntc.npy"
    write_shard(crops, order, cells, ["a", "b"], path)
    return path, crops, order


def test_rows_come_back_in_the_written_order(shard):
    path, crops, order = shard
    opened = open_shard(path, verify=True)
    assert isinstance(opened.crops, np.memmap)
    np.testing.assert_array_equal(opened.crops, crops[order])
    assert opened.cells["cell_id"].to_pylist() == [f"c{k}" for k in order]
    assert opened.channels == ("a", "b")


def test_an_empty_shard_is_a_shard(tmp_path):
    none = np.empty(0, int)
    write_shard(np.empty((0, 1, 4, 4), np.uint16), none, pd.DataFrame({"cell_id": []}), ["a"],
                tmp_path / "e.npy")  # fmt: skip
    assert open_shard(tmp_path / "e.npy", verify=True).crops.shape == (0, 1, 4, 4)


def test_a_changed_pixel_is_noticed(shard):
    path, _, _ = shard
    with open(path, "r+b") as handle:
        handle.seek(-1, 2)
        last = handle.read(1)
        handle.seek(-1, 2)
        handle.write(bytes([last[0] ^ 1]))
    open_shard(path)
    with pytest.raises(InputError, match="SHA-256"):
        open_shard(path, verify=True)


def test_missing_rows_are_noticed(shard):
    path, _, _ = shard
    table = pq.read_table(index_path(path))
    pq.write_table(table.slice(1), index_path(path))
    with pytest.raises(InputError, match="279"):
        open_shard(path)


def test_another_version_is_refused(shard):
    path, _, _ = shard
    table = pq.read_table(index_path(path))
    metadata = table.schema.metadata | {b"schema_version": b"99"}
    pq.write_table(table.replace_schema_metadata(metadata), index_path(path))
    with pytest.raises(InputError, match="version 99"):
        open_shard(path)


def test_crops_that_are_no_counts_are_refused(tmp_path):
    with pytest.raises(ValueError, match="uint16"):
        write_shard(np.zeros((1, 1, 4, 4)), np.array([0]), pd.DataFrame({"c": [1]}), ["a"],
                    tmp_path / "f.npy")  # fmt: skip
