"""Mean average precision of each complex: do its members lie nearest to each other?"""

from functools import cache

import numpy as np
from copairs import compute
from scipy.stats import rankdata

from mcvae_ops.benchmarks.estimates.retrieval import average_precision


def complex_average_precision(
    distances: np.ndarray, complexes: dict[str, np.ndarray]
) -> dict[str, float]:
    """Return the mean average precision of each complex.

    Every member ranks all other nodes by distance; positive are the other members, negative all
    nodes outside the complex. Ties count together.

    Parameters
    ----------
    distances
        (node, node), symmetric.
    complexes
        Name -> positions of two or more nodes.

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
    """Return the p value of a complex's score against random rankings (copairs).

    p = (1 + number of null scores above the score) / (1 + rounds): never 0. As in copairs, all
    members share one null draw, so that the test is conservative.
    """
    null = null_scores(n_members - 1, n_nodes - 1, rounds, seed)
    return float((1 + (null > score).sum()) / (1 + rounds))


@cache
def null_scores(n_positive: int, n_total: int, rounds: int, seed: int) -> np.ndarray:
    """Return the average precision of random rankings of `n_total`, of shape (round,)."""
    return compute.random_ap(rounds, n_positive, n_total, seed)
