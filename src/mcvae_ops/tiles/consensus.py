"""The shift on which the tiles of a plate agree, and their usual light and focus."""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from mcvae_ops.errors import TileError
from mcvae_ops.files import write_parquet
from mcvae_ops.progress import Progress
from mcvae_ops.screen import Channel, channels_from
from mcvae_ops.tiles.fetch import stream_tiles
from mcvae_ops.tiles.known_shifts import check_tile, overlay_pixels
from mcvae_ops.tiles.load import load_image
from mcvae_ops.tiles.quality import QUALITY, tile_quality
from mcvae_ops.tiles.shifts import Shifts, believable, estimate_shifts
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
    """Choose tiles evenly over the wells of a plate, and over the sites of each.

    Parameters
    ----------
    files
        Files table of one plate.
    n_tiles
        How many are wanted.

    Returns
    -------
    (well, tile), fewer than `n_tiles` only where the plate has fewer.
    """
    tiles = sorted(set(zip(files["well"], files["tile"], strict=True)))
    n_tiles = min(n_tiles, len(tiles))
    return [tiles[int((k + 0.5) * len(tiles) / n_tiles)] for k in range(n_tiles)]


def agree(measured: Sequence[Shifts], channels: Sequence[Channel], alignment: dict) -> pd.DataFrame:
    """Find the shift of each channel on which believable tiles agree.

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
    Columns channel, dy_px, dx_px (median), n_tiles (believable ones), spread_px (median distance
    from the median) and confidence (median of these tiles); NaN where no tile is believable.
    """
    trusted = np.array([believable(one, alignment) for one in measured], bool)
    rows = []
    for k, channel in enumerate(channels):
        px = np.array([one.px[k] for one, ok in zip(measured, trusted, strict=True) if ok[k]])
        dy, dx = np.median(px, axis=0) if len(px) else (np.nan, np.nan)
        spread = np.median(np.hypot(*(px - (dy, dx)).T)) if len(px) else np.nan
        sure = [one.confidence[k] for one, ok in zip(measured, trusted, strict=True) if ok[k]]
        confidence = np.median(sure) if sure else np.nan
        rows.append((channel.name, dy, dx, len(px), spread, confidence))
    columns = ["channel", "dy_px", "dx_px", "n_tiles", "spread_px", "confidence"]
    return pd.DataFrame(rows, columns=columns)


def consensus_table(
    measured: Sequence[tuple[str, Shifts, np.ndarray]],
    channels: Sequence[Channel],
    alignment: dict,
) -> pd.DataFrame:
    """Return the consensus of a plate, and with ``alignment.consensus_of: well`` of its wells.

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
    Columns of `agree` and `usual_quality`, and well, "" for the plate.
    """
    wells = sorted({well for well, _, _ in measured})
    tables = []
    for name in ["", *(wells if alignment["consensus_of"] == "well" else [])]:
        some = [(shifts, quality) for well, shifts, quality in measured if name in ("", well)]
        table = agree([shifts for shifts, _ in some], channels, alignment)
        quality = usual_quality([quality for _, quality in some], len(channels))
        tables.append(table.join(quality).assign(well=name))
    return pd.concat(tables, ignore_index=True)


def usual_quality(qualities: Sequence[np.ndarray], n_channels: int) -> pd.DataFrame:
    """Return the medians over tiles of what `tile_quality` measures; NaN without a tile."""
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
    """Rule plate_shifts: measure some tiles of a plate; write its consensus and what checks it."""
    table = pd.read_parquet(files, filters=[("plate", "==", plate)])
    channels = channels_from(screen["channels"])
    chosen = spread_tiles(table, alignment["consensus_tiles"])
    progress = Progress(len(chosen), "tiles", f"measure {plate}")
    measured, checked, pictures = [], [], []
    by_tile = table.groupby(["well", "tile"])
    wanted = {(well, tile): by_tile.get_group((well, tile)) for well, tile in chosen}
    for (well, tile), paths in stream_tiles(wanted, cache, archive):
        try:
            if isinstance(paths, TileError):
                raise paths
            image = load_image(paths, screen, archive, window_of(tile, screen))
            shifts = estimate_shifts(image, channels, alignment)
            measured.append((well, shifts, tile_quality(image)))
            found = check_tile(image, channels, alignment, f"{plate}/{well}/{tile}")
            if not pictures and believable(shifts, alignment).all():
                pairs = overlay_pixels(image, shifts.px, channels, alignment)
                pictures = [pair.assign(plate=plate, well=well, tile=tile) for pair in pairs]
            checked += found.assign(plate=plate, well=well, tile=tile).to_dict("records")
        except TileError as error:
            logger.warning("%s %s tile %d is left out: %s", plate, well, tile, error)
        progress.step()
    result = consensus_table(measured, channels, alignment)
    logger.info("consensus of %s:\n%s", plate, result.to_string(index=False))
    result.insert(0, "plate", plate)
    write_parquet(result, consensus)
    write_parquet(pa.Table.from_pylist(checked, CHECKS), checks)
    parts = [pa.Table.from_pandas(picture, OVERLAY, preserve_index=False) for picture in pictures]
    write_parquet(pa.concat_tables([OVERLAY.empty_table(), *parts]), overlay)
