"""One training in several processes: each takes a share of every batch; gradients are averaged.

The processes ("ranks") are started by torchrun, one per GPU, on one node or on several nodes of a
SLURM job. All ranks hold the same weights at every step; rank 0 validates, saves and writes.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Ranks:
    """This process, `rank` of `size`; each computes on cells of its own."""

    rank: int
    size: int

    def average(self, parameters: Iterable[Tensor], stop: bool) -> bool:
        """Average the gradients over the ranks; return whether any rank was asked to stop."""
        if self.size == 1:
            return stop
        gradients = [one.grad for one in parameters if one.grad is not None]
        flag = gradients[0].new_tensor([float(stop)])
        flat = torch.cat([*(gradient.flatten() for gradient in gradients), flag])
        dist.all_reduce(flat)
        parts = flat.div_(self.size).split([*(gradient.numel() for gradient in gradients), 1])
        for gradient, part in zip(gradients, parts[:-1], strict=True):
            gradient.copy_(part.view_as(gradient))
        return bool(parts[-1].item() > 0)

    def mean(self, sums: Tensor) -> Tensor:
        """Return the mean of a tensor over the ranks."""
        if self.size > 1:
            dist.all_reduce(sums)
        return sums / self.size

    def from_first_rank(self, values: dict) -> dict:
        """Return the values that rank 0 has, so that all ranks decide alike."""
        if self.size == 1:
            return values
        shared = [values]
        dist.broadcast_object_list(shared, src=0)
        return shared[0]


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[Ranks, torch.device]]:
    """Yield this process's place among the ranks, and its own device; alone without torchrun."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield Ranks(0, 1), device
        return
    is_cuda = device.type == "cuda"
    if is_cuda:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if is_cuda else "gloo")
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size()), device
    finally:
        dist.destroy_process_group()
