"""Complex retrieval and guide consistency of each space, with and without batch correction.

Strict protocol only. Corrections are those of `mcvae_ops.profiles.correct`; "none" is the profile
without correction. Differences are a correction minus "none", paired by bootstrap draws.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.complexes.complex_retrieval import (
    COMPLEXES,
    PairSet,
    build_pair_sets,
    macro_average,
)
from mcvae_ops.benchmarks.complexes.pair_graph import Graph
from mcvae_ops.benchmarks.complexes.paired_differences import AveragePrecision
from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.intervals import bootstrap_interval, mean_interval
from mcvae_ops.benchmarks.estimates.mean_average_precision import rank_neighbours, score_sets
from mcvae_ops.benchmarks.estimates.retrieval import (
    average_precision,
    cosine_distances,
    rank_pairs,
    resample_pairs,
    resampled_average_precision,
)
from mcvae_ops.benchmarks.guide_consistency import gene_scores
from mcvae_ops.embeddings.spaces import finite_profiles, spaces_of
from mcvae_ops.files import read_frame
from mcvae_ops.profiles.normalise import zscore_features
from mcvae_ops.progress import Progress

BENCHMARK = "corrections"
NONE = "none"
EMPTY_PAIRS = pd.DataFrame({"source": [], "gene_a": [], "gene_b": []})


def complex_estimates(profiles: np.ndarray, pair_set: PairSet) -> dict[str, AveragePrecision]:
    """Return the average precision over pairs, and its mean over clusters of complexes.

    Parameters
    ----------
    profiles
        (gene, feature), z-scored over the genes of the library.
    pair_set
        Pairs of genes of the same library.
    """
    graph = pair_set.graph
    distances = cosine_distances(profiles[graph.nodes])
    ranking, neighbours = rank_pairs(distances), rank_neighbours(distances)
    ranks = ranking.of(*graph.edges.T)
    rounds = resampled_average_precision(
        ranks, resample_pairs(ranking, graph.edges, pair_set.weights, [])
    )
    scores = {name: score_sets(neighbours, m[None])[0] for name, m in graph.complexes.items()}
    value, n_genes = float(average_precision(ranks)), len(graph.nodes)
    return {
        "average_precision": AveragePrecision(value, rounds, n_genes, graph.n_clusters),
        "macro_average_precision": macro_average(scores, pair_set)[0],
    }


def corrected_complex_rows(
    genes: pd.DataFrame, complexes: pd.DataFrame, rounds: int, seed: int, row
) -> list[dict]:
    """Return the rows on complexes for one model, seed and set of cells.

    Parameters
    ----------
    genes
        Gene profiles with a column correction; "none" is one of its values.
    complexes
        Columns complex, gene.
    rounds, seed
        Number of rounds and seed of the bootstrap over clusters of complexes.
    row
        `table.row` with the columns that name the profiles filled in.
    """
    genes = finite_profiles(genes)
    by_correction = dict(list(genes.groupby("correction", sort=False)))
    common = sorted(set.intersection(*(set(part["gene"]) for part in by_correction.values())))
    pair_set = build_pair_sets(tuple(common), complexes, EMPTY_PAIRS, rounds, seed).get(COMPLEXES)
    if pair_set is None:
        return []
    rows = []
    graph = pair_set.graph
    for space, columns in spaces_of(genes.columns).items():
        make_row = partial(row, space=space, n=len(graph.nodes), units=graph.units)
        found = {
            name: complex_estimates(
                zscore_features(part.set_index("gene").loc[common, columns].to_numpy()), pair_set
            )
            for name, part in by_correction.items()
        }
        for name, metrics in found.items():
            for metric, estimate in metrics.items():
                value, drawn = estimate.value, estimate.rounds
                rows.append(_estimate(make_row, metric, name, value, drawn, graph))
                if name != NONE:
                    plain = found[NONE][metric]
                    value, drawn = value - plain.value, drawn - plain.rounds
                    name_of = f"{metric}_difference"
                    rows.append(_estimate(make_row, name_of, name, value, drawn, graph))
    return rows


def corrected_guide_rows(guides: pd.DataFrame, row) -> list[dict]:
    """Return the rows on guide consistency for one model, seed and set of cells.

    Parameters
    ----------
    guides
        Guide profiles with a column correction.
    row
        `table.row` with the columns that name the profiles filled in.
    """
    guides = finite_profiles(guides, "guide")
    rows = []
    for space, columns in spaces_of(guides.columns).items():
        for name, part in guides.groupby("correction", sort=False):
            profiles = zscore_features(part[columns].to_numpy(np.float64))
            scores = gene_scores(profiles, part["gene"].to_numpy(str))
            if scores.empty:
                continue
            low, high = mean_interval(scores["score"].to_numpy())
            rows.append(
                row(
                    space=space,
                    metric="guide_consistency",
                    item=name,
                    value=scores["score"].mean(),
                    low=low,
                    high=high,
                    n=len(scores),
                    units=f"{len(scores)} genes",
                )
            )
    return rows


def corrections(
    genes: Sequence[str],
    corrected_genes: Sequence[str],
    guides: Sequence[str],
    corrected_guides: Sequence[str],
    complexes: str,
    rounds: int,
    seed: int,
    benchmark: str,
) -> None:
    """Write how each batch correction changes complex retrieval and guide consistency.

    Parameters
    ----------
    genes, corrected_genes, guides, corrected_guides
        Tables of profiles: one per model and training seed in each list, in the same order.
    complexes
        Annotation table (complex, gene).
    rounds, seed
        Number of rounds and seed of the bootstrap over clusters of complexes.
    benchmark
        Output: the benchmark table.
    """
    annotated, rows = read_frame(complexes), []
    progress = Progress(len(genes), "embeddings", "corrections")
    for paths in zip(genes, corrected_genes, guides, corrected_guides, strict=True):
        tables = list(map(read_frame, paths))
        of_genes, of_guides = (
            pd.concat([uncorrected.assign(correction=NONE), corrected], ignore_index=True)
            for uncorrected, corrected in (tables[:2], tables[2:])
        )
        for keys, part in of_genes.groupby(["model", "seed", "cells"]):
            rows += corrected_complex_rows(part, annotated, rounds, seed, _named(*keys))
        for keys, part in of_guides.groupby(["model", "seed", "cells"]):
            rows += corrected_guide_rows(part, _named(*keys))
        progress.step()
    table.write(rows, benchmark)


def _named(model: str, trained: int, cells: str) -> partial:
    return partial(
        table.row, benchmark=BENCHMARK, protocol="strict", model=model, seed=trained, cells=cells
    )


def _estimate(row, metric: str, name: str, value: float, drawn: np.ndarray, graph: Graph) -> dict:
    low, high = bootstrap_interval(drawn, graph.n_clusters)
    return row(metric=metric, item=name, value=value, low=low, high=high)
