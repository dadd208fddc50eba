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

from mcvae_ops.benchmarks.estimates import classification, table
from mcvae_ops.benchmarks.estimates.intervals import BOOTSTRAP_ROUNDS, interval
from mcvae_ops.benchmarks.estimates.mean_average_precision import complex_p_value, null_scores
from mcvae_ops.benchmarks.estimates.retrieval import average_precision, unit_profiles
from mcvae_ops.embeddings.spaces import finite_profiles, spaces_of
from mcvae_ops.profiles.normalise import zscore_features
from mcvae_ops.progress import Progress
from mcvae_ops.randomness import named_rng

logger = logging.getLogger(__name__)

BENCHMARK = "guides"
SIGNIFICANCE = 0.05  # false discovery rate at which the guides of a gene count as consistent
BLOCK = 1000  # guides per block: the full matrix of similarities may not fit into memory


def mate_ranks(profiles: np.ndarray, gene_of: np.ndarray) -> list[np.ndarray]:
    """Return the ranks of the other profiles of the same gene, for each profile.

    Parameters
    ----------
    profiles
        (profile, feature).
    gene_of
        (profile,).

    Returns
    -------
    One array per profile: the rank of each profile of its gene among all other profiles, which is
    the number of profiles that are at least as near. Ties share the largest rank.
    """
    unit = unit_profiles(profiles)
    _, code = np.unique(gene_of, return_inverse=True)
    order = np.argsort(code, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(code))[:-1])
    ranks = []
    for start in range(0, len(unit), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(unit)))
        near = unit[rows] @ unit.T
        near[np.arange(len(rows)), rows] = -np.inf  # a profile does not retrieve itself
        for similarity, row in zip(near, rows, strict=True):
            mates = members[code[row]]
            ranks.append((similarity >= similarity[mates[mates != row]][:, None]).sum(axis=1))
    return ranks


def gene_scores(profiles: np.ndarray, gene_of: np.ndarray) -> pd.DataFrame:
    """Return score (mean average precision) and n_guides of each gene with two guides or more.

    Parameters
    ----------
    profiles, gene_of
        As for `mate_ranks`.
    """
    ranks = mate_ranks(profiles, gene_of)
    mated = np.array([len(each) > 0 for each in ranks])
    scores = [float(average_precision(each)) for each in ranks if len(each)]
    by_gene = pd.Series(scores, dtype=float).groupby(np.asarray(gene_of)[mated])
    return by_gene.agg(score="mean", n_guides="size")


def consistency(scores: pd.DataFrame, seed: int) -> tuple[float, float, float]:
    """Return the mean over genes of `gene_scores` with its 95 % interval over genes."""
    rng = named_rng(seed, "guides")
    rounds = classification.bootstrap(scores["score"].to_numpy(), np.mean, BOOTSTRAP_ROUNDS, rng)
    return float(scores["score"].mean()), *interval(rounds)


def space_rows(
    profiles: np.ndarray, gene_of: np.ndarray, permutations: int, seed: int, row, every_gene: bool
) -> list[dict]:
    """Return the rows of one space; no row if no gene has two guides.

    Parameters
    ----------
    profiles, gene_of
        As for `mate_ranks`.
    permutations, seed
        Number of permutations of the null (copairs), and seed of the null and of the interval.
    row
        `table.row` with the columns that name the space filled in.
    every_gene
        Whether to add the score and the p value of each gene to the mean over genes.
    """
    scores = gene_scores(profiles, gene_of)
    if scores.empty:
        return []
    sizes, n = scores["n_guides"], len(profiles)
    p_values = np.array(
        [
            complex_p_value(score, size, n, permutations, seed)
            for score, size in scores.itertuples(index=False)
        ]
    )
    value, low, high = consistency(scores, seed)
    null = sizes.map(lambda size: null_scores(size - 1, n - 1, permutations, seed).mean())
    share = (false_discovery_control(p_values) < SIGNIFICANCE).mean()
    make_row = partial(row, n=len(scores))
    rows = [
        make_row(metric="mean_average_precision", value=value, low=low, high=high),
        make_row(metric="mean_average_precision_null", value=null.mean()),
        make_row(metric="consistent_fraction", value=share),
    ]
    for gene, (score, size), p_value in zip(
        scores.index, scores.itertuples(index=False), p_values, strict=True
    ):
        if every_gene:
            make_row = partial(row, item=gene, n=size)
            rows.append(make_row(metric="mean_average_precision", value=score))
            rows.append(make_row(metric="mean_average_precision_p_value", value=p_value))
    return rows


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
                logger.warning("%s, %s cells: no gene has two guides", model, cells)
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
        rows += consistency_rows(pd.read_parquet(path), permutations, seed)
        progress.step()
    table.write(rows, benchmark)
