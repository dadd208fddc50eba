"""How often are planted mistakes of positions found, and right positions believed?

On all stains of two simulated screens, and of the real NF1 images. A draw takes 70 % of the cells,
the tiles in some order, a direction, and an error of 3 px (the simulated screens; the masks of NF1
have their own). ``DRAWS=40 pytest tests/performance/test_position_check.py -s`` prints the table.
"""

import os
from collections import Counter

import numpy as np
import pytest

from mcvae_ops.cells.regions import positions, without_border
from mcvae_ops.errors import InputError
from mcvae_ops.tiles.position_check import PositionCheck
from tests.performance.test_segmentation import nf1_tiles, simulated_tiles

N_DRAWS = int(os.environ.get("DRAWS", "5"))
SHOWN = 0.7
# (positions (cell, 2), number of the tile, size of a tile, direction) -> positions as a user has
# them; "sign" is a shift of 15 px that was subtracted instead of added.
WAYS = {
    "right": lambda at, k, size, away: at,
    "at random": lambda at, k, size, away: np.random.default_rng(k).uniform(0, size, at.shape),
    "y and x swapped": lambda at, k, size, away: at[:, ::-1],
    "y counted from below": lambda at, k, size, away: np.abs([size[0] - 1, 0] - at),
    "moved by 20 px": lambda at, k, size, away: at + 20 * away,
    "moved by 40 px": lambda at, k, size, away: at + 40 * away,
    "a shift with the wrong sign": lambda at, k, size, away: at + 2 * 15 * away,
    "stitched": lambda at, k, size, away: at + np.add(divmod(k, 2), (0, 1)) * size,
}


def rates(tiles: list[dict], truth: str, stain: int, name: str, crop_px: int, error_px: float):
    """Count the draws in which the run is stopped, by `WAYS`."""
    rng, stopped = np.random.default_rng(0), Counter()
    centres = [positions(without_border(tile[truth].astype(np.int32)))[1] for tile in tiles]
    size = np.array(tiles[0]["image"].shape[1:])
    for _ in range(N_DRAWS):
        angle, order = rng.uniform(0, 2 * np.pi), rng.permutation(len(tiles))
        away = np.array([np.cos(angle), np.sin(angle)])
        seen = [at[rng.random(len(at)) < SHOWN] for at in centres]
        seen = [at + rng.normal(0, error_px, at.shape) for at in seen]
        for way, move in WAYS.items():
            check = PositionCheck(name, crop_px)
            try:
                for k in order:
                    check.add(tiles[k]["image"][stain], move(seen[k], k, size, away))
            except InputError:
                stopped[way] += 1
    print(f"{name}: " + ", ".join(f"{way} {stopped[way]}" for way in WAYS), "of", N_DRAWS,
          flush=True)  # fmt: skip
    return stopped


@pytest.mark.parametrize("name", ["config", "compounds"])
def test_stains_of_a_simulated_screen(name, tmp_path):
    tiles = simulated_tiles(tmp_path, 5, name)
    for k, channel in enumerate(tiles[0]["channels"]):
        stopped = rates(tiles, "cells", k, channel.name, 48, 3.0)
        assert not stopped["right"] and not stopped["at random"]


def test_stains_of_nf1(shared):
    folder = shared / "data/real/nf1"
    if not folder.is_dir():
        pytest.skip("no real images on this machine")
    tiles = nf1_tiles(folder)
    for k, channel in enumerate(tiles[0]["channels"]):
        stopped = rates(tiles, "nuclei", k, channel.name, 96, 0.0)
        assert not stopped["right"] and not stopped["at random"]
