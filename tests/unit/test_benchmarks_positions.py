"""Positions in the field of view and in the well, against grids drawn by hand."""

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.benchmarks.covariates.positions import (
    cell_positions,
    fov_position,
    well_grid,
    well_position,
)
from mcvae_ops.errors import InputError

SIX_WELL_PHENOTYPE = [
    *(7, 13, 17, 21, 25, 27, 29, 31, 33, 33, 35, 35, 37, 37, 39, 39, 39),
    *[41] * 7,
    *(39, 39, 39, 37, 37, 35, 35, 33, 33, 31, 29, 27, 25, 21, 17, 13, 7),
]


def test_paper_fov_thresholds():
    middle = 1479.5
    offsets = np.array([0, 449, 451, 1198, 1200, 1479])
    expected = ["centre", "centre", "", "", "edge", "edge"]
    for sign in (-1, 1):
        moved = middle + sign * offsets
        fractions = (450 / 2960, 1199 / 2960)
        assert fov_position(moved, np.full(6, middle), 2960, *fractions).tolist() == expected
        assert fov_position(np.full(6, middle), moved, 2960, *fractions).tolist() == expected


def test_fov_of_a_cell_without_position():
    assert fov_position(np.array([np.nan]), np.array([3.0]), 64, 0.2, 0.4).tolist() == [""]


def test_snake_of_a_small_well():
    grid = np.full((3, 3), -1)
    grid[tuple(well_grid([1, 3, 1]).T)] = np.arange(5)
    assert grid.tolist() == [[-1, 3, -1], [0, 2, 4], [-1, 1, -1]]


def test_neighbours_in_the_snake_touch():
    steps = np.abs(np.diff(well_grid([5] * 6), axis=0)).sum(axis=1)
    assert (steps == 1).all()


def test_real_well():
    assert sum(SIX_WELL_PHENOTYPE) == 1281 and len(SIX_WELL_PHENOTYPE) == 41
    places = well_grid(SIX_WELL_PHENOTYPE)
    assert len({tuple(place) for place in places}) == 1281
    position = well_position(SIX_WELL_PHENOTYPE, 160)
    assert (position == "edge").sum() == 160
    assert (position == "centre").sum() == 160
    distance = np.hypot(*(places - 20).T)
    assert distance[position == "centre"].max() <= distance[position != "centre"].min()
    assert position[np.flatnonzero((places == 20).all(axis=1))] == "centre"


def test_small_well_is_all_centre_or_edge():
    position = well_position([3, 5, 5, 5, 3], 5)
    assert (position == "centre").sum() == 5 and (position == "edge").sum() == 16
    assert well_position([1], 1).tolist() == ["edge"]


def test_tile_off_the_grid():
    with pytest.raises(InputError, match="grid of 6 tiles, which has no tile 9"):
        positions_of([9], {"column_heights": [3, 3], "centre_tiles": 1, "first_tile": 0})


def positions_of(tiles, grid):
    cells = pd.DataFrame({"batch": "P/A1", "tile": tiles, "y_px": 1.0, "x_px": 1.0})
    screen = {"tile_size_px": 64, "well_grid": grid}
    fractions = {"fov_centre_fraction": 0.2, "fov_edge_fraction": 0.4}
    return cell_positions(cells, screen, fractions, "strict")["position_in_well"].tolist()


def test_a_grid_begins_at_any_tile_and_need_not_exist():
    grid = {"column_heights": [3, 3, 3], "centre_tiles": 1}
    tiles = np.arange(9)
    places = positions_of(tiles, grid | {"first_tile": 0})
    assert places == [*["edge"] * 4, "centre", *["edge"] * 4]
    assert positions_of(tiles + 1, grid | {"first_tile": 1}) == places
    with pytest.raises(InputError, match="no tile 0"):
        positions_of(tiles, grid | {"first_tile": 1})
    assert positions_of(tiles, None) == [""] * 9
