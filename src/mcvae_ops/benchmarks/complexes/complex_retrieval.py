"""Fig. 2: do genes of one complex have similar profiles?

Published protocol: recall and precision of the pairs in both tails of the cosine distances.
Strict protocol: only the similar tail; average precision with a bootstrap interval over clusters of
overlapping complexes and a null of permuted labels, with and without the largest clusters;
differences between models and spaces over seeds; mean average precision of each complex with p and
q (one complex of each cluster), and its mean over clusters, in which the largest weigh as much as
any other. Sets of pairs without complexes (Reactome, ...) get no interval, because there are no
complexes to resample. EFAAR's protocol: recall alone, for comparison with other maps.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from mcvae_ops.benchmarks.complexes.efaar_recall import efaar_rows, known_pairs
from mcvae_ops.benchmarks.complexes.pair_graph import (
    Graph,
    complex_graph,
    draw_clusters,
    pair_graph,
    resampled_weights,
)
from mcvae_ops.benchmarks.complexes.paired_differences import (
    AveragePrecision,
    precision_difference_rows,
)
from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.intervals import (
    bootstrap_interval,
    mean_interval,
    percentile_range,
)
from mcvae_ops.benchmarks.estimates.mean_average_precision import (
    p_value_of,
    random_sets,
    rank_neighbours,
    score_sets,
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
from mcvae_ops.errors import InputError
from mcvae_ops.files import read_frame
from mcvae_ops.profiles.normalise import zscore_features
from mcvae_ops.progress import Progress

logger = logging.getLogger(__name__)

COMPLEXES = "CORUM"
N_LARGEST = 5
WITHOUT_LARGEST = f"{COMPLEXES} without its {N_LARGEST} largest"


@dataclass(frozen=True)
class PairSet:
    """True pairs as a graph, with bootstrap rounds.

    Attributes
    ----------
    graph
        Genes and true pairs.
    counts
        Number of draws of each cluster, as `draw_clusters` returns.
    weights
        (edge, round) and (node, round); no round for pairs that do not come from complexes.
    """

    graph: Graph
    counts: np.ndarray
    weights: tuple[np.ndarray, np.ndarray]


def build_pair_sets(
    library: tuple[str, ...], complexes: pd.DataFrame, pairs: pd.DataFrame, rounds: int, seed: int
) -> dict[str, PairSet]:
    """Return the set of pairs of the complexes, and that of each list of pairs.

    A set without true pairs is left out, and so is a set in which all pairs are true (a single
    complex), because there are no false pairs. Both happen where few genes of the library are in a
    set of cells.

    Parameters
    ----------
    library
        Gene symbols.
    complexes
        Columns complex, gene.
    pairs
        Columns source (name of the list), gene_a, gene_b.
    rounds, seed
        Number of rounds and seed of the bootstrap over clusters of complexes.
    """
    graphs = {COMPLEXES: complex_graph(library, complexes)}
    graphs[WITHOUT_LARGEST] = without_largest(library, complexes, graphs[COMPLEXES])
    for name, part in pairs.groupby("source"):
        if name in graphs:
            raise InputError.twice(
                where="table of pairs of genes", what=f"the list {name}", fix="rename the list"
            )
        graphs[str(name)] = pair_graph(library, part)
    pair_sets = {}
    for name, graph in graphs.items():
        n_nodes, n_edges = len(graph.nodes), len(graph.edges)
        if n_edges == 0:
            logger.warning("%s: no two genes of the library belong together; left out", name)
            continue
        if n_edges == n_nodes * (n_nodes - 1) // 2:
            logger.warning("%s: its %d genes all belong together; left out", name, n_nodes)
            continue
        counts = draw_clusters(graph, rounds, seed)
        pair_sets[name] = PairSet(graph, counts, resampled_weights(graph, counts))
    return pair_sets


def without_largest(library: tuple[str, ...], complexes: pd.DataFrame, graph: Graph) -> Graph:
    """Return the graph of the complexes without the genes of the clusters with most pairs.

    Two of three pairs may lie in ribosome and spliceosome: what is found without them?
    """
    if graph.members is None:
        return graph
    n_pairs = graph.members.sum(axis=0)
    largest = np.argsort(-n_pairs, kind="stable")[:N_LARGEST]
    dropped = {name for name, cluster in graph.clusters.items() if cluster in largest}
    genes = complexes.loc[complexes["complex"].isin(dropped), "gene"]
    return complex_graph(library, complexes[~complexes["gene"].isin(genes)])


def pair_set_rows(
    profiles: np.ndarray,
    pair_set: PairSet,
    settings: dict,
    seed: int,
    row: Callable,
    published: bool,
) -> tuple[list[dict], AveragePrecision]:
    """Evaluate how well one space of one model retrieves one set of pairs.

    Parameters
    ----------
    profiles
        (gene, feature), z-scored over the genes of the library.
    pair_set
        Pairs of genes of the same library.
    settings
        ``first_percentile``, ``last_percentile``, ``permutations``.
    seed
        Seed of the permutations.
    row
        `table.row` with the columns that name the space and the set of pairs filled in.
    published
        Whether to add the rows of the published protocol.

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
        make_row = partial(row, protocol=protocol, n=len(graph.nodes), units=graph.units)
        rows += _curve_rows(
            called, percentiles, ranks, len(ranking.order), resampling, graph.n_clusters, make_row
        )
    estimate = AveragePrecision(
        float(average_precision(ranks)),
        resampled_average_precision(ranks, resampling),
        len(graph.nodes),
        graph.n_clusters,
    )
    null = permuted_average_precision(ranking, graph.edges, settings["permutations"], seed)
    make_row = partial(row, protocol="strict", n=len(graph.nodes), units=graph.units)
    return rows + _average_precision_rows(estimate, null, make_row), estimate


