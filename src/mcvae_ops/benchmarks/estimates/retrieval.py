"""How well distances between profiles retrieve the pairs of genes that belong together.

All unordered pairs of nodes are sorted by distance once. Percentiles, precision, recall, average
precision, its bootstrap and its permutation null then follow from the ranks of the edges (true
pairs), without the matrix of distances.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Elements (edges x rounds) per block: 64 MB of float64. All rounds at once may not fit in memory.
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
    order
        (n (n - 1) / 2,): positions of the sorted pairs in ``np.triu_indices(n, 1)``.
    ranks
        (n (n - 1) / 2,): rank of each pair, in the order of ``np.triu_indices(n, 1)``, which is the
        number of pairs that are at most as distant. Ties share the largest rank.
    """

    n_nodes: int
    sorted_distances: np.ndarray
    order: np.ndarray
    ranks: np.ndarray

    def position(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the positions in ``np.triu_indices(n, 1)`` of pairs of nodes, in either order."""
        i, j = np.minimum(first, second), np.maximum(first, second)
        return i * (2 * self.n_nodes - i - 1) // 2 + j - i - 1

    def of(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the ranks of pairs of nodes, in either order."""
        return self.ranks[self.position(first, second)]


@dataclass(frozen=True)
class Tails:
    """The ranks of the pairs that are called positive at each percentile.

    Attributes
    ----------
    near, far
        (percentile,): pairs are called positive up to rank `near`, and above rank `far`.
    """

    near: np.ndarray
    far: np.ndarray

    def contain(self, ranks: np.ndarray) -> np.ndarray:
        """Return whether each rank is called positive, (rank, percentile)."""
        return (ranks[:, None] <= self.near) | (ranks[:, None] > self.far)

    def size(self, n_pairs: int) -> np.ndarray:
        """Return the number of pairs that are called positive, (percentile,)."""
        return np.minimum(self.near + n_pairs - self.far, n_pairs)


@dataclass(frozen=True)
class Resampling:
    """Weights of true and false pairs in each bootstrap round.

    Attributes
    ----------
    true
        (edge, round): weight of each true pair; 0 leaves the pair out of the round.
    cuts
        (cut,): ascending ranks; the first is 0, the last is the number of pairs.
    false
        (cut, round): sum of the weights of the false pairs up to each cut.
    """

    true: np.ndarray
    cuts: np.ndarray
    false: np.ndarray

    def false_up_to(self, ranks: np.ndarray) -> np.ndarray:
        """Return the weight of the false pairs up to each rank, a cut, of shape (rank, round)."""
        return self.false[np.searchsorted(self.cuts, ranks)]


def cosine_distances(profiles: np.ndarray) -> np.ndarray:
    """Return 1 - cosine similarity, (profile, profile), 0 on the diagonal.

    A profile of norm 0 has no direction: its distance from every other profile is 1.
    """
    unit = unit_profiles(profiles)
    distances = np.clip(1 - unit @ unit.T, 0, 2)  # rounding may leave the range
    np.fill_diagonal(distances, 0)
    return distances


def unit_profiles(profiles: np.ndarray) -> np.ndarray:
    """Return the profiles scaled to norm 1; a profile of norm 0 stays 0."""
    norms = np.linalg.norm(profiles, axis=1, keepdims=True)
    return np.divide(profiles, norms, out=np.zeros_like(profiles), where=norms > 0)


def rank_pairs(distances: np.ndarray) -> Ranking:
    """Sort the pairs of a symmetric (node, node) matrix of distances."""
    pairs = distances[np.triu_indices(len(distances), 1)]
    order = np.argsort(pairs)
    ordered = pairs[order]
    ranks = np.empty(len(pairs), np.int64)
    # The largest rank of a tie counts: precision at a tie must include all of its pairs.
    ranks[order] = np.searchsorted(ordered, ordered, side="right")
    return Ranking(len(distances), ordered, order, ranks)


def both_tails(ranking: Ranking, percentiles: np.ndarray) -> Tails:
    """Call the most similar and the most dissimilar pairs positive (published protocol).

    For percentile p, a pair is called if D <= percentile(100 - p) or D >= percentile(p) of the
    flattened matrix, with its diagonal and both orders of every pair, as the authors computed it.

    References
    ----------
    Celik et al. 2024, doi:10.1371/journal.pcbi.1012463, whose criterion is used at one percentile.
    """
    near = full_matrix_percentiles(ranking, 100 - percentiles)
    far = full_matrix_percentiles(ranking, percentiles)
    return Tails(
        np.searchsorted(ranking.sorted_distances, near, side="right"),
        np.searchsorted(ranking.sorted_distances, far, side="left"),
    )


def near_tail(ranking: Ranking, percentiles: np.ndarray) -> Tails:
    """Call the (100 - p) percent most similar unordered pairs positive (strict protocol)."""
    near = np.percentile(ranking.sorted_distances, 100 - percentiles)
    n_near = np.searchsorted(ranking.sorted_distances, near, side="right")
    return Tails(n_near, np.full(len(n_near), len(ranking.sorted_distances)))


def full_matrix_percentiles(ranking: Ranking, percentiles: np.ndarray) -> np.ndarray:
    """Return percentiles of the full matrix, which holds n zeros and each pair twice.

    Equals ``np.percentile(distances, percentiles)``, but does not build or sort the matrix.
    """
    n, ordered = ranking.n_nodes, ranking.sorted_distances
    where = percentiles / 100 * (n * n - 1)
    below = np.floor(where).astype(int)
    padded = np.concatenate([[0.0], ordered])

    # Sorted, the matrix is the n zeros of the diagonal, then every distance twice.
    def entry(position: np.ndarray) -> np.ndarray:
        return padded[np.where(position < n, 0, (position - n) // 2 + 1)]

    low, high = entry(below), entry(np.minimum(below + 1, n * n - 1))
    return low + (high - low) * (where - below)


def resample_pairs(
    ranking: Ranking,
    edges: np.ndarray,
    weights: tuple[np.ndarray, np.ndarray],
    tails: Sequence[Tails],
) -> Resampling:
    """Weigh pairs in each bootstrap round: true pairs by their edge, false pairs by their nodes.

    The weight of a false pair is the product of the weights of its two nodes, because the pair is
    present as often as both nodes are. With a constant weight of 1, intervals would be far too
    narrow: the genes of a complex are near to, or far from, all other genes together.

    Parameters
    ----------
    ranking
        All pairs.
    edges
        (edge, 2) nodes of the true pairs.
    weights
        (edge, round) and (node, round).
    tails
        Ranks at which the rounds are evaluated, in addition to the ranks of the edges.
    """
    edge_weights, node_weights = weights
    n_pairs = len(ranking.order)
    ranks = ranking.of(*edges.T)
    cuts = np.unique(np.concatenate([[0, n_pairs], ranks, *((t.near, t.far) for t in tails)], None))
    first, second = (ends[ranking.order] for ends in np.triu_indices(ranking.n_nodes, 1))
    is_true = np.zeros(n_pairs, bool)
    is_true[ranking.position(*edges.T)] = True
    true = np.flatnonzero(is_true[ranking.order])
    # Only the sums between cuts are kept: one number per pair and round would fill the memory.
    false = np.zeros((len(cuts), edge_weights.shape[1]))
    for k, weight in enumerate(np.ascontiguousarray(node_weights.T, dtype=np.float32)):
        pairs = weight[first] * weight[second]
        pairs[true] = 0
        # float64: rounding errors of float32 would add up over millions of pairs.
        false[1:, k] = np.cumsum(np.add.reduceat(pairs, cuts[:-1]), dtype=np.float64)
    return Resampling(edge_weights, cuts, false)


def recall_and_precision(
    tails: Tails, edge_ranks: np.ndarray, n_pairs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return recall and precision at each percentile; precision is NaN if no pair is called."""
    true, called = tails.contain(edge_ranks).sum(axis=0), tails.size(n_pairs)
    with np.errstate(invalid="ignore"):
        return true / len(edge_ranks), true / called


def resampled_recall_and_precision(
    tails: Tails, edge_ranks: np.ndarray, resampling: Resampling
) -> tuple[np.ndarray, np.ndarray]:
    """Return recall and precision in each bootstrap round, (round, percentile) each."""
    true = resampling.true.T @ tails.contain(edge_ranks)
    all_false = resampling.false[-1]
    beyond = all_false - resampling.false_up_to(tails.far)
    # The minimum is for percentiles below 50, where both tails overlap and cover every pair.
    false = np.minimum(resampling.false_up_to(tails.near) + beyond, all_false).T
    with np.errstate(invalid="ignore"):
        return true / resampling.true.sum(axis=0)[:, None], true / (true + false)


def average_precision(edge_ranks: np.ndarray) -> np.ndarray:
    """Return the mean over true pairs of the precision at their rank.

    Parameters
    ----------
    edge_ranks
        (..., edge): ranks among all pairs, as in `Ranking`.

    Returns
    -------
    Average precision, of shape (...); ties share the largest rank, as in scikit-learn.
    """
    ranks = np.sort(edge_ranks, axis=-1)
    return (_true_up_to(ranks) / ranks).mean(axis=-1)


def resampled_average_precision(edge_ranks: np.ndarray, resampling: Resampling) -> np.ndarray:
    """Return the average precision in each bootstrap round, (round,); NaN without true pairs."""
    order = np.argsort(edge_ranks, kind="stable")
    ranks, weights = edge_ranks[order], resampling.true[order]
    last = _true_up_to(ranks)
    results = np.full(weights.shape[1], np.nan)
    step = max(1, BLOCK // len(ranks))
    for start in range(0, weights.shape[1], step):
        block = slice(start, start + step)
        # Tied true pairs enter together: `last - 1` is the last true pair of the same rank.
        true = np.cumsum(weights[:, block], axis=0)[last - 1]
        called = true + resampling.false_up_to(ranks)[:, block]
        precision = np.divide(true, called, out=np.zeros_like(true), where=true > 0)
        hits, total = (weights[:, block] * precision).sum(axis=0), weights[:, block].sum(axis=0)
        np.divide(hits, total, out=results[block], where=total > 0)
    return results


def permuted_average_precision(
    ranking: Ranking, edges: np.ndarray, rounds: int, seed: int
) -> np.ndarray:
    """Return the average precision after permutation of the gene labels of the nodes, (round,).

    Labels are permuted, not edges redrawn, so that the null keeps large complexes and genes that
    belong to several complexes.
    """
    rng = np.random.default_rng([seed, 2])
    results = np.empty(rounds)
    step = max(1, BLOCK // len(edges))
    for start in range(0, rounds, step):
        n_rounds = min(step, rounds - start)
        labels = rng.permuted(np.tile(np.arange(ranking.n_nodes), (n_rounds, 1)), axis=1)
        permuted = ranking.of(labels[:, edges[:, 0]], labels[:, edges[:, 1]])
        results[start : start + n_rounds] = average_precision(permuted)
    return results


def _true_up_to(sorted_ranks: np.ndarray) -> np.ndarray:
    """Return the number of ranks up to each sorted rank, ties included, along the last axis."""
    n = sorted_ranks.shape[-1]
    count = np.broadcast_to(np.arange(1, n + 1), sorted_ranks.shape)
    last = np.ones(sorted_ranks.shape, bool)
    last[..., :-1] = sorted_ranks[..., 1:] != sorted_ranks[..., :-1]
    ends = np.where(last, count, n + 1)
    return np.minimum.accumulate(ends[..., ::-1], axis=-1)[..., ::-1]
