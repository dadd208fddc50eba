"""Tests of the features of a group of genes against control cells (NTC), and feature rankings."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import ttest_ind_from_stats

SIGNIFICANCE = 0.05


class Comparison(NamedTuple):
    """Robust z and adjusted p value of one group against NTC in one batch, (feature,) each."""

    z: np.ndarray
    p_adjusted: np.ndarray


def welch_bonferroni(group: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Return the Bonferroni-adjusted p value of Welch's t test for each feature.

    Parameters
    ----------
    group, controls
        Features, of shape (cell, feature); NaN is left out.

    Returns
    -------
    p values times the number of tests, at most 1, of shape (feature,). Constant features and
    features of fewer than two cells are not tested (NaN) and not counted as tests.
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

    A MAD of 0 gives infinity, or NaN if the medians are equal.
    """
    middle, spread = robust_scale(controls)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (nan_median(group) - middle) / spread


def robust_scale(controls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the median and the MAD of NTC, (feature,) each; see `robust_z`."""
    middle = nan_median(controls)
    return middle, nan_median(np.abs(controls - middle))


def nan_median(values: np.ndarray) -> np.ndarray:
    """Return the median of the finite values of each column; NaN where there is none."""
    known = np.isfinite(values).any(axis=0)
    median = np.full(values.shape[1], np.nan)
    if known.any():
        ordered = np.sort(values[:, known], axis=0)  # NaN last
        n = (~np.isnan(ordered)).sum(axis=0)
        column = np.arange(ordered.shape[1])
        median[known] = (ordered[(n - 1) // 2, column] + ordered[n // 2, column]) / 2
    return median


def compare_with_controls(group: np.ndarray, controls: np.ndarray) -> Comparison:
    """Compare the cells of a group with NTC cells of the same batch, feature by feature."""
    return Comparison(robust_z(group, controls), welch_bonferroni(group, controls))


def rank_published(comparisons: Sequence[Comparison], top: int) -> tuple[np.ndarray, np.ndarray]:
    """Order features by the number of batches in which they are among the top features.

    Parameters
    ----------
    comparisons
        One per batch.
    top
        Number of top features of a batch: those of largest z (signed, whatever its p value).

    Returns
    -------
    Features in order (only those that are a top feature of a batch; ties by median z), and the
    number of batches of each feature, of shape (feature,).
    """
    count = np.zeros(len(comparisons[0].z), int)
    for comparison in comparisons:
        order = np.argsort(-comparison.z, kind="stable")[:top]
        count[order[~np.isnan(comparison.z[order])]] += 1
    strength = nan_median(np.stack([comparison.z for comparison in comparisons]))
    order = np.lexsort([-strength, -count])
    return order[count[order] > 0], count


def rank_strict(comparisons: Sequence[Comparison]) -> tuple[np.ndarray, np.ndarray]:
    """Order the features that are significant in most batches by their median absolute z.

    Parameters
    ----------
    comparisons
        One per batch.

    Returns
    -------
    Features in order, and the number of batches in which each is significant.
    """
    z = np.stack([comparison.z for comparison in comparisons])
    p = np.stack([comparison.p_adjusted for comparison in comparisons])
    significant = ((p < SIGNIFICANCE) & np.isfinite(z)).sum(axis=0)
    strength = nan_median(np.abs(np.where(np.isfinite(z), z, np.nan)))
    in_most = np.flatnonzero(significant > len(comparisons) / 2)
    return in_most[np.argsort(-strength[in_most], kind="stable")], significant
