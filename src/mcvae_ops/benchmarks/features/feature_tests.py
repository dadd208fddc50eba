"""Features of one group of genes against control cells (NTC), and their order over batches."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import ttest_ind_from_stats

SIGNIFICANCE = 0.05


class Comparison(NamedTuple):
    """One group against NTC in one batch, of shape (feature,) each."""

    z: np.ndarray
    p_adjusted: np.ndarray


def welch_bonferroni(group: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Return p values of Welch's t test for each feature, times the number of tests.

    Parameters
    ----------
    group, controls
        Of shape (cell, feature); NaN is left out.

    Returns
    -------
    Adjusted p values, at most 1, of shape (feature,); NaN where there is no test (constant
    features, fewer than two cells), which does not count as one.
    """
    statistics = []
    for cells in (group, controls):
        n = np.isfinite(cells).sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.nansum(cells, axis=0) / n
            variance = np.nansum(np.square(cells - mean), axis=0) / (n - 1)
        statistics += [mean, np.sqrt(variance), n]
    with np.errstate(invalid="ignore", divide="ignore"):
        p = ttest_ind_from_stats(*statistics, equal_var=False).pvalue
    p = np.where((statistics[1] > 0) | (statistics[4] > 0), p, np.nan)
    return np.minimum(p * np.isfinite(p).sum(), 1)


def robust_z(group: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Return (median of the group - median of NTC) / MAD of NTC, of shape (feature,).

    A MAD of zero gives infinity, or NaN where the medians agree.
    """
    middle = _nan_median(controls)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (_nan_median(group) - middle) / _nan_median(np.abs(controls - middle))


def _nan_median(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values).any(axis=0)
    median = np.full(values.shape[1], np.nan)
    median[known] = np.nanmedian(values[:, known], axis=0)
    return median


def compare_with_controls(group: np.ndarray, controls: np.ndarray) -> Comparison:
    """Set the cells of a group against NTC cells of the same batch, feature by feature."""
    return Comparison(robust_z(group, controls), welch_bonferroni(group, controls))


def rank_published(comparisons: Sequence[Comparison], top: int) -> tuple[np.ndarray, np.ndarray]:
    """Order features by the number of batches in which they are among the top ones.

    Parameters
    ----------
    comparisons
        One for each batch.
    top
        How many features of largest z (signed, whatever its p value) score in a batch.

    Returns
    -------
    Features in order (those that scored; ties by median z), and the number of
    batches of each feature, of shape (feature,).
    """
    count = np.zeros(len(comparisons[0].z), int)
    for comparison in comparisons:
        order = np.argsort(-comparison.z, kind="stable")[:top]
        count[order[~np.isnan(comparison.z[order])]] += 1
    strength = _nan_median(np.stack([comparison.z for comparison in comparisons]))
    order = np.lexsort([-strength, -count])
    return order[count[order] > 0], count


def rank_strict(comparisons: Sequence[Comparison]) -> tuple[np.ndarray, np.ndarray]:
    """Order features by median absolute z, among those significant in most batches.

    Parameters
    ----------
    comparisons
        One for each batch.

    Returns
    -------
    Features in order, and the number of batches in which each is significant.
    """
    z = np.stack([comparison.z for comparison in comparisons])
    p = np.stack([comparison.p_adjusted for comparison in comparisons])
    significant = ((p < SIGNIFICANCE) & np.isfinite(z)).sum(axis=0)
    strength = _nan_median(np.abs(np.where(np.isfinite(z), z, np.nan)))
    in_most = np.flatnonzero(significant > len(comparisons) / 2)
    return in_most[np.argsort(-strength[in_most], kind="stable")], significant
