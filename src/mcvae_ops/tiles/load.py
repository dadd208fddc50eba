"""One tile with the shifts of its channels: what both crops and features are taken from."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mcvae_ops.archive.transfer import fetch, is_remote
from mcvae_ops.errors import InputError, TileError
from mcvae_ops.screen import channels_from
from mcvae_ops.tiles.crop import resample
from mcvae_ops.tiles.faults import check_quality, tile_quality
from mcvae_ops.tiles.read import read_tile
from mcvae_ops.tiles.shifts import Shifts, estimate_shifts, guard


@dataclass(frozen=True)
class AlignedTile:
    """A tile as recorded, and how its channels lie.

    Attributes
    ----------
    image
        uint16 (channel, y, x), counts, projected over z, not shifted, not clipped.
    shifts
        Per channel, with confidence and method.
    """

    image: np.ndarray
    shifts: Shifts

    def resampled(self) -> np.ndarray:
        """Return the tile with all channels in the reference frame, float32 (channel, y, x)."""
        return resample(self.image, self.shifts.px)


def aligned_tile(
    files: pd.DataFrame,
    screen: dict,
    alignment: dict,
    consensus: pd.DataFrame,
    cache: str | Path,
    archive: dict,
) -> AlignedTile:
    """Fetch, read and project one tile, and settle the shifts of its channels.

    Parameters
    ----------
    files
        Rows of the files table of one tile, one per channel group.
    screen, alignment, archive
        Sections of the configuration.
    consensus
        Consensus of the plate: shifts, light and focus.
    cache
        Folder for fetched files; they are deleted once the tile is read.

    Raises
    ------
    TileError
        If the tile cannot be read, its light or focus is at fault, or a channel has neither
        a shift of its own nor a consensus.
    TransferError
        If the archive does not answer: the job is to be run again.
    """
    image = load_image(files, screen, cache, archive)
    channels = channels_from(screen["channels"])
    names = [channel.name for channel in channels]
    check_quality(tile_quality(image), names, consensus, alignment["faults"])
    measured = estimate_shifts(image, channels, alignment)
    return AlignedTile(image, guard(measured, channels, alignment, consensus))


def load_image(files: pd.DataFrame, screen: dict, cache: str | Path, archive: dict) -> np.ndarray:
    """Fetch, read and project one tile: uint16 (channel, y, x); see `aligned_tile`."""
    with fetched(files, cache, archive) as paths:
        return read_tile(
            paths,
            channels_from(screen["channels"]),
            screen["z_planes"],
            screen["projection"],
            screen["tile_size_px"],
        )


@contextmanager
def fetched(files: pd.DataFrame, cache: str | Path, archive: dict) -> Iterator[dict[str, Path]]:
    """Yield ``{group: path}`` of a tile's files, several fetched at a time."""

    def fetch_one(row) -> Path:
        target = Path(cache) / row.path
        return fetch(row.address, target, row.size_bytes, archive["retries"], archive["timeout_s"])

    rows = list(files.itertuples())
    try:
        with ThreadPoolExecutor(archive["streams"]) as pool:
            yield dict(zip(files["group"], pool.map(fetch_one, rows), strict=True))
    except InputError as error:
        raise TileError(str(error)) from error
    finally:
        for row in rows:
            if is_remote(row.address):
                (Path(cache) / row.path).unlink(missing_ok=True)
