"""The consensus of a plate: the usual shift of each channel, the usual light and focus.

A few tiles per plate are measured before any is cropped. Their medians replace the shift of a tile
that could not be measured, and are the standard for its light and focus.
"""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from mcvae_ops.errors import InputError, TileError
from mcvae_ops.files import read_frame, write_parquet
from mcvae_ops.progress import Progress
from mcvae_ops.screen import Channel, channels_from
from mcvae_ops.tiles.fetch import stream_tiles
from mcvae_ops.tiles.known_shifts import check_tile, overlay_pixels
from mcvae_ops.tiles.load import load_image
from mcvae_ops.tiles.quality import QUALITY, tile_quality
from mcvae_ops.tiles.shifts import Shifts, estimate_shifts, reliable_shifts
from mcvae_ops.tiles.stitched import window_of

CHECKS = pa.schema(
    {
        "plate": pa.string(),
        "well": pa.string(),
        "tile": pa.int32(),
        "check": pa.string(),
        "channel": pa.string(),
        "against": pa.string(),
        "error_px": pa.float64(),
        "confidence": pa.float64(),
    }
)
OVERLAY = pa.schema(
    {"plate": pa.string(), "well": pa.string(), "tile": pa.int32()}
    | {"moving": pa.string(), "fixed": pa.string()}
    | dict.fromkeys(("y", "x", "fixed_counts", "before_counts", "after_counts"), pa.int32())
)
logger = logging.getLogger(__name__)


def spread_tiles(files: pd.DataFrame, n_tiles: int) -> list[tuple[str, int]]:
    """Choose tiles that are spread evenly over the wells of a plate and over the sites of each.

    Parameters
    ----------
    files
        Files table of one plate.
    n_tiles
        Number of tiles.

    Returns
    -------
    (well, tile), fewer than `n_tiles` only where the plate has fewer.
    """
    tiles = sorted(set(zip(files["well"], files["tile"], strict=True)))
    n_tiles = min(n_tiles, len(tiles))
    return [tiles[int((k + 0.5) * len(tiles) / n_tiles)] for k in range(n_tiles)]


def median_shifts(
    measured: Sequence[Shifts], channels: Sequence[Channel], alignment: dict
) -> pd.DataFrame:
    """Return the median shift of each channel over the tiles whose shift is reliable.

    Parameters
    ----------
    measured
        Shifts of some tiles.
    channels
        Along the channel axis.
    alignment
        Section of the configuration.

    Returns
    -------
    Columns channel, dy_px, dx_px (median), n_tiles (the reliable ones), spread_px (median distance
    from the median) and confidence (median of these tiles); NaN where no tile is reliable.
    """
    is_reliable = np.array([reliable_shifts(shifts, alignment) for shifts in measured], bool)
    shift_px = np.array([shifts.px for shifts in measured])
    rows = []
    for k, channel in enumerate(channels):
        px = shift_px[is_reliable[:, k], k] if measured else np.empty((0, 2))
        dy, dx = np.median(px, axis=0) if len(px) else (np.nan, np.nan)
        spread = np.median(np.hypot(*(px - (dy, dx)).T)) if len(px) else np.nan
        reliable = [shifts for shifts, ok in zip(measured, is_reliable, strict=True) if ok[k]]
        of_tiles = [shifts.confidence[k] for shifts in reliable]
        confidence = np.median(of_tiles) if of_tiles else np.nan
        rows.append((channel.name, dy, dx, len(px), spread, confidence))
    columns = ["channel", "dy_px", "dx_px", "n_tiles", "spread_px", "confidence"]
    return pd.DataFrame(rows, columns=columns)


