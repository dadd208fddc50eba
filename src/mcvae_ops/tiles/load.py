"""Load one tile: read, project, check, correct, and find the shifts of its channels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mcvae_ops.screen import channels_from
from mcvae_ops.tiles.crop import resample
from mcvae_ops.tiles.image_formats import Window
from mcvae_ops.tiles.quality import check_bands, check_confidence, check_quality, tile_quality
from mcvae_ops.tiles.read import read_tile
from mcvae_ops.tiles.shifts import Shifts, apply_consensus, estimate_shifts


@dataclass(frozen=True)
class AlignedTile:
    """A tile as recorded, and the shifts of its channels.

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
    archive: dict | None = None,
    window: Window | None = None,
) -> AlignedTile:
    """Read and project one tile, check its quality, and find the shifts of its channels.

    Parameters
    ----------
    paths
        ``{channel group: path}`` of the tile's files.
    screen, alignment
        Sections of the configuration.
    consensus
        Consensus of the well: shifts, light and focus.
    correct
        Corrects the uneven illumination of the projected tile; or None.
    archive, window
        See `read_tile`.

    Raises
    ------
    TileError
        If the tile cannot be read, its light or focus is unusable, or a channel has neither a
        reliable shift of its own nor a consensus.
    """
    image = load_image(paths, screen, archive, window)
    channels = channels_from(screen["channels"])
    names = [channel.name for channel in channels]
    quality = tile_quality(image)
    check_quality(quality, names, consensus, alignment["quality"])
    image = image if correct is None else correct(image)
    measured = estimate_shifts(image, channels, alignment)
    check_confidence(quality, measured.confidence, names, consensus)
    return AlignedTile(image, apply_consensus(measured, channels, alignment, consensus))


def load_image(
    paths: Mapping[str, str | Path],
    screen: dict,
    archive: dict | None = None,
    window: Window | None = None,
) -> np.ndarray:
    """Read and project one tile, or a window of it: uint16 (channel, y, x); see `aligned_tile`."""
    channels = channels_from(screen["channels"])
    image = read_tile(
        paths,
        channels,
        screen["z_planes"],
        screen["projection"],
        screen["tile_size_px"],
        screen["axes"],
        screen["counts"],
        window,
        archive,
    )
    check_bands(image, [channel.name for channel in channels])
    return image
