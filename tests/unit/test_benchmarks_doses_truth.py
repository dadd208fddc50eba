"""Doses, mechanisms and planted truth: against hand-made truth and other libraries."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import average_precision_score, r2_score

from mcvae_ops.benchmarks.doses.dose_response import doses_of, treated
from mcvae_ops.benchmarks.doses.dose_trend import trend_test
from mcvae_ops.benchmarks.doses.half_effect import half_effect, responses_of
from mcvae_ops.benchmarks.doses.mechanism_retrieval import (
    mechanism_precision,
    profile_precision,
    rank_profiles,
)
from mcvae_ops.benchmarks.doses.response import (
    DoseMeans,
    discriminants,
    dose_means,
    response,
    responses,
)
from mcvae_ops.benchmarks.truth.axis_regression import folds_of, predicted_axes, r2_terms
from mcvae_ops.benchmarks.truth.planted_truth import planted_axes, planted_names
from mcvae_ops.errors import InputError
from mcvae_ops.simulate.library import AXES, EFFECTS


@pytest.mark.parametrize(
    "name, pattern, dose",
    [("ACT-1A 0.3 uM", r"([\d.]+) uM$", 0.3), ("x@10", r"@(\d+)", 10.0)],
)
def test_a_dose_is_read_from_the_name(name, pattern, dose):
    found = doses_of(pd.Series([name, "control 1"]), np.array([False, True]), pattern)
    assert found.tolist() == [dose, 0.0]


@pytest.mark.parametrize("pattern", [r"(\d+) nM", "ACT", "(ACT)"])
def test_a_name_without_a_dose_is_said(pattern):
    with pytest.raises(InputError, match="no dose in 'ACT-1A 3 uM'"):
        doses_of(pd.Series(["ACT-1A 3 uM"]), np.array([False]), pattern)


def test_the_trend_of_two_doses_is_the_test_of_mann_and_whitney():
    rng = np.random.default_rng(0)
    score, dose = rng.normal(size=40), np.repeat([1.0, 3.0], [25, 15])
    share, p = trend_test(score, dose, np.zeros(40))
    other = mannwhitneyu(
        score[dose == 3], score[dose == 1], alternative="greater", method="asymptotic",
        use_continuity=False,
    )  # fmt: skip
    assert share == pytest.approx(other.statistic / (25 * 15))
    assert p == pytest.approx(other.pvalue)


def test_a_difference_between_batches_is_no_trend():
    # batch 1 has the high doses and the high scores, but within a batch nothing grows
    dose = np.array([1.0, 3, 1, 3, 10, 30, 10, 30])
    score = np.array([0.0, 0.1, 0.1, 0.0, 5.0, 5.1, 5.1, 5.0])
    share, p = trend_test(score, dose, np.repeat([0, 1], 4))
    assert share == pytest.approx(0.5) and p == pytest.approx(0.5)


def test_one_dose_has_no_trend():
    assert np.isnan(trend_test(np.arange(4.0), np.ones(4), np.zeros(4))).all()


def cells_of(ed50: float, doses=(0.0, 0.3, 1.0, 3.0, 10.0), n: int = 200):
    rng = np.random.default_rng(1)
    dose = np.tile(np.repeat(doses, n), 2)
    batch_of = np.repeat([0, 1], n * len(doses))
    score = 6 * dose / (dose + ed50) + rng.normal(size=len(dose)) + 3 * batch_of
    return score, dose, batch_of


@pytest.mark.parametrize("ed50", [0.8, 2.0, 4.0])
def test_the_planted_ed50_is_found(ed50):
    value, low, high = half_effect(responses_of(*cells_of(ed50)))
    assert value == pytest.approx(ed50, rel=0.7) and low < ed50 < high


def test_doses_that_do_not_hold_half_of_the_effect_have_no_ed50():
    assert np.isnan(half_effect(responses_of(*cells_of(200.0)))[0])
    assert responses_of(*cells_of(1.0, doses=(0.0, 3.0))) is None  # one dose
    assert responses_of(*cells_of(1.0, doses=(0.3, 1.0, 3.0))) is None  # no controls


def test_a_discriminant_comes_from_other_batches_and_controls_have_a_deviation_of_1_along_it():
    values = np.array([[3.0, 0], [1, 5], [0, 2], [7, 7]])
    dose, stratum_of = np.array([1.0, 3, 1, 0]), np.array([0, 0, 1, 1])
    means = dose_means(values, dose, stratum_of, 4 + stratum_of)
    covariance = np.array([[4.0, 1], [1, 2]])
    precision = np.linalg.inv(covariance)
    found = discriminants(means, precision)
    for stratum, others in enumerate(([0, 2], [4, 5])):
        along = precision @ others
        assert found[stratum] == pytest.approx(along / np.sqrt(along @ covariance @ along))
    alone = dose_means(values, dose, np.zeros(4), np.zeros(4))
    assert (discriminants(alone, precision) == 0).all()
    assert np.isnan(response(alone, precision)).all()


def test_a_response_is_the_mean_over_batches_along_the_direction_in_the_others():
    rng = np.random.default_rng(3)
    batch_of, dose = np.repeat([0, 1, 2], 12), np.tile(np.repeat([0.0, 1.0, 3.0], [6, 2, 4]), 3)
    values = rng.normal(size=(36, 4)) + dose[:, None]
    means = dose_means(values, dose, batch_of, batch_of)
    scores = (values * discriminants(means, np.eye(4))[batch_of]).sum(axis=1)
    found, terms = responses(means, np.eye(4))
    for k, level in enumerate((1.0, 3.0)):  # batches have as many cells: a plain mean
        by_batch = [
            scores[here & (dose == level)].mean() - scores[here & (dose == 0)].mean()
            for here in (batch_of == batch for batch in range(3))
        ]
        assert found[k] == pytest.approx(np.mean(by_batch))
    assert terms.shape == (3, 2) and terms.sum(axis=0) == pytest.approx([0, 0], abs=1e-9)


def test_cells_that_training_moved_tell_how_doses_differ_and_the_others_how_far_they_lie():
    """Without noise: the curve comes out, whatever training added to the cells that it saw."""
    curve, direction = np.array([0.0, 1.0, 3.0, 4.0]), np.array([0.6, 0.8])
    batch_of, seen, level = (part.ravel() for part in np.indices((3, 2, 4)))
    kept = ((seen == 0) & (level < 2)) | ((seen == 1) & (level > 0))  # few doses were left out
    batch_of, seen, level = batch_of[kept], seen[kept], level[kept]
    values = (curve[level] + 7 * seen)[:, None] * direction
    means = dose_means(values, level, 2 * batch_of + seen, batch_of)
    assert response(means, np.eye(2)) == pytest.approx(curve[1:])
    n = means.n * (np.arange(6) % 2)[:, None]  # the strata of seen cells alone have no controls
    assert np.isnan(response(DoseMeans(n, means.mean, means.batch_of), np.eye(2))).all()


@pytest.mark.parametrize(
    "wells, strata",
    [
        ("00000", [0, 0, 0, 1, 0]),
        ("00112", [0, 1, 0]),
    ],  # cells; wells: one with a seen cell is seen
)
def test_doses_are_compared_among_what_training_saw_and_among_the_rest(wells, strata):
    cells = pd.DataFrame(
        {"guide": ["c", "c", "a 1 uM", "a 1 uM", "a 3 uM"], "gene": ["NTC"] * 2 + ["a"] * 3}
    ).assign(plate="P", batch="P", well=list(wells))
    cells = cells.assign(is_ntc=cells["gene"] == "NTC", split=["test"] * 3 + ["train", "test"])
    units, controls = treated(cells, np.arange(10.0).reshape(5, 2), r"(\d) uM")
    assert units.stratum_of.tolist() == strata and len(controls) == 2
    assert units.dose[-1] == 3.0 and units.gene_of[0] == "NTC"
    halves, _ = treated(cells, np.arange(10.0).reshape(5, 2), r"(\d) uM", apart=True)
    # a well whose cells were seen in part is two units: the halves hold every cell once
    assert sorted(halves.stratum_of) == [0] * (4 if len(strata) == 5 else 3) + [1]


def test_precision_of_a_mechanism_is_that_of_scikit_learn_without_the_own_doses():
    rng = np.random.default_rng(2)
    compound_of, mechanism_of = np.repeat(np.arange(8), 3), np.array([0, 0, 0, 1, 1, 2, -1, -1])
    profiles = rng.normal(size=(24, 5))
    found = profile_precision(rank_profiles(profiles, compound_of), mechanism_of)
    unit = profiles / np.linalg.norm(profiles, axis=1, keepdims=True)
    own = mechanism_of[compound_of]
    for k in range(24):
        others = compound_of != compound_of[k]
        is_right = (own[others] == own[k]) & (own[k] >= 0)
        if not is_right.any():
            assert np.isnan(found[k])
            continue
        assert found[k] == pytest.approx(
            average_precision_score(is_right, (unit @ unit[k])[others])
        )
    of_mechanism = mechanism_precision(found, compound_of, mechanism_of)
    by_compound = [found[compound_of == k].mean() for k in range(5)]
    assert of_mechanism[:2] == pytest.approx([np.mean(by_compound[:3]), np.mean(by_compound[3:])])
    assert np.isnan(of_mechanism[2])  # one compound


def test_r2_is_that_of_scikit_learn_and_units_are_not_split():
    rng = np.random.default_rng(4)
    features, units = rng.normal(size=(80, 3)), np.repeat(np.arange(20), 4)
    axes = features @ rng.normal(size=(3, 2)) + rng.normal(size=(80, 2))
    fold = folds_of(units, rng)
    assert all(len(set(fold[units == unit])) == 1 for unit in range(20))
    predicted = predicted_axes(features, axes, fold)
    r2, terms = r2_terms(axes, predicted, units, few=False)
    assert r2 == pytest.approx(r2_score(axes, predicted, multioutput="raw_values"))
    assert terms.shape == (20, 2) and terms.sum(axis=0) == pytest.approx([0, 0], abs=1e-9)
    assert np.isnan(r2_terms(np.ones((80, 1)), np.ones((80, 1)), units, few=True)[0]).all()


def test_a_called_cell_has_the_truth_of_the_nearest_planted_one():
    place = {"plate": "P", "well": "A1", "tile": 0}
    planted = pd.DataFrame([place] * 2).assign(y_px=[10.0, 50.0], x_px=[10.0, 50.0])
    planted = planted.assign(**{axis: [1.0, 2.0] for axis in AXES})
    cells = pd.DataFrame([place] * 3).assign(y_px=[51.0, 10.5, 30.0], x_px=[50.0, 9.5, 30.0])
    found = planted_axes(cells, planted)["size"]
    assert found[:2].tolist() == [2.0, 1.0] and np.isnan(found[2])
    assert planted_axes(cells.assign(tile=1), planted).isna().all(axis=None)


def test_an_axis_is_planted_if_a_complex_moves_along_it():
    effects = pd.DataFrame(0.05, index=range(3), columns=EFFECTS).assign(complex=["a", "a", ""])
    effects.loc[[0, 1], "effect_size"] = -0.7
    effects.loc[2, "effect_mitosis"] = 3.0  # of no complex
    assert planted_names(effects) == ["size"]
