"""Crops by their position in the index: from the shards, or held in memory."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from mcvae_ops.shards.cells import Cells

LARGEST_GAP = 64
"""Cells that nobody asked for are read along when so few lie between two that are wanted."""
OPEN_SHARDS = 256


class Crops:
    """The crops of all cells by their position in the index, uint16 (cell, channel, y, x).

    Parameters
    ----------
    root
        Folder to which the paths of the shards are relative.
    cells
        See `read_cells`.
    """

    def __init__(self, root: Path, cells: Cells) -> None:
        self.cells, self.root = cells, root
        # A screen has more shards than a process may have open files.
        self._map = lru_cache(maxsize=OPEN_SHARDS)(self._open)
        self.shape = self._map(0).shape[1:]

    def _open(self, shard: int) -> np.ndarray:
        return np.load(self.root / self.cells.shards[shard], mmap_mode="r")

    def read(self, positions: np.ndarray) -> np.ndarray:
        """Return the crops at `positions`, in their order; neighbours are read as one run."""
        crops = np.empty((len(positions), *self.shape), np.uint16)
        shard, row = self.cells.shard[positions], self.cells.row[positions]
        order = np.lexsort((row, shard))
        shard, row = shard[order], row[order]
        breaks = np.flatnonzero((np.diff(shard) != 0) | (np.diff(row) > LARGEST_GAP)) + 1
        for run in np.split(np.arange(len(order)), breaks):
            first, last = row[run[0]], row[run[-1]]
            block = np.array(self._map(shard[run[0]])[first : last + 1])
            crops[order[run]] = block[row[run] - first]
        return crops


class HeldCrops:
    """Some crops, read once and held in memory."""

    def __init__(self, crops: Crops, positions: np.ndarray) -> None:
        self._place = np.full(len(crops.cells), -1)
        self._place[positions] = np.arange(len(positions))
        self._held = crops.read(positions)

    def read(self, positions: np.ndarray) -> np.ndarray:
        """Return the crops at `positions`, in their order."""
        return np.take(self._held, self._place[positions], axis=0)


def in_order(crops: Crops, n_cells: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions and crops of all cells in the order of the index, `n_cells` at a time."""
    for first in range(0, len(crops.cells), n_cells):
        positions = np.arange(first, min(first + n_cells, len(crops.cells)))
        yield positions, crops.read(positions)
