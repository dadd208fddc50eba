"""Percent replicating: do the replicates of a perturbation correlate more than those of others?

The score of a perturbation is the mean correlation of its profiles in pairs of replicates. The
null are groups of non-replicates: one profile from each of the same replicates, each of a random
perturbation (Way et al. 2022, doi:10.1016/j.cels.2022.10.001). Noise that all perturbations of a
batch share, such as that of its controls, is in the null as well.
"""

from typing import NamedTuple

import numpy as np

from mcvae_ops.benchmarks.replicates.replicate_profiles import Replicates

BLOCK = 8_000_000  # numbers held at a time


class Correlations(NamedTuple):
    """Scores of the perturbations with two replicates or more.

    Attributes
    ----------
    at
        Their positions among the perturbations, (perturbation,).
    score
        Mean correlation of pairs of replicates, (perturbation,).
    to_others
        Mean correlation of its profiles with those of others in other replicates, (perturbation,).
    p_value
        (1 + #(null >= score)) / (1 + rounds), (perturbation,).
    """

    at: np.ndarray
    score: np.ndarray
    to_others: np.ndarray
    p_value: np.ndarray

    @property
    def excess(self) -> float:
        """The mean correlation of replicates less that of non-replicates."""
        return float((self.score - self.to_others).mean())

    @property
    def excess_terms(self) -> np.ndarray:
        """What each perturbation contributes to the error of `excess`, (perturbation,).

        It counts with its score, and twice with its correlation to others (one of each pair).
        """
        apart = self.score - 2 * self.to_others
        return (apart - apart.mean()) / len(apart)


def replicate_correlations(replicates: Replicates, rounds: int, seed: int) -> Correlations:
    """Return how well the replicates of each perturbation agree.

    Parameters
    ----------
    replicates
        Profiles.
    rounds, seed
        Number of groups of non-replicates for each number of replicates, and their seed.
    """
    directions, present = replicates.directions(), replicates.n_cells > 0
    n_replicates = present.sum(axis=1)
    at = np.flatnonzero(n_replicates >= 2)
    score, p_value = np.full((2, len(at)), np.nan)
    for size in np.unique(n_replicates[at]):
        of_size = n_replicates[at] == size
        places = np.stack([np.flatnonzero(present[k]) for k in at[of_size]])
        own = np.broadcast_to(at[of_size][:, None], places.shape)
        rng = np.random.default_rng([seed, size])
        where = places[rng.integers(len(places), size=rounds)]
        random = _scores(directions, _random_members(present, where, rng), where)
        random = np.sort(random[np.isfinite(random)])
        score[of_size] = _scores(directions, own, places, of_one=True)
        n_above = len(random) - np.searchsorted(random, score[of_size], side="left")
        p_value[of_size] = (1 + n_above) / (1 + len(random))
    return Correlations(at, score, _to_others(directions, present)[at], p_value)


def _to_others(directions: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return the mean correlation of each perturbation to others in other replicates, (n,)."""
    of_replicate, n = directions.sum(axis=0), present.sum(axis=0)
    own, n_own = directions.sum(axis=1), present.sum(axis=1)
    # all pairs of replicates, less those of one replicate and those of one perturbation
    total = own @ of_replicate.sum(axis=0) - np.einsum("prd,rd->p", directions, of_replicate)
    total -= (own**2).sum(axis=1) - (directions**2).sum(axis=(1, 2))
    pairs = n_own * n.sum() - (present * n).sum(axis=1) - n_own * (n_own - 1)
    return np.divide(total, pairs, out=np.zeros(len(pairs)), where=pairs > 0)


def _random_members(
    present: np.ndarray, places: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return a random perturbation for each place (round, replicate) that is present there."""
    ordered = np.argsort(~present, axis=0, kind="stable")  # those that are present come first
    picked = (rng.random(places.shape) * present.sum(axis=0)[places]).astype(int)
    return ordered[picked, places]


def _scores(
    directions: np.ndarray, members: np.ndarray, places: np.ndarray, *, of_one: bool = False
) -> np.ndarray:
    """Return the mean correlation of pairs of groups of profiles, (group,).

    Parameters
    ----------
    directions
        As `Replicates.directions` returns.
    members, places
        Perturbation and replicate of each profile, (group, profile).
    of_one
        Whether the profiles of a group are of one perturbation; otherwise pairs of one perturbation
        do not count.
    """
    first, second = np.triu_indices(members.shape[1], 1)
    scores = np.empty(len(members))
    step = max(1, BLOCK // (members.shape[1] * (members.shape[1] + directions.shape[2])))
    for start in range(0, len(members), step):
        block = slice(start, start + step)
        profiles = directions[members[block], places[block]]
        pairs = (profiles @ profiles.transpose(0, 2, 1))[:, first, second]
        same = members[block][:, first] == members[block][:, second]
        counted = ~same | of_one
        n = counted.sum(axis=1)
        total = np.where(counted, pairs, 0).sum(axis=1)
        scores[block] = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
    return scores
