"""Shifts that are known, measured on tiles of the run: does the method hold on this screen?"""

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
    """Move what an image (y, x) shows by -shift px, so that `shift` brings it back."""
    return np.rint(resample(plane[None], -np.asarray(shift, float)[None])[0]).astype(np.uint16)


def check_tile(
    image: np.ndarray, channels: Sequence[Channel], alignment: dict, name: str
) -> pd.DataFrame:
    """Measure shifts of one tile that are known.

    A known shift is put on top of every channel that is measured, towards zero so that it stays
    within bounds: a whole one and one of fractions of a pixel. Channels recorded in one file with
    what they are measured against, or with the reference, lie in register: they measure zero.

    Parameters
    ----------
    image
        uint16 (channel, y, x), counts.
    channels
        Along the channel axis.
    alignment
        Section of the configuration.
    name
        Of the tile: seeds the shifts.

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
        rest = measure_shift(prepare_image(plane[inner], alignment), onto, alignment).px
        known = -np.copysign(rng.uniform(1, _MARGIN_PX - 2, (2, 2)), rest)
        known[0] = np.round(known[0])
        for shift in known:
            moved = prepare_image(plant_shift(plane, shift)[inner], alignment)
            found, sure, _ = measure_shift(moved, onto, alignment)
            rows.append((PLANTED, moving, fixed, np.hypot(*(found - rest - shift)), sure))
    for moving, fixed in _in_one_file(channels, alignment["reference"]):
        pair = [prepare_image(image[position[one]], alignment) for one in (moving, fixed)]
        found, sure, _ = measure_shift(*pair, alignment)
        rows.append((SAME_FILE, moving, fixed, np.hypot(*found), sure))
    return pd.DataFrame(rows, columns=COLUMNS)


def overlay_pixels(
    image: np.ndarray, shifts: np.ndarray, channels: Sequence[Channel], alignment: dict
) -> list[pd.DataFrame]:
    """Return the middle of a tile before and after its measured channels are shifted.

    Parameters
    ----------
    image
        uint16 (channel, y, x), counts.
    shifts
        (channel, 2), px.

    Returns
    -------
    One table per measured channel: moving, fixed, y, x, fixed_counts, before_counts,
    after_counts; both channels as they lie in the frame of the fixed one.
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
    riding = (c.name for c in channels if c.group == group and c.name != reference)
    return [(name, reference) for name in riding]
