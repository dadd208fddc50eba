"""Methods that measure the shift between two images, by name.

A new method is a pair of functions in a module of its own and an entry in `METHODS`; then
``alignment.method`` in the configuration's schema may name it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mcvae_ops.tiles.bandpass import measure_bandpass, prepare_bandpass
from mcvae_ops.tiles.cross_power import (
    Measured,
    Spectrum,
    cross_power_of,
    fast_part,
    transform,
)


class Method(NamedTuple):
    """A way to measure a shift.

    Attributes
    ----------
    prepare
        (image (y, x), section `alignment`) -> the image as `measure` needs it. It is computed
        once per channel, although a channel may be measured against several others.
    measure
        (prepared moving image, prepared fixed image, section `alignment`) -> `Measured`.
    """

    prepare: Callable[[np.ndarray, dict], Any]
    measure: Callable[[Any, Any, dict], Measured]


def prepare_image(image: np.ndarray, alignment: dict) -> Any:
    """Prepare an image (y, x), counts, for `measure_shift`.

    Parameters
    ----------
    image
        The image of one channel; of it ``alignment.window_fraction`` is used, in the middle.
    alignment
        Section of the configuration.
    """
    middle = _central(image, alignment["window_fraction"])
    return METHODS[alignment["method"]].prepare(middle, alignment)


def measure_shift(moving: Any, fixed: Any, alignment: dict) -> Measured:
    """Measure the shift that brings one image onto another.

    Parameters
    ----------
    moving, fixed
        Images as `prepare_image` returns them, of one size.
    alignment
        Section of the configuration.

    Returns
    -------
    The shift to be added to the coordinates of `moving`, its confidence and standard error.
    """
    return METHODS[alignment["method"]].measure(moving, fixed, alignment)


def _central(image: np.ndarray, fraction: float) -> np.ndarray:
    margins = [round(n * (1 - fraction) / 2) for n in image.shape]
    return image[tuple(slice(m, n - m) for m, n in zip(margins, image.shape, strict=True))]


def prepare_plain(image: np.ndarray, alignment: dict) -> Spectrum:
    """Transform an image (y, x) as it is."""
    return transform(fast_part(image.astype(np.float32)), 1)


def measure_phase(moving: Spectrum, fixed: Spectrum, alignment: dict) -> Measured:
    """Measure a shift by phase correlation: all frequencies count the same."""
    cross = cross_power_of(moving, fixed)
    magnitude = np.maximum(np.abs(cross.values), np.finfo(np.float32).tiny)
    peak = cross.find_peak(cross.values / magnitude, alignment)
    return cross.measured(peak, peak.shift)


def measure_plain(moving: Spectrum, fixed: Spectrum, alignment: dict) -> Measured:
    """Measure a shift by cross-correlation: frequencies count by their power."""
    cross = cross_power_of(moving, fixed)
    peak = cross.find_peak(cross.values, alignment)
    return cross.measured(peak, peak.shift)


METHODS: dict[str, Method] = {
    "bandpass": Method(prepare_bandpass, measure_bandpass),
    "phase": Method(prepare_plain, measure_phase),
    "none": Method(prepare_plain, measure_plain),
}
