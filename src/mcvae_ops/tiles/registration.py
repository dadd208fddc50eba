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
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import scipy.fft
import scipy.signal

_RINGS = 32
_TAPER_FRACTION = 0.2
_FINE_SIGMA, _COARSE_SIGMA = 1.0, 16.0
_QUARTER = 4
_REFINEMENTS = 3
_REACH = 2.0
_PEAK_RADIUS = 4.0
_MAX_COHERENCE = 0.98
_SEARCH_MARGIN = 1.2
_TOLERANCE_PX = 0.25


@dataclass(frozen=True)
class Spectrum:
    """Fourier transform of one prepared image; `binning` px make one of its pixels.

    Attributes
    ----------
    values
        complex64 (frequency in y, frequency in x >= 0): the other half mirrors it.
    frequencies
        What the values belong to.
    power
        Sum of the squared values per ring.
    """

    values: np.ndarray
    frequencies: "_Frequencies"
    power: np.ndarray
    binning: int


class Measured(NamedTuple):
    """A measured shift: (dy, dx) in px, confidence in [0, 1], standard error per axis in px."""

    px: np.ndarray
    confidence: float
    error_px: float


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
    # The taper hides the border anyway, and a transform of an odd length takes twice the time.
    height, width = (scipy.fft.prev_fast_len(n) for n in pixels.shape)
    pixels = pixels[:height, :width]
    if alignment["method"] == "bandpass":
        pixels = _logarithm(pixels)
    pixels -= pixels.mean()
    for axis, n in enumerate(pixels.shape):
        window = scipy.signal.windows.tukey(n, _TAPER_FRACTION).astype(np.float32)
        pixels *= np.expand_dims(window, 1 - axis)
    frequencies = _frequencies(pixels.shape)
    values = scipy.fft.rfft2(pixels)
    power = frequencies.ring_sums(values.real**2 + values.imag**2)
    return Spectrum(values, frequencies, power, binning)


def measure_shift(moving: Spectrum, fixed: Spectrum, alignment: dict) -> Measured:
    """Measure the shift that brings one image onto another.

    Returns
    -------
    The shift to be added to the coordinates of `moving`, its confidence and standard error.

    Notes
    -----
    The confidence is the product of how far the peak stands above the next one (1 from twice as
    high on) and of ``exp(-(s / 0.25 px)^2)``, s being the standard error that the coherence of the
    two images allows (Cramer-Rao bound).
    """
    cross, at = fixed.values * np.conj(moving.values), fixed.frequencies
    if alignment["method"] == "bandpass":
        cross = _without_fixed_pattern(cross, at)
    power = np.maximum(np.sqrt(fixed.power * moving.power), np.finfo(np.float32).tiny)
    match alignment["method"]:
        case "bandpass":
            weighted = cross * ((at.sizes / power).astype(np.float32)[at.rings] * at.band)
        case "phase":
            weighted = cross / np.maximum(np.abs(cross), np.finfo(np.float32).tiny)
        case "none":
            weighted = cross
    search = int(np.ceil(_SEARCH_MARGIN * alignment["max_shift_px"] / fixed.binning))
    coarse, distinctness = _highest_peak(weighted, at, search)
    upsampling = alignment["upsample_factor"]
    shift = _refine(weighted, at, coarse, upsampling)
    if alignment["method"] == "bandpass":
        for _ in range(_REFINEMENTS):
            coherence = _coherence(cross, at, shift, power)
            weights = coherence / (1 - coherence**2) * at.sizes / power
            if not weights.any():
                return Measured(shift * fixed.binning, 0.0, np.inf)
            before, weighted = shift, cross * weights.astype(np.float32)[at.rings]
            shift = _refine(weighted, at, shift, upsampling)
            if (shift == before).all():
                break
    error_px = _standard_error(_coherence(cross, at, shift, power), at) * fixed.binning
    if np.abs(shift - coarse).max() > _REACH:
        distinctness = 0.0
    sure = min(2 * distinctness, 1.0) * np.exp(-((error_px / _TOLERANCE_PX) ** 2))
    return Measured(shift * fixed.binning, float(sure), error_px)


def _central(image: np.ndarray, fraction: float) -> np.ndarray:
    margins = [round(n * (1 - fraction) / 2) for n in image.shape]
    return image[tuple(slice(m, n - m) for m, n in zip(margins, image.shape, strict=True))]


