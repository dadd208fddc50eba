"""Area under the ROC curve (AUROC), with the contribution of each unit to its error."""

import numpy as np
from scipy.stats import rankdata

from mcvae_ops.benchmarks.estimates.intervals import (
    FEWEST_OF_BOTH,
    FEWEST_PER_CLASS,
    NO_INTERVAL,
    stratified_interval,
)


def auroc(scores: np.ndarray, is_positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the AUROC of several scores of the same units, and its terms.

    Parameters
    ----------
    scores
        (score, unit), finite.
    is_positive
        (unit,).

    Returns
    -------
    (score,), and terms of shape (score, unit) for `intervals.stratified_interval` with positives
    and negatives as strata; NaN unless there are both. A tie between a
    positive and a negative counts half. The terms of two scores may
    be subtracted: the interval of a difference is then paired.

    References
    ----------
    DeLong et al. 1988, doi:10.2307/2531595.
    """
    n_positive, n_negative = is_positive.sum(), (~is_positive).sum()
    if n_positive == 0 or n_negative == 0:
        return np.full(len(scores), np.nan), np.full(scores.shape, np.nan)
    positive, negative = scores[:, is_positive], scores[:, ~is_positive]
    ranks = rankdata(scores, axis=1)
    beaten = (ranks[:, is_positive] - rankdata(positive, axis=1)) / n_negative
    beaten_by = 1 - (ranks[:, ~is_positive] - rankdata(negative, axis=1)) / n_positive
    area = beaten.mean(axis=1)
    terms = np.empty(scores.shape)
    terms[:, is_positive] = (beaten - area[:, None]) / n_positive
    terms[:, ~is_positive] = (beaten_by - area[:, None]) / n_negative
    return area, terms


def auroc_interval(
    value: float, terms: np.ndarray, is_positive: np.ndarray, *, is_share: bool = True
) -> tuple[float, float]:
    """Return the 95 % interval of an area, or of a difference of two (not a share).

    Fewer than eight positives or negatives, or 22 in all, give none: it would not cover the truth
    as it says.
    """
    n = np.bincount(is_positive.astype(int), minlength=2)
    if n.min() < FEWEST_PER_CLASS or n.sum() < FEWEST_OF_BOTH:
        return NO_INTERVAL
    return stratified_interval(value, terms, is_positive, is_share=is_share)
