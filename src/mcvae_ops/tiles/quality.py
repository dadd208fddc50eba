"""Light and focus of a tile, compared with the other tiles of its plate."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mcvae_ops.errors import TileError

QUALITY = ("saturated_fraction", "range_counts", "focus")
OUT_OF_FOCUS = "is out of focus"  # in the reason of a refused tile
_ROW_STEP = 16
_RANGE = (0.02, 0.999)
_LAGS_PX = (1, 3, 12)
_SMOOTH = (3**2 - 1) / (12**2 - 1)
"""Share of the structure within 3 px in an image that is smooth over 12 px."""
_LEAST_RANGE_COUNTS = 1.0
_DEAD_STEP, _DEAD_BLOCK = 4, 8
_MOST_DEAD, _MOST_ELSEWHERE = 0.02, 0.05
_MANY_TILES, _USUAL_RANGE, _LEAST_CONFIDENCE = 5, 0.5, 0.2


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
    percentile, and the focus: the share of the structure within 12 px that lies within 3 px, less
    the share that an image has which is smooth over 12 px.

    Notes
    -----
    The structure function D(lag) is the mean squared difference of pixels `lag` apart. White noise
    adds the same to all lags, so (D(3) - D(1)) / (D(12) - D(1)) depends neither on the noise nor on
    the gain. In a smooth image D grows with the squared lag: that share is subtracted.
    """
    rows = []
    for plane in image:
        rows_px = plane[::_ROW_STEP].astype(np.float32)
        low, high = np.quantile(rows_px[:, ::4], _RANGE)
        near, middle, far = (np.square(rows_px[:, k:] - rows_px[:, :-k]).mean() for k in _LAGS_PX)
        focus = (middle - near) / (far - near) - _SMOOTH if far > near else 0.0
        saturated = np.count_nonzero(plane == plane.max()) / plane.size
        rows.append((saturated, high - low, focus))
    return np.array(rows, np.float64).reshape(-1, len(QUALITY))


def check_bands(image: np.ndarray, names: Sequence[str]) -> None:
    """Refuse a tile of which a part was never written, as of a copy that broke off.

    A block of 32 px is dead if it is constant, and has a value that hardly occurs elsewhere: a
    black background that the camera clips to 0 also has constant blocks, but it is everywhere.

    Parameters
    ----------
    image
        uint16 (channel, y, x), counts.
    names
        Of its channels.

    Raises
    ------
    TileError
        It names the channel, and the share of the tile.
    """
    for name, plane in zip(names, image, strict=True):
        blocks = _blocks(plane[::_DEAD_STEP, ::_DEAD_STEP])
        dead = blocks.max(axis=1) == blocks.min(axis=1)
        if dead.all() or dead.mean() <= _MOST_DEAD:
            continue
        # The median, because blocks at the border of a dead part hold its value, too.
        elsewhere = np.median((blocks[~dead] == blocks[dead][0, 0]).mean(axis=1))
        if elsewhere < _MOST_ELSEWHERE:
            raise TileError(f"channel {name} is dead in {dead.mean():.0%} of the tile")


def check_confidence(
    quality: np.ndarray, confidence: np.ndarray, names: Sequence[str], plate: pd.DataFrame
) -> None:
    """Refuse a tile with a channel that does not match, though all show as much as usual.

    That is the file of another site. A tile that shows little, as in an empty well, cannot match
    either, but is no fault.

    Parameters
    ----------
    quality
        Of the tile, as `tile_quality` returns it.
    confidence
        Of the shift of each channel.
    names
        Of the channels.
    plate
        Columns channel, range_counts, confidence and n_tiles: medians over the consensus tiles of
        the plate, and how many of them are believed.

    Raises
    ------
    TileError
        It names the channel, its confidence and that of the plate.
    """
    columns = ["range_counts", "confidence", "n_tiles"]
    usual = plate.set_index("channel").reindex(names, columns=columns).to_numpy(float)
    if not (quality[:, QUALITY.index("range_counts")] >= _USUAL_RANGE * usual[:, 0]).all():
        return
    for name, sure, (_, sure_on_plate, n_tiles) in zip(names, confidence, usual, strict=True):
        if n_tiles >= _MANY_TILES and sure < _LEAST_CONFIDENCE * sure_on_plate:
            raise TileError(
                f"channel {name} does not match the others (confidence {sure:.2f}, "
                f"{sure_on_plate:.2f} on its plate): is its file of another site?"
            )


def check_quality(
    quality: np.ndarray, names: Sequence[str], plate: pd.DataFrame, limits: dict
) -> None:
    """Refuse a tile that is saturated, or much darker, brighter or more blurred than its plate.

    Parameters
    ----------
    quality
        Quality of the tile, as `tile_quality` returns it.
    names
        Names of its channels.
    plate
        Columns channel, range_counts and focus: medians over the consensus tiles of the plate; NaN
        where none could be measured.
    limits
        ``max_saturated_fraction``, ``max_range_ratio``, ``min_focus_ratio``: section
        ``alignment.quality`` of the configuration.

    Raises
    ------
    TileError
        The message names the channel, its value and that of the plate.
    """
    usual = plate.set_index("channel").reindex(names)[["range_counts", "focus"]].to_numpy(float)
    for name, (saturated, spread, focus), (plate_spread, plate_focus) in zip(
        names, quality, usual, strict=True
    ):
        if saturated == 1:
            raise TileError(f"channel {name} is constant")
        if saturated > limits["max_saturated_fraction"]:
            raise TileError(f"channel {name} is saturated ({saturated:.1%} of its pixels)")
        ratio = max(spread, _LEAST_RANGE_COUNTS) / max(plate_spread, _LEAST_RANGE_COUNTS)
        if ratio > limits["max_range_ratio"] or ratio < 1 / limits["max_range_ratio"]:
            raise TileError(
                f"channel {name} is too {'bright' if ratio > 1 else 'dark'}: "
                f"{spread:.0f} counts from background to cells, {plate_spread:.0f} on its plate"
            )
        if focus < limits["min_focus_ratio"] * plate_focus:
            raise TileError(
                f"channel {name} {OUT_OF_FOCUS}: {focus:.3f}, {plate_focus:.3f} on its plate"
            )


def _blocks(image: np.ndarray) -> np.ndarray:
    """Return the pixels of the square blocks of an image (block, pixel); a rest is left out."""
    rows, columns = (n // _DEAD_BLOCK for n in image.shape)
    whole = image[: rows * _DEAD_BLOCK, : columns * _DEAD_BLOCK]
    blocks = whole.reshape(rows, _DEAD_BLOCK, columns, _DEAD_BLOCK).swapaxes(1, 2)
    return blocks.reshape(rows * columns, -1)
