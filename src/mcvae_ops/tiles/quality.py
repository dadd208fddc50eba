"""What is wrong with a tile's light or focus, judged against the other tiles of its plate."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mcvae_ops.errors import TileError

QUALITY = ("saturated_fraction", "range_counts", "focus")
_ROW_STEP = 16
_RANGE = (0.02, 0.999)
_LAGS_PX = (1, 3, 12)
_SMOOTH = (3**2 - 1) / (12**2 - 1)
_LEAST_RANGE_COUNTS = 1.0


def tile_quality(image: np.ndarray) -> np.ndarray:
    """Measure the light and the focus of each channel of a tile.

    Parameters
    ----------
    image
        uint16 (channel, y, x), counts.

    Returns
    -------
    float (channel, 3), columns as in `QUALITY`: the share of pixels at the channel's own maximum
    (a camera of 12 or 14 bits saturates below 65535), the counts from the 2nd to the 99.9th
    percentile, and the focus: the share of the structure within 12 px that lies within 3 px, 0 for
    an image that is smooth over 12 px.

    Notes
    -----
    The structure function D(lag) is the mean squared difference of pixels `lag` apart. White noise
    adds the same to all lags, so (D(3) - D(1)) / (D(12) - D(1)) is free of it and of the gain. In a
    smooth image D grows with the squared lag: that share is taken off.
    """
    rows = []
    for plane in image:
        some = plane[::_ROW_STEP].astype(np.float32)
        low, high = np.quantile(some[:, ::4], _RANGE)
        near, middle, far = (np.square(some[:, k:] - some[:, :-k]).mean() for k in _LAGS_PX)
        focus = (middle - near) / (far - near) - _SMOOTH if far > near else 0.0
        saturated = np.count_nonzero(plane == plane.max()) / plane.size
        rows.append((saturated, high - low, focus))
    return np.array(rows, np.float64).reshape(-1, len(QUALITY))


def check_quality(
    quality: np.ndarray, names: Sequence[str], plate: pd.DataFrame, limits: dict
) -> None:
    """Refuse a tile that is saturated, or dark, bright or blurred as its plate is not.

    Parameters
    ----------
    quality
        Of the tile, as `tile_quality` returns it.
    names
        Of its channels.
    plate
        Columns channel, range_counts and focus: medians over the consensus tiles of the plate; NaN
        where none could be measured.
    limits
        ``max_saturated_fraction``, ``max_range_ratio``, ``min_focus_ratio`` (of the
        configuration's ``alignment.quality``).

    Raises
    ------
    TileError
        It names the channel, what was found, and what the plate has.
    """
    usual = plate.set_index("channel").reindex(names)[["range_counts", "focus"]].to_numpy(float)
    for name, (saturated, spread, focus), (of_plate, focus_of_plate) in zip(
        names, quality, usual, strict=True
    ):
        if saturated == 1:
            raise TileError(f"channel {name} is constant")
        if saturated > limits["max_saturated_fraction"]:
            raise TileError(f"channel {name} is saturated ({saturated:.1%} of its pixels)")
        ratio = max(spread, _LEAST_RANGE_COUNTS) / max(of_plate, _LEAST_RANGE_COUNTS)
        if ratio > limits["max_range_ratio"] or ratio < 1 / limits["max_range_ratio"]:
            raise TileError(
                f"channel {name} is too {'bright' if ratio > 1 else 'dark'}: "
                f"{spread:.0f} counts from background to cells, {of_plate:.0f} on its plate"
            )
        if focus < limits["min_focus_ratio"] * focus_of_plate:
            raise TileError(
                f"channel {name} is out of focus: {focus:.3f}, {focus_of_plate:.3f} on its plate"
            )
