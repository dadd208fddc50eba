"""A chunk of a well's tiles becomes crops, in one shard of NTC and one of perturbed cells."""

import logging
import zlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mcvae_ops.errors import InputError, TileError
from mcvae_ops.files import write_parquet
from mcvae_ops.progress import Progress
from mcvae_ops.screen import channels_from
from mcvae_ops.shards.format import write_shard
from mcvae_ops.tiles.crop import clip, crop_cells
from mcvae_ops.tiles.load import AlignedTile, aligned_tile

logger = logging.getLogger(__name__)

ALIGNMENT = pa.schema(
    {
        "plate": pa.string(),
        "well": pa.string(),
        "tile": pa.int32(),
        "channel": pa.string(),
        "dy_px": pa.float64(),
        "dx_px": pa.float64(),
        "confidence": pa.float64(),
        "method": pa.string(),
        "passed": pa.bool_(),
        "reason": pa.string(),
    }
)
DROPPED = pa.schema(
    {
        "plate": pa.string(),
        "well": pa.string(),
        "tile": pa.int32(),
        "reason": pa.string(),
        "n_cells": pa.int64(),
    }
)


def tiles_of_chunk(tiles: dict, tiles_per_chunk: int, chunk: int) -> range:
    """Return the tiles of chunk `chunk` (from 0) of a well with tiles first to last."""
    first = tiles["first"] + chunk * tiles_per_chunk
    return range(first, min(first + tiles_per_chunk, tiles["last"] + 1))


@dataclass
class Cropped:
    """What has come of the tiles so far.

    Attributes
    ----------
    crops
        uint16 (cell, channel, y, x); room for every cell, filled in the order of `cells`.
    cells
        Rows of the cells table of the kept cells, by tile.
    alignment, dropped
        Rows of the tables of those names.
    failed
        Tiles that could not be used.
    """

    crops: np.ndarray
    cells: list[pd.DataFrame]
    alignment: list[dict] = field(default_factory=list)
    dropped: list[dict] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    n_cells: int = 0

    def add_tile(
        self, tile: int, aligned: AlignedTile, cells: pd.DataFrame, names: list[str], crop: dict
    ) -> None:
        """Clip the tile, cut its cells out, and note how its channels lie."""
        image = clip(aligned.image, crop["clip_fraction"])
        centres = cells[["y_px", "x_px"]].to_numpy()
        cut = crop_cells(image, aligned.shifts.px, centres, crop["size_px"])
        end = self.n_cells + len(cut.images)
        self.crops[self.n_cells : end] = cut.images
        self.n_cells = end
        self.cells.append(cells[cut.kept])
        for reason, n in sorted(Counter(cut.reasons[~cut.kept]).items()):
            self.dropped.append({"tile": tile, "reason": reason, "n_cells": n})
        shifts = aligned.shifts
        for k, name in enumerate(names):
            self._note(tile, name, *shifts.px[k], shifts.confidence[k], shifts.method[k], "")

    def fail_tile(self, tile: int, n_cells: int, names: list[str], reason: str) -> None:
        """Note that a tile could not be used, and that its cells are lost."""
        self.failed[tile] = reason
        if n_cells:
            self.dropped.append({"tile": tile, "reason": "tile failed", "n_cells": n_cells})
        for name in names:
            self._note(tile, name, np.nan, np.nan, np.nan, "failed", reason)

    def _note(self, tile, channel, dy, dx, confidence, method, reason) -> None:
        self.alignment.append(
            {
                "tile": tile,
                "channel": channel,
                "dy_px": dy,
                "dx_px": dx,
                "confidence": confidence,
                "method": method,
                "passed": reason == "",
                "reason": reason,
            }
        )


