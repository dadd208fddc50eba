"""Does the effect of a compound grow with its dose? Test of Jonckheere and Terpstra in strata.

Cells are scored along the direction in which the compound moves its cells, all doses together. The
direction does not know the doses, so that without a trend doses are exchangeable within a stratum.
"""

import numpy as np
from scipy.stats import norm


def trend_test(score: np.ndarray, dose: np.ndarray, stratum_of: np.ndarray) -> tuple[float, float]:
    """Return how often the higher dose has the higher score, and the p value of an upward trend.

    Parameters
    ----------
    score, dose, stratum_of
        Of each cell of a compound, (cell,).

    Returns
    -------
    Share of the pairs of cells of one stratum and two doses (0.5 without a trend), and the
    one-sided p value of the normal approximation; NaN without such a pair.

    References
    ----------
    Jonckheere 1954, doi:10.1093/biomet/41.1-2.133; strata as in Mantel's test.
    """
    in_order = pairs = variance = 0.0
    for stratum in np.unique(stratum_of):
        here = stratum_of == stratum
        doses = np.unique(dose[here])
        parts = [np.sort(score[here & (dose == one)]) for one in doses]
        for k, higher in enumerate(parts):
            for lower in parts[:k]:
                below = sum(np.searchsorted(lower, higher, side) for side in ("left", "right"))
                in_order, pairs = in_order + below.sum() / 2, pairs + len(lower) * len(higher)
        n = np.array([len(part) for part in parts])
        of_size = (np.r_[n.sum(), n] ** 2) * (2 * np.r_[n.sum(), n] + 3)
        variance += (of_size[0] - of_size[1:].sum()) / 72
    if variance == 0:
        return np.nan, np.nan
    return in_order / pairs, float(norm.sf((in_order - pairs / 2) / np.sqrt(variance)))
