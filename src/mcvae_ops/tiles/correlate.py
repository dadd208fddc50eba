"""Shift between two images of different structures, from their cross-power spectrum.

Two stains share outlines, not textures, and a camera lends both the same fixed pattern, which
correlates at shift zero. So pixels are binned, their logarithm is taken (a few bright cells must
not decide alone), and every spatial frequency counts by how coherent the two images are there.

References
----------
Guizar-Sicairos et al. 2008, doi:10.1364/OL.33.000156 (upsampled cross-correlation).
Knapp and Carter 1976, doi:10.1109/TASSP.1976.1162830 (maximum-likelihood weights).
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.signal

_RINGS = 32
_TAPER_FRACTION = 0.2
_FINE_SIGMA, _COARSE_SIGMA = 1.0, 16.0
_REFINEMENTS = 3
_REACH = 2.0
_PEAK_RADIUS = 4.0
_MAX_COHERENCE = 0.98
_SEARCH_MARGIN = 1.2
_TOLERANCE_PX = 0.25


@dataclass(frozen=True)
class Spectrum:
    """Fourier transform of one prepared image; `binning` px make one of its pixels."""

    values: np.ndarray
    binning: int


def spectrum_of(image: np.ndarray, alignment: dict) -> Spectrum:
    """Prepare an image and transform it.

    Parameters
    ----------
    image
        (y, x), counts.
    alignment
        Section of the configuration; ``method`` bandpass bins and takes the logarithm, phase and
        none leave the pixels as they are.
    """
    image = _central(image, alignment["window_fraction"])
    binning = alignment["binning"] if alignment["method"] == "bandpass" else 1
    pixels = _bin(image, binning)
    if alignment["method"] == "bandpass":
        pixels = _logarithm(pixels)
    pixels -= pixels.mean()
    for axis, n in enumerate(pixels.shape):
        window = scipy.signal.windows.tukey(n, _TAPER_FRACTION).astype(np.float32)
        pixels *= np.expand_dims(window, 1 - axis)
    return Spectrum(scipy.fft.fft2(pixels), binning)


def measure_shift(moving: Spectrum, fixed: Spectrum, alignment: dict) -> tuple[np.ndarray, float]:
    """Measure the shift that brings one image onto another.

    Returns
    -------
    (dy, dx) in px, to be added to the coordinates of `moving`, and a confidence in [0, 1].

    Notes
    -----
    The confidence is the product of how far the peak stands above the next one (1 from twice as
    high on) and of ``exp(-(s / 0.25 px)^2)``, s being the standard error that the coherence of the
    two images allows (Cramer-Rao bound).
    """
    cross = fixed.values * np.conj(moving.values)
    rings, sizes = _rings(cross.shape)
    if alignment["method"] == "bandpass":
        cross = _without_fixed_pattern(cross, rings)
    power = np.sqrt(_ring_sums(fixed.values, rings) * _ring_sums(moving.values, rings))
    power = np.maximum(power, np.finfo(np.float32).tiny)
    match alignment["method"]:
        case "bandpass":
            weighted = cross * ((sizes / power)[rings] * _band(cross.shape))
        case "phase":
            weighted = cross / np.maximum(np.abs(cross), np.finfo(np.float32).tiny)
        case "none":
            weighted = cross
    search = int(np.ceil(_SEARCH_MARGIN * alignment["max_shift_px"] / fixed.binning))
    coarse, distinctness = _highest_peak(weighted, search)
    upsampling = alignment["upsample_factor"]
    shift = _refine(weighted, coarse, upsampling)
    if alignment["method"] == "bandpass":
        for _ in range(_REFINEMENTS):
            coherence = _coherence(cross, shift, rings, sizes, power)
            weights = coherence / (1 - coherence**2) * sizes / power
            if not weights.any():
                return shift * fixed.binning, 0.0
            shift = _refine(cross * weights[rings], shift, upsampling)
    coherence = _coherence(cross, shift, rings, sizes, power)
    error_px = _standard_error(coherence, rings, cross.shape) * fixed.binning
    if np.abs(shift - coarse).max() > _REACH:
        distinctness = 0.0
    sure = min(2 * distinctness, 1.0) * np.exp(-((error_px / _TOLERANCE_PX) ** 2))
    return shift * fixed.binning, float(sure)


def _central(image: np.ndarray, fraction: float) -> np.ndarray:
    margins = [round(n * (1 - fraction) / 2) for n in image.shape]
    return image[tuple(slice(m, n - m) for m, n in zip(margins, image.shape, strict=True))]


def _bin(image: np.ndarray, binning: int) -> np.ndarray:
    height, width = (n // binning for n in image.shape)
    blocks = image[: height * binning, : width * binning].reshape(height, binning, -1)
    rows = blocks.sum(axis=1, dtype=np.float32)
    return rows.reshape(height, width, binning).sum(axis=2)


def _logarithm(pixels: np.ndarray) -> np.ndarray:
    """Log of the counts above background, offset by their median, so that noise stays small."""
    background, median = np.quantile(pixels, [0.02, 0.5])
    offset = max(median - background, 1.0)
    return np.log(np.maximum(pixels - background, 0) + offset).astype(np.float32)


def _frequencies(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    ky, kx = (2 * np.pi * scipy.fft.fftfreq(n) for n in shape)
    return ky[:, None], kx[None, :]


def _rings(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Number the rings of equal spatial frequency; the last holds the corners beyond Nyquist."""
    ky, kx = _frequencies(shape)
    rings = np.minimum((np.hypot(ky, kx) / np.pi * _RINGS).astype(np.intp), _RINGS)
    return rings, np.bincount(rings.ravel(), minlength=_RINGS + 1)


