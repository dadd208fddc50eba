"""A chunk of a well's tiles becomes crops, in one shard of NTC and one of perturbed cells."""

import logging
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mcvae_ops import __version__
from mcvae_ops.errors import InputError, TileError
from mcvae_ops.files import write_parquet
from mcvae_ops.progress import Progress
from mcvae_ops.screen import channels_from, tile_numbers
from mcvae_ops.shards.format import write_shard
from mcvae_ops.tiles.crop import clip, crop_cells
from mcvae_ops.tiles.fetch import stream_tiles
from mcvae_ops.tiles.illumination import Illumination, read_illumination
from mcvae_ops.tiles.image_formats import Window
from mcvae_ops.tiles.load import AlignedTile, aligned_tile
from mcvae_ops.tiles.resume import FinishedTiles
from mcvae_ops.tiles.shifts import Shifts, consensus_of_well
from mcvae_ops.tiles.stitched import window_of_cells

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
        "error_px": pa.float64(),
        "method": pa.string(),
        "passed": pa.bool_(),
        "reason": pa.string(),
    }
)
READ = ("channels", "tile_size_px", "cut_px", "z_planes", "projection", "axes", "counts")
DROPPED = pa.schema(
    {
        "plate": pa.string(),
        "well": pa.string(),
        "tile": pa.int32(),
        "reason": pa.string(),
        "n_cells": pa.int64(),
    }
)


def tiles_of_chunk(tiles: str, tiles_per_chunk: int, chunk: int) -> list[int]:
    """Return the tiles of chunk `chunk` (from 0) of a well with `tiles` (``"0-3, 7"``)."""
    first = chunk * tiles_per_chunk
    return tile_numbers(tiles)[first : first + tiles_per_chunk]


@dataclass
class Cropped:
    """What has come of the tiles so far.

    Attributes
    ----------
    cells
        Rows of the cells table of the kept cells, by tile.
    rows
        Where their crops stand among those of `FinishedTiles`.
    alignment, dropped
        Rows of the tables of those names.
    failed
        Tiles that could not be used.
    """

    cells: list[pd.DataFrame]
    rows: list[np.ndarray] = field(default_factory=list)
    alignment: list[dict] = field(default_factory=list)
    dropped: list[dict] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)

    def add_tile(self, notes: dict, cells: pd.DataFrame, first_row: int) -> None:
        """Add what `crop_tile` has noted of a tile; `cells` are all cells of the tile."""
        kept = cells[cells["cell_id"].isin(notes["cells"])]
        self.cells.append(kept)
        self.rows.append(first_row + np.arange(len(kept)))
        self.alignment += notes["alignment"]
        self.dropped += notes["dropped"]

    def add_missing_tile(self, tile: int, n_cells: int) -> None:
        """Note that the archive has no image of a tile, and that its cells are lost."""
        if n_cells:
            self.dropped.append({"tile": tile, "reason": "no image", "n_cells": n_cells})

    def fail_tile(self, tile: int, n_cells: int, names: list[str], reason: str) -> None:
        """Note that a tile could not be used, and that its cells are lost."""
        self.failed[tile] = reason
        if n_cells:
            self.dropped.append({"tile": tile, "reason": "tile failed", "n_cells": n_cells})
        nothing = np.full(len(names), np.nan)
        px, method = np.stack([nothing, nothing], axis=1), ("failed",) * len(names)
        unknown = Shifts(px, nothing, nothing, method)
        self.alignment += alignment_rows(tile, names, unknown, reason)


def alignment_rows(tile: int, names: Sequence[str], shifts: Shifts, reason: str) -> list[dict]:
    """Return a row of the alignment table per channel of a tile; a reason says that it failed."""
    return [
        {
            "tile": tile,
            "channel": name,
            "dy_px": float(shifts.px[k, 0]),
            "dx_px": float(shifts.px[k, 1]),
            "confidence": float(shifts.confidence[k]),
            "error_px": float(shifts.error_px[k]),
            "method": shifts.method[k],
            "passed": reason == "",
            "reason": reason,
        }
        for k, name in enumerate(names)
    ]


def crop_tile(
    tile: int,
    aligned: AlignedTile,
    cells: pd.DataFrame,
    names: Sequence[str],
    crop: dict,
    window: Window | None = None,
) -> tuple[np.ndarray, dict]:
    """Clip a tile and cut its cells out.

    Parameters
    ----------
    window
        Where the tile lies in its image, to which the positions of the cells belong; None if it is
        the image.

    Returns
    -------
    Crops uint16 (cell, channel, y, x) of the kept cells; and cells (their names), alignment and
    dropped: what is to be known of the tile.
    """
    image = clip(aligned.image, crop["clip_fraction"])
    origin = (0, 0) if window is None else (window[0].start, window[1].start)
    centres = cells[["y_px", "x_px"]].to_numpy() - origin
    cut = crop_cells(image, aligned.shifts.px, centres, crop["size_px"])
    reasons = sorted(Counter(cut.reasons[~cut.kept]).items())
    return cut.images, {
        "cells": cells["cell_id"][cut.kept].tolist(),
        "alignment": alignment_rows(tile, names, aligned.shifts, ""),
        "dropped": [{"tile": tile, "reason": reason, "n_cells": n} for reason, n in reasons],
    }


