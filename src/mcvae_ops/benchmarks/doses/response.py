"""The response to each dose along a compound's direction, with the spread between batches.

Doses are compared within strata: batches, and in each batch the cells that training saw and the
others. Training has moved the cells that it saw of a compound away from the controls, whatever
their dose: these cells tell how doses differ, and the others how far they lie from controls.
"""

from typing import NamedTuple

import numpy as np

DETERMINED = 1e-6  # so far from 1 may the resolution of a dose be that the strata determine


class DoseMeans(NamedTuple):
    """Mean units of a compound at each dose, and of controls, in each stratum.

    Attributes
    ----------
    n
        Units, (stratum, 1 + dose), controls first.
    mean
        (stratum, 1 + dose, dimension), from controls of the batch; 0 where there is no unit.
    batch_of
        Batch of each stratum, (stratum,).
    """

    n: np.ndarray
    mean: np.ndarray
    batch_of: np.ndarray


def dose_means(
    values: np.ndarray, dose: np.ndarray, stratum_of: np.ndarray, batch_of: np.ndarray
) -> DoseMeans:
    """Return the means of units, (unit, dimension); the dose of controls is 0."""
    levels, level_of = np.unique(dose, return_inverse=True)
    strata, first, stratum = np.unique(stratum_of, return_index=True, return_inverse=True)
    shape = (len(strata), len(levels))
    n, total = np.zeros(shape), np.zeros((*shape, values.shape[1]))
    np.add.at(n, (stratum, level_of), 1)
    np.add.at(total, (stratum, level_of), values)
    return DoseMeans(n, total / np.maximum(n, 1)[:, :, None], batch_of[first])


def discriminants(found: DoseMeans, precision: np.ndarray) -> np.ndarray:
    """Return Fisher's discriminant between a compound in the other batches and controls.

    Were the direction that of the same cells, noise alone would look like an effect.

    Parameters
    ----------
    precision
        Inverse covariance of control cells, (dimension, dimension).

    Returns
    -------
    (stratum, dimension), along which controls have a standard deviation of 1; 0 without a cell of
    the compound in another batch.
    """
    batches, batch = np.unique(found.batch_of, return_inverse=True)
    own = np.zeros((len(batches), found.mean.shape[2]))
    np.add.at(own, batch, np.einsum("sd,sdk->sk", found.n[:, 1:], found.mean[:, 1:]))
    others = (own.sum(axis=0) - own)[batch]
    along = others @ precision
    length = np.sqrt(np.maximum((others * along).sum(axis=1, keepdims=True), 0))
    return np.divide(along, length, out=np.zeros_like(along), where=length > 0)


def response(found: DoseMeans, precision: np.ndarray) -> np.ndarray:
    """Return the difference from controls along `discriminants`, (dose,), in their deviations.

    By least squares: the mean score of a dose in a stratum is what the stratum adds and what the
    dose adds. NaN where strata do not connect a dose with the controls.
    """
    direction = discriminants(found, precision)
    score = np.einsum("sdk,sk->sd", found.mean, direction)
    n = found.n * (direction != 0).any(axis=1)[:, None]
    share = n / np.maximum(n.sum(axis=1, keepdims=True), 1)
    apart = score - (share * score).sum(axis=1, keepdims=True)
    normal = (np.diag(n.sum(axis=0)) - n.T @ share)[1:, 1:]
    inverse = np.linalg.pinv(normal, rcond=1e-9, hermitian=True)
    is_known = np.abs((inverse @ normal).diagonal() - 1) < DETERMINED
    return np.where(is_known, inverse @ (n * apart).sum(axis=0)[1:], np.nan)


def responses(found: DoseMeans, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the response at each dose, (dose,), and what each batch adds to its error.

    Returns
    -------
    (dose,) and (batch, dose). The terms are those of the jackknife: without a batch, the others
    have other directions, too.
    """
    batches = np.unique(found.batch_of)
    kept = [found.batch_of != batch for batch in batches]
    left = np.stack([response(DoseMeans(*(x[k] for x in found)), precision) for k in kept])
    n = len(batches)
    return response(found, precision), (n - 1) / n * (left.mean(axis=0) - left)
