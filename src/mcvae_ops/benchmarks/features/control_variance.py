"""How much of the first principal component (PC1) of control cells (NTC) few features explain."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh

CONSTANT = 1e-9  # relative variance below which a feature counts as constant


class Moments(NamedTuple):
    """Sums over NTC cells; the covariance of any set of batches follows from them.

    Attributes
    ----------
    n
        Number of cells.
    total
        Sum of the features, of shape (feature,).
    products
        Sum of their products, of shape (feature, feature).
    """

    n: int
    total: np.ndarray
    products: np.ndarray


def moments(controls: np.ndarray) -> Moments:
    """Return the moments of the NTC cells of one batch.

    A missing value counts as the mean of the batch, or as 0 if the batch has no value.
    """
    finite = np.isfinite(controls)
    mean = np.where(finite, controls, 0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1)
    x = np.where(finite, controls, mean)
    return Moments(len(x), x.sum(axis=0), x.T @ x)


def pool_moments(parts: Sequence[Moments]) -> Moments:
    """Return the moments of several batches together."""
    return Moments(*(sum(part[k] for part in parts) for k in range(3)))


def explained_variance(
    train: Moments, test: Moments, order: np.ndarray, max_features: int
) -> np.ndarray:
    """Return the R^2 of PC1 on the first k features, for k = 1, ..., max_features.

    Standardisation, PC1 and regression come from `train`, R^2 from `test` (in sample if both are
    the same). The moments suffice, so that cells are read only once.

    Parameters
    ----------
    train, test
        Moments of NTC cells.
    order
        Features in order; constant features are skipped.
    max_features
        Largest k.

    Returns
    -------
    R^2, of shape (k,); shorter where fewer features are left.
    """
    mean = train.total / train.n
    variance = train.products.diagonal() / train.n - mean**2
    varying = variance > CONSTANT * np.maximum(mean**2, CONSTANT)
    if not varying.any():
        return np.empty(0)
    scale = np.sqrt(variance[varying])
    trained, _ = _standardised(train, mean, varying, scale)
    second, first = _standardised(test, mean, varying, scale)
    last = len(trained) - 1
    component = eigh(trained, subset_by_index=[last, last])[1][:, 0]
    spread = component @ second @ component - (component @ first) ** 2
    place = np.cumsum(varying) - 1
    chosen = place[order[varying[order]]][:max_features]
    explained = np.empty(len(chosen))
    for k in range(1, len(chosen) + 1):
        few = chosen[:k]
        weights = np.linalg.lstsq(trained[np.ix_(few, few)], trained[few] @ component, rcond=None)[
            0
        ]
        rest = component.copy()
        rest[few] -= weights
        explained[k - 1] = 1 - rest @ second @ rest / spread
    return explained


def _standardised(
    part: Moments, mean: np.ndarray, varying: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    total, mean = part.total[varying] / part.n, mean[varying]
    products = part.products[np.ix_(varying, varying)] / part.n
    products = products - np.outer(total, mean) - np.outer(mean, total) + np.outer(mean, mean)
    return products / np.outer(scale, scale), (total - mean) / scale
