"""Fig. 2: do profiles of genes of one complex lie near each other?

Published protocol: recall and precision of the pairs in both tails of the cosine distances.
Strict protocol: similar tail only, average precision with a bootstrap interval over complexes and
a label permutation null, differences between models and spaces over seeds, and mean average
precision per complex. Lists of pairs (Reactome, ...) have no complexes to resample: no interval.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.complexes.pair_graph import (
    Graph,
    complex_graph,
    pair_graph,
    resampled_weights,
)
from mcvae_ops.benchmarks.complexes.paired_differences import (
    AveragePrecision,
    precision_difference_rows,
)
from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.intervals import interval
from mcvae_ops.benchmarks.estimates.mean_average_precision import (
    complex_average_precision,
    complex_p_value,
)
from mcvae_ops.benchmarks.estimates.retrieval import (
    Resampling,
    Tails,
    average_precision,
    both_tails,
    cosine_distances,
    near_tail,
    permuted_average_precision,
    rank_pairs,
    recall_and_precision,
    resample_pairs,
    resampled_average_precision,
    resampled_recall_and_precision,
)
from mcvae_ops.embeddings.spaces import finite_profiles, spaces_of
from mcvae_ops.profiles.normalise import zscore_features
from mcvae_ops.progress import Progress

logger = logging.getLogger(__name__)

COMPLEXES = "CORUM"


@dataclass(frozen=True)
class PairSet:
    """A graph with the bootstrap weights of its edges and nodes; a list of pairs has no rounds."""

    graph: Graph
    weights: tuple[np.ndarray, np.ndarray]


def build_pair_sets(
    library: tuple[str, ...], complexes: pd.DataFrame, pairs: pd.DataFrame, rounds: int, seed: int
) -> dict[str, PairSet]:
    """Return the graph of the complexes and of each list of pairs.

    One without edges is left out, and so is one whose nodes all belong together, as a single
    complex does: there is nothing to be found among other pairs. Few genes of a library may be in
    a set of cells.

    Parameters
    ----------
    library
        Gene symbols.
    complexes, pairs
        Columns complex, gene; source, gene_a, gene_b.
    rounds, seed
        Of the bootstrap over complexes.
    """
    graphs = {COMPLEXES: complex_graph(library, complexes)}
    graphs |= {str(name): pair_graph(library, part) for name, part in pairs.groupby("source")}
    pair_sets = {}
    for name, graph in graphs.items():
        n_nodes, n_edges = len(graph.nodes), len(graph.edges)
        if n_edges == 0:
            logger.warning("%s: no two genes of the library belong together; left out", name)
            continue
        if n_edges == n_nodes * (n_nodes - 1) // 2:
            logger.warning("%s: its %d genes all belong together; left out", name, n_nodes)
            continue
        pair_sets[name] = PairSet(graph, resampled_weights(graph, rounds, seed))
    return pair_sets


def pair_set_rows(
    profiles: np.ndarray,
    pair_set: PairSet,
    settings: dict,
    seed: int,
    row: Callable,
    published: bool,
) -> tuple[list[dict], AveragePrecision]:
    """Evaluate how one space of one model retrieves the pairs of one pair_set.

    Parameters
    ----------
    profiles
        (gene, feature), z-scored over the genes of the library.
    pair_set
        A graph over the same library.
    settings
        ``first_percentile``, ``last_percentile``, ``permutations``.
    seed
        Of the permutations.
    row
        `table.row` with everything set that names the space and the pair_set.
    published
        Whether the published protocol is wanted beside the strict one.

    Returns
    -------
    Rows of the benchmark table, and the average precision.
    """
    graph = pair_set.graph
    ranking = rank_pairs(cosine_distances(profiles[graph.nodes]))
    percentiles = np.arange(settings["first_percentile"], settings["last_percentile"] + 1)
    tails = {"strict": near_tail(ranking, percentiles)}
    if published:
        tails["published"] = both_tails(ranking, percentiles)
    resampling = resample_pairs(ranking, graph.edges, pair_set.weights, list(tails.values()))
    ranks = ranking.of(*graph.edges.T)
    rows = []
    for protocol, called in tails.items():
        here = partial(row, protocol=protocol, n=len(graph.nodes))
        rows += _curve_rows(called, percentiles, ranks, len(ranking.order), resampling, here)
    precision = AveragePrecision(
        float(average_precision(ranks)),
        resampled_average_precision(ranks, resampling),
        len(graph.nodes),
    )
    null = permuted_average_precision(ranking, graph.edges, settings["permutations"], seed)
    return rows + _average_precision_rows(
        precision, null, partial(row, protocol="strict")
    ), precision


def mean_average_precision_rows(
    profiles: np.ndarray, graph: Graph, settings: dict, seed: int, row: Callable
) -> list[dict]:
    """Return the mean average precision of each complex and its p value."""
    distances, rounds = cosine_distances(profiles[graph.nodes]), settings["permutations"]
    rows = []
    for name, score in complex_average_precision(distances, graph.complexes).items():
        n_members = len(graph.complexes[name])
        p_value = complex_p_value(score, n_members, len(graph.nodes), rounds, seed)
        here = partial(row, protocol="strict", item=name, n=n_members)
        rows.append(here(metric="mean_average_precision", value=score))
        rows.append(here(metric="mean_average_precision_p_value", value=p_value))
    return rows


def retrieval_rows(
    genes: pd.DataFrame, pair_sets_of: Callable, settings: dict, seed: int
) -> tuple[list[dict], dict[tuple, AveragePrecision]]:
    """Evaluate all spaces of one trained model: published on all cells, strict on each set.

    Parameters
    ----------
    genes
        Columns model, seed, cells, gene, is_ntc and latent columns; NTC and genes with a NaN in
        their profile are left out, the latter with a warning.
    pair_sets_of
        Library (tuple of symbols) -> `build_pair_sets` of it.
    settings, seed
        As in `pair_set_rows`.

    Returns
    -------
    Rows of the benchmark table; (model, space, cells, training seed) -> average precision.
    """
    rows, estimates = [], {}
    for (model, training_seed, cells), part in genes.groupby(["model", "seed", "cells"]):
        part = finite_profiles(part)
        pair_sets = pair_sets_of(tuple(part["gene"]))
        for space, columns in spaces_of(part.columns).items():
            row = partial(
                table.row, benchmark="complexes", model=model, space=space,
                seed=training_seed, cells=cells,
            )  # fmt: skip
            profiles = zscore_features(part[columns].to_numpy(np.float64))
            for name, pair_set in pair_sets.items():
                published = cells == "all" and name == COMPLEXES
                here = partial(row, item=name)
                new_rows, precision = pair_set_rows(
                    profiles, pair_set, settings, seed, here, published
                )
                rows += new_rows
                if name == COMPLEXES:
                    estimates[model, space, cells, training_seed] = precision
                    rows += mean_average_precision_rows(
                        profiles, pair_set.graph, settings, seed, row
                    )
    return rows, estimates


def _curve_rows(
    tails: Tails,
    percentiles: np.ndarray,
    ranks: np.ndarray,
    n_pairs: int,
    resampling: Resampling,
    row: Callable,
) -> list[dict]:
    estimates = recall_and_precision(tails, ranks, n_pairs)
    rounds = resampled_recall_and_precision(tails, ranks, resampling)
    chance = (tails.size(n_pairs) / n_pairs, np.full(len(percentiles), len(ranks) / n_pairs))
    rows = []
    for metric, values, drawn, expected in zip(
        ("recall", "precision"), estimates, rounds, chance, strict=True
    ):
        for k, percentile in enumerate(percentiles):
            low, high = interval(drawn[:, k])
            here = partial(row, level=percentile)
            rows.append(here(metric=metric, value=values[k], low=low, high=high))
            rows.append(here(metric=f"chance_{metric}", value=expected[k]))
    return rows


def _average_precision_rows(
    precision: AveragePrecision, null: np.ndarray, row: Callable
) -> list[dict]:
    here = partial(row, n=precision.n_genes)
    low, high = interval(precision.rounds)
    null_low, null_high = interval(null)
    p_value = (1 + (null >= precision.value).sum()) / (1 + len(null))
    return [
        here(metric="average_precision", value=precision.value, low=low, high=high),
        here(metric="average_precision_null", value=null.mean(), low=null_low, high=null_high),
        here(metric="average_precision_p_value", value=p_value),
    ]


def complexes(
    genes: list[str], complexes: str, pairs: str, settings: dict, seed: int, benchmark: str
) -> None:
    """Write the benchmark of Fig. 2A-C.

    Parameters
    ----------
    genes
        Tables of gene profiles, one per model and training seed.
    complexes, pairs
        Annotation tables (complex, gene) and (source, gene_a, gene_b).
    settings
        ``first_percentile``, ``last_percentile``, ``bootstrap``, ``permutations``.
    seed
        Of bootstrap and permutations.
    benchmark
        Output: the benchmark table.
    """
    complex_table, pair_table = pd.read_parquet(complexes), pd.read_parquet(pairs)

    @cache
    def pair_sets_of(library: tuple[str, ...]) -> dict[str, PairSet]:
        return build_pair_sets(library, complex_table, pair_table, settings["bootstrap"], seed)

    rows, estimates = [], {}
    progress = Progress(len(genes), "gene tables", "complexes")
    for path in genes:
        new_rows, new_estimates = retrieval_rows(
            pd.read_parquet(path), pair_sets_of, settings, seed
        )
        rows += new_rows
        estimates |= new_estimates
        progress.step()
    table.write(rows + precision_difference_rows(estimates), benchmark)
