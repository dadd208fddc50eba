"""One training in several processes, which share every minibatch and average their gradients.

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
        """Average the gradients over the ranks; return whether any rank must stop."""
        if self.size == 1:
            return stop
        gradients = [weight.grad for weight in parameters if weight.grad is not None]
        # The flag travels with the gradients, so that all ranks stop at the same step.
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
        """Return the values of rank 0, so that all ranks decide the same."""
        if self.size == 1:
            return values
        shared = [values]
        dist.broadcast_object_list(shared, src=0)
        return shared[0]


@contextmanager
def process_group(device: torch.device) -> Iterator[tuple[Ranks, torch.device]]:
    """Yield this process's rank and its own device; without torchrun it is the only rank."""
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
