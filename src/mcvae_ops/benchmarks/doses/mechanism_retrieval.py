"""Do compounds of one mechanism resemble each other, whatever their doses?

Every profile (a compound at a dose) ranks the profiles of all other compounds; those of its
mechanism are right. Its own other doses do not count. The null permutes the mechanisms of whole
compounds.
"""

from typing import NamedTuple

import numpy as np

from mcvae_ops.benchmarks.estimates.retrieval import unit_profiles


class Ranked(NamedTuple):
    """For every profile, the profiles of other compounds, nearest first.

    Attributes
    ----------
    compound_of
        Compound of each profile, (profile,), numbered from 0 on.
    order
        (profile, place): profiles from near to far; those of the same compound come last.
    n_others
        Number of profiles of other compounds, (profile,).
    """

    compound_of: np.ndarray
    order: np.ndarray
    n_others: np.ndarray


def rank_profiles(profiles: np.ndarray, compound_of: np.ndarray) -> Ranked:
    """Rank profiles, (profile, feature), by their cosine."""
    unit = unit_profiles(profiles)
    near = unit @ unit.T
    own = compound_of[:, None] == compound_of
    near[own] = -np.inf
    return Ranked(compound_of, np.argsort(-near, axis=1, kind="stable"), (~own).sum(axis=1))


def profile_precision(ranked: Ranked, mechanism_of: np.ndarray) -> np.ndarray:
    """Return the average precision of each profile; NaN without another compound of its mechanism.

    Parameters
    ----------
    ranked
        Profiles.
    mechanism_of
        Mechanism of each compound, (compound,), numbered from 0 on; -1 is none.
    """
    own = mechanism_of[ranked.compound_of]
    other = own[ranked.order]
    counted = np.arange(ranked.order.shape[1]) < ranked.n_others[:, None]
    is_right = counted & (other == own[:, None])
    n_right, rank = is_right.sum(axis=1), np.maximum(np.cumsum(counted, axis=1), 1)
    total = (is_right * np.cumsum(is_right, axis=1) / rank).sum(axis=1)
    known = (n_right > 0) & (own >= 0)
    return np.divide(total, n_right, out=np.full(len(own), np.nan), where=known)


def mechanism_precision(
    precision: np.ndarray, compound_of: np.ndarray, mechanism_of: np.ndarray
) -> np.ndarray:
    """Return the mean over the compounds of each mechanism of the mean over their profiles."""
    compounds = _means(precision, compound_of, len(mechanism_of))
    return _means(compounds, mechanism_of, mechanism_of.max(initial=-1) + 1)


def permuted_precision(
    ranked: Ranked, mechanism_of: np.ndarray, rounds: int, seed: int
) -> np.ndarray:
    """Return `mechanism_precision` with mechanisms permuted over compounds, (round, mechanism)."""
    rng = np.random.default_rng([seed, 9])
    found = []
    for _ in range(rounds):
        permuted = rng.permutation(mechanism_of)
        precision = profile_precision(ranked, permuted)
        found.append(mechanism_precision(precision, ranked.compound_of, permuted))
    return np.array(found)


def _means(values: np.ndarray, group_of: np.ndarray, n: int) -> np.ndarray:
    """Return the mean of the known values of each group 0 .. n - 1; NaN without one."""
    known = np.isfinite(values) & (group_of >= 0)
    total = np.bincount(group_of[known], values[known], n)
    count = np.bincount(group_of[known], minlength=n)
    return np.divide(total, count, out=np.full(n, np.nan), where=count > 0)
