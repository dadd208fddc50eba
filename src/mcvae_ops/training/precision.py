"""In which precision a training computes, and whether its networks are compiled."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch

from mcvae_ops.models.family import ContrastiveVAE


@dataclass(frozen=True)
class Precision:
    """How the networks are computed in training; weights and objective stay float32.

    Validation and embedding are always float32 (`full_precision`), so that models can be compared.

    Attributes
    ----------
    precision
        "float32"; "tf32", products of convolutions with 10 bits of mantissa on GPUs that have it;
        or "bf16", mixed precision with 7 bits.
    compile
        Whether torch.compile fuses the layers; it needs a C++ compiler, or Triton on a GPU.
    """

    precision: str
    compile: bool

    def prepare(self, model: ContrastiveVAE) -> ContrastiveVAE:
        """Set what holds for the whole process, and compile the model in place."""
        torch.backends.cuda.matmul.allow_tf32 = self.precision == "tf32"
        torch.backends.cudnn.allow_tf32 = self.precision == "tf32"
        if self.compile:
            for part in (*model.encoders().values(), model.decoder):
                part.compile()
        return model

    def autocast(self, device: torch.device) -> AbstractContextManager:
        """Return the context in which the model is applied to a batch."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16")


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute in float32 for the time being; by default PyTorch convolves in TF32 on a GPU."""
    places = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [place.allow_tf32 for place in places]
    for place in places:
        place.allow_tf32 = False
    try:
        yield
    finally:
        for place, was in zip(places, before, strict=True):
            place.allow_tf32 = was
