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

from mcvae_ops.benchmarks import table
from mcvae_ops.benchmarks.comparison import Estimate, difference_rows
from mcvae_ops.benchmarks.complex_map import complex_average_precision, complex_p_value
from mcvae_ops.benchmarks.graph import Graph, complex_graph, pair_graph, resampled_weights
from mcvae_ops.benchmarks.intervals import interval
from mcvae_ops.benchmarks.retrieval import (
    Curve,
    average_precision,
    both_tails_curve,
    cosine_distances,
    near_tail_curve,
    permuted_average_precision,
    rank_pairs,
    weighted_average_precision,
)
from mcvae_ops.profiles.normalise import zscore_features
from mcvae_ops.profiles.spaces import finite_genes, spaces_of
from mcvae_ops.progress import Progress

logger = logging.getLogger(__name__)

COMPLEXES = "CORUM"


@dataclass(frozen=True)
class Source:
    """A graph with its bootstrap weights, (edge, round); no rounds for a list of pairs."""

    graph: Graph
    weights: np.ndarray


def build_sources(
    library: tuple[str, ...], complexes: pd.DataFrame, pairs: pd.DataFrame, rounds: int, seed: int
) -> dict[str, Source]:
    """Return the graph of the complexes and of each list of pairs; one without edges is left out.

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
    sources = {}
    for name, graph in graphs.items():
        if len(graph.edges) == 0:
            logger.warning("%s: no two genes of the library belong together; left out", name)
            continue
        weights = (
            np.empty((len(graph.edges), 0))
            if graph.members is None
            else resampled_weights(graph, rounds, seed)
        )
        sources[name] = Source(graph, weights)
    return sources


def published_rows(
    profiles: np.ndarray, source: Source, settings: dict, row: Callable
) -> list[dict]:
    """Evaluate one space of one model as the authors did: recall and precision in both tails.

    Parameters
    ----------
    profiles
        (gene, feature), z-scored over the genes of the library.
    source
        The complexes over the same library.
    settings
        ``first_percentile``, ``last_percentile``.
    row
        `table.row` with everything set that names the space.
    """
    ranking = rank_pairs(cosine_distances(profiles[source.graph.nodes]))
    ranks = ranking.of(*source.graph.edges.T)
    curve = both_tails_curve(ranking, ranks, _percentiles(settings), source.weights)
    return _curve_rows(curve, source.graph, partial(row, protocol="published", item=COMPLEXES))


def strict_rows(
    profiles: np.ndarray, sources: dict[str, Source], settings: dict, seed: int, row: Callable
) -> tuple[list[dict], Estimate | None]:
    """Evaluate one space of one model, similar tail only, for the complexes and lists of pairs.

    Parameters
    ----------
    profiles, row
        As in `published_rows`.
    sources
        Graphs over the same library.
    settings
        ``first_percentile``, ``last_percentile``, ``permutations``.
    seed
        Of the permutations.

    Returns
    -------
    Rows of the benchmark table, and the average precision for the complexes.
    """
    rows, estimate = [], None
    for name, source in sources.items():
        graph, rounds = source.graph, settings["permutations"]
        here = partial(row, protocol="strict")
        distances = cosine_distances(profiles[graph.nodes])
        ranking = rank_pairs(distances)
        ranks = ranking.of(*graph.edges.T)
        curve = near_tail_curve(ranking, ranks, _percentiles(settings), source.weights)
        rows += _curve_rows(curve, graph, partial(here, item=name))
        found = Estimate(
            float(average_precision(ranks)),
            weighted_average_precision(ranks, source.weights),
            len(graph.nodes),
        )
        null = permuted_average_precision(ranking, graph.edges, rounds, seed)
        rows += _average_precision_rows(found, null, partial(here, item=name))
        if name == COMPLEXES:
            estimate = found
            rows += _complex_rows(distances, graph, rounds, seed, here)
    return rows, estimate


def evaluate(
    genes: pd.DataFrame, sources_of: Callable, settings: dict, seed: int
) -> tuple[list[dict], dict[tuple, Estimate]]:
    """Evaluate all spaces of one trained model: published on all cells, strict on each set.

    Parameters
    ----------
    genes
        Columns model, seed, cells, gene, is_ntc and latent columns; NTC and genes with a NaN in
        their profile are left out, the latter with a warning.
    sources_of
        Library (tuple of symbols) -> `build_sources` of it.
    settings, seed
        As in `space_rows`.

    Returns
    -------
    Rows of the benchmark table; (model, space, cells, training seed) -> average precision.
    """
    rows, estimates = [], {}
    for (model, training_seed, cells), part in genes.groupby(["model", "seed", "cells"]):
        part = finite_genes(part)
        sources = sources_of(tuple(part["gene"]))
        for space, columns in spaces_of(part.columns).items():
            row = partial(
                table.row, benchmark="complexes", model=model, space=space,
                seed=training_seed, cells=cells,
            )  # fmt: skip
            profiles = zscore_features(part[columns].to_numpy(np.float64))
            if cells == "all" and COMPLEXES in sources:
                rows += published_rows(profiles, sources[COMPLEXES], settings, row)
            found, estimate = strict_rows(profiles, sources, settings, seed, row)
            rows += found
            if estimate is not None:
                estimates[model, space, cells, training_seed] = estimate
    return rows, estimates


def _percentiles(settings: dict) -> np.ndarray:
    return np.arange(settings["first_percentile"], settings["last_percentile"] + 1)


def _curve_rows(curve: Curve, graph: Graph, row: Callable) -> list[dict]:
    n = len(graph.nodes)
    prevalence = len(graph.edges) / (n * (n - 1) / 2)
    rows = []
    for k, percentile in enumerate(curve.percentiles):
        here = partial(row, level=percentile, n=n)
        low, high = interval(curve.recall_rounds[:, k])
        rows.append(here(metric="recall", value=curve.recall[k], low=low, high=high))
        low, high = interval(curve.precision_rounds[:, k])
        rows.append(here(metric="precision", value=curve.precision[k], low=low, high=high))
        rows.append(here(metric="chance_recall", value=curve.predicted[k]))
        rows.append(here(metric="chance_precision", value=prevalence))
    return rows


def _average_precision_rows(found: Estimate, null: np.ndarray, row: Callable) -> list[dict]:
    here = partial(row, n=found.n_genes)
    low, high = interval(found.rounds)
    null_low, null_high = interval(null)
    p_value = (1 + (null >= found.value).sum()) / (1 + len(null))
    return [
        here(metric="average_precision", value=found.value, low=low, high=high),
        here(metric="average_precision_null", value=null.mean(), low=null_low, high=null_high),
        here(metric="average_precision_p_value", value=p_value),
    ]


def _complex_rows(
    distances: np.ndarray, graph: Graph, rounds: int, seed: int, row: Callable
) -> list[dict]:
    rows = []
    for name, score in complex_average_precision(distances, graph.complexes).items():
        n_members = len(graph.complexes[name])
        p_value = complex_p_value(score, n_members, len(graph.nodes), rounds, seed)
        here = partial(row, item=name, n=n_members)
        rows.append(here(metric="mean_average_precision", value=score))
        rows.append(here(metric="mean_average_precision_p_value", value=p_value))
    return rows


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
    def sources_of(library: tuple[str, ...]) -> dict[str, Source]:
        return build_sources(library, complex_table, pair_table, settings["bootstrap"], seed)

    rows, estimates = [], {}
    progress = Progress(len(genes), "gene tables", "complexes")
    for path in genes:
        found, more = evaluate(pd.read_parquet(path), sources_of, settings, seed)
        rows += found
        estimates |= more
        progress.step()
    table.write(rows + difference_rows(estimates, seed), benchmark)