def mean_average_precision_rows(
    profiles: np.ndarray, pair_set: PairSet, settings: dict, seed: int, row: Callable
) -> tuple[list[dict], AveragePrecision]:
    """Return the mean average precision of each complex with p and q, and its mean over clusters.

    Each cluster of overlapping complexes stands with its largest one: in the mean, and in the
    number of tests that q (Benjamini & Hochberg) corrects for. The other complexes have no q.

    Returns
    -------
    Rows of the benchmark table, and the mean over clusters.
    """
    graph = pair_set.graph
    ranks = rank_neighbours(cosine_distances(profiles[graph.nodes]))
    sizes = {len(members) for members in graph.complexes.values()}
    nulls = {
        size: score_sets(ranks, random_sets(len(ranks), size, settings["permutations"], seed))
        for size in sizes
    }
    scores = {name: score_sets(ranks, m[None])[0] for name, m in graph.complexes.items()}
    p_values = {
        name: p_value_of(score, nulls[len(graph.complexes[name])]) for name, score in scores.items()
    }
    chosen = graph.representatives()
    q_values = false_discovery_control([p_values[name] for name in chosen])
    values = {
        "mean_average_precision": scores,
        "mean_average_precision_p_value": p_values,
        "mean_average_precision_q_value": dict(zip(chosen, q_values, strict=True)),
    }
    strict = partial(row, protocol="strict")
    rows = [
        strict(metric=metric, item=name, n=len(graph.complexes[name]), value=value)
        for metric, of_complexes in values.items()
        for name, value in of_complexes.items()
    ]
    macro, of_clusters = macro_average(scores, pair_set)
    low, high = mean_interval(of_clusters)
    null = np.mean([nulls[len(graph.complexes[name])].mean() for name in chosen])
    strict = partial(strict, item=COMPLEXES, n=len(graph.nodes), units=graph.units)
    return [
        *rows,
        strict(metric="macro_average_precision", value=macro.value, low=low, high=high),
        strict(metric="macro_average_precision_null", value=null),
    ], macro


def macro_average(
    scores: dict[str, float], pair_set: PairSet
) -> tuple[AveragePrecision, np.ndarray]:
    """Return the mean over clusters of overlapping complexes, and the score of each, (cluster,).

    Parameters
    ----------
    scores
        Mean average precision of each complex; the largest complex of a cluster stands for it.
    pair_set
        The pairs of these complexes.
    """
    graph = pair_set.graph
    chosen = graph.representatives()
    of_clusters = np.array([scores[name] for name in chosen])
    drawn = pair_set.counts[[graph.clusters[name] for name in chosen]]
    rounds = of_clusters @ drawn / np.maximum(drawn.sum(axis=0), 1)
    n_genes, n_clusters = len(graph.nodes), graph.n_clusters
    return AveragePrecision(float(of_clusters.mean()), rounds, n_genes, n_clusters), of_clusters


