"""How well distances between profiles retrieve the pairs that belong together.

All unordered pairs of nodes are sorted by distance once; percentiles, counts, precision, recall,
average precision, its bootstrap and its permutation null are then read off the ranks of the edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# edges x rounds held at a time: 64 MB of float64
BLOCK = 8_000_000


@dataclass(frozen=True)
class Ranking:
    """All pairs of n nodes, sorted by distance.

    Attributes
    ----------
    n_nodes
        n.
    sorted_distances
        (n (n - 1) / 2,) ascending.
    ranks
        (n (n - 1) / 2,) of each pair, in the order of ``np.triu_indices(n, 1)``: how many pairs
        are at most as distant. Ties share the largest rank.
    """

    n_nodes: int
    sorted_distances: np.ndarray
    ranks: np.ndarray

    def of(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the ranks of the pairs (first, second) of nodes, in either order."""
        i, j = np.minimum(first, second), np.maximum(first, second)
        return self.ranks[i * (2 * self.n_nodes - i - 1) // 2 + j - i - 1]


@dataclass(frozen=True)
class Curve:
    """Recall and precision at each percentile; `predicted` is the share of pairs called positive,
    which is the recall to be expected by chance."""

    percentiles: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    predicted: np.ndarray
    recall_rounds: np.ndarray
    precision_rounds: np.ndarray


def cosine_distances(profiles: np.ndarray) -> np.ndarray:
    """Return 1 - cosine similarity, (profile, profile), 0 on the diagonal.

    A profile of norm 0 has no direction: its distance to every other is 1.
    """
    norms = np.linalg.norm(profiles, axis=1, keepdims=True)
    unit = np.divide(profiles, norms, out=np.zeros_like(profiles), where=norms > 0)
    distances = np.clip(1 - unit @ unit.T, 0, 2)
    np.fill_diagonal(distances, 0)
    return distances


def rank_pairs(distances: np.ndarray) -> Ranking:
    """Sort the pairs of a symmetric (node, node) matrix of distances."""
    pairs = distances[np.triu_indices(len(distances), 1)]
    order = np.argsort(pairs)
    ordered = pairs[order]
    ranks = np.empty(len(pairs), np.int64)
    ranks[order] = np.searchsorted(ordered, ordered, side="right")
    return Ranking(len(distances), ordered, ranks)


def both_tails_curve(
    ranking: Ranking, edge_ranks: np.ndarray, percentiles: Sequence[float], weights: np.ndarray
) -> Curve:
    """Call a pair positive if it is among the most similar or the most dissimilar (published).

    For percentile p, D <= percentile(100 - p) or D >= percentile(p) of the flattened matrix,
    its diagonal included; every ordered pair counts.

    Parameters
    ----------
    ranking, edge_ranks
        All pairs, and the ranks of the true ones.
    percentiles
        The p.
    weights
        (edge, round) bootstrap weights; no column for no bootstrap.

    References
    ----------
    The criterion of Celik et al. 2024, doi:10.1371/journal.pcbi.1012463, at many percentiles.
    """
    percentiles = np.asarray(percentiles, float)
    near = full_matrix_percentiles(ranking, 100 - percentiles)
    far = full_matrix_percentiles(ranking, percentiles)
    n_near = np.searchsorted(ranking.sorted_distances, near, side="right")
    n_below_far = np.searchsorted(ranking.sorted_distances, far, side="left")
    return _curve(ranking, edge_ranks, percentiles, n_near, n_below_far, weights)


def near_tail_curve(
    ranking: Ranking, edge_ranks: np.ndarray, percentiles: Sequence[float], weights: np.ndarray
) -> Curve:
    """Call the (100 - p) percent most similar of the unordered pairs positive (strict)."""
    percentiles = np.asarray(percentiles, float)
    near = np.percentile(ranking.sorted_distances, 100 - percentiles)
    n_near = np.searchsorted(ranking.sorted_distances, near, side="right")
    n_pairs = len(ranking.sorted_distances)
    return _curve(
        ranking, edge_ranks, percentiles, n_near, np.full(len(percentiles), n_pairs), weights
    )


def full_matrix_percentiles(ranking: Ranking, percentiles: np.ndarray) -> np.ndarray:
    """Return percentiles of the full matrix: n zeros on the diagonal and each pair twice.

    Equals ``np.percentile(distances, percentiles)`` without building or sorting that matrix.
    """
    n, ordered = ranking.n_nodes, ranking.sorted_distances
    where = percentiles / 100 * (n * n - 1)
    below = np.floor(where).astype(int)
    padded = np.concatenate([[0.0], ordered])

    def entry(position: np.ndarray) -> np.ndarray:
        return padded[np.where(position < n, 0, (position - n) // 2 + 1)]

    low, high = entry(below), entry(np.minimum(below + 1, n * n - 1))
    return low + (high - low) * (where - below)


def average_precision(edge_ranks: np.ndarray) -> np.ndarray:
    """Return the mean, over true pairs, of the precision at their rank.

    Parameters
    ----------
    edge_ranks
        (..., edge): ranks among all pairs, as in `Ranking`.

    Returns
    -------
    (...) average precision; ties count together, as in scikit-learn.
    """
    ranks = np.sort(edge_ranks, axis=-1)
    return (_true_up_to(ranks) / ranks).mean(axis=-1)


def weighted_average_precision(edge_ranks: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the average precision with weighted true pairs.

    Parameters
    ----------
    edge_ranks
        (edge,).
    weights
        (edge, round), not negative. False pairs weigh 1; a true pair of weight 0 is left out.

    Returns
    -------
    (round,), NaN where all weights are 0.
    """
    order = np.argsort(edge_ranks, kind="stable")
    ranks, weights = edge_ranks[order], weights[order]
    last = _true_up_to(ranks)
    n_false = (ranks - last)[:, None]
    results = np.full(weights.shape[1], np.nan)
    step = max(1, BLOCK // len(ranks))
    for start in range(0, weights.shape[1], step):
        block = weights[:, start : start + step]
        true = np.cumsum(block, axis=0)[last - 1]
        precision = np.divide(true, true + n_false, out=np.zeros_like(true), where=true > 0)
        total = block.sum(axis=0)
        np.divide(
            (block * precision).sum(axis=0),
            total,
            out=results[start : start + step],
            where=total > 0,
        )
    return results


def permuted_average_precision(
    ranking: Ranking, edges: np.ndarray, rounds: int, seed: int
) -> np.ndarray:
    """Return the average precision after permuting the gene labels over the nodes, (round,)."""
    rng = np.random.default_rng([seed, 2])
    results = np.empty(rounds)
    step = max(1, BLOCK // len(edges))
    for start in range(0, rounds, step):
        n_rounds = min(step, rounds - start)
        labels = rng.permuted(np.tile(np.arange(ranking.n_nodes), (n_rounds, 1)), axis=1)
        permuted = ranking.of(labels[:, edges[:, 0]], labels[:, edges[:, 1]])
        results[start : start + n_rounds] = average_precision(permuted)
    return results


def _curve(ranking, edge_ranks, percentiles, n_near, n_below_far, weights) -> Curve:
    n_pairs = len(ranking.sorted_distances)
    n_predicted = np.minimum(n_near + n_pairs - n_below_far, n_pairs)
    hit = (edge_ranks[:, None] <= n_near) | (edge_ranks[:, None] > n_below_far)
    true = hit.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        weighted = weights.T @ hit
        recall_rounds = weighted / weights.sum(axis=0)[:, None]
        precision_rounds = weighted / (weighted + (n_predicted - true))
        return Curve(
            percentiles,
            true / len(edge_ranks),
            true / n_predicted,
            n_predicted / n_pairs,
            recall_rounds,
            precision_rounds,
        )


def _true_up_to(sorted_ranks: np.ndarray) -> np.ndarray:
    """Return how many of the sorted ranks are at most each one, along the last axis."""
    n = sorted_ranks.shape[-1]
    count = np.broadcast_to(np.arange(1, n + 1), sorted_ranks.shape)
    last = np.ones(sorted_ranks.shape, bool)
    last[..., :-1] = sorted_ranks[..., 1:] != sorted_ranks[..., :-1]
    ends = np.where(last, count, n + 1)
    return np.minimum.accumulate(ends[..., ::-1], axis=-1)[..., ::-1]
