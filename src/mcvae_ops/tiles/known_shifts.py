"""Known shifts, measured on tiles of the screen: is the alignment right for this screen?

The true shift between two channels of a tile is unknown. But a shift that is planted on top of it
must be found again, and channels that were recorded in one file must measure zero.
"""

import zlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from mcvae_ops.screen import Channel
from mcvae_ops.tiles.crop import resample, sample_shifted
from mcvae_ops.tiles.registration import measure_shift, prepare_image

COLUMNS = ["check", "channel", "against", "error_px", "confidence"]
PLANTED, SAME_FILE = "planted shift", "one file"
_MARGIN_PX = 12
_OVERLAY_PX = 160


def plant_shift(plane: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Move the content of an image (y, x) by -shift px, so that `shift` moves it back."""
    return np.rint(resample(plane[None], -np.asarray(shift, float)[None])[0]).astype(np.uint16)


def check_tile(
    image: np.ndarray, channels: Sequence[Channel], alignment: dict, name: str
) -> pd.DataFrame:
    """Measure known shifts in one tile.

    Every channel that the alignment measures gets two planted shifts: one of whole pixels and one
    with fractions of a pixel. They point towards zero, so that the sum with the channel's own shift
    stays within the search range. Channels recorded in one file with the reference are in register:
    their known shift is zero.

    Parameters
    ----------
    image
        uint16 (channel, y, x), counts.
    channels
        Along the channel axis.
    alignment
        Section of the configuration.
    name
        Name of the tile; it seeds the draw of the planted shifts.

    Returns
    -------
    Columns `COLUMNS`; error_px is the distance from the known shift.
    """
    position = {channel.name: k for k, channel in enumerate(channels)}
    inner = np.s_[_MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    rows = []
    for moving, fixed in alignment["measure"].items():
        plane, target = image[position[moving]], image[position[fixed]]
        onto = prepare_image(target[inner], alignment)
        own = measure_shift(prepare_image(plane[inner], alignment), onto, alignment).px
        planted = -np.copysign(rng.uniform(1, _MARGIN_PX - 2, (2, 2)), own)
        planted[0] = np.round(planted[0])
        for shift in planted:
            moved = prepare_image(plant_shift(plane, shift)[inner], alignment)
            px, confidence, _ = measure_shift(moved, onto, alignment)
            rows.append((PLANTED, moving, fixed, np.hypot(*(px - own - shift)), confidence))
    for moving, fixed in _in_one_file(channels, alignment["reference"]):
        pair = [prepare_image(image[position[name]], alignment) for name in (moving, fixed)]
        px, confidence, _ = measure_shift(*pair, alignment)
        rows.append((SAME_FILE, moving, fixed, np.hypot(*px), confidence))
    return pd.DataFrame(rows, columns=COLUMNS)


def overlay_pixels(
    image: np.ndarray, shifts: np.ndarray, channels: Sequence[Channel], alignment: dict
) -> list[pd.DataFrame]:
    """Return the middle of a tile before and after the alignment of its measured channels.

    Parameters
    ----------
    image
        uint16 (channel, y, x), counts.
    shifts
        (channel, 2), px.
    channels
        Along the channel axis.
    alignment
        Section of the configuration.

    Returns
    -------
    One table per measured channel: moving, fixed, y, x, fixed_counts, before_counts,
    after_counts; all of them in the frame of the fixed channel.
    """
    position = {channel.name: k for k, channel in enumerate(channels)}
    size = min(_OVERLAY_PX, *image.shape[1:])
    top, left = ((n - size) // 2 for n in image.shape[1:])
    y, x = (axis.ravel() for axis in np.indices((size, size), np.int32))
    tables = []
    for moving, fixed in alignment["measure"].items():
        pair = image[[position[fixed], position[moving], position[moving]]]
        shift = shifts[position[moving]] - shifts[position[fixed]]
        window = sample_shifted(pair, np.stack([0 * shift, 0 * shift, shift]), top, left, size)
        counts = np.rint(window).astype(np.int32).reshape(3, -1)
        values = dict(zip(("fixed_counts", "before_counts", "after_counts"), counts, strict=True))
        tables.append(pd.DataFrame({"moving": moving, "fixed": fixed, "y": y, "x": x, **values}))
    return tables


def _in_one_file(channels: Sequence[Channel], reference: str) -> list[tuple[str, str]]:
    group = next(channel.group for channel in channels if channel.name == reference)
    return [(c.name, reference) for c in channels if c.group == group and c.name != reference]
