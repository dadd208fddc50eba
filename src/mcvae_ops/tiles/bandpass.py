"""Shift between images of two different stains: every frequency counts by its coherence.

Two stains share outlines, but not textures, and one camera adds the same fixed pattern to both;
that pattern correlates at shift zero. Therefore the method sums pixels in blocks, takes their
logarithm (a few bright cells must not decide alone), removes the fixed pattern, and weights every
spatial frequency by the coherence of the two images there.

References
----------
Knapp and Carter 1976, doi:10.1109/TASSP.1976.1162830 (maximum-likelihood weights).
"""

from dataclasses import replace

import numpy as np

from mcvae_ops.tiles.cross_power import (
    CrossPower,
    Measured,
    Spectrum,
    cross_power_of,
    fast_part,
    transform,
)

_REFINEMENTS = 3


def prepare_bandpass(image: np.ndarray, alignment: dict) -> Spectrum:
    """Bin an image (y, x), take the logarithm of its counts, and transform it."""
    binning = alignment["binning"]
    return transform(_logarithm(fast_part(bin_pixels(image, binning))), binning)


def measure_bandpass(moving: Spectrum, fixed: Spectrum, alignment: dict) -> Measured:
    """Measure the shift of `moving` onto `fixed`, with weights that are estimated at the shift.

    The first peak is that of a fixed band. Its shift gives the coherence of the images in each
    ring of frequencies, the coherence gives better weights, and these give a better shift.
    """
    cross = _without_fixed_pattern(cross_power_of(moving, fixed))
    at = cross.frequencies
    band = (at.sizes / cross.power).astype(np.float32)[at.rings] * at.band
    peak = cross.find_peak(cross.values * band, alignment)
    shift = peak.shift
    for _ in range(_REFINEMENTS):
        coherence = cross.coherence(shift)
        weights = coherence / (1 - coherence**2) * at.sizes / cross.power
        if not weights.any():
            return Measured(shift * cross.binning, 0.0, np.inf)
        weighted = cross.values * weights.astype(np.float32)[at.rings]
        before, shift = shift, cross.refine(weighted, shift, alignment)
        if (shift == before).all():
            break
    return cross.measured(peak, shift)


def bin_pixels(image: np.ndarray, binning: int) -> np.ndarray:
    """Return the sums of blocks of `binning` px, float32 (y, x)."""
    height, width = (n // binning for n in image.shape)
    if binning == 1:
        return image.astype(np.float32)
    wide = np.uint32 if image.dtype.kind == "u" else np.float32
    first, second = (image[k : height * binning : binning] for k in (0, 1))
    rows = np.add(first, second, dtype=wide)
    for k in range(2, binning):
        rows += image[k : height * binning : binning]
    columns = rows[:, : width * binning : binning] + rows[:, 1 : width * binning : binning]
    for k in range(2, binning):
        columns += rows[:, k : width * binning : binning]
    return columns.astype(np.float32)


def _logarithm(pixels: np.ndarray) -> np.ndarray:
    """Return the log of the counts above background; their median is added to keep noise small."""
    background, median = np.quantile(pixels[::2, ::2], [0.02, 0.5]).astype(np.float32)
    offset = max(median - background, np.float32(1))
    return np.log(np.maximum(pixels - background, 0) + offset)


def _without_fixed_pattern(cross: CrossPower) -> CrossPower:
    """Subtract the camera's fixed pattern, which correlates at shift zero.

    The gains of pixels are white noise, so their cross-power is one real constant at all
    frequencies; it is alone in the corners of the spectrum, where the optics transmit nothing.
    """
    corners = cross.values.real.take(cross.frequencies.corners)
    constant = corners.mean(dtype=np.float64).astype(np.float32)
    return replace(cross, values=cross.values - constant)
