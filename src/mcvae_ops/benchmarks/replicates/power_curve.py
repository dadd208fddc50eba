"""Fig. S5: how many cells per gene does a screen need?

The cells of every gene are thinned to some shares, several times at random; all controls stay. Each
draw gives the average precision of complexes and the share of genes that are hits. Only cells that
no model was trained on are used, for every embedding alike. The share of hits is that of at most
`MOST_TESTED` genes, drawn at random: of more it would cost hours and say the same.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.complexes.complex_retrieval import COMPLEXES, PairSet, build_pair_sets
from mcvae_ops.benchmarks.corrections import EMPTY_PAIRS, complex_estimates
from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.intervals import bootstrap_interval, stratified_interval
from mcvae_ops.benchmarks.estimates.seeds import mean_over_seeds
from mcvae_ops.benchmarks.hits.activity import MAX_Q
from mcvae_ops.embeddings.embedded_cells import batch_numbers
from mcvae_ops.files import read_frame
from mcvae_ops.profiles.aggregate import read_embedded_cells, sums_of_groups, unseen_cells
from mcvae_ops.profiles.centred import CentredCells
from mcvae_ops.profiles.exchange import distance_of_means
from mcvae_ops.profiles.normalise import zscore_features
from mcvae_ops.profiles.significance import q_values
from mcvae_ops.progress import Progress

BENCHMARK, HITS = "power", "hit_fraction"
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)
DRAWS = 3
MOST_TESTED = 1000  # an error of at most .016 of the share of hits


def thinned(gene_of: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return random rows: a share of the cells of each gene, rounded up, (row,) ascending."""
    order = rng.permutation(len(gene_of))
    rank = pd.Series(gene_of[order]).groupby(gene_of[order]).cumcount().to_numpy()
    return np.sort(order[rank < np.ceil(share * np.bincount(gene_of))[gene_of[order]]])


def drawn_genes(n_genes: int, seed: int) -> np.ndarray:
    """Return the genes that are tested, the same in every draw, (gene,) ascending."""
    rng = np.random.default_rng(seed)
    return np.sort(rng.permutation(n_genes)[:MOST_TESTED])


def draw_rows(
    latent: np.ndarray,
    batch_of: np.ndarray,
    gene_of: np.ndarray,
    genes: Sequence[str],
    pair_set: PairSet | None,
    permutations: int,
    seed: int,
    threads: int = 1,
) -> pd.DataFrame:
    """Return the estimates of every draw.

    Parameters
    ----------
    latent
        (cell, dimension), finite.
    batch_of, gene_of
        (cell,), numbered from 0 on; the gene of a control is -1.
    genes
        Names, (gene,).
    pair_set
        Pairs of complexes of these genes; None where there are none.
    permutations, seed, threads
        Number of permutations of the test of hits; seed of draws and permutations; how many parts
        of the test run at a time.

    Returns
    -------
    metric, level (median cells per gene), draw, value, low, high, n, units.
    """
    is_control = gene_of < 0
    centred = CentredCells(latent, batch_of, is_control)
    perturbed, rows = np.flatnonzero(~is_control), []
    tested = drawn_genes(len(genes), seed)
    group_of = np.zeros(len(gene_of), np.int64)  # 0 is that of controls
    is_tested = np.isin(gene_of, tested)
    group_of[is_tested] = np.searchsorted(tested, gene_of[is_tested]) + 1
    for share in SHARES:
        for draw in range(DRAWS if share < 1 else 1):
            rng = np.random.default_rng([seed, draw, round(1 / share)])
            kept = perturbed[thinned(gene_of[perturbed], share, rng)]
            n_cells = np.bincount(gene_of[kept], minlength=len(genes))
            row = {"level": float(np.median(n_cells)), "draw": draw}
            if pair_set is not None:
                sums = sums_of_groups(centred, kept, gene_of[kept], len(genes))
                profiles = sums / n_cells[:, None]
                found = complex_estimates(zscore_features(profiles), pair_set)
                for metric, one in found.items():
                    low, high = bootstrap_interval(one.rounds, one.n_clusters)
                    place = {"metric": metric, "n": one.n_genes, "units": pair_set.graph.units}
                    rows.append(row | place | dict(value=one.value, low=low, high=high))
            both = is_control.copy()
            both[kept[group_of[kept] > 0]] = True
            _, p = distance_of_means(
                latent[both], batch_of[both], is_control[both], group_of[both],
                permutations, seed, threads,
            )  # fmt: skip
            is_hit = q_values(p[1:], np.ones(len(tested), bool)) < MAX_Q
            value = is_hit.mean()
            low, high = stratified_interval(value, (is_hit - value) / len(tested), is_share=True)
            place = {"metric": HITS, "n": len(tested), "units": f"{len(tested)} genes"}
            rows.append(row | place | dict(value=value, low=low, high=high))
    return pd.DataFrame(rows)


