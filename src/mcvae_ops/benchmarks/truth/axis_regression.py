"""Ridge regression of planted axes on a latent space, on units that the fit did not see."""

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

FOLDS = 5
FEWEST_TO_FIT = 40  # units of a fit that another draw of them would change
PENALTIES = np.logspace(-2, 5, 8)  # of standardised features, chosen within the training part


def folds_of(units: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of each row; rows of one unit share it, (row,)."""
    names, unit_of = np.unique(units, return_inverse=True)
    return rng.permutation(np.arange(len(names)) % FOLDS)[unit_of]


def predicted_axes(features: np.ndarray, axes: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return each axis as predicted for held-out rows, (row, axis).

    Parameters
    ----------
    features
        (row, feature).
    axes
        (row, axis).
    fold
        (row,): each fold is predicted from the others.
    """
    predicted = np.empty(axes.shape)
    for held_out in np.unique(fold):
        train, test = fold != held_out, fold == held_out
        scaler = StandardScaler().fit(features[train])
        model = RidgeCV(PENALTIES, alpha_per_target=True)
        model.fit(scaler.transform(features[train]), axes[train])
        # scikit-learn returns (row,) for a single axis
        predicted[test] = model.predict(scaler.transform(features[test])).reshape(-1, axes.shape[1])
    return predicted


def r2_terms(
    axes: np.ndarray, predicted: np.ndarray, units: np.ndarray, *, few: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return R^2 of each axis, and what each unit contributes to its error.

    Parameters
    ----------
    axes, predicted
        (row, axis); an axis that does not vary has no R^2 (NaN).
    units
        Unit of each row, (row,).
    few
        Whether units are so few that another draw of them would give another fit: the variance of
        the mean over K folds is then not 1 / K of that of a fold, but 1 / K + 1 / (K - 1), with
        1 / (K - 1) the ratio of test to training units (Nadeau & Bengio 2003,
        doi:10.1023/A:1024068626366).

    Returns
    -------
    (axis,), and (unit, axis): those of a ratio of sums; NaN for fewer than 40 units with `few`,
    where even such terms are too small.
    """
    names, unit_of = np.unique(units, return_inverse=True)
    off, apart = (axes - predicted) ** 2, (axes - axes.mean(axis=0)) ** 2
    total = apart.sum(axis=0)
    total = np.where(total > np.finfo(float).eps * len(axes), total, np.nan)
    r2 = 1 - off.sum(axis=0) / total
    of_rows = -(off - (1 - r2) * apart) / total
    terms = np.zeros((len(names), axes.shape[1]))
    np.add.at(terms, unit_of, of_rows)
    if few:
        terms *= np.sqrt(1 + FOLDS / (FOLDS - 1)) if len(names) >= FEWEST_TO_FIT else np.nan
    return r2, terms
