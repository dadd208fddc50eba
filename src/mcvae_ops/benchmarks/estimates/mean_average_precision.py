"""Mean average precision (mAP) of sets of profiles: are the members each other's nearest?

Every member ranks all other profiles by distance; positive are the other members, negative all
profiles outside the set. Ties count together (Kalinin et al. 2025, doi:10.1038/s41467-025-60306-2).

The null of a p value is the score of random sets of as many profiles. The random rankings of the
package copairs, one for all members of a set, make p too large: the members of a set are then as
good as one.
"""

import numpy as np
from scipy.stats import rankdata

from mcvae_ops.benchmarks.estimates.retrieval import average_precision, unit_profiles

BLOCK = 8_000_000  # numbers held at a time


def rank_neighbours(distances: np.ndarray) -> np.ndarray:
    """Return how many other profiles lie at most as far from the row's, (profile, profile).

    Parameters
    ----------
    distances
        (profile, profile), symmetric; the diagonal does not matter.
    """
    others = distances.copy()
    np.fill_diagonal(others, np.inf)
    return rankdata(others, method="max", axis=1).astype(np.int32)


def score_sets(ranks: np.ndarray, sets: np.ndarray) -> np.ndarray:
    """Return the mean average precision of sets of equal size.

    Parameters
    ----------
    ranks
        As `rank_neighbours` returns.
    sets
        (set, member) positions, two or more members.
    """
    n_sets, size = sets.shape
    scores, step = np.empty(n_sets), max(1, BLOCK // size**2)
    apart = ~np.eye(size, dtype=bool)
    for start in range(0, n_sets, step):
        block = sets[start : start + step]
        within = ranks[block[:, :, None], block[:, None, :]][:, apart]
        scores[start : start + step] = mean_score(within.reshape(len(block), size, size - 1))
    return scores


def mean_score(mate_ranks: np.ndarray) -> np.ndarray:
    """Return the mean over members of their average precision; (..., member, mate) -> (...)."""
    return average_precision(mate_ranks).mean(axis=-1)


def score_profiles(profiles: np.ndarray, sets: np.ndarray) -> np.ndarray:
    """Return what `score_sets` does, from profiles that are too many for a matrix of ranks.

    Parameters
    ----------
    profiles
        (profile, feature); near is a large cosine.
    sets
        (set, member) positions, two or more members.
    """
    unit, (n_sets, size) = unit_profiles(profiles), sets.shape
    scores, step = np.empty(n_sets), max(1, BLOCK // (size * len(unit)))
    apart = ~np.eye(size, dtype=bool)
    for start in range(0, n_sets, step):
        block = sets[start : start + step]
        rows = block.ravel()
        near = unit[rows] @ unit.T
        near[np.arange(len(rows)), rows] = -np.inf
        mates = np.repeat(block, size, axis=0)[np.tile(apart, (len(block), 1))]
        to_mates = np.take_along_axis(near, mates.reshape(len(rows), size - 1), axis=1)
        ranks = np.stack([(near >= each[:, None]).sum(axis=1) for each in to_mates.T], axis=1)
        scores[start : start + step] = mean_score(ranks.reshape(len(block), size, size - 1))
    return scores


def random_sets(n_profiles: int, size: int, rounds: int, seed: int) -> np.ndarray:
    """Return random sets without repetition, (round, size)."""
    rng = np.random.default_rng([seed, size])
    return rng.random((rounds, n_profiles)).argpartition(size - 1, axis=1)[:, :size]


def p_value_of(score: float, null: np.ndarray) -> float:
    """Return (1 + #(null >= score)) / (1 + number of null scores): never 0."""
    return float((1 + (null >= score).sum()) / (1 + len(null)))
