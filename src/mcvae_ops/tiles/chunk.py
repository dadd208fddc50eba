"""Crop the cells of a chunk of tiles; write one shard of NTC and one of perturbed cells.

A chunk is a run of tiles of one well, and the unit of work of one job.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from mcvae_ops import __version__
from mcvae_ops.errors import InputError, TileError
from mcvae_ops.files import read_frame, read_schema, write_parquet
from mcvae_ops.progress import Progress
from mcvae_ops.screen import channels_from, folder_name, tile_numbers
from mcvae_ops.shards.format import write_shard
from mcvae_ops.shards.index import chunk_order
from mcvae_ops.tiles.crop import clip, crop_cells
from mcvae_ops.tiles.fetch import stream_tiles
from mcvae_ops.tiles.illumination import Illumination, read_illumination
from mcvae_ops.tiles.image_formats import Window
from mcvae_ops.tiles.load import AlignedTile, aligned_tile
from mcvae_ops.tiles.position_check import PositionCheck
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
READING_KEYS = (
    "channels", "tile_size_px", "cut_px", "z_planes", "projection", "axes", "counts",
)  # fmt: skip
"""Keys of section `screen` on which the pixels of a tile depend."""
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
class ChunkCrops:
    """Crops of the tiles of a chunk so far; the images themselves are in `FinishedTiles`.

    Attributes
    ----------
    cells
        Rows of the cells table of the cropped cells, by tile.
    rows
        Row of each cell's crop in `FinishedTiles.crops`, by tile.
    alignment, dropped
        Rows of the tables of those names.
    failed
        Tiles that could not be used, and why.
    """

    cells: list[pd.DataFrame]
    rows: list[np.ndarray] = field(default_factory=list)
    alignment: list[dict] = field(default_factory=list)
    dropped: list[dict] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)

    def add_tile(self, notes: dict, cells: pd.DataFrame, first_row: int) -> None:
        """Add the notes of `crop_tile` on a tile; `cells` are all cells of the tile."""
        cropped = cells[cells["cell_id"].isin(notes["cells"])]
        self.cells.append(cropped)
        self.rows.append(first_row + np.arange(len(cropped)))
        self.alignment += notes["alignment"]
        self.dropped += notes["dropped"]

    def add_missing_tile(self, tile: int, n_cells: int) -> None:
        """Note that the archive has no image of a tile, and that its cells are lost."""
        if n_cells:
            self.dropped.append({"tile": tile, "reason": "no image", "n_cells": n_cells})

    def fail_tile(self, tile: int, n_cells: int, names: list[str], reason: str) -> None:
        """Record that a tile could not be used, and that its cells, if it has any, are lost."""
        if n_cells:
            self.failed[tile] = reason
            self.dropped.append({"tile": tile, "reason": "tile failed", "n_cells": n_cells})
        unknown = np.full(len(names), np.nan)
        px, method = np.stack([unknown, unknown], axis=1), ("failed",) * len(names)
        shifts = Shifts(px, unknown, unknown, method)
        self.alignment += alignment_rows(tile, names, shifts, reason)

    def write(
        self,
        finished: FinishedTiles,
        schema: pa.Schema,
        names: Sequence[str],
        place: tuple[str, str, str],
        arms: Mapping[bool, tuple[str, str]],
        alignment_table: str,
        dropped: str,
    ) -> None:
        """Shuffle the crops of the chunk and write its shards and tables; delete `finished`.

        Parameters
        ----------
        finished
            The crops.
        schema
            Of the cells table: an arm without cells would lose its types.
        names
            Of the channels.
        place
            Plate, well and chunk.
        arms
            Paths of the crops (.npy) and cells (.parquet) of controls (True) and of the others.
        alignment_table, dropped
            Paths of the tables.
        """
        cropped = pd.concat(self.cells, ignore_index=True)
        rows = np.concatenate([[], *self.rows])
        plate, well, chunk = place
        order = chunk_order(plate, well, int(chunk), len(cropped))
        is_ntc = cropped["is_ntc"].to_numpy(bool)[order]
        crops = finished.crops()
        for is_control, (path, index) in arms.items():
            in_arm = order[is_ntc == is_control]
            table = pa.Table.from_pandas(
                cropped.iloc[in_arm], schema.remove_metadata(), preserve_index=False
            )
            write_shard(crops, rows[in_arm].astype(np.intp), table, names, path, index)
        write_parquet(_well_table(self.alignment, ALIGNMENT, plate, well), alignment_table)
        write_parquet(_well_table(self.dropped, DROPPED, plate, well), dropped)
        finished.clear()
        n_dropped = sum(row["n_cells"] for row in self.dropped)
        logger.info("%d cells cropped, %d dropped, %d tiles failed",
                    len(cropped), n_dropped, len(self.failed))  # fmt: skip


def alignment_rows(tile: int, names: Sequence[str], shifts: Shifts, reason: str) -> list[dict]:
    """Return one row of the alignment table per channel; reason "" means that the tile is used."""
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
    """Clip a tile and crop its cells.

    Parameters
    ----------
    window
        Where the tile lies in its image, to which the positions of the cells belong; None if it is
        the image.

    Returns
    -------
    Crops uint16 (cell, channel, y, x) of the cells inside the tile; and notes on the tile: names of
    these cells (cells), rows of the alignment and of the dropped table.
    """
    image = clip(aligned.image, crop["clip_fraction"])
    centres = _in_window(cells, window)
    crops = crop_cells(image, aligned.shifts.px, centres, crop["size_px"])
    reasons = sorted(Counter(crops.reasons[~crops.is_inside]).items())
    return crops.images, {
        "cells": cells["cell_id"][crops.is_inside].tolist(),
        "alignment": alignment_rows(tile, names, aligned.shifts, ""),
        "dropped": [{"tile": tile, "reason": reason, "n_cells": n} for reason, n in reasons],
    }


def _in_window(cells: pd.DataFrame, window: Window | None) -> np.ndarray:
    """Return the positions (cell, 2) in the window of a tile, y and x in px."""
    origin = (0, 0) if window is None else (window[0].start, window[1].start)
    return cells[["y_px", "x_px"]].to_numpy(float) - origin


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
    illumination: Illumination | None,
) -> ChunkCrops:
    """Crop the cells of some tiles of one well; an unusable tile is recorded and left out.

    Parameters
    ----------
    files, cells
        Rows of these tables, by tile.
    consensus
        Consensus of the well: shifts, light and focus.
    screen, alignment, crop, archive
        Sections of the configuration.
    cache
        Folder for fetched files.
    finished
        Store of the crops; it may already hold tiles that an interrupted job has cropped.
    illumination
        Illumination of the well, by which tiles are corrected; or None.

    Raises
    ------
    InputError
        If the cells of the first tiles fit their images clearly better elsewhere.
    """
    names = [channel.name for channel in channels_from(screen["channels"])]
    reference = names.index(alignment["reference"])
    check = PositionCheck(alignment["reference"], crop["size_px"])
    # An empty table first, so that a chunk without cells still has the columns of the cells table.
    result = ChunkCrops([cells[tile].iloc[:0] for tile in [*cells][:1]])
    for tile in files:
        if files[tile].empty:
            result.add_missing_tile(tile, len(cells[tile]))
    recorded = {tile: rows for tile, rows in files.items() if not rows.empty}
    done = {tile: finished.load(tile, recorded[tile], cells[tile]) for tile in recorded}
    wanted = {tile: recorded[tile] for tile in recorded if done[tile] is None}
    correct = illumination and illumination.correct
    fetched = stream_tiles(wanted, cache, archive)
    progress = Progress(len(recorded), "tiles", "crop")
    for tile, notes in done.items():
        tile_cells = cells[tile]
        try:
            if notes is None:
                _, paths = next(fetched)
                if isinstance(paths, TileError):
                    raise paths
                centres = tile_cells[["y_px", "x_px"]].to_numpy(float)
                window = window_of_cells(tile, screen, centres, crop["size_px"])
                aligned = aligned_tile(
                    paths, screen, alignment, consensus, correct, archive, window
                )
                check.add(aligned.image[reference], _in_window(tile_cells, window))
                crops, notes = crop_tile(tile, aligned, tile_cells, names, crop, window)
                finished.save(tile, files[tile], tile_cells, crops, notes)
            result.add_tile(notes, tile_cells, finished.first_row[tile])
        except TileError as error:
            logger.warning("tile %d failed: %s", tile, error)
            result.fail_tile(tile, len(tile_cells), names, str(error))
        progress.step()
    # The stream deletes the files of a tile when the next one is requested, also after the last.
    next(fetched, None)
    return result


def _by_tile(table: pd.DataFrame, tiles: Sequence[int]) -> dict[int, pd.DataFrame]:
    groups = dict(iter(table.groupby("tile")))
    return {tile: groups.get(tile, table.iloc[:0]) for tile in tiles}


def check_failed(
    failed: Mapping, n_all: int, max_failed_fraction: float, where: str, what: str = "tile"
) -> None:
    """Raise an `InputError` if too many tiles (or crops) failed; it quotes the first reason."""
    if len(failed) > max_failed_fraction * n_all:
        name, reason = next(iter(failed.items()))
        raise InputError(
            where=where,
            found=f"{len(failed)} of {n_all} {what}s unusable ({what} {name}: {reason})",
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
    """Rule crop_chunk: crop the cells of a chunk, shuffle them, write a shard of either arm.

    Parameters
    ----------
    files, cells
        Files table of the screen, and cells table of the plate.
    consensus
        Consensus shifts, light and focus of the plate.
    illumination
        Illumination of the well (.npy); None leaves tiles as they were recorded.
    screen, alignment, crop, archive
        Sections of the configuration.
    plate, well, chunk
        Which chunk; chunks of a well are numbered from 0.
    cache
        Folder for fetched files and for the crops of finished tiles.
    ntc, ntc_index, perturbed, perturbed_index
        Outputs: crops (.npy) and cells (.parquet) of either arm.
    alignment_table, dropped
        Outputs: shift of every channel of every tile; dropped cells by tile and reason.

    Raises
    ------
    InputError
        If more than ``crop.max_failed_fraction`` of the tiles cannot be used.
    """
    tiles = tiles_of_chunk(screen["tiles"], crop["tiles_per_chunk"], int(chunk))
    in_chunk = [("plate", "==", plate), ("well", "==", well), ("tile", "in", tiles)]
    tile_files, tile_cells = (
        _by_tile(read_frame(path, filters=in_chunk), tiles) for path in (files, cells)
    )
    well_consensus = consensus_of_well(read_frame(consensus), well)
    well_light = illumination and read_illumination(
        illumination, crop["illumination"], screen["tile_size_px"]
    )
    names = [channel.name for channel in channels_from(screen["channels"])]
    settings = {
        "screen": {key: screen[key] for key in READING_KEYS},
        "alignment": alignment,
        "crop": {key: crop[key] for key in ("size_px", "clip_fraction", "illumination")},
        "consensus": well_consensus.to_dict("list"),
        "illumination": well_light and well_light.identity,
        "version": __version__,
    }
    finished = FinishedTiles(
        Path(cache) / "finished" / folder_name(plate) / folder_name(well) / chunk,
        settings,
        {tile: len(table) for tile, table in tile_cells.items()},
        (len(names), crop["size_px"], crop["size_px"]),
    )
    result = crop_tiles(
        tile_files,
        tile_cells,
        well_consensus,
        screen,
        alignment,
        crop,
        archive,
        cache,
        finished,
        well_light,
    )
    where = f"{plate} {well} chunk {chunk}"
    check_failed(result.failed, len(tiles), crop["max_failed_fraction"], where)
    arms = {True: (ntc, ntc_index), False: (perturbed, perturbed_index)}
    result.write(finished, read_schema(cells), names, (plate, well, chunk), arms,
                 alignment_table, dropped)  # fmt: skip


def _well_table(rows: list[dict], schema: pa.Schema, plate: str, well: str) -> pa.Table:
    return pa.Table.from_pylist([{"plate": plate, "well": well} | row for row in rows], schema)
