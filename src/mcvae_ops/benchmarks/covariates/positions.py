"""Position of a cell in its field of view (FOV), and of its tile in the well."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mcvae_ops.screen import on_grid, tile_shape, well_grid

CENTRE, EDGE, UNUSED = "centre", "edge", ""
# protocol -> key of the number of tiles in the centre of the well
CENTRE_TILES = {"published": "published_centre_tiles", "strict": "centre_tiles"}


def fov_position(
    y_px: np.ndarray,
    x_px: np.ndarray,
    tile_size_px: int | Sequence[int] | None,
    centre_fraction: float,
    edge_fraction: float,
) -> np.ndarray:
    """Distinguish cells at the centre of their tile from cells at its edge.

    Parameters
    ----------
    y_px, x_px
        Position in the tile, px, of shape (cell,); the centre of the first pixel is 0.
    tile_size_px
        Lengths (y, x) of the tile, or one number for both, px; None where they are not known.
    centre_fraction, edge_fraction
        Fractions of the tile edge. Cells nearer to the centre of the tile than the first fraction
        are centre cells; cells at least the second fraction away are edge cells. Distances are
        Chebyshev distances.

    Returns
    -------
    "centre", "edge" or "" (neither, or no position), of shape (cell,).

    References
    ----------
    Wang et al. 2023, figure 3: 450 and 1200 of 2960 px.
    """
    if tile_size_px is None:
        return np.full(len(y_px), UNUSED)
    lengths = np.array(tile_shape(tile_size_px))[:, None]
    offset = np.stack([np.asarray(y_px, float), np.asarray(x_px, float)]) - (lengths - 1) / 2
    fraction = np.abs(offset / lengths).max(axis=0)
    return np.select(
        [fraction < centre_fraction, fraction >= edge_fraction], [CENTRE, EDGE], UNUSED
    )


def well_position(column_heights: list[int], centre_tiles: int) -> np.ndarray:
    """Distinguish tiles at the centre of the well from tiles at its edge.

    Parameters
    ----------
    column_heights
        Number of tiles in each column of the grid of the well.
    centre_tiles
        Number of tiles that form the centre: those nearest to the middle of the well (Euclidean;
        among equally distant tiles, those with the lowest numbers).

    Returns
    -------
    "edge" for tiles without all of their 8 neighbours, else "centre" or "", of shape (tile,).
    """
    places = well_grid(column_heights)
    middle = np.array([(max(column_heights) - 1) / 2, (len(column_heights) - 1) / 2])
    distance = np.square(places - middle).sum(axis=1)
    position = np.full(len(places), UNUSED, dtype="<U6")
    position[np.argsort(distance, kind="stable")[:centre_tiles]] = CENTRE
    position[~_has_all_neighbours(places)] = EDGE
    return position


def _has_all_neighbours(places: np.ndarray) -> np.ndarray:
    grid = np.zeros(places.max(axis=0) + 3, dtype=int)
    row, column = places.T + 1
    grid[row, column] = 1
    around = sum(grid[row + dr, column + dc] for dr in (-1, 0, 1) for dc in (-1, 0, 1))
    return around == 9


def cell_positions(
    cells: pd.DataFrame, screen: dict, fractions: dict, protocol: str
) -> pd.DataFrame:
    """Return the technical covariates of cells.

    Parameters
    ----------
    cells
        Cells with batch, tile, y_px, x_px.
    screen
        The screen's configuration (tile_size_px, well_grid).
    fractions
        fov_centre_fraction and fov_edge_fraction.
    protocol
        "published" (with the centre tiles of the authors, too many by a mistaken radius) or
        "strict".

    Returns
    -------
    batch, position_in_fov, position_in_well, row-aligned with `cells`; where the screen has no
    grid, the position in the well is "" for all.

    Raises
    ------
    InputError
        If a tile lies outside the grid of the well.
    """
    in_fov = fov_position(
        cells["y_px"].to_numpy(),
        cells["x_px"].to_numpy(),
        screen["tile_size_px"],
        fractions["fov_centre_fraction"],
        fractions["fov_edge_fraction"],
    )
    return pd.DataFrame(
        {
            "batch": cells["batch"].to_numpy(dtype=str),
            "position_in_fov": in_fov,
            "position_in_well": _in_well(cells["tile"].to_numpy(), screen["well_grid"], protocol),
        }
    )


def _in_well(tiles: np.ndarray, grid: dict | None, protocol: str) -> np.ndarray:
    if grid is None:
        return np.full(len(tiles), UNUSED)
    of_tile = well_position(grid["column_heights"], grid[CENTRE_TILES[protocol]])
    return of_tile[on_grid(tiles, grid)]