def _ring_sums(values: np.ndarray, rings: np.ndarray) -> np.ndarray:
    power = values.real.astype(np.float64) ** 2 + values.imag.astype(np.float64) ** 2
    return np.bincount(rings.ravel(), power.ravel(), minlength=_RINGS + 1)


def _without_fixed_pattern(cross: np.ndarray, rings: np.ndarray) -> np.ndarray:
    """Take the camera's fixed pattern, which lies at shift zero, out of a cross-power spectrum.

    The gains of pixels are white, so their cross-power is one real constant at all frequencies,
    and alone in the corners beyond the optics' reach.
    """
    return cross - cross.real[rings == _RINGS].mean()


def _band(shape: tuple[int, int]) -> np.ndarray:
    ky, kx = _frequencies(shape)
    squared = (ky**2 + kx**2).astype(np.float32) / 2
    return np.exp(-squared * _FINE_SIGMA**2) - np.exp(-squared * _COARSE_SIGMA**2)


def _highest_peak(weighted: np.ndarray, search: int) -> tuple[np.ndarray, float]:
    """Return the highest peak within `search` px, and by what share it tops the next one."""
    steps = np.arange(-search, search + 1)
    surface = scipy.fft.ifft2(weighted).real[np.ix_(steps, steps)]
    peak = np.array(np.unravel_index(surface.argmax(), surface.shape))
    away = np.hypot(*np.ogrid[-peak[0] : len(steps) - peak[0], -peak[1] : len(steps) - peak[1]])
    others = surface[away > _PEAK_RADIUS]
    top = surface.max()
    next_one = max(others.max(), 0.0) if others.size else top
    distinctness = 1 - next_one / top if top > 0 else 0.0
    return (peak - search).astype(np.float64), float(distinctness)


def _refine(weighted: np.ndarray, near: np.ndarray, upsampling: int) -> np.ndarray:
    """Find the peak within `_REACH` px of `near` on a grid of ``1 / upsampling`` px."""
    # Double precision: a result that hung on the order of sums would hang on the threads.
    steps = np.arange(-_REACH * upsampling, _REACH * upsampling + 1) / upsampling
    start = np.round(near * upsampling) / upsampling
    ky, kx = _frequencies(weighted.shape)
    rows = np.exp(1j * (start[0] + steps)[:, None] * ky.T)
    columns = np.exp(1j * kx.T * (start[1] + steps)[None, :])
    surface = (rows @ weighted.astype(np.complex128) @ columns).real
    y, x = np.unravel_index(surface.argmax(), surface.shape)
    return start + np.array([steps[y], steps[x]])


def _coherence(
    cross: np.ndarray, shift: np.ndarray, rings: np.ndarray, sizes: np.ndarray, power: np.ndarray
) -> np.ndarray:
    """Signed coherence of the two images per ring at a shift, 0 where it is within the noise."""
    ky, kx = _frequencies(cross.shape)
    aligned = (cross * np.exp(1j * shift[0] * ky) * np.exp(1j * shift[1] * kx)).real
    sums = np.bincount(rings.ravel(), aligned.ravel(), minlength=_RINGS + 1)
    coherence = np.clip(sums / power, -_MAX_COHERENCE, _MAX_COHERENCE)
    # Values of real images come in conjugate pairs, so n of them are n / 2 independent ones.
    variance = 2 / np.maximum(sizes, 1)
    excess = np.sqrt(np.maximum(coherence**2 - variance, 0))
    coherence = np.where(coherence**2 > 2 * variance, np.sign(coherence) * excess, 0.0)
    coherence[_RINGS] = 0.0
    return coherence


def _standard_error(coherence: np.ndarray, rings: np.ndarray, shape: tuple[int, int]) -> float:
    """Cramer-Rao bound of the shift along one axis, in pixels of the spectrum."""
    ky, kx = _frequencies(shape)
    squared = np.bincount(rings.ravel(), (ky**2 + kx**2).ravel(), minlength=_RINGS + 1)
    information = (squared / 4 * coherence**2 / (1 - coherence**2)).sum()
    return float(1 / np.sqrt(max(information, 1e-12)))
