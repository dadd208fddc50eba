"""Shifts that are known, measured on tiles of the run: does the method hold on this screen?"""

import zlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from mcvae_ops.screen import Channel
from mcvae_ops.tiles.correlate import measure_shift, spectrum_of
from mcvae_ops.tiles.crop import resample

COLUMNS = ["check", "channel", "against", "error_px", "confidence"]
PLANTED, SAME_FILE = "planted shift", "one file"
_MARGIN_PX = 12


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
        onto = spectrum_of(target[inner], alignment)
        rest, _ = measure_shift(spectrum_of(plane[inner], alignment), onto, alignment)
        known = -np.copysign(rng.uniform(1, _MARGIN_PX - 2, (2, 2)), rest)
        known[0] = np.round(known[0])
        for shift in known:
            moved = spectrum_of(plant_shift(plane, shift)[inner], alignment)
            found, sure = measure_shift(moved, onto, alignment)
            rows.append((PLANTED, moving, fixed, np.hypot(*(found - rest - shift)), sure))
    for moving, fixed in _in_one_file(channels, alignment["reference"]):
        pair = [spectrum_of(image[position[one]], alignment) for one in (moving, fixed)]
        found, sure = measure_shift(*pair, alignment)
        rows.append((SAME_FILE, moving, fixed, np.hypot(*found), sure))
    return pd.DataFrame(rows, columns=COLUMNS)


def _in_one_file(channels: Sequence[Channel], reference: str) -> list[tuple[str, str]]:
    group = next(channel.group for channel in channels if channel.name == reference)
    riding = (c.name for c in channels if c.group == group and c.name != reference)
    return [(name, reference) for name in riding]
