"""Where tiles and cells of a well lie, and in which state the cells are."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist

from mcvae_ops.randomness import named_rng
from mcvae_ops.screen import well_grid
from mcvae_ops.simulate.cell_states import call_cells, draw_cells, guides_of_well
from mcvae_ops.simulate.library import (
    AXES,
    EFFECTS,
    NATURAL_AXES,
    NOVEL_AXES,
    draw_genes,
    draw_guides,
)
from mcvae_ops.simulate.well_layout import (
    density_field,
    local_density,
    place_cells,
    smooth_noise,
)
from tests.helpers.simulated import DEFAULT

SIMULATE = DEFAULT["simulate"]
N_CELLS = 200_000


@pytest.fixture(scope="module")
def effects() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return draw_guides(draw_genes(SIMULATE["library"], rng), SIMULATE["library"], rng)


@pytest.fixture(scope="module")
def cells(effects) -> pd.DataFrame:
    return draw_cells(np.zeros(N_CELLS), effects, SIMULATE, np.random.default_rng(1))


def test_tiles_lie_on_a_snake_by_column():
    expected = [(1, 0), (2, 1), (1, 1), (0, 1), (1, 2)]
    np.testing.assert_array_equal(well_grid([1, 3, 1]), expected)


def test_cells_keep_their_distance():
    well = SIMULATE["well"] | {"min_distance_px": 20}
    places = place_cells((900, 1200), 500, well, np.random.default_rng(0))
    assert len(places) == 500
    assert pdist(places).min() >= 20
    assert (places >= 0).all()
    assert (places < (900, 1200)).all()


def test_a_full_well_takes_fewer_cells():
    well = SIMULATE["well"] | {"min_distance_px": 100}
    places = place_cells((500, 500), 400, well, np.random.default_rng(0))
    assert 5 < len(places) < 40
    assert pdist(places).min() >= 100


def test_density_falls_by_the_gradient_towards_the_corners():
    well = {"field_length_px": 40, "radial_gradient": 0.6, "field_sd": 0.0}
    density = density_field((1010, 1010), well, np.random.default_rng(0))
    middle = density.shape[0] // 2
    assert density[middle, middle] == 1
    np.testing.assert_allclose(density[0, 0], 0.4)
    np.testing.assert_allclose(density[middle, 0], 1 - 0.6 / np.sqrt(2))


def test_fewer_cells_where_density_is_low():
    well = SIMULATE["well"] | {"min_distance_px": 1, "field_sd": 0.0, "radial_gradient": 0.6}
    places = place_cells((1000, 1000), 40_000, well, np.random.default_rng(0))
    middle = np.all(np.abs(places - 500) < 100, axis=1).mean() / 0.2**2
    corner = np.all(places < 200, axis=1).mean() / 0.2**2
    # mean density at distance r (1 at the corner) is 1 - .6 r: by hand for both squares
    y, x = np.mgrid[-0.995:1:0.01, -0.995:1:0.01]
    density = 1 - 0.6 * np.hypot(y, x) / np.sqrt(2)
    assert middle == pytest.approx(density[80:120, 80:120].mean() / density.mean(), rel=0.1)
    assert corner == pytest.approx(density[:40, :40].mean() / density.mean(), rel=0.1)


def test_smooth_noise_has_its_variance_and_length():
    field = smooth_noise((512, 512), 5.0, np.random.default_rng(0))
    assert field.std() == pytest.approx(1)
    assert np.mean(field * np.roll(field, 5, axis=0)) == pytest.approx(np.exp(-0.5), abs=0.05)
    assert np.mean(field * np.roll(field, 10, axis=1)) == pytest.approx(np.exp(-2), abs=0.05)


def test_local_density_counts_neighbours():
    centres = np.array([(0, 0), (0, 9), (0, 18), (100, 100)], float)
    counts = np.array([2, 3, 2, 1])  # with the cell itself
    expected = (counts - counts.mean()) / counts.std()
    np.testing.assert_allclose(local_density(centres, 10), expected)


def test_draws_depend_on_seed_and_names_alone():
    first = named_rng(1, "P1", "A1").random(4)
    np.testing.assert_array_equal(first, named_rng(1, "P1", "A1").random(4))
    for other in ((2, "P1", "A1"), (1, "P2", "A1"), (1, "P1", "A2"), (1, "P1")):
        assert not np.array_equal(first, named_rng(*other).random(4))


def test_controls_are_standard_normal_on_natural_axes_and_zero_on_novel_ones(cells):
    controls = cells[cells["is_ntc"]]
    natural = controls[list(NATURAL_AXES)].to_numpy()
    n = len(natural)
    assert np.abs(natural.mean(axis=0)).max() < 4.5 / np.sqrt(n)
    assert np.abs(natural.std(axis=0) - 1).max() < 4.5 / np.sqrt(2 * n)
    correlation = np.corrcoef(natural.T) - np.eye(len(NATURAL_AXES))
    assert np.abs(correlation).max() < 4.5 / np.sqrt(n)
    assert (controls[list(NOVEL_AXES)] == 0).all(axis=None)
    assert not controls["is_affected"].any()


def test_guides_are_carried_as_configured(cells, effects):
    fraction = SIMULATE["library"]["control_fraction"]
    spread = np.sqrt(fraction * (1 - fraction) / N_CELLS)
    assert cells["is_ntc"].mean() == pytest.approx(fraction, abs=4.5 * spread)
    for is_ntc, carried in cells.groupby("is_ntc"):
        counts = carried["guide"].value_counts()
        expected = len(carried) / (effects["is_ntc"] == is_ntc).sum()
        assert len(counts) == (effects["is_ntc"] == is_ntc).sum()
        assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)
    of_guide = effects.set_index("guide")["gene"]
    assert (cells["gene"].to_numpy() == of_guide.loc[cells["guide"]].to_numpy()).all()


def test_four_percent_of_controls_are_in_mitosis(cells):
    controls = cells.loc[cells["is_ntc"], "is_mitotic"]
    fraction = SIMULATE["cell"]["mitotic_fraction"]
    spread = np.sqrt(fraction * (1 - fraction) / len(controls))
    assert fraction == 0.04
    assert controls.mean() == pytest.approx(fraction, abs=4.5 * spread)


def test_penetrance_and_effects_are_as_planted(effects):
    guide = effects[(effects["kind"] == "novel")].iloc[[0]]
    pair = pd.concat([guide, effects[effects["is_ntc"]].iloc[[0]]], ignore_index=True)
    cells = draw_cells(np.zeros(100_000), pair, SIMULATE, np.random.default_rng(2))
    carriers = cells[~cells["is_ntc"]]
    penetrance = guide["penetrance"].item()
    assert carriers["is_affected"].mean() == pytest.approx(penetrance, abs=0.01)
    affected = carriers[carriers["is_affected"]]
    planted = guide[EFFECTS].iloc[0].set_axis(AXES)
    for axis in NATURAL_AXES:
        expected = SIMULATE["cell"]["shift_size"] * planted[axis]
        assert affected[axis].mean() == pytest.approx(expected, abs=0.02)
    for axis in NOVEL_AXES:
        np.testing.assert_allclose(affected[axis], max(planted[axis], 0))
    spared = carriers[~carriers["is_affected"]]
    assert (spared[list(NOVEL_AXES)] == 0).all(axis=None)
    assert np.abs(spared[list(NATURAL_AXES)].mean()).max() < 0.03


def test_calls_err_as_configured(cells, effects):
    calls = SIMULATE["calls"] | {"wrong_guide_fraction": 0.05, "wrong_stage_fraction": 0.03}
    rng = np.random.default_rng(3)
    planted = cells.assign(y_px=rng.uniform(0, 640, N_CELLS), x_px=rng.uniform(0, 640, N_CELLS))
    called = call_cells(planted, effects[["guide", "gene"]], calls, rng)
    truth = planted.loc[called.index]
    assert len(called) / N_CELLS == pytest.approx(1 - calls["uncalled_fraction"], abs=0.003)
    assert (called["guide"] != truth["guide"]).mean() == pytest.approx(0.05, abs=0.003)
    is_called_mitotic = called["stage"] == "mitotic"
    assert (is_called_mitotic != truth["is_mitotic"]).mean() == pytest.approx(0.03, abs=0.003)
    assert set(called["stage"]) == {"mitotic", "interphase"}
    of_guide = effects.set_index("guide")["gene"]
    assert (called["gene"].to_numpy() == of_guide.loc[called["guide"]].to_numpy()).all()
    for axis in ("y_px", "x_px"):
        error = called[axis] - truth[axis]
        assert error.mean() == pytest.approx(0, abs=0.005)
        assert error.std() == pytest.approx(calls["position_sd_px"], rel=0.02)


def test_a_wrong_guide_is_another_one_even_in_a_library_of_two(effects):
    pair = effects[["guide", "gene"]].iloc[[0, -1]]
    calls = SIMULATE["calls"] | {"wrong_guide_fraction": 1.0}
    planted = pd.DataFrame({"guide": pair["guide"].iloc[0], "y_px": 0.0, "x_px": 0.0},
                           index=range(100)).assign(is_mitotic=False)  # fmt: skip
    called = call_cells(planted, pair, calls, np.random.default_rng(0))
    assert (called["guide"] == pair["guide"].iloc[1]).all()


def test_a_well_of_an_arrayed_plate_holds_one_gene_or_controls(effects):
    wells = [f"{row}{column}" for row in "ABCDEFGH" for column in range(1, 13)]
    genes = effects.loc[~effects["is_ntc"], "gene"].unique()
    held = []
    for place, well in enumerate(wells):
        guides = guides_of_well(effects, wells, well)
        cells = draw_cells(np.zeros(50), guides, SIMULATE, np.random.default_rng(place))
        called = call_cells(
            cells.assign(y_px=0.0, x_px=0.0), guides[["guide", "gene"]], SIMULATE["calls"],
            np.random.default_rng(place),
        )  # fmt: skip
        (gene,) = set(called["gene"])
        assert set(cells["gene"]) == {gene} and (gene == "NTC") == (place % 4 == 0)
        held += [gene] * (gene != "NTC")
    assert held == [genes[k % len(genes)] for k in range(72)]
