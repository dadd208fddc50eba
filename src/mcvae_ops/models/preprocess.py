"""From counts to the input of the networks, on the device, batch by batch."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate


@dataclass(frozen=True)
class Preprocessing:
    """Resize (antialiased), then ``(arcsinh(counts / cofactor) - offset) / scale``.

    Attributes
    ----------
    input_size_px
        Edge of the networks' input.
    arcsinh_cofactor
        Counts up to about which the scale is linear; logarithmic above.
    arcsinh_offset, arcsinh_scale
        Bring the result into (-1, 1), the range of the decoder's tanh.
    """

    input_size_px: int
    arcsinh_cofactor: float
    arcsinh_offset: float
    arcsinh_scale: float

    def __call__(self, counts: Tensor) -> Tensor:
        """Return float32 (cell, channel, y, x), channels last in memory, of uint16 counts."""
        images = counts.to(torch.float32)
        size_px = (self.input_size_px, self.input_size_px)
        if images.shape[-2:] != size_px:
            images = interpolate(images, size_px, mode="bilinear", antialias=True)
        images = images.contiguous(memory_format=torch.channels_last) / self.arcsinh_cofactor
        # torch.asinh takes three times as long on a CPU; counts are not negative
        images = torch.log(images + torch.sqrt(images * images + 1.0))
        return (images - self.arcsinh_offset) / self.arcsinh_scale