def _bin(image: np.ndarray, binning: int) -> np.ndarray:
    height, width = (n // binning for n in image.shape)
    if binning == 1:
        return image.astype(np.float32)
    wide = np.uint32 if image.dtype.kind == "u" else np.float32
    rows = np.add(image[: height * binning : binning], image[1 : height * binning : binning],
                  dtype=wide)  # fmt: skip
    for k in range(2, binning):
        rows += image[k : height * binning : binning]
    columns = rows[:, : width * binning : binning] + rows[:, 1 : width * binning : binning]
    for k in range(2, binning):
        columns += rows[:, k : width * binning : binning]
    return columns.astype(np.float32)


def _logarithm(pixels: np.ndarray) -> np.ndarray:
    """Log of the counts above background, offset by their median, so that noise stays small."""
    background, median = np.quantile(pixels[::2, ::2], [0.02, 0.5]).astype(np.float32)
    offset = max(median - background, np.float32(1))
    return np.log(np.maximum(pixels - background, 0) + offset)


@dataclass(frozen=True)
class _Frequencies:
    """The spatial frequencies of a real image of `shape`, radians per pixel."""

    shape: tuple[int, int]

    @cached_property
    def ky(self) -> np.ndarray:
        return (2 * np.pi * scipy.fft.fftfreq(self.shape[0]))[:, None]

    @cached_property
    def kx(self) -> np.ndarray:
        return (2 * np.pi * scipy.fft.rfftfreq(self.shape[1]))[None, :]

    @cached_property
    def twice(self) -> np.ndarray:
        """How often a column stands in the whole spectrum: once at 0 and Nyquist, else twice."""
        n = self.shape[1]
        twice = np.full((1, n // 2 + 1), 2.0, np.float32)
        twice[0, [0, -1] if n % 2 == 0 else [0]] = 1
        return twice

    @cached_property
    def rings(self) -> np.ndarray:
        """Number of the ring of equal frequency; the last holds the corners beyond Nyquist."""
        radius = np.hypot(self.ky, self.kx) / np.pi * _RINGS
        return np.minimum(radius.astype(np.intp), _RINGS)

    @cached_property
    def sizes(self) -> np.ndarray:
        return self.ring_sums(np.ones(self.rings.shape, np.float32))

    @cached_property
    def squares(self) -> np.ndarray:
        return self.ring_sums(self.ky**2 + self.kx**2)

    @cached_property
    def band(self) -> np.ndarray:
        squared = (self.ky**2 + self.kx**2).astype(np.float32) / 2
        return np.exp(-squared * _FINE_SIGMA**2) - np.exp(-squared * _COARSE_SIGMA**2)

    @cached_property
    def corners(self) -> np.ndarray:
        return np.flatnonzero(self.rings == _RINGS)

    def ring_sums(self, values: np.ndarray) -> np.ndarray:
        """Sum values of the half spectrum per ring, as over the whole spectrum."""
        return np.bincount(self.rings.ravel(), (values * self.twice).ravel(), _RINGS + 1)


@lru_cache(maxsize=2)
def _frequencies(shape: tuple[int, int]) -> _Frequencies:
    return _Frequencies(shape)


def _without_fixed_pattern(cross: np.ndarray, at: _Frequencies) -> np.ndarray:
    """Take the camera's fixed pattern, which lies at shift zero, out of a cross-power spectrum.

    The gains of pixels are white, so their cross-power is one real constant at all frequencies,
    and alone in the corners beyond the optics' reach.
    """
    return cross - cross.real.take(at.corners).mean(dtype=np.float64).astype(np.float32)


def _highest_peak(weighted: np.ndarray, at: _Frequencies, search: int) -> tuple[np.ndarray, float]:
    """Return the highest peak within `search` px, and by what share it tops the next one."""
    steps = np.arange(-search, search + 1)
    surface = scipy.fft.irfft2(weighted, at.shape)[np.ix_(steps, steps)]
    peak = np.array(np.unravel_index(surface.argmax(), surface.shape))
    away = np.hypot(*np.ogrid[-peak[0] : len(steps) - peak[0], -peak[1] : len(steps) - peak[1]])
    others = surface[away > _PEAK_RADIUS]
    top = surface.max()
    next_one = max(others.max(), 0.0) if others.size else top
    distinctness = 1 - next_one / top if top > 0 else 0.0
    return (peak - search).astype(np.float64), float(distinctness)


def _refine(
    weighted: np.ndarray, at: _Frequencies, near: np.ndarray, upsampling: int
) -> np.ndarray:
    """Find the peak within `_REACH` px of `near` on a grid of ``1 / upsampling`` px.

    First on a grid of quarters, which no peak of pixels slips through, then around the best.
    """
    # Double precision: a result that hung on the order of sums would hang on the threads.
    weighted = weighted.astype(np.complex128) * at.twice
    step = max(upsampling // _QUARTER, 1)
    reach = round(_REACH * upsampling)
    start = np.round(near * upsampling)
    best = _best_of(weighted, at, start, np.arange(-reach, reach + 1, step), upsampling)
    return _best_of(weighted, at, best, np.arange(-step, step + 1), upsampling) / upsampling


def _best_of(
    weighted: np.ndarray, at: _Frequencies, start: np.ndarray, steps: np.ndarray, upsampling: int
) -> np.ndarray:
    y, x = ((k + steps) / upsampling for k in start)
    rows = np.exp(1j * y[:, None] * at.ky.T)
    columns = np.exp(1j * at.kx.T * x[None, :])
    surface = ((rows @ weighted) @ columns).real
    row, column = np.unravel_index(surface.argmax(), surface.shape)
    return start + np.array([steps[row], steps[column]])


def _coherence(
    cross: np.ndarray, at: _Frequencies, shift: np.ndarray, power: np.ndarray
) -> np.ndarray:
    """Signed coherence of the two images per ring at a shift, 0 where it is within the noise."""
    rows, columns = np.exp(1j * shift[0] * at.ky), np.exp(1j * shift[1] * at.kx)
    aligned = (cross * rows.astype(np.complex64) * columns.astype(np.complex64)).real
    coherence = np.clip(at.ring_sums(aligned) / power, -_MAX_COHERENCE, _MAX_COHERENCE)
    # Values of real images come in conjugate pairs, so n of them are n / 2 independent ones.
    variance = 2 / np.maximum(at.sizes, 1)
    excess = np.sqrt(np.maximum(coherence**2 - variance, 0))
    coherence = np.where(coherence**2 > 2 * variance, np.sign(coherence) * excess, 0.0)
    coherence[_RINGS] = 0.0
    return coherence


def _standard_error(coherence: np.ndarray, at: _Frequencies) -> float:
    """Cramer-Rao bound of the shift along one axis, in pixels of the spectrum."""
    information = (at.squares / 4 * coherence**2 / (1 - coherence**2)).sum()
    return float(1 / np.sqrt(max(information, 1e-12)))
