"""The order in which training reads cells: balanced minibatches, a function of seed and step.

The order of every epoch follows from the seed alone, so a sampler has no state except the number of
the next step, and a training can resume at any step. How crops are read (from memory, in blocks
from disk, or prefetched) never changes the order.

A random permutation of all cells would read each crop from another place of the disk. So blocks of
neighbours are read, in random order, and cells are shuffled in a pool of many blocks. Shards are
shuffled too, so neighbours in a shard are not neighbours in a tile.
"""

from functools import lru_cache

import numpy as np

from mcvae_ops.errors import InputError
from mcvae_ops.shards.crops import Crops, CropsInMemory
from mcvae_ops.shards.prefetch import Prefetcher

BLOCK_CELLS = 64
"""Neighbours that are read together: enough for the speed of sequential reads."""
POOL_CELLS = 16_384
"""Cells among which the cells of a minibatch are drawn; more mix better and need more memory."""
WINDOWS = 2
"""Windows of an arm in memory: one that is used and one that is read."""


def shuffled(
    n_cells: int, block: int, pool: int, rng: np.random.Generator, parts: int = 1
) -> np.ndarray:
    """Return a permutation of 0..n_cells-1, int32, that can be read in blocks.

    Parameters
    ----------
    n_cells
        Number of cells.
    block
        Blocks of so many neighbours are shuffled first.
    pool
        Then the cells are shuffled within each run of so many cells. With ``pool >= n_cells`` every
        permutation is equally likely.
    rng
        Source of the draws.
    parts
        Number of readers: reader k reads every `parts`-th cell from k on. Each gets blocks of its
        own, so that no two read the same block; `pool` must be a multiple of `parts`.
    """
    starts = rng.permutation(-(-n_cells // block)) * block
    order = (starts.astype(np.int32)[:, None] + np.arange(block, dtype=np.int32)).ravel()
    order = order[order < n_cells]
    for first in range(0, n_cells, pool):
        run = order[first : first + pool]
        for part, cells in enumerate(np.array_split(run.copy(), parts)):
            rng.shuffle(cells)
            run[part::parts] = cells
    return order


class Stream:
    """The cells of one arm that one rank sees, pass after pass, each pass in a new order.

    Parameters
    ----------
    positions
        Positions of all cells of the arm in the index, ascending.
    seed
        Integers that name the stream.
    crops
        Source of the crops.
    window
        Number of cells of the order that are read at a time.
    share
        This rank and the number of ranks; they get equal shares of each pass without overlap.
    in_background
        Whether the next window is read while the current one is used.
    """

    def __init__(
        self,
        positions: np.ndarray,
        seed: list[int],
        crops: Crops | CropsInMemory,
        window: int,
        share: tuple[int, int],
        in_background: bool,
    ) -> None:
        self.seed, self.window, self.share = seed, window, share
        self.length = len(positions) // share[1]
        self._positions, self._crops = positions, crops
        self._order = lru_cache(maxsize=2)(self._shuffle)
        self._window = Prefetcher(self._read, self._following, in_background)
        # Reused, because new memory for every window would take longer to get than to fill.
        n_buffers = 2 if in_background else 1
        n_cells = min(window, self.length)
        self._buffers = [np.empty((n_cells, *crops.shape), np.uint16) for _ in range(n_buffers)]

    def _shuffle(self, number: int) -> np.ndarray:
        rank, size = self.share
        rng = np.random.default_rng([*self.seed, number])
        pool = POOL_CELLS // size * size
        order = shuffled(len(self._positions), BLOCK_CELLS, pool, rng, size)
        return self._positions[order[rank : self.length * size : size]]

    def _read(self, window: tuple[int, int]) -> np.ndarray:
        number, first = window
        positions = self._order(number)[first : first + self.window]
        self._buffers.append(self._buffers.pop(0))
        return self._crops.read(positions, self._buffers[-1][: len(positions)])

    def _following(self, window: tuple[int, int]) -> tuple[int, int]:
        number, first = window
        after = first + self.window
        return (number, after) if after < self.length else (number + 1, 0)

    def take(self, first: int, crops: np.ndarray) -> np.ndarray:
        """Fill `crops` with cells of the stream, beginning at `first`; return their positions."""
        positions, filled = [], 0
        while filled < len(crops):
            number, offset = divmod(first + filled, self.length)
            start = offset - offset % self.window
            end = min(start + self.window, self.length, offset + len(crops) - filled)
            positions.append(self._order(number)[offset:end])
            window = self._window((number, start))
            crops[filled : filled + end - offset] = window[offset - start : end - start]
            filled += end - offset
        return np.concatenate(positions)


def held_arms(n_perturbed: int, n_controls: int, n_fitting: int, window: int) -> tuple[str, ...]:
    """Return the arms whose crops are read once and held: both, the controls, or none.

    Parameters
    ----------
    n_perturbed, n_controls
        Training cells of each arm.
    n_fitting
        Cells for which there is memory.
    window
        Cells that are read at a time from an arm that is not held.
    """
    if n_perturbed + n_controls <= n_fitting:
        return ("perturbed", "controls")
    return ("controls",) if n_controls + WINDOWS * window <= n_fitting else ()


class BalancedSampler:
    """Minibatches, half of perturbed and half of NTC cells; an epoch passes all perturbed cells.

    NTC cells are fewer, so they are used more often. Perturbed cells at the end of an epoch that
    do not fill a minibatch are left out of this epoch; the next one has another order.

    Parameters
    ----------
    crops
        All crops.
    perturbed, controls
        Positions of the training cells of each arm in the index, ascending.
    batch_size
        Cells of a minibatch, all ranks together; a multiple of twice the number of ranks.
    seed
        Seed of the order.
    memory_bytes
        If all training crops fit, they are read once and held. If not, NTC crops are, if they
        fit beside windows of the others: they are half of the cells of an epoch, again and again.
    share
        This rank and the number of ranks; each gets other cells, and reads other blocks.
    in_background
        Whether windows are prefetched.

    Attributes
    ----------
    shape
        Of the crops of a minibatch of this rank, (cell, channel, y, x).

    Raises
    ------
    InputError
        If an arm has too few cells for one minibatch, or `batch_size` cannot be shared equally.
    """

    def __init__(
        self,
        crops: Crops,
        perturbed: np.ndarray,
        controls: np.ndarray,
        batch_size: int,
        seed: int,
        memory_bytes: int,
        share: tuple[int, int] = (0, 1),
        in_background: bool = False,
    ) -> None:
        size = share[1]
        if batch_size % (2 * size) or 2 * len(perturbed) < batch_size or len(controls) < size:
            raise InputError(
                where="configuration key training.batch_size",
                found=f"{batch_size} with {len(perturbed)} perturbed and {len(controls)} NTC "
                f"training cells on {size} processes (one per GPU)",
                expected=f"a multiple of {2 * size} that is at most twice the number of perturbed "
                "training cells, and at least one NTC training cell for each process",
                fix="lower it, or change the split, screen.control, or the resource gpu of the "
                "rule train_model",
            )
        self.half = batch_size // (2 * size)
        self.shape = (2 * self.half, *crops.shape)
        cell_bytes = 2 * int(np.prod(crops.shape))
        n_fitting = memory_bytes // cell_bytes
        held = held_arms(len(perturbed), len(controls), n_fitting, POOL_CELLS // size)
        arms = {"perturbed": perturbed, "controls": controls}
        kept = [arms[name] for name in held]
        in_memory = CropsInMemory(crops, np.sort(np.concatenate(kept))) if held else None
        n_windows = WINDOWS * (len(arms) - len(held))
        largest = (n_fitting - sum(map(len, kept))) // max(n_windows, 1)
        window = min(POOL_CELLS // size, max(largest, self.half))

        def stream(name: str, number: int) -> Stream:
            if name in held:
                return Stream(arms[name], [seed, number], in_memory, self.half, share, False)
            return Stream(arms[name], [seed, number], crops, window, share, in_background)

        self._perturbed, self._controls = stream("perturbed", 1), stream("controls", 0)
        self.steps_per_epoch = self._perturbed.length // self.half

    def minibatch(self, step: int, out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return positions and crops of this rank's part of the minibatch of a step (from 0).

        Parameters
        ----------
        step
            Number of the step.
        out
            Memory for the crops, uint16 of `shape`; None takes new memory.
        """
        epoch, within = divmod(step, self.steps_per_epoch)
        first = epoch * self._perturbed.length + within * self.half
        crops = np.empty(self.shape, np.uint16) if out is None else out
        perturbed = self._perturbed.take(first, crops[: self.half])
        controls = self._controls.take(step * self.half, crops[self.half :])
        return np.concatenate([perturbed, controls]), crops
