"""95 % intervals that cover as often as they say, with few units as with many.

A unit is what another experiment would draw anew, and what the claim is about: a batch, a tile of
given batches, a gene, a functional group, a cluster of complexes. Fewer than three units give no
interval (NaN), and neither do units without any spread: a point is not an interval.
`tests/calibration` measures how often each of these intervals covers the truth.
"""

import numpy as np
from scipy import stats
from scipy.special import expit, logit

LEVEL = 0.95
FEWEST_UNITS = 3
FEWEST_FOR_BOOTSTRAP = 8
FEWEST_PER_CLASS, FEWEST_OF_BOTH = 8, 22  # positives, and negatives, for an interval of an AUROC
NO_INTERVAL = (np.nan, np.nan)


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Return the interval of the mean of independent values, (unit,); Student's t."""
    return stratified_interval(
        np.mean(values) if len(values) else np.nan,
        (values - np.mean(values)) / len(values) if len(values) else values,
    )


def difference_interval(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return the interval of the difference of two means; Welch's t.

    Parameters
    ----------
    first, second
        Independent values of two kinds of units, of shape (unit,) each.
    """
    if min(len(first), len(second)) < FEWEST_UNITS or np.ptp(first) + np.ptp(second) == 0:
        return NO_INTERVAL
    test = stats.ttest_ind(first, second, equal_var=False)
    return tuple(float(end) for end in test.confidence_interval(LEVEL))


def stratified_interval(
    value: float, terms: np.ndarray, strata: np.ndarray | None = None, *, is_share: bool = False
) -> tuple[float, float]:
    """Return the interval of an estimate that is nearly a sum over units (Taylor linearisation).

    Parameters
    ----------
    value
        The estimate.
    terms
        What each unit contributes to the error of the estimate, (unit,).
    strata
        The stratum of each unit, (unit,): strata are given, units are drawn within them. A stratum
        of one unit says nothing of its spread: no interval. None: all units are of one stratum.
    is_share
        Whether the estimate lies between 0 and 1 (a share, an AUROC): the interval is then that of
        its logit. An estimate of 0 or 1 has none.

    Returns
    -------
    value +- t sqrt(V), V = sum over strata of n / (n - 1) sum (term - mean)^2, with as many degrees
    of freedom as units less strata.

    References
    ----------
    Wolter 2007, doi:10.1007/978-0-387-35099-8, chapter 6.
    """
    strata = np.zeros(len(terms), int) if strata is None else strata
    _, stratum, n = np.unique(strata, return_inverse=True, return_counts=True)
    if len(terms) < FEWEST_UNITS or n.min() < 2:
        return NO_INTERVAL
    apart = terms - (np.bincount(stratum, weights=terms) / n)[stratum]
    variance = (np.bincount(stratum, weights=apart**2) * n / (n - 1)).sum()
    freedom = len(terms) - len(n)
    if not variance > (np.finfo(float).eps * max(abs(value), 1)) ** 2:
        return NO_INTERVAL
    half = stats.t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(variance)
    if not is_share:
        return float(value - half), float(value + half)
    if not 0 < value < 1:
        return NO_INTERVAL
    ends = logit(value) + np.array([-1, 1]) * half / (value * (1 - value))
    return tuple(float(end) for end in expit(ends))


def median_interval(values: np.ndarray) -> tuple[float, float]:
    """Return the interval of the median, (unit,): interpolated order statistics.

    Fewer than six units give none: their extremes cover the median less often than 95 %.

    References
    ----------
    Hettmansperger & Sheather 1986, doi:10.1016/0167-7152(86)90021-0.
    """
    n, ordered = len(values), np.sort(values)
    k = int(stats.binom.ppf((1 - LEVEL) / 2, n, 0.5)) if n else 0
    if k < 1 or np.ptp(ordered) == 0:
        return NO_INTERVAL
    covers, next_covers = (1 - 2 * stats.binom.cdf(j - 1, n, 0.5) for j in (k, k + 1))
    share = (covers - LEVEL) / (covers - next_covers)
    inner = (n - k) * share / (k + (n - 2 * k) * share)
    low, high = ((1 - inner) * ends[k - 1] + inner * ends[k] for ends in (ordered, ordered[::-1]))
    return float(low), float(high)


def bootstrap_interval(rounds: np.ndarray, n_units: int) -> tuple[float, float]:
    """Return the 95 % interval of bootstrap rounds of `n_units` units: expanded percentiles.

    Plain percentiles are too narrow, by sqrt((n - 1) / n) and by the difference of the normal and
    Student's distribution: this takes percentiles farther out (Hesterberg 2015,
    doi:10.1080/00031305.2015.1089789). Below eight units no percentile of rounds helps: NaN.
    """
    finite = rounds[np.isfinite(rounds)]
    if len(finite) == 0 or n_units < FEWEST_FOR_BOOTSTRAP or np.ptp(finite) == 0:
        return NO_INTERVAL
    quantile = stats.t.ppf((1 - LEVEL) / 2, n_units - 1) * np.sqrt(n_units / (n_units - 1))
    tail = 100 * stats.norm.cdf(quantile)
    low, high = np.percentile(finite, [tail, 100 - tail])
    return float(low), float(high)


def percentile_range(rounds: np.ndarray) -> tuple[float, float]:
    """Return the middle 95 % of the rounds of a permutation null."""
    low, high = np.percentile(rounds, [100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2])
    return float(low), float(high)
