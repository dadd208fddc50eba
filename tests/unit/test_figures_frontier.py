"""Fig. S10 on tables whose every number is known."""

import pandas as pd
import pytest

from mcvae_ops.figures.figs_frontier import figs10
from mcvae_ops.figures.style import MARKERS, house
from tests.helpers.figure_tables import cell_neighbours, metrics

WORDS = {"perturbation": "gene", "guide": "guide", "control": "NTC"}
SETTINGS = {"profiles": {"main_model": "mcvae", "compared_models": ["dcvae", "vae"]}}


def tables() -> dict[str, pd.DataFrame]:
    """Two models; the background of dcVAE tells less, and its reconstruction costs 12 nats more."""
    told = cell_neighbours()
    other = told.assign(model="dcvae")
    is_background = (other["space"] == "background") & (other["item"] == "gene")
    other.loc[is_background, ["value", "low", "high"]] -= 0.02
    worse = metrics().assign(model="dcvae")
    worse["negative_log_likelihood"] += 12.0
    return {
        "cell_neighbours": pd.concat([told, other], ignore_index=True),
        "metrics": pd.concat([metrics().assign(model="mcvae"), worse], ignore_index=True),
    }


def drawn_points(axes) -> list[tuple[float, float]]:
    """Return x and y of the points of axes, in the order in which they were drawn."""
    lines = [line for line in axes.get_lines() if line.get_marker() in MARKERS]
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in lines]


def test_each_model_stands_at_what_its_spaces_tell_and_at_the_nats_that_it_costs():
    with house(WORDS):
        figure, data = figs10(tables(), {}, SETTINGS)
        left, right = figure.axes
    # In the order of names: dcvae, mcvae. The better likelihood is that of the best ELBO, -20.
    assert drawn_points(left) == [pytest.approx((0.1, 0.4)), pytest.approx((0.12, 0.4))]
    assert drawn_points(right) == [pytest.approx((0.1, 12.0)), pytest.approx((0.12, 0.0))]
    assert [text.get_text() for text in right.get_legend().texts] == ["dcVAE", "mcVAE"]
    assert right.get_ylim() == pytest.approx((-0.72, 12.72))
    assert sorted(data["metric"].dropna()) == ["negative_log_likelihood"] * 2


def test_a_model_alone_is_the_best_and_no_nats_are_below_it():
    settings = {"profiles": {"main_model": "mcvae", "compared_models": []}}
    with house(WORDS):
        figure, _ = figs10(tables(), {}, settings)
    assert figure.axes[1].get_ylim() == pytest.approx((-0.06, 1.06))


def test_without_a_model_of_two_spaces_the_figure_says_so():
    of_one_space = tables()
    table = of_one_space["cell_neighbours"]
    of_one_space["cell_neighbours"] = table[table["space"] == "combined"]
    with house(WORDS):
        figure, _ = figs10(of_one_space, {}, SETTINGS)
    assert "no model with two spaces" in figure.axes[0].get_title()
