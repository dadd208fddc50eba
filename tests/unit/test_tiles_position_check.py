"""Positions that fit the image elsewhere: planted mistakes are found, right ones pass."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mcvae_ops.errors import InputError
from mcvae_ops.tiles.position_check import PositionCheck

SIZE = np.array((300, 420))
CROP_PX = 48


def tile(seed: int, look: str) -> tuple[np.ndarray, np.ndarray]:
    """Draw 40 cells that keep apart; their positions are measured with an error of 3 px."""
    rng = np.random.default_rng(seed)
    middles = np.empty((0, 2))
    while len(middles) < 40:
        one = rng.uniform(10, SIZE - 10)
        if not len(middles) or np.hypot(*(middles - one).T).min() > 26:
            middles = np.vstack([middles, one])
    y, x = np.indices(SIZE)
    signal = np.zeros(SIZE)
    for middle in middles:
        r = np.hypot(y - middle[0], x - middle[1])
        part = r < 11 if look == "nuclei" else (r > 8) & (r < 13)
        signal += part * rng.uniform(0.5, 1.5)
    level = 200 + 1500 * gaussian_filter(signal, 1.5)
    level = np.full(SIZE, 200.0) if look == "empty" else level
    return rng.poisson(level), middles + rng.normal(0, 3, middles.shape)


def message(move, look: str = "nuclei", n_tiles: int = 3) -> str | None:
    check = PositionCheck("DNA", CROP_PX)
    try:
        for seed in range(n_tiles):
            plane, centres = tile(seed, look)
            check.add(plane, move(centres))
    except InputError as error:
        return str(error)
    return None


@pytest.mark.parametrize("look", ["nuclei", "rings", "empty"])
def test_right_positions_pass(look):
    assert message(lambda yx: yx, look) is None


@pytest.mark.parametrize(
    "move",
    [
        lambda yx: np.random.default_rng(0).uniform(0, SIZE, yx.shape),  # tells nothing
        lambda yx: yx[:10],  # 30 cells in all: too few
        lambda yx: yx + np.array([4, 3]),  # within a sixth of a crop
    ],
)
def test_nothing_is_said_where_nothing_is_sure(move):
    assert message(move) is None


@pytest.mark.parametrize("look", ["nuclei", "rings"])
@pytest.mark.parametrize(
    ("move", "expected"),
    [
        (lambda yx: yx[:, ::-1], "with y and x swapped"),
        (lambda yx: np.column_stack([SIZE[0] - 1 - yx[:, 0], yx[:, 1]]), "y counted from below"),
        (lambda yx: np.column_stack([yx[:, 0], SIZE[1] - 1 - yx[:, 1]]), "x counted from the righ"),
    ],
)
def test_turned_axes_are_found(move, expected, look):
    assert expected in message(move, look)


@pytest.mark.parametrize("look", ["nuclei", "rings"])
@pytest.mark.parametrize("offset", [(20, 0), (0, -20), (-14, 14), (25, -31), (0, 60)])
def test_an_offset_is_found_with_its_size(offset, look):
    text = message(lambda yx: yx + offset, look)
    assert "it is +" in text and "add this to y_px and x_px in cells.columns" in text
    dy, dx = text.partition("moved by (")[2].partition(")")[0].split(", ")
    assert np.hypot(int(dy) + offset[0], int(dx) + offset[1]) < 8


def test_positions_in_the_well_are_told_from_those_in_the_tile():
    text = message(lambda yx: yx + np.array([900, 1260]))
    assert text.startswith("positions of cells: found 80 of 80 cells outside of their tiles of 300")
    assert "screen.cut_px" in text
