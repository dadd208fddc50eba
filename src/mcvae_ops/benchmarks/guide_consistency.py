"""Do the guides of one gene agree? Mean average precision of the guides of each gene.

Strict protocol only. Every targeting guide ranks all other targeting guides by the cosine distance
of their profiles, z-scored over guides. Guides of the same gene are positives, guides of other
genes are negatives. The score of a gene is the mean over its guides; a gene with one guide has no
score.
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
from mcvae_ops.files import read_frame
from mcvae_ops.profiles.normalise import zscore_features
from mcvae_ops.progress import Progress

logger = logging.getLogger(__name__)

BENCHMARK = "guides"
SIGNIFICANCE = 0.05  # false discovery rate at which the guides of a gene count as consistent


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
    """Return the rows of one space; no row if no gene has two guides.

    Parameters
    ----------
    profiles, gene_of
        As for `gene_scores`.
    permutations, seed
        Number of random sets of as many guides, which are the null, and their seed.
    row
        `table.row` with the columns that name the space filled in.
    every_gene
        Whether to add score, p and q of each gene to the mean over genes.
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
    make_row = partial(row, n=len(scores), units=f"{len(scores)} genes")
    rows = [
        make_row(metric="mean_average_precision", value=scores["score"].mean(), low=low, high=high),
        make_row(metric="mean_average_precision_null", value=null),
        make_row(metric="consistent_fraction", value=(q_values < SIGNIFICANCE).mean()),
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
    """Return the rows of one table of guide profiles; scores of single genes on all cells only.

    Parameters
    ----------
    guides
        Columns model, seed, cells, guide, gene, is_ntc and latent columns. NTC guides are left
        out; guides with a NaN in their profile are left out with a warning.
    permutations, seed
        As in `space_rows`.
    """
    rows = []
    for (model, trained, cells), part in guides.groupby(["model", "seed", "cells"]):
        part = finite_profiles(part, "guide")
        for space, columns in spaces_of(part.columns).items():
            row = partial(
                table.row,
                benchmark=BENCHMARK,
                protocol="strict",
                model=model,
                space=space,
                seed=trained,
                cells=cells,
            )
            profiles = zscore_features(part[columns].to_numpy(np.float64))
            genes = part["gene"].to_numpy(str)
            new_rows = space_rows(profiles, genes, permutations, seed, row, cells == "all")
            if not new_rows:
                # Of each gene, one guide at most is held out.
                level = logging.INFO if cells == "held_out_guide" else logging.WARNING
                logger.log(level, "%s, %s cells: no gene has two guides", model, cells)
            rows += new_rows
    return rows


def guide_consistency(guides: list[str], permutations: int, seed: int, benchmark: str) -> None:
    """Write the consistency of the guides of each gene.

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
        rows += consistency_rows(read_frame(path), permutations, seed)
        progress.step()
    table.write(rows, benchmark)
