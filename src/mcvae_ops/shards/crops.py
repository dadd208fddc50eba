"""Crops by their position in the index: read from the shards, or held in memory."""

import os
from collections.abc import Iterator
from functools import lru_cache
from io import FileIO
from pathlib import Path

import numpy as np

from mcvae_ops.errors import InputError
from mcvae_ops.files import damaged
from mcvae_ops.shards.training_cells import Cells

LARGEST_GAP = 64
"""Up to so many unwanted cells between two wanted ones are read too: faster than a second call."""
LONGEST_RUN = 256
"""Cells that one system call reads; a call can fill at most 1,024 buffers."""
OPEN_SHARDS = 256
"""Shards that are open at a time: a process may not open all files of a screen."""


class Crops:
    """The crops of all cells by their position in the index, uint16 (cell, channel, y, x).

    Parameters
    ----------
    root
        Folder to which the paths of the shards are relative.
    cells
        See `read_training_cells`.
    """

    def __init__(self, root: Path, cells: Cells) -> None:
        self.cells, self.root = cells, root
        self._file = lru_cache(maxsize=OPEN_SHARDS)(self._open)
        self.shape = np.load(root / cells.shards[0], mmap_mode="r").shape[1:]
        self._cell_bytes = 2 * int(np.prod(self.shape))
        self._unwanted = memoryview(bytearray(LARGEST_GAP * self._cell_bytes))

    def _open(self, shard: int) -> tuple[FileIO, int]:
        """Return a shard's file and the offset of its first crop."""
        handle = FileIO(self.root / self.cells.shards[shard])
        try:
            np.lib.format.read_magic(handle)
            np.lib.format.read_array_header_1_0(handle)
        except ValueError as error:
            raise damaged(handle.name, str(error)) from None
        return handle, handle.tell()

    def read(self, positions: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the crops at `positions`, all different, in their order.

        Neighbours are read in one run, from the file directly into their rows of `out`.
        """
        crops = np.empty((len(positions), *self.shape), np.uint16) if out is None else out
        shard, row = self.cells.shard[positions], self.cells.row[positions]
        order = np.lexsort((row, shard))
        shard, row = shard[order], row[order]
        is_break = (np.diff(shard) != 0) | (np.diff(row) > LARGEST_GAP)
        for run in np.split(np.arange(len(order)), np.flatnonzero(is_break) + 1):
            for first in range(0, len(run), LONGEST_RUN):
                part = run[first : first + LONGEST_RUN]
                self._read_run(shard[part[0]], row[part], crops, order[part])
        return crops

    def _read_run(self, shard: int, rows: np.ndarray, crops: np.ndarray, to: np.ndarray) -> None:
        handle, offset = self._file(shard)
        buffers, n_bytes = [], self._cell_bytes
        gaps = np.diff(rows, prepend=rows[0] - 1) - 1
        for gap, target in zip(gaps.tolist(), to.tolist(), strict=True):
            if gap:
                buffers.append(self._unwanted[: gap * n_bytes])
            buffers.append(crops[target].data)
        expected = int(rows[-1] - rows[0] + 1) * n_bytes
        n_read = os.preadv(handle.fileno(), buffers, offset + int(rows[0]) * n_bytes)
        if n_read != expected:
            raise InputError(
                where=f"shard {self.cells.shards[shard]}",
                found=f"{n_read} bytes from row {rows[0]}",
                expected=f"{expected}",
                fix="delete it, and Snakemake makes it again",
            )


class CropsInMemory:
    """Some crops, at ascending positions, read once and held in memory."""

    def __init__(self, crops: Crops, positions: np.ndarray) -> None:
        self._positions = positions
        self._crops, self.shape = crops.read(positions), crops.shape

    def read(self, positions: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Return the crops at `positions`, in their order, in `out`."""
        # With mode "raise" NumPy would fill a copy of `out` first.
        rows = np.searchsorted(self._positions, positions)
        return np.take(self._crops, rows, axis=0, out=out, mode="clip")


def read_in_order(
    crops: Crops, cells: range, n_cells: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions and crops of `cells`, rows of the index, `n_cells` at a time."""
    for first in range(0, len(cells), n_cells):
        positions = np.array(cells[first : first + n_cells])
        yield positions, crops.read(positions)
