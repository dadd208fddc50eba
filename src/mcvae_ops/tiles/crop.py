"""Clip the intensities of a tile and crop one window per cell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_STRIDE = 101
"""One pixel of so many is in the sample by which the tails of an image are located."""
_SPARE_SAMPLES = 50


@dataclass(frozen=True)
class TileCrops:
    """Windows of the cells inside a tile.

    Attributes
    ----------
    images
        uint16 (cell, channel, y, x), counts, of the cells inside the tile in their given order.
    is_inside
        bool, one per given cell.
    reasons
        One per given cell: why it was dropped, ``""`` where it is inside.
    """

    images: np.ndarray
    is_inside: np.ndarray
    reasons: np.ndarray


def clip_bounds(image: np.ndarray, fraction: float) -> tuple[int, int]:
    """Return the two quantiles to which the counts of an image are clipped.

    They are exact, and found without sorting the image: a sorted sample shows roughly where its
    tails begin, and only the tails are searched. A quantile is definition 1 of Hyndman and Fan
    (``numpy.quantile(..., method="inverted_cdf")``): the smallest count that at least ``q * n``
    pixels do not exceed; it is always a count that occurs in the image.

    Parameters
    ----------
    image
        uint16, any shape, counts.
    fraction
        Share of the pixels below the lower and above the upper bound, in [0, 0.5).

    References
    ----------
    Hyndman and Fan 1996, doi:10.1080/00031305.1996.10473566.
    """
    pixels = image.reshape(-1)
    ranks = np.ceil(np.maximum(np.array([fraction, 1 - fraction]) * image.size, 1)).astype(int)
    sample = np.sort(pixels[::_STRIDE])
    from_top = image.size + 1 - ranks[1]
    return _smallest(pixels, sample, ranks[0]), _largest(pixels, sample, from_top)


def clip(image: np.ndarray, fraction: float) -> np.ndarray:
    """Clip each channel of a tile at its own quantiles (see `clip_bounds`).

    Parameters
    ----------
    image
        uint16 (channel, y, x), counts.
    fraction
        Share of a channel's pixels at the top and at the bottom.
    """
    clipped = np.empty_like(image)
    for plane, target in zip(image, clipped, strict=True):
        lower, upper = (np.uint16(bound) for bound in clip_bounds(plane, fraction))
        np.clip(plane, lower, upper, out=target)
    return clipped


def sample_shifted(image: np.ndarray, shifts: np.ndarray, y: int, x: int, size: int) -> np.ndarray:
    """Return a window, in the reference frame, of a tile whose channels are shifted.

    Parameters
    ----------
    image
        (channel, y, x), as recorded.
    shifts
        (channel, 2), (dy, dx) in px. Added to the coordinates of a channel it gives those in the
        reference frame; the channel is therefore sampled, bilinearly, at (y, x) - shift.
    y, x
        First row and column of the window in the reference frame.
    size
        Edge of the window, px.

    Returns
    -------
    float32 (channel, y, x). Positions outside the tile take the value of its nearest pixel.
    """
    return _sample(image, shifts, y, x, (size, size))


def resample(image: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Return a whole tile in the reference frame; see `sample_shifted`."""
    return _sample(image, shifts, 0, 0, image.shape[1:])


def corner(centre: np.ndarray, size: int) -> tuple[int, int]:
    """Return the first row and column of the window of a cell at `centre`; see `crop_cells`."""
    y, x = np.floor(centre + 0.5).astype(int) - size // 2
    return int(y), int(x)


