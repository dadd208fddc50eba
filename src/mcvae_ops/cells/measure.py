"""Classical features of cells, measured with cp-measure from an image and its labels."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations

import centrosome.propagate
import cp_measure.bulk
import numpy as np
import pandas as pd

from mcvae_ops.screen import Channel

# The measurements of cp-measure with the most information per second; Zernike moments and
# granularity take as long as all of these together.
OF_CHANNEL = ("intensity", "radial_distribution")
OF_GREY_LEVELS = ("texture",)
OF_SHAPE = ("sizeshape", "feret")
OF_PAIR = ("pearson",)
# Intensities are fractions of this many bits, or of those of the camera if it has fewer.
FULL_SCALE_BITS = 13
# cp-measure bins 0 to 1 into 256 grey levels for texture. arcsinh brings 16 bits to that range: it
# is linear below an eighth of the full scale and logarithmic above, so that neither dim cells lose
# their levels nor bright ones are clipped.
_LINEAR, _TOP = 1 / 8, 8.0
# The position of a cell in its tile is no feature of the cell.
_POSITIONS = ("_Location_", "_Center_", "_BoundingBoxMinimum_", "_BoundingBoxMaximum_")


def measure_tile(
    image: np.ndarray, labels: np.ndarray, channels: Sequence[Channel], bits: int
) -> pd.DataFrame:
    """Measure every labelled cell of a tile.

    Parameters
    ----------
    image
        float32 (channel, y, x), counts, channels aligned.
    labels
        int (y, x), 0 outside cells.
    channels
        Along the channel axis.
    bits
        Bits of the camera.

    Returns
    -------
    One row per label; the labels are the index, in increasing order; columns ``cell_{measure}``,
    ``{channel}_{measure}`` and ``{channel}_{channel}_{measure}``, float32.

    References
    ----------
    cp-measure, CellProfiler's measurements as functions: doi:10.48550/arXiv.2507.01163.
    """
    core = cp_measure.bulk.get_core_measurements()
    correlation = cp_measure.bulk.get_correlation_measurements()
    present = np.unique(labels[labels > 0])
    scaled = image / np.float32(2.0 ** min(bits, FULL_SCALE_BITS))
    levels = np.clip(np.arcsinh(scaled / _LINEAR) / np.arcsinh(_TOP / _LINEAR), 0, 1)
    columns: dict[str, np.ndarray] = {}
    for measure in OF_SHAPE:
        columns |= _named("cell", core[measure](labels, scaled[0]))
    with _ways_found_once():
        for channel, plane, grey in zip(channels, scaled, levels, strict=True):
            for measure in OF_CHANNEL:
                columns |= _named(channel.name, core[measure](labels, plane))
            for measure in OF_GREY_LEVELS:
                columns |= _named(channel.name, core[measure](labels, grey))
    for (first, a), (second, b) in combinations(zip(channels, scaled, strict=True), 2):
        for measure in OF_PAIR:
            pair = f"{first.name}_{second.name}"
            columns |= _named(pair, correlation[measure](a, b, labels))
    return pd.DataFrame(columns, index=pd.Index(present, name="label")).astype(np.float32)


def standardise_to_controls(features: pd.DataFrame, is_control: np.ndarray) -> pd.DataFrame:
    """Subtract the mean of the control cells and divide by their standard deviation.

    Parameters
    ----------
    features
        One row per cell of one plate and well; values that are not finite count as missing.
    is_control
        bool, one per cell.

    Returns
    -------
    float32 of the same shape; NaN where the value is missing or the controls do not vary.
    """
    finite = features.where(np.isfinite(features))
    controls = finite[is_control]
    spread = controls.std(ddof=0)
    return ((finite - controls.mean()) / spread.where(spread > 0)).astype(np.float32)


@contextmanager
def _ways_found_once() -> Iterator[None]:
    """Let cp-measure find the ways from the middle of each cell to its pixels once for a tile.

    Its radial distribution finds them for every channel anew, though they depend on the labels
    alone: with four channels a third of the time of all measurements.
    """
    find, found = centrosome.propagate.propagate, {}

    def find_once(
        image: np.ndarray, labels: np.ndarray, mask: np.ndarray, weight: float
    ) -> list[np.ndarray]:
        key = hashlib.blake2b(b"".join(map(np.ascontiguousarray, (image, labels, mask)))).digest()
        if key not in found:
            found[key] = [values[mask] for values in find(image, labels, mask, weight)]
        ways = [np.zeros(mask.shape, values.dtype) for values in found[key]]
        for whole, values in zip(ways, found[key], strict=True):
            whole[mask] = values
        return ways

    centrosome.propagate.propagate = find_once
    try:
        yield
    finally:
        centrosome.propagate.propagate = find


def _named(prefix: str, measures: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    named = {f"{prefix}_{name}": np.asarray(values) for name, values in measures.items()}
    return {
        name: values
        for name, values in named.items()
        if not any(word in name for word in _POSITIONS)
    }
