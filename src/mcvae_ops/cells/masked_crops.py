"""Which pixels of a crop belong to its cell, by the masks of a screen."""

import logging

import numpy as np
import pandas as pd

from mcvae_ops.cells.masks import cells_of_mask, read_mask
from mcvae_ops.errors import InputError, TileError
from mcvae_ops.files import read_frame
from mcvae_ops.progress import Progress
from mcvae_ops.screen import tile_shape
from mcvae_ops.shards.outlines import pack_outlines, write_outlines
from mcvae_ops.tiles.chunk import check_failed
from mcvae_ops.tiles.crop import corner
from mcvae_ops.tiles.fetch import stream_tiles
from mcvae_ops.tiles.stitched import window_of_cells

logger = logging.getLogger(__name__)

LEAST_FOUND = 0.5
"""Masks on which fewer of the cells lie belong to other images, or to other positions."""


def outlines_of_tile(labels: np.ndarray, centres: np.ndarray, size_px: int) -> np.ndarray:
    """Return the outline of each cell in the window of its crop.

    Parameters
    ----------
    labels
        int (y, x), 0 outside cells.
    centres
        float (cell, 2), y and x in px of `labels`; the region at this pixel is the cell's. Windows
        are those of `mcvae_ops.tiles.crop.crop_cells`, and lie in the image.
    size_px
        Edge of a crop.

    Returns
    -------
    bool (cell, y, x); False everywhere for a cell that lies on no region.
    """
    outlines = np.zeros((len(centres), size_px, size_px), bool)
    for outline, centre in zip(outlines, centres, strict=True):
        y, x = corner(centre, size_px)
        own = labels[y + size_px // 2, x + size_px // 2]
        if own:
            outline[:] = labels[y : y + size_px, x : x + size_px] == own
    return outlines


def cut_outlines(
    files: str,
    index: str,
    screen: dict,
    crop: dict,
    archive: dict,
    plate: str,
    well: str,
    cache: str,
    outlines: str,
) -> None:
    """Rule cut_outlines: write which pixels of the crops of a well belong to their cells.

    Memory holds one mask, and the outlines of the well, a bit per pixel of a crop.

    Parameters
    ----------
    files
        Table of the masks.
    index
        The shard index.
    screen, crop, archive
        Sections of the configuration.
    plate, well
        Which well.
    cache
        Folder for fetched files.
    outlines
        Output; see `write_outlines`. A cell of a mask that cannot be read has no outline.

    Raises
    ------
    InputError
        If more than ``crop.max_failed_fraction`` of the masks cannot be used, or less than
        `LEAST_FOUND` of the cells lie on their masks.
    """
    of_well, size_px = [("plate", "==", plate), ("well", "==", well)], crop["size_px"]
    masks = dict(iter(read_frame(files, filters=of_well).groupby("tile")))
    cells = read_frame(index, ["cell_id", "tile", "y_px", "x_px"], of_well)
    packed = np.zeros((len(cells), -(-(size_px**2) // 8)), np.uint8)
    wanted = {tile: masks.get(tile) for tile in np.unique(cells["tile"]).tolist()}
    failed = {tile: "no mask" for tile, rows in wanted.items() if rows is None}
    fetched = stream_tiles(
        {tile: rows for tile, rows in wanted.items() if rows is not None}, cache, archive
    )
    progress = Progress(len(wanted), "masks", f"outlines of {plate} {well}")
    for tile, paths in fetched:
        rows = np.flatnonzero(cells["tile"] == tile)
        try:
            if isinstance(paths, TileError):
                raise paths
            mask = next(iter(paths.values()))
            of_tile = _cut(mask, tile, cells.iloc[rows], screen, size_px, archive)
            packed[rows] = pack_outlines(of_tile)
        except TileError as error:
            logger.warning("mask of %s %s tile %d failed: %s", plate, well, tile, error)
            failed[tile] = str(error)
        progress.step()
    check_failed(
        failed, len(wanted), crop["max_failed_fraction"], f"masks of {plate} {well}", "mask"
    )
    n_found = int(packed.any(axis=1).sum())
    logger.info("%d of %d cells lie on their masks", n_found, len(cells))
    if n_found < LEAST_FOUND * len(cells):
        raise InputError(
            where=f"masks of {plate} {well}",
            found=f"{n_found} of {len(cells)} cells on a region of their mask",
            expected=f"at least {LEAST_FOUND:.0%}",
            fix="correct screen.outlines, or set it to disc",
        )
    write_outlines(cells["cell_id"], packed, outlines)


def _cut(
    path: str, tile: int, cells: pd.DataFrame, screen: dict, size_px: int, archive: dict
) -> np.ndarray:
    centres = cells[["y_px", "x_px"]].to_numpy(float)
    window = window_of_cells(tile, screen, centres, size_px)
    shape = tile_shape(screen["tile_size_px"])
    labels = cells_of_mask(read_mask(path, shape, window, archive))
    origin = (0, 0) if window is None else (window[0].start, window[1].start)
    return outlines_of_tile(labels, centres - origin, size_px)
