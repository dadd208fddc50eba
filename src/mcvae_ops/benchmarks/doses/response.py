"""The response to each dose along a compound's direction, with the spread between batches."""

from typing import NamedTuple

import numpy as np


class DoseMeans(NamedTuple):
    """Mean cells of a compound at each dose, and of controls, in each batch.

    Attributes
    ----------
    n
        Units, (batch, 1 + dose), controls first.
    mean
        (batch, 1 + dose, dimension); 0 where there is no unit.
    squares
        Sum of the squares of the controls, (batch, dimension).
    """

    n: np.ndarray
    mean: np.ndarray
    squares: np.ndarray


def dose_means(values: np.ndarray, dose: np.ndarray, batch_of: np.ndarray) -> DoseMeans:
    """Return the means of units, (unit, dimension); the dose of controls is 0."""
    levels, level_of = np.unique(dose, return_inverse=True)
    batches, batch = np.unique(batch_of, return_inverse=True)
    shape = (len(batches), len(levels))
    n, total = np.zeros(shape), np.zeros((*shape, values.shape[1]))
    np.add.at(n, (batch, level_of), 1)
    np.add.at(total, (batch, level_of), values)
    squares, is_control = np.zeros((len(batches), values.shape[1])), dose == 0
    np.add.at(squares, batch[is_control], values[is_control] ** 2)
    return DoseMeans(n, total / np.maximum(n, 1)[:, :, None], squares)


def response(found: DoseMeans, scale: np.ndarray) -> np.ndarray:
    """Return the difference from controls along the direction in other batches, (dose,).

    The mean over batches, each with the precision of its difference; NaN without a batch that has
    the dose, controls, and another batch to take the direction from.

    Parameters
    ----------
    scale
        Standard deviation of controls, (dimension,): what a response is measured in.
    """
    n, controls = found.n[:, 1:], found.n[:, :1]
    own = (n[:, :, None] * found.mean[:, 1:]).sum(axis=1)
    others, n_others = own.sum(axis=0) - own, n.sum() - n.sum(axis=1)
    scaled = np.divide(others, scale, out=np.zeros_like(others), where=scale > 0)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    direction = np.divide(scaled, length, out=np.zeros_like(scaled), where=length > 0)
    moved = found.mean[:, 1:] - found.mean[:, :1]
    moved = np.divide(moved, scale, out=np.zeros_like(moved), where=scale > 0)
    weight = np.divide(n * controls, n + controls, out=np.zeros(n.shape), where=n > 0)
    weight *= (n_others > 0)[:, None]
    total = (weight * np.einsum("bkd,bd->bk", moved, direction)).sum(axis=0)
    known = weight.sum(axis=0)
    return np.divide(total, known, out=np.full(n.shape[1], np.nan), where=known > 0)


def responses(found: DoseMeans) -> tuple[np.ndarray, np.ndarray]:
    """Return the response at each dose, (dose,), and what each batch adds to its error.

    Returns
    -------
    (dose,) and (batch, dose). The terms are those of the jackknife: without a batch, the others
    have other directions and other standard deviations of controls, too.
    """
    every, spread = np.arange(len(found.n)), _spread(found)

    def without(batches: np.ndarray) -> np.ndarray:
        kept = DoseMeans(*(np.delete(part, batches, axis=0) for part in found))
        return response(kept, np.divide(_spread(kept), spread, out=spread.copy(), where=spread > 0))

    n = len(every)
    left = np.stack([without([batch]) for batch in every])
    return without([]), (n - 1) / n * (left.mean(axis=0) - left)


def _spread(found: DoseMeans) -> np.ndarray:
    return np.sqrt(found.squares.sum(axis=0) / np.maximum(found.n[:, 0].sum(), 1))
