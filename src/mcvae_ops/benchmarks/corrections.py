"""What batch correction does to each space: complexes and guides found with and without it.

Strict protocol alone. The corrections are those of `profiles.correct`, "none" among them. A
difference is that of a correction and none, paired by bootstrap draws.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.complexes.complex_retrieval import COMPLEXES, Source, build_sources
from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.intervals import interval
from mcvae_ops.benchmarks.estimates.retrieval import (
    average_precision,
    cosine_distances,
    rank_pairs,
    resample_pairs,
    resampled_average_precision,
)
from mcvae_ops.benchmarks.guide_consistency import consistency, gene_scores
from mcvae_ops.embeddings.spaces import finite_profiles, spaces_of
from mcvae_ops.profiles.normalise import zscore_features
from mcvae_ops.progress import Progress

BENCHMARK = "corrections"
NONE = "none"
EMPTY_PAIRS = pd.DataFrame({"source": [], "gene_a": [], "gene_b": []})


def complex_rounds(profiles: np.ndarray, source: Source) -> tuple[float, np.ndarray]:
    """Return the average precision of the pairs of a source, and its bootstrap rounds."""
    ranking = rank_pairs(cosine_distances(profiles[source.graph.nodes]))
    ranks = ranking.of(*source.graph.edges.T)
    resampling = resample_pairs(ranking, source.graph.edges, source.weights, [])
    return float(average_precision(ranks)), resampled_average_precision(ranks, resampling)


def complex_rows(
    genes: pd.DataFrame, complexes: pd.DataFrame, rounds: int, seed: int, row
) -> list[dict]:
    """Return the rows of complexes of one model, seed and set of cells.

    Parameters
    ----------
    genes
        Gene profiles with a column correction, "none" among its values.
    complexes
        Columns complex, gene.
    rounds, seed
        Of the bootstrap over complexes.
    row
        `table.row` with everything set that names the profiles.
    """
    genes = finite_profiles(genes)
    by_correction = dict(list(genes.groupby("correction", sort=False)))
    common = sorted(set.intersection(*(set(part["gene"]) for part in by_correction.values())))
    source = build_sources(tuple(common), complexes, EMPTY_PAIRS, rounds, seed).get(COMPLEXES)
    if source is None:
        return []
    rows = []
    for space, columns in spaces_of(genes.columns).items():
        here = partial(row, space=space, n=len(source.graph.nodes))
        found = {
            name: complex_rounds(
                zscore_features(part.set_index("gene").loc[common, columns].to_numpy()), source
            )
            for name, part in by_correction.items()
        }
        for name, (value, drawn) in found.items():
            rows.append(_estimate(here, "average_precision", name, value, drawn))
            if name != NONE:
                value, drawn = value - found[NONE][0], drawn - found[NONE][1]
                rows.append(_estimate(here, "average_precision_difference", name, value, drawn))
    return rows


def guide_rows(guides: pd.DataFrame, seed: int, row) -> list[dict]:
    """Return the rows of the consistency of guides of one model, seed and set of cells.

    Parameters
    ----------
    guides
        Guide profiles with a column correction.
    seed
        Of the bootstrap over genes.
    row
        `table.row` with everything set that names the profiles.
    """
    guides = finite_profiles(guides, "guide")
    rows = []
    for space, columns in spaces_of(guides.columns).items():
        for name, part in guides.groupby("correction", sort=False):
            profiles = zscore_features(part[columns].to_numpy(np.float64))
            scores = gene_scores(profiles, part["gene"].to_numpy(str))
            if scores.empty:
                continue
            value, low, high = consistency(scores, seed)
            rows.append(
                row(
                    space=space, metric="guide_consistency", item=name, value=value, low=low,
                    high=high, n=len(scores),
                )
            )  # fmt: skip
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
    """Write what each batch correction does to each space.

    Parameters
    ----------
    genes, corrected_genes, guides, corrected_guides
        Tables of profiles, one per model and training seed each, in the same order.
    complexes
        Annotation table (complex, gene).
    rounds, seed
        Of the bootstraps.
    benchmark
        Output: the benchmark table.
    """
    annotated, rows = pd.read_parquet(complexes), []
    progress = Progress(len(genes), "embeddings", "corrections")
    for paths in zip(genes, corrected_genes, guides, corrected_guides, strict=True):
        plain, corrected, plain_guides, corrected_of_guides = map(pd.read_parquet, paths)
        of_genes, of_guides = (
            pd.concat([one.assign(correction=NONE), other], ignore_index=True)
            for one, other in ((plain, corrected), (plain_guides, corrected_of_guides))
        )
        for keys, part in of_genes.groupby(["model", "seed", "cells"]):
            rows += complex_rows(part, annotated, rounds, seed, _named(*keys))
        for keys, part in of_guides.groupby(["model", "seed", "cells"]):
            rows += guide_rows(part, seed, _named(*keys))
        progress.step()
    table.write(rows, benchmark)


def _named(model: str, trained: int, cells: str) -> partial:
    return partial(
        table.row, benchmark=BENCHMARK, protocol="strict", model=model, seed=trained, cells=cells
    )


def _estimate(row, metric: str, name: str, value: float, drawn: np.ndarray) -> dict:
    low, high = interval(drawn)
    return row(metric=metric, item=name, value=value, low=low, high=high)