def crop_tiles(
    files: pd.DataFrame,
    cells: pd.DataFrame,
    consensus: pd.DataFrame,
    tiles: range,
    screen: dict,
    alignment: dict,
    crop: dict,
    archive: dict,
    cache: str,
) -> Cropped:
    """Crop the cells of some tiles of one well; a tile that is broken is noted, not fatal.

    Parameters
    ----------
    files, cells
        Tables of the well.
    consensus
        Consensus shifts of its plate.
    tiles
        Which tiles.
    screen, alignment, crop, archive
        Sections of the configuration.
    cache
        Folder for fetched files.
    """
    names = [channel.name for channel in channels_from(screen["channels"])]
    cells = cells[cells["tile"].isin(tiles)]
    shape = (len(cells), len(names), crop["size_px"], crop["size_px"])
    result = Cropped(np.empty(shape, np.uint16), [cells.iloc[:0]])
    cells_by_tile, files_by_tile = dict(iter(cells.groupby("tile"))), files.groupby("tile")
    progress = Progress(len(tiles), "tiles", "crop")
    for tile in tiles:
        of_tile = cells_by_tile.get(tile, cells.iloc[:0])
        try:
            if tile not in files_by_tile.groups:
                raise TileError("no file of it in the manifest")
            rows = files_by_tile.get_group(tile)
            aligned = aligned_tile(rows, screen, alignment, consensus, cache, archive)
            result.add_tile(tile, aligned, of_tile, names, crop)
        except TileError as error:
            logger.warning("tile %d failed: %s", tile, error)
            result.fail_tile(tile, len(of_tile), names, str(error))
        progress.step()
    return result


def check_failed(result: Cropped, n_tiles: int, max_failed_fraction: float, where: str) -> None:
    """Raise an `InputError` if too many of the tiles failed; it quotes the first reason."""
    if len(result.failed) > max_failed_fraction * n_tiles:
        tile, reason = next(iter(result.failed.items()))
        raise InputError(
            where,
            f"{len(result.failed)} of {n_tiles} tiles unusable (tile {tile}: {reason})",
            f"at most {max_failed_fraction:.1%} (crop.max_failed_fraction)",
            "correct the configuration of the screen or its files, or allow more",
        )


def crop_chunk(
    files: str,
    cells: str,
    consensus: str,
    screen: dict,
    alignment: dict,
    crop: dict,
    archive: dict,
    plate: str,
    well: str,
    chunk: str,
    cache: str,
    ntc: str,
    ntc_index: str,
    perturbed: str,
    perturbed_index: str,
    alignment_table: str,
    dropped: str,
) -> None:
    """Rule crop_chunk: crop the cells of a chunk, mix them over its tiles, write both arms."""
    tiles = tiles_of_chunk(screen["tiles"], crop["tiles_per_chunk"], int(chunk))
    of_well = pd.read_parquet(files, filters=[("plate", "==", plate), ("well", "==", well)])
    result = crop_tiles(
        of_well,
        pd.read_parquet(cells),
        pd.read_parquet(consensus),
        tiles,
        screen,
        alignment,
        crop,
        archive,
        cache,
    )
    check_failed(result, len(tiles), crop["max_failed_fraction"], f"{plate} {well} chunk {chunk}")
    kept = pd.concat(result.cells, ignore_index=True)
    seed = zlib.crc32(f"{plate}/{well}/{chunk}".encode())
    order = np.random.default_rng(seed).permutation(result.n_cells)
    is_ntc = kept["is_ntc"].to_numpy(bool)[order]
    names = [channel.name for channel in channels_from(screen["channels"])]
    schema = pq.read_schema(cells).remove_metadata()
    for arm, path, index in ((is_ntc, ntc, ntc_index), (~is_ntc, perturbed, perturbed_index)):
        # The schema of the input, since an arm without cells would lose its types.
        rows = pa.Table.from_pandas(kept.iloc[order[arm]], schema, preserve_index=False)
        write_shard(result.crops, order[arm], rows, names, path, index)
    write_parquet(_of_well(result.alignment, ALIGNMENT, plate, well), alignment_table)
    write_parquet(_of_well(result.dropped, DROPPED, plate, well), dropped)
    n_lost = sum(row["n_cells"] for row in result.dropped)
    n_failed = len(result.failed)
    logger.info("%d cells cropped, %d dropped, %d tiles failed", len(kept), n_lost, n_failed)


def _of_well(rows: list[dict], schema: pa.Schema, plate: str, well: str) -> pa.Table:
    return pa.Table.from_pylist([{"plate": plate, "well": well} | row for row in rows], schema)
