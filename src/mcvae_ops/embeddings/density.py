"""Density of cells: what a picture of a cell need not show, and position and effects follow."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

DENSITY_WINDOWS = (1 / 8, 1 / 32)  # half edges of the windows, as fractions of the tile edge


def density_features(
    cells: pd.DataFrame, rows: np.ndarray, windows: Sequence[float] = DENSITY_WINDOWS
) -> np.ndarray:
    """Return the local density around some cells, and nothing else.

    Parameters
    ----------
    cells
        All cells, with plate, well, tile, y_px, x_px (NaN where crops came without positions).
    rows
        Cells whose density is asked for, ascending.
    windows
        Half edges of the windows around a cell, as fractions of the edge of a tile.

    Returns
    -------
    Number of cells in the tile, and number of other cells per px^2 in each window around the cell,
    of shape (row, 1 + window). Windows are clipped to the area that holds cells, so that the edge
    of a tile does not look empty. The cell itself is not counted and no logarithm is taken, because
    both would reveal the size of the clipped window, and with it the position. Windows of cells
    without a position count as empty.
    """
    place = cells[["y_px", "x_px"]].to_numpy(float)
    is_placed = np.isfinite(place).all(axis=1)
    tiles = cells.groupby(["plate", "well", "tile"], sort=False, observed=True).indices.values()
    features = np.zeros((len(rows), 1 + len(windows)))
    is_asked = np.zeros(len(cells), bool)
    is_asked[rows] = True
    placed = place[is_placed]
    low, high = (placed.min(axis=0), placed.max(axis=0)) if len(placed) else (None, None)
    for of_tile in tiles:
        features[np.searchsorted(rows, of_tile[is_asked[of_tile]]), 0] = len(of_tile)
        of_tile = of_tile[is_placed[of_tile]]
        asked = of_tile[is_asked[of_tile]]
        if len(asked) == 0:
            continue
        to, tree = np.searchsorted(rows, asked), cKDTree(place[of_tile])
        for k, fraction in enumerate(windows, start=1):
            half = max(fraction * (high - low).max(), 1.0)
            count = tree.query_ball_point(place[asked], half, p=np.inf, return_length=True)
            edges = np.minimum(place[asked] + half, high) - np.maximum(place[asked] - half, low)
            features[to, k] = (count - 1) / edges.prod(axis=1)
    return features
