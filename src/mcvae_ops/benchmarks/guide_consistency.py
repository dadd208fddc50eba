"""Do the guides of one gene agree? Mean average precision of each gene's guides (strict alone).

Every targeting guide ranks all others by the cosine distance of their profiles, z-scored over
guides; positive are the guides of the same gene, negative those of the other genes. A gene's score
is the mean over its guides. A gene with one guide has no score.
"""

import logging
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.intervals import mean_interval
from mcvae_ops.benchmarks.estimates.mean_average_precision import (
    p_value_of,
    random_sets,
    score_profiles,
)
from mcvae_ops.embeddings.spaces import finite_profiles, spaces_of
from mcvae_ops.profiles.normalise import zscore_features
from mcvae_ops.progress import Progress

logger = logging.getLogger(__name__)

BENCHMARK = "guides"
SIGNIFICANCE = 0.05  # of the false discovery rate at which a gene's guides count as consistent


def gene_scores(profiles: np.ndarray, gene_of: np.ndarray) -> pd.DataFrame:
    """Return score (mean average precision) and n_guides of each gene with two guides or more.

    Parameters
    ----------
    profiles
        (guide, feature).
    gene_of
        (guide,).

    Returns
    -------
    By gene, sorted.
    """
    guides_of = pd.Series(pd.Series(gene_of).groupby(gene_of).indices, dtype=object)
    sizes = guides_of.map(len)
    scores = pd.Series(np.nan, index=guides_of.index)
    for size in sorted(set(sizes) - {1}):
        genes = sizes.index[sizes == size]
        scores[genes] = score_profiles(profiles, np.stack(guides_of[genes]))
    return pd.DataFrame({"score": scores, "n_guides": sizes})[sizes > 1]


def space_rows(
    profiles: np.ndarray, gene_of: np.ndarray, permutations: int, seed: int, row, every_gene: bool
) -> list[dict]:
    """Return the rows of one space; none where no gene has two guides.

    Parameters
    ----------
    profiles, gene_of
        As for `gene_scores`.
    permutations, seed
        Random sets of as many guides: the null.
    row
        `table.row` with everything set that names the space.
    every_gene
        Whether score, p and q of each gene are wanted beside the mean over genes.
    """
    scores = gene_scores(profiles, gene_of)
    if scores.empty:
        return []
    nulls = {
        size: score_profiles(profiles, random_sets(len(profiles), size, permutations, seed))
        for size in set(scores["n_guides"])
    }
    pairs = list(scores.itertuples(index=False))
    p_values = np.array([p_value_of(score, nulls[size]) for score, size in pairs])
    q_values = false_discovery_control(p_values)
    low, high = mean_interval(scores["score"].to_numpy())
    null = np.mean([nulls[size].mean() for size in scores["n_guides"]])
    here = partial(row, n=len(scores), units=f"{len(scores)} genes")
    rows = [
        here(metric="mean_average_precision", value=scores["score"].mean(), low=low, high=high),
        here(metric="mean_average_precision_null", value=null),
        here(metric="consistent_fraction", value=(q_values < SIGNIFICANCE).mean()),
    ]
    values = {
        "mean_average_precision": scores["score"],
        "mean_average_precision_p_value": p_values,
        "mean_average_precision_q_value": q_values,
    }
    return rows + [
        row(metric=metric, item=gene, n=size, value=value)
        for metric, of_genes in values.items()
        for gene, size, value in zip(scores.index, scores["n_guides"], of_genes, strict=True)
        if every_gene
    ]


def consistency_rows(guides: pd.DataFrame, permutations: int, seed: int) -> list[dict]:
    """Return the rows of one table of guide profiles; single genes on all cells alone.

    Parameters
    ----------
    guides
        Columns model, seed, cells, guide, gene, is_ntc and latent columns; NTC guides and guides
        with a NaN in their profile are left out, the latter with a warning.
    permutations, seed
        As in `space_rows`.
    """
    rows = []
    for (model, trained, cells), part in guides.groupby(["model", "seed", "cells"]):
        part = finite_profiles(part, "guide")
        for space, columns in spaces_of(part.columns).items():
            row = partial(
                table.row, benchmark=BENCHMARK, protocol="strict", model=model, space=space,
                seed=trained, cells=cells,
            )  # fmt: skip
            profiles = zscore_features(part[columns].to_numpy(np.float64))
            genes = part["gene"].to_numpy(str)
            new_rows = space_rows(profiles, genes, permutations, seed, row, cells == "all")
            if not new_rows:
                logger.warning("%s, %s cells: no gene has two guides", model, cells)
            rows += new_rows
    return rows


def guide_consistency(guides: list[str], permutations: int, seed: int, benchmark: str) -> None:
    """Write how well the guides of each gene agree.

    Parameters
    ----------
    guides
        Tables of guide profiles, one per model and training seed.
    permutations, seed
        As in `space_rows`.
    benchmark
        Output: the benchmark table.
    """
    rows = []
    progress = Progress(len(guides), "guide tables", "guide consistency")
    for path in guides:
        rows += consistency_rows(pd.read_parquet(path), permutations, seed)
        progress.step()
    table.write(rows, benchmark)
