"""Retrieval across batches: does a profile of one replicate find its gene in the other replicates?

A query is a profile in one replicate. It ranks the genes by their profiles in all other replicates
together, so that a batch cannot help. A gene looks for itself; a guide looks for its gene without
itself, that is for the other guides. There is one right answer: average precision is 1 / rank.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mcvae_ops.benchmarks.estimates.retrieval import unit_profiles
from mcvae_ops.benchmarks.replicates.replicate_profiles import Replicates

RECALLED = (1, 10)  # ranks up to which a gene counts as found
RECIPROCAL, RECALL = "mean_reciprocal_rank", "recall"


class Estimate(NamedTuple):
    """Mean over queries.

    Attributes
    ----------
    value, chance
        The estimate, and what random ranks reach.
    terms
        What each gene contributes to its error, as a query and as a wrong answer, (gene,).
    n
        Number of genes.
    """

    value: float
    chance: float
    terms: np.ndarray
    n: int


@dataclass
class Retrieval:
    """Ranks of the right genes.

    Attributes
    ----------
    gene, rank, n_candidates
        Of each query: the right gene, its rank (from 1), and the number of genes ranked, (query,).
    without
        (metric, level) -> (gene,): sum over queries of what the score gains if the gene is gone.
    """

    gene: np.ndarray
    rank: np.ndarray
    n_candidates: np.ndarray
    without: dict[tuple[str, float], np.ndarray]

    def summary(self) -> dict[tuple[str, float], Estimate]:
        """Return (metric, level) -> estimate; nothing without a query.

        The terms are those of a jackknife over genes (delete one, as a query and as a candidate).
        """
        if len(self.rank) == 0:
            return {}
        genes, gene_of = np.unique(self.gene, return_inverse=True)
        n_queries, n = np.bincount(gene_of), len(genes)
        harmonic = np.cumsum(1 / np.arange(1, self.n_candidates.max() + 1))
        estimates = {}
        for (metric, k), gain in self.without.items():
            score, total = _score(metric, k, self.rank), len(self.rank)
            by_chance = (
                harmonic[self.n_candidates - 1] / self.n_candidates
                if metric == RECIPROCAL
                else np.minimum(k / self.n_candidates, 1)
            )
            left = score.sum() - np.bincount(gene_of, score) + gain[genes]
            without = left / np.maximum(total - n_queries, 1)
            terms = (n - 1) / n * (without.mean() - without)
            estimates[metric, k] = Estimate(score.mean(), by_chance.mean(), terms, n)
        return estimates


def gene_queries(genes: Replicates) -> Retrieval:
    """Return how well each gene finds itself; `genes` are replicates of genes."""
    total, n_total = genes.sums.sum(axis=1), genes.n_cells.sum(axis=1)
    parts = []
    for k in range(genes.n_cells.shape[1]):
        query, n_query = genes.sums[:, k], genes.n_cells[:, k]
        parts.append(_ranked(query, n_query, total - query, n_total - n_query))
    return _joined(parts)


def guide_queries(guides: Replicates) -> Retrieval:
    """Return how well each guide finds its gene in all other replicates together.

    Guides are numbered within their gene. While guides of one number are the queries, all genes go
    without theirs: the right gene has as many guides as the wrong ones.
    """
    parts = []
    for own, n_own, sums, n_cells in _turns(guides):
        for k in range(n_own.shape[1]):
            others, n_others = sums.sum(axis=1) - sums[:, k], n_cells.sum(axis=1) - n_cells[:, k]
            parts.append(_ranked(own[:, k], n_own[:, k], others, n_others))
    return _joined(parts)


def guide_queries_across(guides: Replicates, pairs: Sequence[tuple[int, int]]) -> Retrieval:
    """Return how well each guide of one replicate finds its gene in another one.

    Parameters
    ----------
    guides
        As for `guide_queries`.
    pairs
        Replicate of the query, and of the references.
    """
    parts = [
        _ranked(own[:, query], n_own[:, query], sums[:, reference], n_cells[:, reference])
        for own, n_own, sums, n_cells in _turns(guides)
        for query, reference in pairs
    ]
    return _joined(parts)


def _turns(guides: Replicates) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the guides of one number as (gene, ...), and their genes without them: sums, cells."""
    genes = guides.of_genes()
    gene_of = np.searchsorted(genes.names["gene"], guides.names["gene"])
    number = guides.names.groupby("gene").cumcount().to_numpy()
    for turn in range(number.max(initial=-1) + 1):
        rows = np.flatnonzero(number == turn)
        own, n_own = np.zeros_like(genes.sums), np.zeros_like(genes.n_cells)
        own[gene_of[rows]], n_own[gene_of[rows]] = guides.sums[rows], guides.n_cells[rows]
        yield own, n_own, genes.sums - own, genes.n_cells - n_own


def _ranked(
    queries: np.ndarray, n_queries: np.ndarray, references: np.ndarray, n_references: np.ndarray
) -> Retrieval:
    """Rank the references of one query per gene; a query or reference without cells is left out."""
    kept = np.flatnonzero(n_references > 0)
    asked = np.flatnonzero(n_queries[kept] > 0)
    near = unit_profiles(queries[kept[asked]]) @ unit_profiles(references[kept]).T
    ahead = near >= near[np.arange(len(asked)), asked][:, None]
    rank = ahead.sum(axis=1)
    ahead[np.arange(len(asked)), asked] = False
    scores = ((RECIPROCAL, np.nan), *((RECALL, k) for k in RECALLED))
    gains = np.stack([_score(*name, np.maximum(rank - 1, 1)) - _score(*name, rank)
                      for name in scores])  # fmt: skip
    without = np.zeros((len(scores), len(queries)))
    without[:, kept] = gains @ ahead
    return Retrieval(
        kept[asked], rank, np.full(len(rank), len(kept)), dict(zip(scores, without, strict=True))
    )


def _score(metric: str, level: float, rank: np.ndarray) -> np.ndarray:
    return 1 / rank if metric == RECIPROCAL else (rank <= level).astype(float)


def _joined(parts: list[Retrieval]) -> Retrieval:
    arrays = (np.concatenate([getattr(part, name) for part in parts])
              for name in ("gene", "rank", "n_candidates"))  # fmt: skip
    names = parts[0].without if parts else {}
    return Retrieval(*arrays, {name: sum(part.without[name] for part in parts) for name in names})
