"""Splits, fits and scores of logistic regression, for every benchmark of prediction."""

import logging

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mcvae_ops.benchmarks.estimates.roc import auroc

logger = logging.getLogger(__name__)

MAX_ITERATIONS = 1000


def finite_rows(features: np.ndarray) -> np.ndarray:
    """Return which rows are finite throughout, of shape (row,); log how many are not."""
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        logger.warning("%d of %d rows are left out: not finite", (~finite).sum(), len(finite))
    return finite


def with_two_units(labels: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return which rows belong to a class of two units or more, of shape (row,); log the others."""
    n_units = pd.Series(units).groupby(np.asarray(labels)).nunique()
    small = n_units.index[n_units < 2]
    if len(small):
        logger.warning("classes with fewer than two members are left out: %s", ", ".join(small))
    return ~np.isin(labels, small)


def split_units(
    labels: np.ndarray, units: np.ndarray, test_fraction: float, rng: np.random.Generator
) -> np.ndarray:
    """Choose test rows so that all rows of a unit are either test or training rows.

    Parameters
    ----------
    labels
        Class of each row, of shape (row,).
    units
        Unit of each row that must not be split (the row itself, its tile, its gene), of shape
        (row,).
    test_fraction
        Share of the units of each stratum to hold out: at least one unit, at most all except one.
        Each class is a stratum of the units that hold this class only; units with several classes
        form one more stratum.
    rng
        Source of randomness.

    Returns
    -------
    Mask of the test rows, of shape (row,).
    """
    names, unit_of_row = np.unique(units, return_inverse=True)
    classes, class_of_row = np.unique(labels, return_inverse=True)
    lowest = np.full(len(names), len(classes))
    highest = np.full(len(names), -1)
    np.minimum.at(lowest, unit_of_row, class_of_row)
    np.maximum.at(highest, unit_of_row, class_of_row)
    stratum = np.where(lowest == highest, lowest, len(classes))
    test = np.zeros(len(names), bool)
    for value in np.unique(stratum):
        members = rng.permutation(np.flatnonzero(stratum == value))
        n_test = min(max(1, round(test_fraction * len(members))), len(members) - 1)
        test[members[:n_test]] = True
    return test[unit_of_row]


def grouped_folds(
    labels: np.ndarray, units: np.ndarray, n_folds: int, rng: np.random.Generator
) -> np.ndarray:
    """Distribute units over folds, class by class, so that every fold holds every class evenly.

    Parameters
    ----------
    labels
        Class of each row, of shape (row,); all rows of a unit have the same one.
    units
        Unit of each row that must not be split (the gene), of shape (row,).
    n_folds
        Number of folds. A class of two units or more is never in one fold only.
    rng
        Source of randomness.

    Returns
    -------
    Fold of each row, of shape (row,).
    """
    names, first, unit_of_row = np.unique(units, return_index=True, return_inverse=True)
    fold = np.empty(len(names), int)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels[first] == label))
        fold[members] = (np.arange(len(members)) + rng.integers(n_folds)) % n_folds
    return fold[unit_of_row]


def class_probabilities(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, *, standardise: bool
) -> np.ndarray:
    """Fit a logistic regression (L2, C = 1, balanced class weights) and apply it.

    Parameters
    ----------
    train, test
        Features of shape (row, feature).
    labels
        Class of each row of `train`; at least two classes.
    standardise
        Whether to scale features to mean 0 and standard deviation 1 on `train` first; a constant
        feature becomes 0.

    Returns
    -------
    Probabilities of shape (row of test, class), classes in sorted order.
    """
    train, test = np.asarray(train, float), np.asarray(test, float)
    if standardise:
        scaler = StandardScaler().fit(train)
        train, test = scaler.transform(train), scaler.transform(test)
    model = LogisticRegression(C=1.0, class_weight="balanced", max_iter=MAX_ITERATIONS)
    model.fit(train, labels)
    if model.n_iter_.max() >= MAX_ITERATIONS:
        logger.warning("logistic regression stopped after %d iterations", MAX_ITERATIONS)
    return model.predict_proba(test)


def f1_per_class(
    truth: np.ndarray, predicted: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the F1 score of each class, and what each row contributes to its error.

    Parameters
    ----------
    truth, predicted
        Class of each row, 0.., of shape (row,).
    n_classes
        Number of classes.

    Returns
    -------
    (class,), 0 for a class that is neither true nor predicted, and terms (row, class) as in
    `intervals.stratified_interval`.
    """
    is_true, is_called = (
        classes[:, None] == np.arange(n_classes) for classes in (truth, predicted)
    )
    hit, total = is_true & is_called, is_true.astype(int) + is_called
    size = np.maximum(total.sum(axis=0), 1)
    f1 = 2 * hit.sum(axis=0) / size
    return f1, (2 * hit - f1 * total) / size


def auroc_per_class(truth: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the area under the ROC curve of each class against the rest, and its terms.

    Parameters
    ----------
    truth
        Class of each row, 0, 1, ..., of shape (row,); at least two classes, and every class
        occurs.
    probabilities
        Of shape (row, class).

    Returns
    -------
    (class,), and terms (row, class) as in `roc.auroc`.
    """
    areas, terms = zip(
        *(auroc(each[None], truth == k) for k, each in enumerate(probabilities.T)), strict=True
    )
    return np.concatenate(areas), np.concatenate(terms).T


def chance_f1_per_class(truth: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the expected F1 score of each class for uniformly random guesses.

    Precision is then the prevalence p, recall 1/K, and their harmonic mean 2p / (Kp + 1).
    """
    prevalence = np.bincount(truth, minlength=n_classes) / len(truth)
    return 2 * prevalence / (n_classes * prevalence + 1)