def crop_tiles(
    files: Mapping[int, pd.DataFrame],
    cells: Mapping[int, pd.DataFrame],
    consensus: pd.DataFrame,
    screen: dict,
    alignment: dict,
    crop: dict,
    archive: dict,
    cache: str,
    finished: FinishedTiles,
    light: Illumination | None,
) -> Cropped:
    """Crop the cells of some tiles of one well; a tile that is broken is noted, not fatal.

    Parameters
    ----------
    files, cells
        Rows of these tables, by tile.
    consensus
        Consensus of the well.
    screen, alignment, crop, archive
        Sections of the configuration.
    cache
        Folder for fetched files.
    finished
        Takes the crops, and holds those of tiles that an interrupted job had cropped already.
    light
        How unevenly the well is lit, or None.
    """
    names = [channel.name for channel in channels_from(screen["channels"])]
    result = Cropped([cells[tile].iloc[:0] for tile in [*cells][:1]])
    for tile in files:
        if files[tile].empty:
            result.add_missing_tile(tile, len(cells[tile]))
    recorded = {tile: rows for tile, rows in files.items() if not rows.empty}
    done = {tile: finished.load(tile, recorded[tile], cells[tile]) for tile in recorded}
    wanted = {tile: recorded[tile] for tile in recorded if done[tile] is None}
    fetched = stream_tiles(wanted, cache, archive)
    progress = Progress(len(recorded), "tiles", "crop")
    for tile, notes in done.items():
        of_tile = cells[tile]
        try:
            if notes is None:
                _, paths = next(fetched)
                if isinstance(paths, TileError):
                    raise paths
                window = window_of_cells(
                    tile, screen, of_tile[["y_px", "x_px"]].to_numpy(float), crop["size_px"]
                )
                correct = light and light.correct
                aligned = aligned_tile(
                    paths, screen, alignment, consensus, correct, archive, window
                )
                crops, notes = crop_tile(tile, aligned, of_tile, names, crop, window)
                finished.save(tile, files[tile], of_tile, crops, notes)
            result.add_tile(notes, of_tile, finished.first_row[tile])
        except TileError as error:
            logger.warning("tile %d failed: %s", tile, error)
            result.fail_tile(tile, len(of_tile), names, str(error))
        progress.step()
    # The last tile's files are deleted when the stream is asked for one more.
    next(fetched, None)
    return result


def _by_tile(table: pd.DataFrame, tiles: Sequence[int]) -> dict[int, pd.DataFrame]:
    groups = dict(iter(table[table["tile"].isin(tiles)].groupby("tile")))
    return {tile: groups.get(tile, table.iloc[:0]) for tile in tiles}


def check_failed(result: Cropped, n_tiles: int, max_failed_fraction: float, where: str) -> None:
    """Raise an `InputError` if too many of the tiles failed; it quotes the first reason."""
    if len(result.failed) > max_failed_fraction * n_tiles:
        tile, reason = next(iter(result.failed.items()))
        raise InputError(
            where=where,
            found=f"{len(result.failed)} of {n_tiles} tiles unusable (tile {tile}: {reason})",
            expected=f"at most {max_failed_fraction:.1%} (crop.max_failed_fraction)",
            fix="correct the configuration of the screen or its files, or allow more",
        )


def crop_chunk(
    files: str,
    cells: str,
    consensus: str,
    illumination: str | None,
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
    files_of, cells_of = _by_tile(of_well, tiles), _by_tile(pd.read_parquet(cells), tiles)
    agreed = consensus_of_well(pd.read_parquet(consensus), well)
    light = illumination and read_illumination(
        illumination, crop["illumination"], screen["tile_size_px"]
    )
    names = [channel.name for channel in channels_from(screen["channels"])]
    settings = {
        "screen": {key: screen[key] for key in READ},
        "alignment": alignment,
        "crop": {key: crop[key] for key in ("size_px", "clip_fraction", "illumination")},
        "consensus": agreed.to_dict("list"),
        "light": light and light.identity,
        "version": __version__,
    }
    finished = FinishedTiles(
        Path(cache) / "finished" / plate / well / chunk,
        settings,
        {tile: len(of_tile) for tile, of_tile in cells_of.items()},
        (len(names), crop["size_px"], crop["size_px"]),
    )
    result = crop_tiles(
        files_of, cells_of, agreed, screen, alignment, crop, archive, cache, finished, light
    )
    check_failed(result, len(tiles), crop["max_failed_fraction"], f"{plate} {well} chunk {chunk}")
    kept, rows = pd.concat(result.cells, ignore_index=True), np.concatenate([[], *result.rows])
    seed = zlib.crc32(f"{plate}/{well}/{chunk}".encode())
    order = np.random.default_rng(seed).permutation(len(kept))
    is_ntc = kept["is_ntc"].to_numpy(bool)[order]
    schema, crops = pq.read_schema(cells).remove_metadata(), finished.crops()
    for arm, path, index in ((is_ntc, ntc, ntc_index), (~is_ntc, perturbed, perturbed_index)):
        # The schema of the input, since an arm without cells would lose its types.
        table = pa.Table.from_pandas(kept.iloc[order[arm]], schema, preserve_index=False)
        write_shard(crops, rows[order[arm]].astype(np.intp), table, names, path, index)
    write_parquet(_of_well(result.alignment, ALIGNMENT, plate, well), alignment_table)
    write_parquet(_of_well(result.dropped, DROPPED, plate, well), dropped)
    finished.clear()
    n_lost = sum(row["n_cells"] for row in result.dropped)
    n_failed = len(result.failed)
    logger.info("%d cells cropped, %d dropped, %d tiles failed", len(kept), n_lost, n_failed)


def _of_well(rows: list[dict], schema: pa.Schema, plate: str, well: str) -> pa.Table:
    return pa.Table.from_pylist([{"plate": plate, "well": well} | row for row in rows], schema)
