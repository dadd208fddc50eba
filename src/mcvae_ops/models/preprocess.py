"""Turn counts into the input of the networks, on the device."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate


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
    """

    input_size_px: int
    arcsinh_cofactor: float
    arcsinh_offset: float
    arcsinh_scale: float
    augmentation: bool = False
    gain: Tensor | None = None
    shift_counts: Tensor | None = None

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


def batch_scale(lowest: Tensor, highest: Tensor) -> tuple[Tensor, Tensor]:
    """Return `gain` and `shift_counts` that bring all batches to the median batch.

    Parameters
    ----------
    lowest, highest
        (batch, channel): two percentiles of the counts of NTC cells.
    """
    spread = highest - lowest
    gain = spread.median(dim=0).values / spread.clamp(min=1.0)
    return gain, lowest.median(dim=0).values - gain * lowest


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
