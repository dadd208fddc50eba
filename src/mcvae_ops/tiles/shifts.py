"""Shifts of the channels of one tile: measured, and replaced by the consensus where unreliable.

A shift (dy, dx) in px, added to the coordinates of a channel, gives those in the reference frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mcvae_ops.errors import TileError
from mcvae_ops.screen import Channel
from mcvae_ops.tiles.chain import resolve_chain
from mcvae_ops.tiles.registration import measure_shift, prepare_image

_MANY_TILES = 5
_OUTLIER_PX, _OUTLIER_SPREADS = 3.0, 10.0
_SIGMAS_OF_MEDIAN_DISTANCE = 1.18
"""Median distance from the middle of a round Gaussian, in its sigmas: sqrt(2 ln 2)."""


@dataclass(frozen=True)
class Shifts:
    """Shifts of the channels of one tile.

    Attributes
    ----------
    px
        float (channel, 2), (dy, dx).
    confidence
        float (channel,), in [0, 1]; 1 for the reference.
    error_px
        float (channel,), standard error along one axis; 0 for the reference.
    method
        Per channel ``reference``, ``measured`` or ``consensus``.
    """

    px: np.ndarray
    confidence: np.ndarray
    error_px: np.ndarray
    method: tuple[str, ...]


def estimate_shifts(image: np.ndarray, channels: Sequence[Channel], alignment: dict) -> Shifts:
    """Measure the shift of every channel of a tile, along the chain to the reference.

    Parameters
    ----------
    image
        uint16 (channel, y, x), counts.
    channels
        Along the channel axis.
    alignment
        Section of the configuration.

    Returns
    -------
    Shifts; along a chain shifts and variances add up, and the lowest confidence counts.

    Raises
    ------
    TileError
        If a channel is constant: its shift is undefined.
    """
    chain = resolve_chain(channels, alignment)
    position = {channel.name: k for k, channel in enumerate(channels)}
    for name, k in position.items():
        if image[k].min() == image[k].max():
            raise TileError(f"channel {name} is constant, so it cannot be aligned")
    used = {name for pair in _edges(chain, alignment) for name in pair}
    prepared = {name: prepare_image(image[position[name]], alignment) for name in sorted(used)}
    px = np.zeros((len(channels), 2))
    confidence, error_px = np.ones(len(channels)), np.zeros(len(channels))
    for name, target in chain.items():
        if target is None:
            continue
        k, onto = position[name], position[target]
        px[k], confidence[k], error_px[k] = px[onto], confidence[onto], error_px[onto]
        if name in alignment["measure"]:
            step = measure_shift(prepared[name], prepared[target], alignment)
            px[k] += step.px
            confidence[k] = min(confidence[k], step.confidence)
            error_px[k] = np.hypot(error_px[k], step.error_px)
    method = ("reference" if chain[channel.name] is None else "measured" for channel in channels)
    return Shifts(px, confidence, error_px, tuple(method))


def apply_consensus(
    measured: Shifts, channels: Sequence[Channel], alignment: dict, consensus: pd.DataFrame
) -> Shifts:
    """Replace shifts that are unreliable, or less exact than the consensus, by the consensus.

    A shift is reliable if its confidence is at least ``alignment.min_confidence`` and both its
    components are at most ``alignment.max_shift_px``. The consensus of at least `_MANY_TILES` tiles
    also replaces a reliable shift if those tiles scatter less than the shift's standard error, and
    the shift differs from them by at most three standard errors: the difference is then the error
    of its own measurement. It also replaces a shift far from these tiles (`_OUTLIER_PX`, and
    `_OUTLIER_SPREADS` of their spread), because periodic structure matches itself with high
    confidence at a wrong shift.

    Parameters
    ----------
    measured
        Shifts of one tile.
    channels
        Along the channel axis.
    alignment
        Section of the configuration.
    consensus
        As `median_shifts` returns it, one row per channel; shifts are NaN where there is none.

    Raises
    ------
    TileError
        If a shift is unreliable and there is no consensus either.
    """
    columns = ["dy_px", "dx_px", "n_tiles", "spread_px"]
    names = [channel.name for channel in channels]
    usual = consensus.set_index("channel").reindex(names, columns=columns).to_numpy(float)
    is_reliable = reliable_shifts(measured, alignment)
    px, method = measured.px.copy(), list(measured.method)
    for k, name in enumerate(names):
        gives_way = _is_less_exact(measured, k, *usual[k]) or _is_outlier(measured.px[k], *usual[k])
        if is_reliable[k] and not gives_way:
            continue
        if np.isnan(usual[k, :2]).any():
            dy, dx = measured.px[k]
            raise TileError(
                f"channel {name}: shift ({dy:.1f}, {dx:.1f}) px at confidence "
                f"{measured.confidence[k]:.2f} is unreliable, and the plate has no consensus"
            )
        px[k], method[k] = usual[k, :2], "consensus"
    return Shifts(px, measured.confidence, measured.error_px, tuple(method))


def reliable_shifts(measured: Shifts, alignment: dict) -> np.ndarray:
    """Return per channel whether its shift is sure and small enough, bool (channel,)."""
    is_small = (np.abs(measured.px) <= alignment["max_shift_px"]).all(axis=1)
    return is_small & (measured.confidence >= alignment["min_confidence"])


def consensus_of_well(consensus: pd.DataFrame, well: str) -> pd.DataFrame:
    """Return a well's consensus, one row per channel: its own, or that of its plate (well "")."""
    of_plate, of_well = (consensus[consensus["well"] == name] for name in ("", well))
    measured = of_well[of_well["dy_px"].notna()]
    return pd.concat([measured, of_plate]).drop_duplicates("channel").reset_index(drop=True)


def _is_outlier(px: np.ndarray, dy: float, dx: float, n_tiles: float, spread_px: float) -> bool:
    distance_px = np.hypot(*(px - (dy, dx)))
    return n_tiles >= _MANY_TILES and distance_px > max(_OUTLIER_PX, _OUTLIER_SPREADS * spread_px)


def _is_less_exact(
    measured: Shifts, k: int, dy: float, dx: float, n_tiles: float, spread_px: float
) -> bool:
    error_px, sigma_px = measured.error_px[k], spread_px / _SIGMAS_OF_MEDIAN_DISTANCE
    if measured.method[k] != "measured" or not (n_tiles >= _MANY_TILES and sigma_px < error_px):
        return False
    return np.hypot(*(measured.px[k] - (dy, dx))) <= 3 * np.hypot(error_px, sigma_px)


def _edges(chain: dict[str, str | None], alignment: dict) -> list[tuple[str, str]]:
    return [(a, b) for a, b in chain.items() if b is not None and a in alignment["measure"]]
