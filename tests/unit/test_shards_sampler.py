"""The sampler: balanced, complete, the same from any step and from memory or disk."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet
from mcvae_ops.shards import crops as crops_module
from mcvae_ops.shards import sampler
from mcvae_ops.shards.crops import Crops, read_in_order
from mcvae_ops.shards.prefetch import Prefetcher
from mcvae_ops.shards.sampler import BalancedSampler, shuffled
from mcvae_ops.shards.training_cells import read_training_cells, training_cells
from tests.helpers.fake_shards import write_fake_screen

HELD = 10**9
CONTROLS_HELD = 160 * 3200


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    return write_fake_screen(tmp_path_factory.mktemp("screen"))


@pytest.fixture(scope="module")
def cells(screen):
    return read_training_cells(str(screen / "cells.arrow"))


@pytest.fixture(scope="module")
def crops(screen, cells):
    return Crops(screen.parent, cells)


def arms(cells):
    return np.flatnonzero(cells.label != 0), np.flatnonzero(cells.label == 0)


def test_cells_carry_labels_and_batches(screen, cells):
    table = pq.read_table(screen / "index.parquet").to_pydict()
    assert cells.labels == ["NTC", "GENE1", "GENE2", "GENE3", "GENE4"]
    assert [cells.labels[k] for k in cells.label] == table["gene"]
    assert cells.batches == ["P/A1", "P/A2"]
    names = [f"{p}/{w}" for p, w in zip(table["plate"], table["well"], strict=True)]
    assert [cells.batches[k] for k in cells.batch] == names
    places = list(zip(names, table["tile"], strict=True))
    assert len(set(zip(cells.tile, places, strict=True))) == len(set(places))
    assert len(np.unique(cells.tile)) == len(set(places))


def test_cells_know_their_split(screen, cells):
    split = pq.read_table(screen / "splits.parquet")["split"].to_numpy()
    for name in ("train", "validation", "test", "held_out_guide"):
        assert np.array_equal(cells.in_split(name), np.flatnonzero(split == name))


def test_crops_are_those_of_the_shard_in_any_order(screen, cells, crops):
    positions = np.random.default_rng(0).permutation(len(cells))[:100]
    found = crops.read(positions)
    table = pq.read_table(screen / "index.parquet").to_pydict()
    for position, crop in zip(positions, found, strict=True):
        shard = np.load(screen.parent / table["shard"][position])
        assert np.array_equal(crop, shard[table["row"][position]])


def test_batches_are_balanced_and_an_epoch_is_one_pass_over_the_perturbed(cells, crops):
    perturbed, controls = arms(cells)
    batches = BalancedSampler(crops, perturbed, controls, 16, 0, HELD)
    assert batches.steps_per_epoch == len(perturbed) // 8
    for epoch in range(2):
        first = epoch * batches.steps_per_epoch
        seen = [batches.minibatch(first + k)[0] for k in range(batches.steps_per_epoch)]
        for positions in seen:
            assert (cells.label[positions[:8]] != 0).all()
            assert (cells.label[positions[8:]] == 0).all()
        used = np.concatenate([positions[:8] for positions in seen])
        assert len(np.unique(used)) == len(used)
    # Two epochs differ in their order, and all controls come equally often.
    assert not np.array_equal(seen[0], batches.minibatch(0)[0])
    steps = len(controls) // 4
    used = np.concatenate([batches.minibatch(k)[0][8:] for k in range(steps)])
    counts = np.bincount(used, minlength=len(cells))[controls]
    assert set(counts[counts > 0]) <= {1, 2, 3} and counts.sum() == 8 * steps


def test_a_batch_is_a_function_of_seed_and_step(cells, crops):
    first = BalancedSampler(crops, *arms(cells), 16, 3, HELD)
    expected = [first.minibatch(step) for step in range(60)]
    second = BalancedSampler(crops, *arms(cells), 16, 3, HELD)
    for step in (59, 0, 31, 12):
        for found, wanted in zip(second.minibatch(step), expected[step], strict=True):
            assert np.array_equal(found, wanted)
    other = BalancedSampler(crops, *arms(cells), 16, 4, HELD)
    assert not np.array_equal(other.minibatch(0)[0], expected[0][0])


@pytest.fixture
def small_blocks(monkeypatch):
    """Make pools and blocks so small that the fake screen has many."""
    monkeypatch.setattr(sampler, "POOL_CELLS", 48)
    monkeypatch.setattr(sampler, "BLOCK_CELLS", 8)
    monkeypatch.setattr(crops_module, "LARGEST_GAP", 8)


@pytest.mark.parametrize("in_background", [False, True])
@pytest.mark.parametrize("memory_bytes", [0, 4 * 30 * 3200, CONTROLS_HELD, HELD])
def test_the_stream_does_not_depend_on_memory_or_threads(
    cells, crops, small_blocks, memory_bytes, in_background
):
    held = BalancedSampler(crops, *arms(cells), 16, 0, HELD)
    other = BalancedSampler(crops, *arms(cells), 16, 0, memory_bytes, in_background=in_background)
    read = Prefetcher(other.minibatch, lambda step: step + 1, in_background)
    for step in range(2 * held.steps_per_epoch):
        positions, found = read(step)
        assert np.array_equal(positions, held.minibatch(step)[0])
        assert np.array_equal(found, held.minibatch(step)[1])
        different, where = np.unique(positions, return_inverse=True)  # a control may come twice
        assert np.array_equal(found, crops.read(different)[where])


@pytest.mark.parametrize(("memory_bytes", "arms_read"), [(0, 2), (CONTROLS_HELD, 1), (HELD, 0)])
def test_controls_are_read_once_where_they_fit(
    cells, crops, small_blocks, monkeypatch, memory_bytes, arms_read
):
    held = BalancedSampler(crops, *arms(cells), 16, 0, memory_bytes)
    read, plain = [], crops.read
    monkeypatch.setattr(crops, "read", lambda at, out=None: read.append(len(at)) or plain(at, out))
    for step in range(held.steps_per_epoch):
        held.minibatch(step)
    of_arm = held.steps_per_epoch * held.half
    assert arms_read <= sum(read) / of_arm < arms_read + 0.3 * (arms_read > 0) + 0.01


@pytest.mark.parametrize("size", [2, 3, 4])
def test_ranks_share_every_epoch_without_overlap(cells, crops, small_blocks, size):
    samplers = [
        BalancedSampler(crops, *arms(cells), 24, 0, 0, (rank, size)) for rank in range(size)
    ]
    steps = samplers[0].steps_per_epoch
    for epoch in range(2):
        seen = [
            np.concatenate([one.minibatch(epoch * steps + k)[0][: one.half] for k in range(steps)])
            for one in samplers
        ]
        assert {len(positions) for positions in seen} == {steps * 12 // size}
        assert len(np.unique(np.concatenate(seen))) == steps * 12
    for one in samplers:
        positions, found = one.minibatch(1)
        assert (cells.label[positions] != 0).tolist() == [True] * one.half + [False] * one.half
        assert np.array_equal(found, crops.read(positions))


def test_ranks_read_blocks_of_their_own():
    order = shuffled(4096, 64, 1024, np.random.default_rng(0), 4)
    for first in range(0, 4096, 1024):
        blocks = [set(order[first + rank : first + 1024 : 4] // 64) for rank in range(4)]
        assert sum(map(len, blocks)) == len(set.union(*blocks)) == 16


def test_a_pool_mixes_the_tiles_of_a_real_screen():
    # The cells of a chunk of 61 tiles lie in the shard in random order, 540 of each tile.
    rng = np.random.default_rng(0)
    tile = np.concatenate([rng.permutation(61 * 540) // 540 + 61 * chunk for chunk in range(40)])
    order = shuffled(len(tile), sampler.BLOCK_CELLS, sampler.POOL_CELLS, rng)
    distinct = [len(np.unique(tile[order[k : k + 1024]])) for k in range(0, len(tile) - 1024, 1024)]
    assert min(distinct) > 600


@settings(max_examples=50, deadline=None)
@given(*(st.integers(1, most) for most in (300, 70, 100, 4, 5)))
def test_shuffled_is_a_permutation(n_cells, block, pool, parts, seed):
    order = shuffled(n_cells, block, pool * parts, np.random.default_rng(seed), parts)
    assert np.array_equal(np.sort(order), np.arange(n_cells))


def test_in_order_runs_through_the_index(cells, crops):
    parts = list(read_in_order(crops, range(30, 240), 77))
    assert np.array_equal(np.concatenate([p for p, _ in parts]), np.arange(30, 240))
    assert sum(len(images) for _, images in parts) == 210


def test_mistakes_are_named(screen, cells, crops, tmp_path):
    perturbed, controls = arms(cells)
    for wrong in ((perturbed, controls, 15), (perturbed[:3], controls, 16)):
        with pytest.raises(InputError, match="batch_size"):
            BalancedSampler(crops, *wrong, 0, HELD)
    with pytest.raises(InputError, match="0 NTC training cells"):
        BalancedSampler(crops, perturbed, controls[:0], 16, 0, HELD)
    splits = str(tmp_path / "splits.parquet")
    write_parquet(pa.table({"cell_id": ["other"], "split": ["train"]}), splits)
    with pytest.raises(InputError, match="assign_splits"):
        training_cells(str(screen / "index.parquet"), splits, str(tmp_path / "cells.arrow"))


def test_a_shard_that_ends_too_early_is_named(tmp_path):
    screen = write_fake_screen(tmp_path)
    cells = read_training_cells(str(screen / "cells.arrow"))
    crops = Crops(tmp_path, cells)
    path = tmp_path / cells.shards[0]
    os.truncate(path, path.stat().st_size - 5)
    with pytest.raises(InputError, match=rf"{cells.shards[0]}.*bytes"):
        crops.read(np.arange(len(cells)))