def crop_cells(image: np.ndarray, shifts: np.ndarray, centres: np.ndarray, size: int) -> TileCrops:
    """Crop one window per cell, all channels in the reference frame.

    The window of a cell at (y, x) covers the rows from ``floor(y + 0.5) - size // 2`` on, and
    columns likewise, so the cell's pixel is ``size // 2`` of the window. A crop depends on its
    tile alone, not on the other cells.

    Parameters
    ----------
    image
        uint16 (channel, y, x), counts.
    shifts
        (channel, 2), px, as in `sample_shifted`.
    centres
        float (cell, 2), (y, x) in px in the reference frame.
    size
        Edge of the window, px.
    """
    centres = np.asarray(centres, np.float64).reshape(-1, 2)
    reasons = np.array([_why_dropped(image.shape, shifts, c, size) for c in centres], object)
    is_inside = np.array([not reason for reason in reasons], bool)
    images = np.empty((int(is_inside.sum()), len(image), size, size), np.uint16)
    corners = [corner(centre, size) for centre in centres[is_inside]]
    for k, (plane, (dy, dx)) in enumerate(zip(image, shifts, strict=True)):
        for target, (y, x) in zip(images[:, k], corners, strict=True):
            _crop_window(plane, y - dy, x - dx, target)
    return TileCrops(images, is_inside, reasons)


def _smallest(pixels: np.ndarray, sample: np.ndarray, rank: int) -> int:
    """Return the count of a rank (from 1) among the pixels, by a sorted sample of them."""
    tail = pixels[pixels <= sample[_beyond(sample, rank)]]
    tail = tail if len(tail) >= rank else pixels  # a sample may mislead; then take all pixels
    return int(np.partition(tail, rank - 1)[rank - 1])


def _largest(pixels: np.ndarray, sample: np.ndarray, rank: int) -> int:
    """Return the count of a rank (from 1) from the top; see `_smallest`."""
    tail = pixels[pixels >= sample[-1 - _beyond(sample, rank)]]
    tail = tail if len(tail) >= rank else pixels
    return int(np.partition(tail, -rank)[-rank])


def _beyond(sample: np.ndarray, rank: int) -> int:
    """Return a position in the sample that is safely beyond a rank of the pixels."""
    return min(2 * rank // _STRIDE + _SPARE_SAMPLES, len(sample) - 1)


def _why_dropped(shape: Sequence[int], shifts: np.ndarray, centre: np.ndarray, size: int) -> str:
    if not np.isfinite(centre).all():
        return "position is not a number"
    first = np.array(corner(centre, size))
    room = np.array(shape[1:]) - size
    if (first < 0).any() or (first > room).any():
        return "window leaves the tile"
    shifted = first - shifts
    if (shifted < 0).any() or (shifted > room).any():
        return "shifted window leaves the tile"
    return ""


def _crop_window(plane: np.ndarray, top: float, left: float, target: np.ndarray) -> None:
    """Crop a window inside an image, with bilinear interpolation, and round it."""
    y, x, size = int(np.floor(top)), int(np.floor(left)), len(target)
    if y == top and x == left:
        target[:] = plane[y : y + size, x : x + size]
        return
    # One row and column more, unless the window ends at the border and needs none.
    block = plane[y : y + size + 1, x : x + size + 1].astype(np.float32)
    if block.shape != (size + 1, size + 1):
        block = np.pad(block, [(0, size + 1 - n) for n in block.shape], mode="edge")
    window = _blend(block, np.float32(top - y), np.float32(left - x))
    np.rint(window, out=target, casting="unsafe")


def _sample(
    image: np.ndarray, shifts: np.ndarray, y: int, x: int, shape: tuple[int, int]
) -> np.ndarray:
    window = np.empty((len(image), *shape), np.float32)
    for plane, (dy, dx), target in zip(image, shifts, window, strict=True):
        rows, fy = _positions(y - dy, shape[0], plane.shape[0])
        columns, fx = _positions(x - dx, shape[1], plane.shape[1])
        target[:] = _blend(plane[np.ix_(rows, columns)].astype(np.float32), fy, fx)
    return window


def _blend(block: np.ndarray, fy: np.float32, fx: np.float32) -> np.ndarray:
    """Interpolate between rows, then between columns; the result has one fewer of each."""
    rows = block[1:] - block[:-1]
    rows *= fy
    rows += block[:-1]
    columns = rows[:, 1:] - rows[:, :-1]
    columns *= fx
    columns += rows[:, :-1]
    return columns


def _positions(start: float, n: int, limit: int) -> tuple[np.ndarray, np.float32]:
    first = int(np.floor(start))
    return np.clip(np.arange(first, first + n + 1), 0, limit - 1), np.float32(start - first)