def consensus_table(
    measured: Sequence[tuple[str, Shifts, np.ndarray]],
    channels: Sequence[Channel],
    alignment: dict,
) -> pd.DataFrame:
    """Return the consensus of a plate, and with ``alignment.consensus_of: well`` of each well too.

    Parameters
    ----------
    measured
        Well, shifts and quality of some tiles.
    channels
        Along the channel axis.
    alignment
        Section of the configuration.

    Returns
    -------
    Columns of `median_shifts` and `median_quality`, and well ("" for the plate).
    """
    wells = sorted({well for well, _, _ in measured})
    tables = []
    for name in ["", *(wells if alignment["consensus_of"] == "well" else [])]:
        chosen = [(shifts, quality) for well, shifts, quality in measured if name in ("", well)]
        table = median_shifts([shifts for shifts, _ in chosen], channels, alignment)
        quality = median_quality([quality for _, quality in chosen], len(channels))
        tables.append(table.join(quality).assign(well=name))
    return pd.concat(tables, ignore_index=True)


def median_quality(qualities: Sequence[np.ndarray], n_channels: int) -> pd.DataFrame:
    """Return the medians over tiles of the columns of `tile_quality`; NaN without a tile."""
    if not qualities:
        return pd.DataFrame(np.full((n_channels, len(QUALITY)), np.nan), columns=QUALITY)
    return pd.DataFrame(np.median(qualities, axis=0), columns=QUALITY)


def plate_shifts(
    files: str,
    screen: dict,
    alignment: dict,
    archive: dict,
    plate: str,
    cache: str,
    consensus: str,
    checks: str,
    overlay: str,
) -> None:
    """Rule plate_shifts: measure some tiles of a plate, write their consensus and its checks.

    Parameters
    ----------
    files
        Files table of the screen.
    screen, alignment, archive
        Sections of the configuration.
    plate
        Which plate.
    cache
        Folder for fetched files.
    consensus
        Output: see `consensus_table`.
    checks
        Output: known shifts that were measured (see `check_tile`), by tile.
    overlay
        Output: the middle of one tile before and after its shifts, one row per pixel.

    Raises
    ------
    InputError
        If no tile can be used: then the configuration describes other images.
    """
    table = read_frame(files, filters=[("plate", "==", plate)])
    channels = channels_from(screen["channels"])
    chosen = spread_tiles(table, alignment["consensus_tiles"])
    progress = Progress(len(chosen), "tiles", f"measure {plate}")
    measured, checked, pictures, reasons = [], [], [], []
    by_tile = table.groupby(["well", "tile"])
    wanted = {(well, tile): by_tile.get_group((well, tile)) for well, tile in chosen}
    for (well, tile), paths in stream_tiles(wanted, cache, archive):
        try:
            if isinstance(paths, TileError):
                raise paths
            image = load_image(paths, screen, archive, window_of(tile, screen))
            shifts = estimate_shifts(image, channels, alignment)
            measured.append((well, shifts, tile_quality(image)))
            errors = check_tile(image, channels, alignment, f"{plate}/{well}/{tile}")
            if not pictures and reliable_shifts(shifts, alignment).all():
                pairs = overlay_pixels(image, shifts.px, channels, alignment)
                pictures = [pair.assign(plate=plate, well=well, tile=tile) for pair in pairs]
            checked += errors.assign(plate=plate, well=well, tile=tile).to_dict("records")
        except TileError as error:
            logger.warning("%s %s tile %d is left out: %s", plate, well, tile, error)
            reasons.append(f"tile {tile} of {well}: {error}")
        progress.step()
    if not measured:
        raise InputError(
            where=f"plate {plate}",
            found=f"{len(reasons)} of {len(reasons)} tiles unusable ({reasons[0]})",
            expected="tiles as the section screen describes them",
            fix="correct screen.tile_size_px, z_planes or channels, or replace the files",
        )
    result = consensus_table(measured, channels, alignment)
    logger.info("consensus of %s:\n%s", plate, result.to_string(index=False))
    result.insert(0, "plate", plate)
    write_parquet(result, consensus)
    write_parquet(pa.Table.from_pylist(checked, CHECKS), checks)
    parts = [pa.Table.from_pandas(picture, OVERLAY, preserve_index=False) for picture in pictures]
    write_parquet(pa.concat_tables([OVERLAY.empty_table(), *parts]), overlay)
