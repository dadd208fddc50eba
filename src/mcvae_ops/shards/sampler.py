"""The order in which cells are read: balanced batches, the same for the same seed, from any step.

The order of every epoch is a pure function of the seed: a sampler has no state but the number of
the next step. How crops are read (from memory, or in blocks from disk) never changes the order.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mcvae_ops.errors import InputError
from mcvae_ops.screen import CONTROL

BLOCK_CELLS = 64
POOL_CELLS = 16_384
OPEN_SHARDS = 256


@dataclass(frozen=True)
class Cells:
    """The columns of the shard index that training reads, row-aligned with it.

    Attributes
    ----------
    cell_id
        pyarrow array of strings.
    shards, shard, row
        Paths of the .npy files; position of each cell's file in it; row in that file.
    labels, label
        NTC, then the genes in order; position of each cell's gene in it (0 is NTC).
    batches, batch
        "plate/well" in order; position of each cell's batch in it.
    """

    cell_id: pa.ChunkedArray
    shards: list[str]
    shard: np.ndarray
    row: np.ndarray
    labels: list[str]
    label: np.ndarray
    batches: list[str]
    batch: np.ndarray

    def __len__(self) -> int:
        return len(self.row)


def read_cells(index: str) -> Cells:
    """Read the shard index; labels and batches are sorted by name, NTC first."""
    columns = ["cell_id", "shard", "row", "plate", "well", "gene", "is_ntc"]
    table = pq.read_table(index, columns=columns)
    shards, shard = _codes(table["shard"])
    plate_well = pc.binary_join_element_wise(table["plate"], table["well"], "/")
    batches, batch = _codes(plate_well)
    is_ntc = table["is_ntc"].to_numpy()
    genes, gene = _codes(pc.if_else(table["is_ntc"], CONTROL, table["gene"]))
    names = [CONTROL, *(name for name in genes if name != CONTROL)]
    place = {name: code for code, name in enumerate(names)}
    code = np.array([place[name] for name in genes])
    label = np.where(is_ntc, 0, code[gene])
    row = table["row"].to_numpy().astype(np.int64)
    return Cells(table["cell_id"], shards, shard, row, names, label, batches, batch)


def _codes(column) -> tuple[list[str], np.ndarray]:
    names = sorted(pc.unique(column).to_pylist())
    codes = pc.index_in(column, value_set=pa.array(names, column.type))
    return names, codes.to_numpy().astype(np.int64)


def read_split(index: str, splits: str, cells: Cells) -> np.ndarray:
    """Return the split of each cell (str), after checking that the rows are aligned.

    Raises
    ------
    InputError
        If the splits belong to another index.
    """
    table = pq.read_table(splits, columns=["cell_id", "split"])
    if not table["cell_id"].equals(cells.cell_id):
        raise InputError(
            where=splits,
            found=f"{table.num_rows} rows that are not the cells of {index}",
            expected=f"its {len(cells)} cells in the same order",
            fix="run the rule assign_splits again",
        )
    return table["split"].to_numpy()


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
        breaks = np.flatnonzero((np.diff(shard) != 0) | (np.diff(row) > BLOCK_CELLS)) + 1
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


def shuffled(n_cells: int, block: int, pool: int, rng: np.random.Generator) -> np.ndarray:
    """Return a permutation of 0..n_cells-1 that can be read in blocks.

    Blocks of `block` neighbours are shuffled; then the cells of each run of `pool` cells. With
    ``pool >= n_cells`` every permutation is equally likely.
    """
    starts = rng.permutation(-(-n_cells // block)) * block
    order = (starts[:, None] + np.arange(block)).ravel()
    order = order[order < n_cells]
    for first in range(0, n_cells, pool):
        rng.shuffle(order[first : first + pool])
    return order


class Stream:
    """The cells of one arm, pass after pass, each pass in a new order.

    Parameters
    ----------
    positions
        Positions in the index, ascending.
    seed
        Integers that name the stream.
    crops
        Where to read from.
    window
        So many cells of the order are read at a time.
    """

    def __init__(self, positions: np.ndarray, seed: list[int], crops, window: int) -> None:
        self.positions, self.seed, self.window = positions, seed, window
        self._crops = crops
        self._order = lru_cache(maxsize=2)(self._shuffle)
        self._window = lru_cache(maxsize=1)(self._read)

    def _shuffle(self, number: int) -> np.ndarray:
        rng = np.random.default_rng([*self.seed, number])
        return self.positions[shuffled(len(self.positions), BLOCK_CELLS, POOL_CELLS, rng)]

    def _read(self, number: int, first: int) -> np.ndarray:
        return self._crops.read(self._order(number)[first : first + self.window])

    def take(self, first: int, n_cells: int) -> tuple[np.ndarray, np.ndarray]:
        """Return positions and crops of cells `first` to `first + n_cells` of the stream."""
        positions, crops = [], []
        while n_cells > 0:
            number, offset = divmod(first, len(self.positions))
            start = offset - offset % self.window
            end = min(start + self.window, len(self.positions), offset + n_cells)
            positions.append(self._order(number)[offset:end])
            crops.append(self._window(number, start)[offset - start : end - start])
            first, n_cells = first + end - offset, n_cells - (end - offset)
        return np.concatenate(positions), np.concatenate(crops)


class BalancedSampler:
    """Batches of which half is perturbed and half NTC; an epoch is one pass over the perturbed.

    NTC cells are fewer and come round more often. The last perturbed cells of an epoch that
    fill no batch are left out of it.

    Parameters
    ----------
    crops
        All crops.
    perturbed, controls
        Positions of the training cells of each arm in the index, ascending.
    batch_size
        Cells of a batch, even.
    seed
        Of the order.
    memory_bytes
        If all training crops fit, they are read once and held.

    Raises
    ------
    InputError
        If there are too few cells of an arm for one batch, or `batch_size` is odd.
    """

    def __init__(
        self,
        crops: Crops,
        perturbed: np.ndarray,
        controls: np.ndarray,
        batch_size: int,
        seed: int,
        memory_bytes: int,
    ) -> None:
        self.half = batch_size // 2
        if batch_size % 2 or len(perturbed) < self.half or len(controls) == 0:
            raise InputError(
                where="configuration key training.batch_size",
                found=f"{batch_size} for {len(perturbed)} perturbed and {len(controls)} NTC cells",
                expected="an even number, half of which is at most the perturbed training cells, "
                "and any NTC training cells",
                fix="change it or the split",
            )
        self.steps_per_epoch = len(perturbed) // self.half
        cell_bytes = 2 * int(np.prod(crops.shape))
        held = (len(perturbed) + len(controls)) * cell_bytes <= memory_bytes
        source = HeldCrops(crops, np.union1d(perturbed, controls)) if held else crops
        window = self.half if held else POOL_CELLS
        self._perturbed = Stream(perturbed, [seed, 1], source, window)
        self._controls = Stream(controls, [seed, 0], source, window)

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return positions in the index and crops of the batch of a training step (from 0)."""
        epoch, within = divmod(step, self.steps_per_epoch)
        first = epoch * len(self._perturbed.positions) + within * self.half
        perturbed, perturbed_crops = self._perturbed.take(first, self.half)
        controls, control_crops = self._controls.take(step * self.half, self.half)
        return (
            np.concatenate([perturbed, controls]),
            np.concatenate([perturbed_crops, control_crops]),
        )


class ReadAhead:
    """The batches of a sampler, the next one read in a thread while one is computed on.

    Parameters
    ----------
    sampler
        Whose batches; they stay the same.
    threads
        Of the job; with one, nothing is read ahead.
    """

    def __init__(self, sampler: BalancedSampler, threads: int) -> None:
        self.half, self.steps_per_epoch = sampler.half, sampler.steps_per_epoch
        self._sampler = sampler
        self._pool = ThreadPoolExecutor(1) if threads > 1 else None
        self._next: tuple[int, Future] | None = None

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return positions and crops of the batch of a step, as `BalancedSampler.batch`."""
        if self._pool is None:
            return self._sampler.batch(step)
        ahead = self._next
        if ahead is None or ahead[0] != step:
            ahead = step, self._pool.submit(self._sampler.batch, step)
        batch = ahead[1].result()
        self._next = step + 1, self._pool.submit(self._sampler.batch, step + 1)
        return batch


def in_order(crops: Crops, n_cells: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions and crops of all cells in the order of the index, `n_cells` at a time."""
    for first in range(0, len(crops.cells), n_cells):
        positions = np.arange(first, min(first + n_cells, len(crops.cells)))
        yield positions, crops.read(positions)
