"""Cross-power spectrum of two images: the peak of their correlation, and how exact it is.

References
----------
Guizar-Sicairos et al. 2008, doi:10.1364/OL.33.000156 (upsampled cross-correlation).
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import scipy.fft
import scipy.signal

RINGS = 32
_TAPER_FRACTION = 0.2  # without a taper the border correlates with itself at shift zero
_FINE_SIGMA, _COARSE_SIGMA = 1.0, 16.0  # px: the band between noise and uneven light
_QUARTER = 4
_REACH = 2.0  # px by which a refined shift may differ from the coarse peak
_PEAK_RADIUS = 4.0  # px around a peak that belong to it, not to the next one
_MAX_COHERENCE = 0.98  # at 1 a frequency would have infinite weight
_SEARCH_MARGIN = 1.2  # a shift beyond the limit shall be seen as such, not as a false one within
_TOLERANCE_PX = 0.25


@dataclass(frozen=True)
class Spectrum:
    """Fourier transform of one prepared image; `binning` px make one of its pixels.

    Attributes
    ----------
    values
        complex64 (frequency in y, frequency in x >= 0): the other half mirrors it.
    frequencies
        Frequency of each value.
    power
        Sum of the squared values per ring.
    """

    values: np.ndarray
    frequencies: "Frequencies"
    power: np.ndarray
    binning: int


class Measured(NamedTuple):
    """A measured shift: (dy, dx) in px, confidence in [0, 1], standard error per axis in px."""

    px: np.ndarray
    confidence: float
    error_px: float


class Peak(NamedTuple):
    """Highest peak of a correlation, in pixels of the spectrum.

    Attributes
    ----------
    coarse, shift
        Its place to one pixel, and to a fraction of one.
    distinctness
        Share by which it exceeds the next peak.
    """

    coarse: np.ndarray
    shift: np.ndarray
    distinctness: float


def fast_part(pixels: np.ndarray) -> np.ndarray:
    """Return the largest part of an image (y, x) that is transformed fast.

    The taper hides the border anyway, and a transform of an odd length takes twice the time.
    """
    height, width = (scipy.fft.prev_fast_len(n) for n in pixels.shape)
    return pixels[:height, :width]


def transform(pixels: np.ndarray, binning: int) -> Spectrum:
    """Return the spectrum of an image, float32 (y, x), tapered towards its border.

    Parameters
    ----------
    pixels
        The image.
    binning
        Edge of one of its pixels, px of the camera.
    """
    pixels = pixels - pixels.mean()
    for axis, n in enumerate(pixels.shape):
        window = scipy.signal.windows.tukey(n, _TAPER_FRACTION).astype(np.float32)
        pixels *= np.expand_dims(window, 1 - axis)
    frequencies = _frequencies(pixels.shape)
    values = scipy.fft.rfft2(pixels)
    power = frequencies.ring_sums(values.real**2 + values.imag**2)
    return Spectrum(values, frequencies, power, binning)


@dataclass(frozen=True)
class CrossPower:
    """Cross-power spectrum of a fixed and a moving image.

    Attributes
    ----------
    values
        complex64, as in `Spectrum`.
    frequencies
        Frequency of each value.
    power
        Geometric mean of the power of both images per ring.
    binning
        Edge of a pixel, px of the camera.
    """

    values: np.ndarray
    frequencies: "Frequencies"
    power: np.ndarray
    binning: int

    def find_peak(self, weighted: np.ndarray, alignment: dict) -> Peak:
        """Find the peak of the correlation whose spectrum is `weighted`."""
        search = int(np.ceil(_SEARCH_MARGIN * alignment["max_shift_px"] / self.binning))
        coarse, distinctness = _highest_peak(weighted, self.frequencies, search)
        return Peak(coarse, self.refine(weighted, coarse, alignment), distinctness)

    def refine(self, weighted: np.ndarray, near: np.ndarray, alignment: dict) -> np.ndarray:
        """Find the peak within `_REACH` px of `near` on a grid of ``1 / upsample_factor`` px.

        The first grid is one of quarters, between which no peak of an image of pixels can hide;
        the second one surrounds its best point.
        """
        at, upsampling = self.frequencies, alignment["upsample_factor"]
        # Double precision, because the sums of single precision depend on the number of threads.
        weighted = weighted.astype(np.complex128) * at.twice
        step = max(upsampling // _QUARTER, 1)
        reach = round(_REACH * upsampling)
        start = np.round(near * upsampling)
        best = _best_of(weighted, at, start, np.arange(-reach, reach + 1, step), upsampling)
        return _best_of(weighted, at, best, np.arange(-step, step + 1), upsampling) / upsampling

    def coherence(self, shift: np.ndarray) -> np.ndarray:
        """Return the signed coherence of both images per ring at a shift, 0 within the noise."""
        at = self.frequencies
        rows, columns = np.exp(1j * shift[0] * at.ky), np.exp(1j * shift[1] * at.kx)
        aligned = (self.values * rows.astype(np.complex64) * columns.astype(np.complex64)).real
        coherence = np.clip(at.ring_sums(aligned) / self.power, -_MAX_COHERENCE, _MAX_COHERENCE)
        # Values of real images come in conjugate pairs, so n of them are n / 2 independent ones.
        variance = 2 / np.maximum(at.sizes, 1)
        excess = np.sqrt(np.maximum(coherence**2 - variance, 0))
        coherence = np.where(coherence**2 > 2 * variance, np.sign(coherence) * excess, 0.0)
        coherence[RINGS] = 0.0
        return coherence

    def measured(self, peak: Peak, shift: np.ndarray) -> Measured:
        """Return the final shift in px of the camera, with its confidence and standard error.

        Notes
        -----
        The confidence is the product of how far the peak exceeds the next one (1 from twice as
        high on) and of ``exp(-(s / 0.25 px)^2)``; s is the standard error that the coherence of
        the two images allows (Cramer-Rao bound). A shift that left the neighbourhood of its peak
        while it was refined belongs to another peak: its confidence is 0.
        """
        error_px = _standard_error(self.coherence(shift), self.frequencies) * self.binning
        has_left = np.abs(shift - peak.coarse).max() > _REACH
        distinctness = 0.0 if has_left else peak.distinctness
        confidence = min(2 * distinctness, 1.0) * np.exp(-((error_px / _TOLERANCE_PX) ** 2))
        return Measured(shift * self.binning, float(confidence), error_px)


def cross_power_of(moving: Spectrum, fixed: Spectrum) -> CrossPower:
    """Return the cross-power spectrum of two images of one size."""
    power = np.maximum(np.sqrt(fixed.power * moving.power), np.finfo(np.float32).tiny)
    values = fixed.values * np.conj(moving.values)
    return CrossPower(values, fixed.frequencies, power, fixed.binning)


@dataclass(frozen=True)
class Frequencies:
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
        """How often a column occurs in the whole spectrum: once at 0 and Nyquist, else twice."""
        n = self.shape[1]
        twice = np.full((1, n // 2 + 1), 2.0, np.float32)
        twice[0, [0, -1] if n % 2 == 0 else [0]] = 1
        return twice

    @cached_property
    def rings(self) -> np.ndarray:
        """Number of the ring of equal frequency; the last holds the corners beyond Nyquist."""
        radius = np.hypot(self.ky, self.kx) / np.pi * RINGS
        return np.minimum(radius.astype(np.intp), RINGS)

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
        return np.flatnonzero(self.rings == RINGS)

    def ring_sums(self, values: np.ndarray) -> np.ndarray:
        """Sum values of the half spectrum per ring, as over the whole spectrum."""
        return np.bincount(self.rings.ravel(), (values * self.twice).ravel(), RINGS + 1)


@lru_cache(maxsize=2)
def _frequencies(shape: tuple[int, int]) -> Frequencies:
    return Frequencies(shape)


def _highest_peak(weighted: np.ndarray, at: Frequencies, search: int) -> tuple[np.ndarray, float]:
    """Return the highest peak within `search` px, and by what share it exceeds the next one."""
    steps = np.arange(-search, search + 1)
    surface = scipy.fft.irfft2(weighted, at.shape)[np.ix_(steps, steps)]
    peak = np.array(np.unravel_index(surface.argmax(), surface.shape))
    away = np.hypot(*np.ogrid[-peak[0] : len(steps) - peak[0], -peak[1] : len(steps) - peak[1]])
    others = surface[away > _PEAK_RADIUS]
    top = surface.max()
    second = max(others.max(), 0.0) if others.size else top
    distinctness = 1 - second / top if top > 0 else 0.0
    return (peak - search).astype(np.float64), float(distinctness)


def _best_of(
    weighted: np.ndarray, at: Frequencies, start: np.ndarray, steps: np.ndarray, upsampling: int
) -> np.ndarray:
    y, x = ((k + steps) / upsampling for k in start)
    rows = np.exp(1j * y[:, None] * at.ky.T)
    columns = np.exp(1j * at.kx.T * x[None, :])
    surface = ((rows @ weighted) @ columns).real
    row, column = np.unravel_index(surface.argmax(), surface.shape)
    return start + np.array([steps[row], steps[column]])


def _standard_error(coherence: np.ndarray, at: Frequencies) -> float:
    """Return the Cramer-Rao bound of the shift along one axis, in pixels of the spectrum."""
    information = (at.squares / 4 * coherence**2 / (1 - coherence**2)).sum()
    return float(1 / np.sqrt(max(information, 1e-12)))
