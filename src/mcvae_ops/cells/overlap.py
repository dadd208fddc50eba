"""Cells that two overlapping tiles of a well both show: only one row of each is used."""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from mcvae_ops.screen import on_grid, tile_shape, well_grid

SHOWN_BETTER = "shown better by another tile"  # why the other rows are dropped


def duplicate_cells(cells: pd.DataFrame, screen: dict) -> np.ndarray:
    """Find the cells of a well that another tile shows better.

    Two rows are the same cell if they are in different tiles, have the same guide, and are at most
    ``screen["duplicates"]["max_distance_px"]`` apart on the grid of the well, whose tiles overlap
    by ``overlap_px``. The row nearer to the middle of its tile is used (of equals, the first).

    Parameters
    ----------
    cells
        Cells of one well: tile, y_px, x_px, guide.
    screen
        Section of the configuration; its duplicates are not null.

    Returns
    -------
    True where a row is the worse one, bool (cell,).
    """
    settings, size_px = screen["duplicates"], np.array(tile_shape(screen["tile_size_px"]))
    origins = well_grid(screen["well_grid"]["column_heights"]) * (size_px - settings["overlap_px"])
    in_tile = cells[["y_px", "x_px"]].to_numpy(float)
    tile, guide = cells["tile"].to_numpy(), pd.factorize(cells["guide"])[0]
    in_well = origins[on_grid(tile, screen["well_grid"])] + in_tile
    pairs = cKDTree(in_well).query_pairs(settings["max_distance_px"], output_type="ndarray")
    first, second = np.sort(pairs, axis=1).T
    is_same = (tile[first] != tile[second]) & (guide[first] == guide[second])
    first, second = first[is_same], second[is_same]
    from_middle = np.abs(in_tile - (size_px - 1) / 2).max(axis=1)
    worse = np.where(from_middle[second] >= from_middle[first], second, first)
    is_worse = np.zeros(len(cells), bool)
    is_worse[worse] = True
    return is_worse