def mean_over_draws(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over draws of each metric and level, with intervals that hold their spread.

    As over training seeds (`mean_over_seeds`), but every level has its own spread. A draw without
    an interval (no gene is a hit, or all are) leaves the mean without one.

    Parameters
    ----------
    rows
        As `draw_rows` returns.
    """
    keys = ["metric", "level"]
    groups = rows.groupby(keys, sort=False)
    found = groups[["value", "low", "high", "n", "units"]].agg(
        {"value": "mean", "low": "first", "high": "first", "n": "first", "units": "first"}
    )
    n_draws, is_known = groups.size(), groups["low"].count() == groups.size()
    named = rows.assign(model="", item="", seed=rows["draw"])
    several = mean_over_seeds(named, ["model", "item", *keys], keys).droplevel(["model", "item"])
    found.update(several[["low", "high"]])
    found.loc[~is_known, ["low", "high"]] = np.nan
    found["units"] += np.where(n_draws > 1, ", " + n_draws.astype(str) + " draws", "")
    return found.reset_index()


def power_curve(
    index: str,
    splits: str,
    embeddings: Sequence[str],
    complexes: str,
    permutations: int,
    rounds: int,
    seed: int,
    threads: int,
    benchmark: str,
) -> None:
    """Write average precision and hits against cells per gene, in the combined space.

    Parameters
    ----------
    index, splits
        Tables of cells, row-aligned.
    embeddings
        Embeddings of these cells, one per model and training seed.
    complexes
        Annotation table (complex, gene); may be empty.
    permutations
        Of the test of hits.
    rounds, seed
        Number of rounds and seed of the bootstrap over clusters of complexes; seed of the draws.
    threads
        As in `draw_rows`.
    benchmark
        Output: the benchmark table.
    """
    annotated, rows = read_frame(complexes), []
    progress = Progress(len(embeddings), "embeddings", "power")
    for path in embeddings:
        cells, vectors = read_embedded_cells(index, splits, path)
        cells, latent = unseen_cells(cells, vectors.combined())
        is_ntc = cells["is_ntc"].to_numpy()
        genes, gene_of = np.unique(cells["gene"][~is_ntc].to_numpy(str), return_inverse=True)
        every = np.full(len(cells), -1)
        every[~is_ntc] = gene_of
        pair_set = build_pair_sets(tuple(genes), annotated, EMPTY_PAIRS, rounds, seed)
        found = draw_rows(
            latent,
            batch_numbers(cells),
            every,
            genes,
            pair_set.get(COMPLEXES),
            permutations,
            seed,
            threads,
        )
        row = partial(
            table.row, benchmark=BENCHMARK, protocol="strict", space="combined", cells="unseen",
            model=vectors.model, seed=vectors.seed,
        )  # fmt: skip
        estimates = mean_over_draws(found)
        rows += [row(**estimate) for estimate in estimates.to_dict("records")]
        progress.step()
    table.write(rows, benchmark)
