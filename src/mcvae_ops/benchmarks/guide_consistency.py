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

from mcvae_ops.benchmarks.estimates import classification, table
from mcvae_ops.benchmarks.estimates.intervals import BOOTSTRAP_ROUNDS, interval
from mcvae_ops.benchmarks.estimates.mean_average_precision import complex_p_value, null_scores
from mcvae_ops.benchmarks.estimates.retrieval import average_precision, unit_profiles
from mcvae_ops.embeddings.read import named_rng
from mcvae_ops.embeddings.spaces import finite_profiles, spaces_of
from mcvae_ops.profiles.normalise import zscore_features
from mcvae_ops.progress import Progress

logger = logging.getLogger(__name__)

BENCHMARK = "guides"
SIGNIFICANCE = 0.05  # of the false discovery rate at which a gene's guides count as consistent
BLOCK = 1000  # guides whose distances to all others are held at a time


def mate_ranks(profiles: np.ndarray, gene_of: np.ndarray) -> list[np.ndarray]:
    """Return, for each profile, the ranks of the others of its gene among all others.

    Parameters
    ----------
    profiles
        (profile, feature).
    gene_of
        (profile,).

    Returns
    -------
    One array per profile: how many other profiles are at most as far; ties count together.
    """
    unit = unit_profiles(profiles)
    _, code = np.unique(gene_of, return_inverse=True)
    order = np.argsort(code, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(code))[:-1])
    ranks = []
    for start in range(0, len(unit), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(unit)))
        near = unit[rows] @ unit.T
        near[np.arange(len(rows)), rows] = -np.inf
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
    """Return the rows of one space; none where no gene has two guides.

    Parameters
    ----------
    profiles, gene_of
        As for `mate_ranks`.
    permutations, seed
        Of the null (copairs) and of the interval over genes.
    row
        `table.row` with everything set that names the space.
    every_gene
        Whether score and p value of each gene are wanted beside the mean over genes.
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
    here = partial(row, n=len(scores))
    rows = [
        here(metric="mean_average_precision", value=value, low=low, high=high),
        here(metric="mean_average_precision_null", value=null.mean()),
        here(metric="consistent_fraction", value=share),
    ]
    for gene, (score, size), p_value in zip(
        scores.index, scores.itertuples(index=False), p_values, strict=True
    ):
        if every_gene:
            here = partial(row, item=gene, n=size)
            rows.append(here(metric="mean_average_precision", value=score))
            rows.append(here(metric="mean_average_precision_p_value", value=p_value))
    return rows


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
