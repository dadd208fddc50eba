"""Bring the minibatches of the sampler to the device."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mcvae_ops.shards.prefetch import Prefetcher
from mcvae_ops.shards.sampler import BalancedSampler
from mcvae_ops.shards.training_cells import Cells


@dataclass(frozen=True)
class Minibatch:
    """Cells of one training step.

    Attributes
    ----------
    positions
        Positions in the shard index, (cell,).
    crops
        uint16 (cell, channel, y, x), counts.
    label, batch
        Number of each cell's label and experimental batch, (cell,); see `Cells`.
    """

    positions: np.ndarray
    crops: Tensor
    label: Tensor
    batch: Tensor

    def to(self, device: torch.device) -> "Minibatch":
        """Return the minibatch on the device."""
        columns = (self.crops, self.label, self.batch)
        moved = (column.to(device, non_blocking=True) for column in columns)
        return Minibatch(self.positions, *moved)


class Minibatches:
    """The minibatches of a sampler by their step, on the device.

    Parameters
    ----------
    sampler
        Source of positions and crops.
    cells
        Source of labels and experimental batches.
    device
        Device on which the model computes.
    in_background
        Whether the next minibatch is read while the model computes on one; the minibatches are the
        same either way.
    """

    def __init__(
        self, sampler: BalancedSampler, cells: Cells, device: torch.device, in_background: bool
    ) -> None:
        self.steps_per_epoch, self.n_cells = sampler.steps_per_epoch, 2 * sampler.half
        self._sampler, self._cells, self._device = sampler, cells, device
        self._read = Prefetcher(self._make, lambda step: step + 1, in_background)

    def _make(self, step: int) -> Minibatch:
        # In pinned memory from the first: a GPU copies from it while it computes.
        is_pinned = self._device.type == "cuda"
        crops = torch.empty(self._sampler.shape, dtype=torch.uint16, pin_memory=is_pinned)
        positions, _ = self._sampler.minibatch(step, crops.numpy())
        numbers = map(torch.from_numpy, self._cells.labels_and_batches(positions))
        label, batch = (column.pin_memory() if is_pinned else column for column in numbers)
        return Minibatch(positions, crops, label, batch)

    @property
    def waited_s(self) -> float:
        """Time that the training has waited for crops."""
        return self._read.waited_s

    def take(self, step: int) -> Minibatch:
        """Return the minibatch of a training step (from 0)."""
        return self._read(step).to(self._device)
