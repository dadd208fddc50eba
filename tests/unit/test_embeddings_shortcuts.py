"""Shortcuts as embeddings: what they know, and that they know nothing else."""

import numpy as np
import pandas as pd
import pytest
import torch

from mcvae_ops.embeddings.shortcuts import (
    WAVES,
    cosines_of_ranks,
    count_numbers,
    density_numbers,
    position_numbers,
    shortcut_embedding,
)
from mcvae_ops.files import write_parquet
from mcvae_ops.training.untrained import disc, embed_untrained, project_pixels
from tests.helpers.fake_shards import MCVAE, TRAINING, write_fake_screen

GRID = {"column_heights": [2, 2], "first_tile": 1}


@pytest.fixture
def cells() -> pd.DataFrame:
    """One well: a corner of tile 1 with three cells, a lone cell in each of tiles 2 and 3."""
    return pd.DataFrame(
        {
            "cell_id": [f"P_A1_{k}" for k in range(5)],
            "plate": "P", "well": "A1", "batch": ["P/A1"] * 4 + ["P/A2"],
            "tile": [1, 1, 1, 2, 3],
            "y_px": [0.0, 2.0, 1.0, 500.0, 999.0],
            "x_px": [0.0, 2.0, 0.0, 500.0, 999.0],
            "guide": ["a", "a", "a", "b", "b"],
        }
    )  # fmt: skip


def test_each_shortcut_holds_its_numbers(cells):
    density = density_numbers(cells, None)
    assert density[:, 0].tolist() == [3, 3, 3, 1, 1]
    assert (density[:3, 1:] > 0).all() and (density[3:, 1:] == 0).all()
    place = position_numbers(cells, None)
    assert place[:, 2].tolist() == [499.5, 497.5, 499.5, 0.5, 499.5]
    # The second column of the snake is numbered upwards: tile 3 is at its foot.
    assert position_numbers(cells, GRID)[:, 3:5].tolist() == [[0, 0]] * 3 + [[1, 0], [1, 1]]
    assert count_numbers(cells, None)[:, 0].tolist() == [0.75, 0.75, 0.75, 0.25, 1.0]


def test_waves_are_orthogonal_and_know_only_the_order():
    numbers = np.random.default_rng(0).exponential(size=(2000, 2))
    waves = cosines_of_ranks(numbers)
    assert waves.shape == (2000, 2 * WAVES)
    one = waves[:, :WAVES]
    np.testing.assert_allclose(one.T @ one / 2000, np.eye(WAVES), atol=1e-5)
    np.testing.assert_allclose(one.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_array_equal(cosines_of_ranks(np.log(numbers)), waves)
    numbers[3] = np.nan
    assert np.isfinite(cosines_of_ranks(numbers)).all()


@pytest.mark.parametrize("shortcut", ["density", "position", "cell_count"])
def test_an_embedding_is_aligned_with_the_index(cells, shortcut, tmp_path):
    write_parquet(cells, tmp_path / "index.parquet")
    out = tmp_path / "z.parquet"
    shortcut_embedding(str(tmp_path / "index.parquet"), shortcut, GRID, str(out))
    table = pd.read_parquet(out)
    assert list(table["cell_id"]) == list(cells["cell_id"])
    assert table.filter(like="z_").dtypes.eq(np.float32).all()


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_fake_screen(tmp_path_factory.mktemp("shortcuts"))


def project(shards, shortcut: str, out, **parts) -> pd.DataFrame:
    arguments = {"part": 0, "parts": 1} | parts
    files = (str(shards / name) for name in ("index.parquet", "cells.arrow"))
    project_pixels(*files, None, shortcut, **arguments, seed=0, embedding=str(out))
    return pd.read_parquet(out).set_index("cell_id")


def test_projections_keep_distances_and_parts_are_those_of_the_whole(shards, tmp_path):
    whole = project(shards, "random_pixels", tmp_path / "all.parquet")
    halves = [project(shards, "random_pixels", tmp_path / f"{k}.parquet", part=k, parts=2)
              for k in range(2)]  # fmt: skip
    pd.testing.assert_frame_equal(pd.concat(halves), whole, rtol=1e-5)
    pixels = np.arcsinh(
        np.load(shards.parent / "crops/P/A1/000.ntc.npy").reshape(60, -1), dtype="f4"
    )
    found = whole.loc[[f"P_A1_0000_{k:05d}" for k in range(60)]].to_numpy()
    pairs = np.triu_indices(60, 1)
    far = [np.linalg.norm((x[pairs[0]] - x[pairs[1]]), axis=1) for x in (pixels, found)]
    assert np.corrcoef(*far)[0, 1] > 0.9


def test_surroundings_do_not_see_the_cell(shards, tmp_path):
    shard = shards.parent / "crops/P/A1/000.ntc.npy"
    before = project(shards, "surroundings", tmp_path / "before.parquet")
    crops = np.load(shard)
    altered, of_cell = crops.copy(), disc(20)
    altered[:, :, of_cell] = 0
    try:
        np.save(shard, altered)
        after = project(shards, "surroundings", tmp_path / "after.parquet")
    finally:
        np.save(shard, crops)
    pd.testing.assert_frame_equal(before, after)
    assert 0.2 < of_cell.mean() < 0.4


def test_an_untrained_network_is_that_of_the_training(shards, tmp_path):
    torch.set_num_threads(1)
    files = [str(shards / name) for name in ("index.parquet", "cells.arrow", "statistics.parquet")]
    tables = []
    for seed, name in ((0, "a"), (0, "b"), (1, "c")):
        embed_untrained(*files, MCVAE, TRAINING, 0, 1, seed, str(tmp_path / name))
        tables.append(pd.read_parquet(tmp_path / name))
    assert list(tables[0].columns[:5]) == ["cell_id", "s_00", "s_01", "s_02", "s_03"]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0].equals(tables[2])
