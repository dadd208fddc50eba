"""Turn counts into the input of the networks, on the device."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

PERCENTILES = (1, 99)
"""Of the counts of NTC cells, which `batch_scale` brings to one scale."""


@dataclass(frozen=True)
class Preprocessing:
    """Normalise batches, resize (antialiased), then ``(arcsinh(x / cofactor) - offset) / scale``.

    Attributes
    ----------
    input_size_px
        Edge of the networks' input.
    arcsinh_cofactor
        Counts below which the scale is about linear; above, it is logarithmic.
    arcsinh_offset, arcsinh_scale
        Shift and scale of the result, to (-1, 1), the range of the decoder's tanh.
    augmentation
        Whether training turns and mirrors cells, see `augment`.
    gain, shift_counts
        (batch, channel): ``counts * gain + shift_counts`` brings NTC cells of all batches to one
        scale. None leaves the counts as they are.
    reference_counts
        (2, channel): the two percentiles of NTC cells on that scale.
    """

    input_size_px: int
    arcsinh_cofactor: float
    arcsinh_offset: float
    arcsinh_scale: float
    augmentation: bool = False
    gain: Tensor | None = None
    shift_counts: Tensor | None = None
    reference_counts: Tensor | None = None

    def __call__(self, counts: Tensor, batch: Tensor) -> Tensor:
        """Return float32 (cell, channel, y, x), channels last in memory, of uint16 counts."""
        images = counts.to(torch.float32)
        if self.gain is not None:
            columns = (self.gain, self.shift_counts)
            gain, shift = (column[batch][:, :, None, None] for column in columns)
            images = (images * gain + shift).clamp(min=0.0)
        size_px = (self.input_size_px, self.input_size_px)
        if images.shape[-2:] != size_px:
            images = interpolate(images, size_px, mode="bilinear", antialias=True)
        images = images.contiguous(memory_format=torch.channels_last) / self.arcsinh_cofactor
        # arcsinh of counts, which are not negative; torch.asinh takes three times as long on a CPU.
        images = torch.log(images + torch.sqrt(images * images + 1.0))
        return (images - self.arcsinh_offset) / self.arcsinh_scale

    def to_counts(self, images: Tensor, batch: Tensor) -> Tensor:
        """Return the counts of images on the scale of the networks, at the size of their input."""
        scaled = images * self.arcsinh_scale + self.arcsinh_offset
        counts = self.arcsinh_cofactor * torch.sinh(scaled)
        if self.gain is not None:
            columns = (self.gain, self.shift_counts)
            gain, shift = (column[batch][:, :, None, None] for column in columns)
            counts = (counts - shift) / gain
        return counts.clamp(min=0.0)


def batch_scale(
    lowest: Tensor, highest: Tensor, reference_counts: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return `gain`, `shift_counts` and `reference_counts` that bring all batches to one scale.

    Parameters
    ----------
    lowest, highest
        (batch, channel): two percentiles of the counts of NTC cells, `PERCENTILES`.
    reference_counts
        (2, channel): these percentiles on the scale to be reached; None is the median batch.
    """
    spread = highest - lowest
    if reference_counts is None:
        first = lowest.median(dim=0).values
        reference_counts = torch.stack([first, first + spread.median(dim=0).values])
    first, last = reference_counts
    gain = (last - first) / spread.clamp(min=1.0)
    return gain, first - gain * lowest, reference_counts


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return every cell in one of the eight positions of a square, drawn for each.

    A cell has no up and no left: these are other pictures of the same state.
    """
    drawn = torch.empty(len(images), dtype=torch.int64, device=images.device)
    drawn.random_(0, 8, generator=generator)
    for bit, turn in enumerate((_mirrored_x, _mirrored_y, _transposed)):
        is_chosen = (drawn >> bit) & 1 == 1
        images = torch.where(is_chosen[:, None, None, None], turn(images), images)
    return images.contiguous(memory_format=torch.channels_last)


def _mirrored_x(images: Tensor) -> Tensor:
    return images.flip(-1)


def _mirrored_y(images: Tensor) -> Tensor:
    return images.flip(-2)


def _transposed(images: Tensor) -> Tensor:
    return images.transpose(-1, -2)
