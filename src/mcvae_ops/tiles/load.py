"""One tile with the shifts of its channels: what both crops and features are taken from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mcvae_ops.screen import channels_from
from mcvae_ops.tiles.crop import resample
from mcvae_ops.tiles.quality import check_quality, tile_quality
from mcvae_ops.tiles.read import read_tile
from mcvae_ops.tiles.shifts import Shifts, estimate_shifts, guard


@dataclass(frozen=True)
class AlignedTile:
    """A tile as recorded, and how its channels lie.

    Attributes
    ----------
    image
        uint16 (channel, y, x), counts, projected over z (and corrected), not shifted, not clipped.
    shifts
        Per channel, with confidence and method.
    """

    image: np.ndarray
    shifts: Shifts

    def resampled(self) -> np.ndarray:
        """Return the tile with all channels in the reference frame, float32 (channel, y, x)."""
        return resample(self.image, self.shifts.px)


def aligned_tile(
    paths: Mapping[str, str | Path],
    screen: dict,
    alignment: dict,
    consensus: pd.DataFrame,
    correct: Callable[[np.ndarray], np.ndarray] | None = None,
) -> AlignedTile:
    """Read and project one tile, and settle the shifts of its channels.

    Parameters
    ----------
    paths
        ``{channel group: path}`` of the tile's files.
    screen, alignment
        Sections of the configuration.
    consensus
        Consensus of the well: shifts, light and focus.
    correct
        Takes uneven light out of the projected tile; or None.

    Raises
    ------
    TileError
        If the tile cannot be read, its light or focus is at fault, or a channel has neither
        a shift of its own nor a consensus.
    """
    image = load_image(paths, screen)
    channels = channels_from(screen["channels"])
    names = [channel.name for channel in channels]
    check_quality(tile_quality(image), names, consensus, alignment["quality"])
    image = image if correct is None else correct(image)
    measured = estimate_shifts(image, channels, alignment)
    return AlignedTile(image, guard(measured, channels, alignment, consensus))


def load_image(paths: Mapping[str, str | Path], screen: dict) -> np.ndarray:
    """Read and project one tile: uint16 (channel, y, x); see `aligned_tile`."""
    return read_tile(
        paths,
        channels_from(screen["channels"]),
        screen["z_planes"],
        screen["projection"],
        screen["tile_size_px"],
    )
