"""A chunk of a well's tiles becomes crops, in one shard of NTC and one of perturbed cells."""

import logging
import shutil
import zlib
from collections import Counter
from collections.abc import Sequence
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
from mcvae_ops.tiles.load import AlignedTile, aligned_tile
from mcvae_ops.tiles.resume import FinishedTiles
from mcvae_ops.tiles.stream import stream_tiles

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
READ = ("channels", "tile_size_px", "z_planes", "projection")
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

    def last_tile(self) -> tuple[np.ndarray, dict]:
        """Return crops and notes of the tile that was added last, for `restore_tile`."""
        cells = self.cells[-1]
        tile = self.alignment[-1]["tile"]
        notes = {
            "cells": cells["cell_id"].tolist(),
            "alignment": [row for row in self.alignment if row["tile"] == tile],
            "dropped": [row for row in self.dropped if row["tile"] == tile],
        }
        return self.crops[self.n_cells - len(cells) : self.n_cells], notes

    def restore_tile(self, crops: np.ndarray, notes: dict, cells: pd.DataFrame) -> None:
        """Add a tile as `last_tile` returned it; `cells` are all cells of the tile."""
        self.crops[self.n_cells : self.n_cells + len(crops)] = crops
        self.n_cells += len(crops)
        self.cells.append(cells[cells["cell_id"].isin(notes["cells"])])
        self.alignment += notes["alignment"]
        self.dropped += notes["dropped"]

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
    tiles: Sequence[int],
    screen: dict,
    alignment: dict,
    crop: dict,
    archive: dict,
    cache: str,
    finished: FinishedTiles,
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
    finished
        Tiles that an interrupted job had cropped already.
    """
    names = [channel.name for channel in channels_from(screen["channels"])]
    cells = cells[cells["tile"].isin(tiles)]
    shape = (len(cells), len(names), crop["size_px"], crop["size_px"])
    result = Cropped(np.empty(shape, np.uint16), [cells.iloc[:0]])
    cells_of = _by_tile(cells, tiles)
    files_of = _by_tile(files, tiles)
    done = {tile for tile in tiles if finished.holds(tile, files_of[tile], cells_of[tile])}
    wanted = {tile: files_of[tile] for tile in tiles if tile not in done}
    fetched = stream_tiles(wanted, cache, archive)
    progress = Progress(len(tiles), "tiles", "crop")
    for tile in tiles:
        of_tile = cells_of[tile]
        if tile in done:
            result.restore_tile(*finished.load(tile), of_tile)
            progress.step()
            continue
        _, paths = next(fetched)
        try:
            if files_of[tile].empty:
                raise TileError("no file of it in the manifest")
            if isinstance(paths, TileError):
                raise paths
            aligned = aligned_tile(paths, screen, alignment, consensus)
            result.add_tile(tile, aligned, of_tile, names, crop)
            finished.save(tile, files_of[tile], of_tile, *result.last_tile())
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
    agreed = pd.read_parquet(consensus)
    settings = {
        "screen": {key: screen[key] for key in READ},
        "alignment": alignment,
        "crop": {key: crop[key] for key in ("size_px", "clip_fraction")},
        "consensus": agreed.to_dict("list"),
        "version": __version__,
    }
    finished = FinishedTiles(Path(cache) / "finished" / plate / well / chunk, settings)
    result = crop_tiles(
        of_well,
        pd.read_parquet(cells),
        agreed,
        tiles,
        screen,
        alignment,
        crop,
        archive,
        cache,
        finished,
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
    shutil.rmtree(finished.folder, ignore_errors=True)
    n_lost = sum(row["n_cells"] for row in result.dropped)
    n_failed = len(result.failed)
    logger.info("%d cells cropped, %d dropped, %d tiles failed", len(kept), n_lost, n_failed)


def _of_well(rows: list[dict], schema: pa.Schema, plate: str, well: str) -> pa.Table:
    return pa.Table.from_pylist([{"plate": plate, "well": well} | row for row in rows], schema)
