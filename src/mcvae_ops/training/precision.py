"""Numerical precision of a training, and compilation of its networks."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch

from mcvae_ops.models.family import ContrastiveVAE


@dataclass(frozen=True)
class Precision:
    """Precision and compilation of the networks in training; weights and objective are float32.

    Validation and embedding are always float32 (`full_precision`), so that models can be compared.

    Attributes
    ----------
    precision
        "float32"; "tf32", convolutions with 10 bits of mantissa on GPUs that support it; or "bf16",
        mixed precision with 7 bits.
    compile
        Whether torch.compile fuses layers; it needs a C++ compiler, or Triton on a GPU.
    """

    precision: str
    compile: bool

    def prepare(self, model: ContrastiveVAE) -> ContrastiveVAE:
        """Set the precision for the whole process, and compile the model in place."""
        torch.backends.cuda.matmul.allow_tf32 = self.precision == "tf32"
        torch.backends.cudnn.allow_tf32 = self.precision == "tf32"
        if self.compile:
            for part in (*model.encoders().values(), model.decoder):
                part.compile()
        return model

    def autocast(self, device: torch.device) -> AbstractContextManager:
        """Return the context in which the model is applied to a minibatch."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16")


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute in float32 inside the context; by default PyTorch convolves in TF32 on a GPU."""
    backends = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = False
    try:
        yield
    finally:
        for backend, allowed in zip(backends, before, strict=True):
            backend.allow_tf32 = allowed
