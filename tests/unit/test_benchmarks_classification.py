"""Splits, fits and scores against scikit-learn and counting."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mcvae_ops.benchmarks.estimates import classification


@pytest.fixture
def blobs():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 300)
    x = rng.normal(size=(300, 6)) + rng.normal(size=(4, 6))[truth]
    return x, truth


def test_split_is_stratified_and_keeps_units_whole():
    rng = np.random.default_rng(1)
    labels = np.repeat(["a", "b"], [60, 30])
    units = np.repeat(np.arange(30), 3)
    test = classification.split_units(labels, units, 0.4, rng)
    assert not set(units[test]) & set(units[~test])
    assert test[labels == "a"].sum() == 24 and test[labels == "b"].sum() == 12


def test_split_of_mixed_and_single_units():
    labels = np.array(["a", "b", "a", "b", "c"])
    units = np.array([0, 0, 1, 1, 2])
    test = classification.split_units(labels, units, 0.4, np.random.default_rng(0))
    assert test[:4].sum() == 2 and test[0] == test[1]
    assert not test[4]  # a class of one unit can only be trained on


def test_folds_spread_every_class_and_keep_genes_whole():
    rng = np.random.default_rng(2)
    genes = np.repeat([f"g{k:02d}" for k in range(14)], 4)
    labels = np.where(genes < "g02", "small", "large")
    fold = classification.grouped_folds(labels, genes, 5, rng)
    assert all(len(set(fold[genes == gene])) == 1 for gene in set(genes))
    assert len(set(fold[labels == "small"])) == 2
    counts = np.bincount(fold[labels == "large"][::4], minlength=5)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("standardise", [False, True])
def test_probabilities_agree_with_scikit_learn(blobs, standardise):
    x, truth = blobs
    steps = [StandardScaler()] if standardise else []
    model = make_pipeline(*steps, LogisticRegression(class_weight="balanced", max_iter=1000))
    expected = model.fit(x[:200], truth[:200]).predict_proba(x[200:])
    found = classification.class_probabilities(
        x[:200], truth[:200], x[200:], standardise=standardise
    )
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_constant_features_do_no_harm(blobs):
    x, truth = blobs
    wide = np.column_stack([x, np.full(300, 7.0)])
    one, other = (
        classification.class_probabilities(each[:200], truth[:200], each[200:], standardise=True)
        for each in (x, wide)
    )
    np.testing.assert_allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_scores_agree_with_scikit_learn(n_classes):
    rng = np.random.default_rng(n_classes)
    truth = rng.integers(0, n_classes, 200)
    probabilities = rng.dirichlet(np.ones(n_classes), 200).round(2)  # with ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    predicted = probabilities.argmax(axis=1)
    f1 = classification.f1_per_class(truth, predicted, n_classes)[0]
    np.testing.assert_allclose(f1, f1_score(truth, predicted, average=None))
    scores = probabilities[:, 1] if n_classes == 2 else probabilities
    expected = roc_auc_score(truth, scores, multi_class="ovr", average="macro")
    assert classification.auroc_per_class(truth, probabilities)[0].mean() == pytest.approx(expected)


def test_f1_of_a_class_that_is_never_predicted():
    assert classification.f1_per_class(np.array([0, 1]), np.array([0, 0]), 3)[0].tolist() == [
        2 / 3,
        0,
        0,
    ]


def test_chance_is_what_guessing_scores():
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1, 2], [600, 300, 100])
    guessed = [f1_score(truth, rng.integers(0, 3, 1000), average=None) for _ in range(200)]
    found = classification.chance_f1_per_class(truth, 3)
    np.testing.assert_allclose(found, np.mean(guessed, axis=0), atol=0.005)


def test_rows_that_are_not_finite():
    x = np.array([[0.0, 1], [np.nan, 1], [0, np.inf]])
    assert classification.finite_rows(x).tolist() == [True, False, False]
