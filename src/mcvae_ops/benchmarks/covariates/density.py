"""Density of cells: a baseline that predicts positions without the content of a cell."""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

DENSITY_WINDOWS = (1 / 8, 1 / 32)  # half edges of the windows, as fractions of the tile edge


def density_features(cells: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """Return the local density around some cells, and nothing else.

    Parameters
    ----------
    cells
        All cells, with plate, well, tile, y_px, x_px.
    rows
        Cells whose density is asked for, ascending.

    Returns
    -------
    Number of cells in the tile, and number of other cells per px^2 in two windows around the cell,
    of shape (row, 3). Windows are clipped to the area that holds cells, so that the edge of a tile
    does not look empty. The cell itself is not counted and no logarithm is taken, because both
    would reveal the size of the clipped window, and with it the position.
    """
    place = cells[["y_px", "x_px"]].to_numpy(float)
    low, high = place.min(axis=0), place.max(axis=0)
    tiles = cells.groupby(["plate", "well", "tile"], sort=False, observed=True).indices.values()
    features = np.empty((len(rows), 1 + len(DENSITY_WINDOWS)))
    is_asked = np.zeros(len(cells), bool)
    is_asked[rows] = True
    for of_tile in tiles:
        asked = of_tile[is_asked[of_tile]]
        to, tree = np.searchsorted(rows, asked), cKDTree(place[of_tile])
        features[to, 0] = len(of_tile)
        for k, fraction in enumerate(DENSITY_WINDOWS, start=1):
            half = max(fraction * (high - low).max(), 1.0)
            count = tree.query_ball_point(place[asked], half, p=np.inf, return_length=True)
            edges = np.minimum(place[asked] + half, high) - np.maximum(place[asked] - half, low)
            features[to, k] = (count - 1) / edges.prod(axis=1)
    return features
