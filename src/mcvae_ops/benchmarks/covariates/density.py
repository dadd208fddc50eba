"""Density of cells: a baseline that predicts positions without the content of a cell."""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

DENSITY_WINDOWS = (1 / 8, 1 / 32)  # half edges of the windows, as fractions of the tile edge


def density_features(cells: pd.DataFrame) -> np.ndarray:
    """Return the local density of cells, and nothing else.

    Parameters
    ----------
    cells
        All cells, with plate, well, tile, y_px, x_px (NaN where crops came without positions).

    Returns
    -------
    Number of cells in the tile, and number of other cells per px^2 in two windows around the cell,
    of shape (cell, 3). Windows are clipped to the area that holds cells, so that the edge of a tile
    does not look empty. The cell itself is not counted and no logarithm is taken, because both
    would reveal the size of the clipped window, and with it the position. Windows of cells without
    a position count as empty.
    """
    place = cells[["y_px", "x_px"]].to_numpy(float)
    is_placed = np.isfinite(place).all(axis=1)
    tiles = cells.groupby(["plate", "well", "tile"], sort=False, observed=True).indices.values()
    features = np.zeros((len(cells), 1 + len(DENSITY_WINDOWS)))
    for rows in tiles:
        features[rows, 0] = len(rows)
    if not is_placed.any():
        return features
    low, high = np.nanmin(place, axis=0), np.nanmax(place, axis=0)
    for rows in (rows[is_placed[rows]] for rows in tiles):
        tree = cKDTree(place[rows])
        for k, fraction in enumerate(DENSITY_WINDOWS, start=1):
            half = max(fraction * (high - low).max(), 1.0)
            count = tree.query_ball_point(place[rows], half, p=np.inf, return_length=True)
            edges = np.minimum(place[rows] + half, high) - np.maximum(place[rows] - half, low)
            features[rows, k] = (count - 1) / edges.prod(axis=1)
    return features
