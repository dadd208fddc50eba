"""The ladder: does a profile still find its like in other wells and on other plates?

The cells of every batch are halved at random. A profile of one half looks among the profiles of the
other half of the same batch, then among those of another batch of the plate, then of another
plate. Queries and references hold as many cells on every rung, so that a score falls by distance
alone: what a well or a plate has in common helps on the first rung and not on the last.

Two tasks: a guide finds its gene by the other guides of it (mean reciprocal rank), and genes of one
complex resemble each other across the two sides (average precision of pairs).
"""

import itertools
from collections.abc import Iterator, Sequence
from functools import cache, partial

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.complexes.complex_retrieval import COMPLEXES, PairSet, build_pair_sets
from mcvae_ops.benchmarks.corrections import EMPTY_PAIRS
from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.intervals import bootstrap_interval, stratified_interval
from mcvae_ops.benchmarks.estimates.retrieval import (
    average_precision,
    rank_pairs,
    resample_pairs,
    resampled_average_precision,
    unit_profiles,
)
from mcvae_ops.benchmarks.replicates.replicate_profiles import Replicates, replicate_profiles
from mcvae_ops.benchmarks.replicates.replicate_retrieval import (
    RECIPROCAL,
    Retrieval,
    guide_queries_across,
)
from mcvae_ops.embeddings.embedded_cells import batch_numbers
from mcvae_ops.embeddings.spaces import space_dimensions
from mcvae_ops.files import read_frame
from mcvae_ops.profiles.aggregate import cell_set, read_embedded_cells
from mcvae_ops.progress import Progress
from mcvae_ops.randomness import named_rng

BENCHMARK, CELLS = "ladder", ("all", "test")
SAME, OTHER, ELSEWHERE = RUNGS = ("same batch", "other batch of the plate", "other plate")
PAIRS_OF_BATCHES = 12  # drawn for each rung: a large screen has hundreds


def halves(batch_of: np.ndarray, seed: int) -> np.ndarray:
    """Return twice the batch of each cell, plus 1 in a random half of each batch, (cell,)."""
    order = named_rng(seed, BENCHMARK, "halves").permutation(len(batch_of))
    turn = pd.Series(batch_of[order]).groupby(batch_of[order]).cumcount().to_numpy() % 2
    half = np.empty(len(batch_of), int)
    half[order] = turn
    return 2 * batch_of + half


def rungs_of(columns: np.ndarray, plate_of: np.ndarray, seed: int) -> dict[str, list[tuple]]:
    """Return pairs of columns, query and reference, of each rung.

    Parameters
    ----------
    columns
        Number of each replicate, as `halves` gives them, ascending.
    plate_of
        Plate of each batch.
    seed
        Of the draw of pairs of batches.
    """
    place = {int(number): k for k, number in enumerate(columns)}
    batches = sorted({number // 2 for number in place})
    pairs: dict[str, list[tuple]] = {name: [] for name in RUNGS}
    for one, other in itertools.product(batches, repeat=2):
        query, reference = place.get(2 * one), place.get(2 * other + 1)
        if query is not None and reference is not None:
            is_near = plate_of[one] == plate_of[other]
            name = SAME if one == other else OTHER if is_near else ELSEWHERE
            pairs[name].append((query, reference))
    for name, of_rung in pairs.items():
        order = named_rng(seed, BENCHMARK, name).permutation(len(of_rung))[:PAIRS_OF_BATCHES]
        pairs[name] = [of_rung[k] for k in sorted(order)]
    return {name: of_rung for name, of_rung in pairs.items() if of_rung}


def similarity(genes: Replicates, pairs: Sequence[tuple]) -> np.ndarray:
    """Return the mean cosine of the profiles of genes across pairs of columns, (gene, gene)."""
    total = np.zeros((len(genes.names),) * 2)
    for query, reference in pairs:
        total += unit_profiles(genes.sums[:, query]) @ unit_profiles(genes.sums[:, reference]).T
    return (total + total.T) / (2 * len(pairs))


def complex_row(distances: np.ndarray, pair_set: PairSet, row) -> dict:
    """Return the average precision of the pairs of complexes, from (gene, gene) distances."""
    graph = pair_set.graph
    ranking = rank_pairs(distances[np.ix_(graph.nodes, graph.nodes)])
    ranks = ranking.of(*graph.edges.T)
    resampling = resample_pairs(ranking, graph.edges, pair_set.weights, [])
    low, high = bootstrap_interval(resampled_average_precision(ranks, resampling), graph.n_clusters)
    return row(
        metric="average_precision", item=COMPLEXES, value=float(average_precision(ranks)),
        low=low, high=high, n=len(graph.nodes), units=graph.units,
    )  # fmt: skip


def guide_row(retrieval: Retrieval, row) -> Iterator[dict]:
    """Yield the mean reciprocal rank of the right gene; nothing without a query."""
    for (metric, _), estimate in retrieval.summary().items():
        if metric == RECIPROCAL:
            low, high = stratified_interval(estimate.value, estimate.terms, is_share=True)
            yield row(
                metric=metric, item="guide", value=estimate.value, low=low, high=high,
                n=len(retrieval.rank), units=f"{estimate.n} genes",
            )  # fmt: skip


def distance_ladder(
    index: str,
    splits: str,
    embeddings: Sequence[str],
    complexes: str,
    rounds: int,
    seed: int,
    benchmark: str,
) -> None:
    """Write both tasks on every rung, for every model and space.

    Parameters
    ----------
    index, splits
        Tables of cells, row-aligned.
    embeddings
        Embeddings of these cells, one per model and training seed.
    complexes
        Annotation table (complex, gene); may be empty.
    rounds, seed
        Number of rounds of the bootstrap over clusters of complexes; seed of all draws.
    benchmark
        Output: the benchmark table.
    """
    annotated, rows = read_frame(complexes), []

    @cache
    def pair_set_of(library: tuple[str, ...]) -> PairSet | None:
        return build_pair_sets(library, annotated, EMPTY_PAIRS, rounds, seed).get(COMPLEXES)

    progress = Progress(len(embeddings), "embeddings", BENCHMARK)
    for path in embeddings:
        cells, latent = read_embedded_cells(index, splits, path)
        finite, batch_of = latent.finite(), batch_numbers(cells)
        plate_of = cells["plate"].astype(object).groupby(batch_of).first().to_numpy(str)
        half_of = halves(batch_of, seed)
        for name in CELLS:
            chosen = finite & cell_set(cells, cells["split"], name)
            guides, columns = replicate_profiles(cells, latent, half_of, chosen)
            rungs = rungs_of(columns, plate_of, seed)
            for space, dimensions in space_dimensions(latent.columns).items():
                of_space = guides.in_space(dimensions)
                genes = of_space.of_genes()
                pair_set = pair_set_of(tuple(genes.names["gene"]))
                for rung, pairs in rungs.items():
                    row = partial(
                        table.row, benchmark=BENCHMARK, protocol="strict", cells=name, space=space,
                        model=latent.model, seed=latent.seed, against=rung,
                    )  # fmt: skip
                    rows += guide_row(guide_queries_across(of_space, pairs), row)
                    if pair_set is not None:
                        rows.append(complex_row(1 - similarity(genes, pairs), pair_set, row))
        progress.step()
    table.write(rows, benchmark)
