"""Replicates, integration, planted truth, power and doses: settings with known truth.

`cases` yields them as `tests.calibration.cases.all_cases` does its own.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.replicates.replicate_agreement import correlation_rows, retrieval_rows
from mcvae_ops.benchmarks.replicates.replicate_correlation import replicate_correlations
from mcvae_ops.benchmarks.replicates.replicate_profiles import Replicates, replicate_profiles
from mcvae_ops.benchmarks.replicates.replicate_retrieval import gene_queries, guide_queries
from tests.calibration.cases import Case

ROW = partial(table.row, benchmark="", protocol="strict", model="", space="", seed=0, cells="all")
ROUNDS = 199


def screen(
    seed: int,
    *,
    genes: int,
    batches: int,
    strength: float,
    guides: int = 3,
    cells_per_gene: int = 60,
    controls: int = 100,
    dimensions: int = 16,
) -> Replicates:
    """Return the replicates of a screen.

    Batches and guides hold uneven numbers of cells; batches and their few controls leave a trace.
    The shares of the batches and the scales of the dimensions are given, the same in all worlds.
    """
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(7)
    n = genes * cells_per_gene
    shares = rng.dirichlet(np.full(genes * guides, 4.0))
    guide = np.r_[rng.choice(genes * guides, n, p=shares), np.full(batches * controls, -1)]
    batch = np.r_[rng.choice(batches, n, p=fixed.dirichlet(np.full(batches, 4.0))),
                  np.repeat(np.arange(batches), controls)]  # fmt: skip
    is_ntc = guide < 0
    effects = rng.gamma(1.0, strength, genes)[:, None] * rng.normal(size=(genes, dimensions))
    latent = rng.normal(size=(len(guide), dimensions)) * fixed.uniform(0.5, 2, dimensions)
    latent += 2 * rng.normal(size=(batches, dimensions))[batch]
    latent[~is_ntc] += effects[guide[~is_ntc] // guides]
    cells = pd.DataFrame(
        {"guide": [f"s{k:05d}" for k in guide], "gene": [f"g{k // guides:04d}" for k in guide]}
    ).assign(is_ntc=is_ntc)
    found, _ = replicate_profiles(cells, latent, batch, np.ones(len(cells), bool))
    return found


def correlation_p(level: str, world: dict, seed: int) -> list[float]:
    every = screen(seed, strength=0.0, **world)
    every = every.of_genes() if level == "gene" else every
    return list(replicate_correlations(every, ROUNDS, seed).p_value[:5])


def correlation_interval(metric: str, level: str, world: dict, seed: int) -> list[tuple]:
    every = screen(seed, **world)
    every = every.of_genes() if level == "gene" else every
    rows = correlation_rows(every, ROUNDS, seed, ROW)
    return [_estimate(row) for row in rows if row["metric"] == metric]


def retrieval_interval(level: str, world: dict, seed: int) -> list[tuple]:
    every = screen(seed, **world)
    queries = gene_queries(every.of_genes()) if level == "gene" else guide_queries(every)
    rows = retrieval_rows(queries, ROW)
    return [_estimate(rows[0])]


def _estimate(row: dict, truth: float = np.nan) -> tuple:
    return row["value"], row["low"], row["high"], truth


def cases() -> Iterator[Case]:
    """Yield every case."""
    for level in ("gene", "guide"):
        for batches, genes in ((2, 30), (8, 60)):
            world = dict(genes=genes, batches=batches)
            yield Case("replicate correlation, p", f"{level}s, {batches} batches", "p",
                       partial(correlation_p, level, world), worlds=200,
                       quick=batches == 2)  # fmt: skip
            world |= dict(strength=0.15)
            for metric in ("replicate_correlation_excess", "replicating_fraction"):
                yield Case(metric.replace("_", " "), f"{level}s, {batches} batches", "interval",
                           partial(correlation_interval, metric, level, world),
                           worlds=250)  # fmt: skip
            yield Case("retrieval across batches", f"{level}s, {batches} batches", "interval",
                       partial(retrieval_interval, level, world), worlds=250,
                       quick=batches == 2)  # fmt: skip
