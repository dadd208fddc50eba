"""From the sampler's crops to a batch on the device."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mcvae_ops.shards.prefetch import Prefetcher
from mcvae_ops.shards.sampler import BalancedSampler
from mcvae_ops.shards.training_cells import Cells


@dataclass(frozen=True)
class Minibatch:
    """Some cells: positions in the index; crops uint16 (cell, channel, y, x); label; batch."""

    positions: np.ndarray
    crops: Tensor
    label: Tensor
    batch: Tensor

    def to(self, device: torch.device) -> "Minibatch":
        """Return the batch on the device, counts as uint16."""
        columns = (self.crops, self.label, self.batch)
        return Minibatch(self.positions, *(one.to(device, non_blocking=True) for one in columns))

    def pinned(self) -> "Minibatch":
        """Return the batch in memory from which a GPU fetches while it computes."""
        columns = (self.crops, self.label, self.batch)
        return Minibatch(self.positions, *(one.pin_memory() for one in columns))


class Minibatches:
    """The batches of a sampler by their step, on the device.

    Parameters
    ----------
    sampler, cells
        What is read, and the labels and batches of it.
    device
        Where the batches are needed.
    in_background
        Whether the next batch is read while one is computed on; the batches stay the same.
    """

    def __init__(
        self, sampler: BalancedSampler, cells: Cells, device: torch.device, in_background: bool
    ) -> None:
        self.steps_per_epoch, self.n_cells = sampler.steps_per_epoch, 2 * sampler.half
        self._sampler, self._cells, self._device = sampler, cells, device
        self._read = Prefetcher(self._make, lambda step: step + 1, in_background)

    def _make(self, step: int) -> Minibatch:
        positions, crops = self._sampler.minibatch(step)
        columns = (crops, self._cells.label[positions], self._cells.batch[positions])
        batch = Minibatch(positions, *map(torch.from_numpy, columns))
        return batch.pinned() if self._device.type == "cuda" else batch

    @property
    def waited_s(self) -> float:
        """Time that was spent waiting for crops."""
        return self._read.waited_s

    def take(self, step: int) -> Minibatch:
        """Return the batch of a training step (from 0)."""
        return self._read(step).to(self._device)
