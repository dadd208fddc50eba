"""Mean average precision (mAP) of complexes: are the members of a complex each other's nearest?"""

from functools import cache

import numpy as np
from copairs import compute
from scipy.stats import rankdata

from mcvae_ops.benchmarks.estimates.retrieval import average_precision


def complex_average_precision(
    distances: np.ndarray, complexes: dict[str, np.ndarray]
) -> dict[str, float]:
    """Return the mean average precision of each complex.

    Every member ranks all other nodes by distance. The other members are positives, nodes outside
    the complex are negatives. Ties share the largest rank.

    Parameters
    ----------
    distances
        (node, node), symmetric.
    complexes
        Name of a complex -> positions of its nodes, two or more.

    References
    ----------
    Kalinin et al. 2025, doi:10.1038/s41467-025-60306-2 (copairs).
    """
    others = distances.copy()
    np.fill_diagonal(others, np.inf)
    ranks = rankdata(others, method="max", axis=1)
    scores = {}
    for name, members in complexes.items():
        within = ranks[np.ix_(members, members)]
        apart = within[~np.eye(len(members), dtype=bool)].reshape(len(members), -1)
        scores[name] = float(average_precision(apart).mean())
    return scores


def complex_p_value(score: float, n_members: int, n_nodes: int, rounds: int, seed: int) -> float:
    """Return the p value of the score of a complex against random rankings (copairs).

    p = (1 + number of null scores above the score) / (1 + rounds), which is never 0. As in copairs,
    all members share one null draw, which makes the test conservative.
    """
    null = null_scores(n_members - 1, n_nodes - 1, rounds, seed)
    return float((1 + (null > score).sum()) / (1 + rounds))


@cache
def null_scores(n_positive: int, n_total: int, rounds: int, seed: int) -> np.ndarray:
    """Return the average precision of random rankings of `n_total` items, of shape (round,)."""
    return compute.random_ap(rounds, n_positive, n_total, seed)