def retrieval_rows(
    genes: pd.DataFrame, pair_sets_of: Callable, settings: dict, seed: int
) -> tuple[list[dict], dict[tuple, AveragePrecision]]:
    """Evaluate all spaces of trained models: strict on every set of cells, published on all cells.

    Parameters
    ----------
    genes
        Columns model, seed, cells, gene, is_ntc and latent columns. NTC is left out; genes with a
        NaN in their profile are left out with a warning.
    pair_sets_of
        Function that returns `build_pair_sets` of a library (tuple of gene symbols).
    settings, seed
        As in `pair_set_rows`.

    Returns
    -------
    Rows of the benchmark table; (metric, model, space, cells, training seed) -> average precision.
    """
    rows, estimates = [], {}
    for (model, training_seed, cells), part in genes.groupby(["model", "seed", "cells"]):
        part = finite_profiles(part)
        pair_sets = pair_sets_of(tuple(part["gene"]))
        for space, columns in spaces_of(part.columns).items():
            row = partial(
                table.row,
                benchmark="complexes",
                model=model,
                space=space,
                seed=training_seed,
                cells=cells,
            )
            profiles = zscore_features(part[columns].to_numpy(np.float64))
            for name, pair_set in pair_sets.items():
                published = cells == "all" and name == COMPLEXES
                make_row = partial(row, item=name)
                new_rows, estimate = pair_set_rows(
                    profiles, pair_set, settings, seed, make_row, published
                )
                rows += new_rows
                if name == COMPLEXES:
                    new_rows, macro = mean_average_precision_rows(
                        profiles, pair_set, settings, seed, row
                    )
                    rows += new_rows
                    estimates["average_precision", model, space, cells, training_seed] = estimate
                    estimates["macro_average_precision", model, space, cells, training_seed] = macro
    return rows, estimates


def _curve_rows(
    tails: Tails,
    percentiles: np.ndarray,
    ranks: np.ndarray,
    n_pairs: int,
    resampling: Resampling,
    n_clusters: int,
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
            low, high = bootstrap_interval(drawn[:, k], n_clusters)
            make_row = partial(row, level=percentile)
            rows.append(make_row(metric=metric, value=values[k], low=low, high=high))
            rows.append(make_row(metric=f"chance_{metric}", value=expected[k]))
    return rows


def _average_precision_rows(
    estimate: AveragePrecision, null: np.ndarray, row: Callable
) -> list[dict]:
    low, high = bootstrap_interval(estimate.rounds, estimate.n_clusters)
    null_low, null_high = percentile_range(null)
    permuted = partial(row, units=f"{len(null)} permutations")
    return [
        row(metric="average_precision", value=estimate.value, low=low, high=high),
        permuted(metric="average_precision_null", value=null.mean(), low=null_low, high=null_high),
        row(metric="average_precision_p_value", value=p_value_of(estimate.value, null)),
    ]


def complexes(
    genes: list[str], complexes: str, pairs: str, settings: dict, seed: int, benchmark: str
) -> None:
    """Write the benchmark of complex retrieval (Fig. 2A-C).

    Parameters
    ----------
    genes
        Tables of gene profiles, one per model and training seed.
    complexes, pairs
        Annotation tables with columns (complex, gene) and (source, gene_a, gene_b).
    settings
        ``first_percentile``, ``last_percentile``, ``bootstrap``, ``permutations``.
    seed
        Seed of the bootstrap and the permutations.
    benchmark
        Output: the benchmark table.
    """
    complex_table, pair_table = read_frame(complexes), read_frame(pairs)

    @cache
    def pair_sets_of(library: tuple[str, ...]) -> dict[str, PairSet]:
        return build_pair_sets(library, complex_table, pair_table, settings["bootstrap"], seed)

    known = known_pairs(complex_table, pair_table, COMPLEXES)
    rows, estimates = [], {}
    progress = Progress(len(genes), "gene tables", "complexes")
    for path in genes:
        profiles = read_frame(path)
        new_rows, new_estimates = retrieval_rows(profiles, pair_sets_of, settings, seed)
        rows += new_rows + efaar_rows(profiles, known)
        estimates |= new_estimates
        progress.step()
    for metric in ("average_precision", "macro_average_precision"):
        of_metric = {key[1:]: each for key, each in estimates.items() if key[0] == metric}
        rows += precision_difference_rows(of_metric, metric)
    table.write(rows, benchmark)
