"""Cells that two overlapping tiles of a well both show: of each, one is kept."""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from mcvae_ops.screen import tile_shape, well_grid


def seen_twice(cells: pd.DataFrame, screen: dict) -> np.ndarray:
    """Find the cells of a well that another tile shows better.

    Two cells are one if they lie in different tiles, bear the same guide, and are at most
    ``screen["duplicates"]["max_distance_px"]`` apart on the grid of the well, whose tiles overlap
    by ``overlap_px``. The one nearer to the middle of its tile is kept (of equals, the first).

    Parameters
    ----------
    cells
        Cells of one well: tile, y_px, x_px, guide.
    screen
        Section of the configuration; its duplicates are not null.

    Returns
    -------
    True where a cell is to be dropped, of shape (cell,).
    """
    settings, size_px = screen["duplicates"], np.array(tile_shape(screen["tile_size_px"]))
    origins = well_grid(screen["well_grid"]["column_heights"]) * (size_px - settings["overlap_px"])
    inside = cells[["y_px", "x_px"]].to_numpy(float)
    tile, guide = cells["tile"].to_numpy(), pd.factorize(cells["guide"])[0]
    places = origins[tile] + inside
    pairs = cKDTree(places).query_pairs(settings["max_distance_px"], output_type="ndarray")
    first, second = np.sort(pairs, axis=1).T
    same = (tile[first] != tile[second]) & (guide[first] == guide[second])
    first, second = first[same], second[same]
    from_middle = np.abs(inside - (size_px - 1) / 2).max(axis=1)
    worse = np.where(from_middle[second] >= from_middle[first], second, first)
    dropped = np.zeros(len(cells), bool)
    dropped[worse] = True
    return dropped
