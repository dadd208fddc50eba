"""Replicates, integration, planted truth, power and doses: settings with known truth.

`cases` yields them as `tests.calibration.cases.all_cases` does its own.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.complexes.complex_retrieval import COMPLEXES, build_pair_sets
from mcvae_ops.benchmarks.corrections import EMPTY_PAIRS
from mcvae_ops.benchmarks.doses.dose_response import (
    compound_rows,
    mechanism_rows,
    standardised,
)
from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.integration.batch_integration import mixing_rows
from mcvae_ops.benchmarks.replicates.power_curve import draw_rows, mean_over_draws
from mcvae_ops.benchmarks.replicates.replicate_agreement import correlation_rows, retrieval_rows
from mcvae_ops.benchmarks.replicates.replicate_correlation import replicate_correlations
from mcvae_ops.benchmarks.replicates.replicate_profiles import Replicates, replicate_profiles
from mcvae_ops.benchmarks.replicates.replicate_retrieval import gene_queries, guide_queries
from mcvae_ops.benchmarks.truth.planted_truth import regression_rows
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


def replicate_cases() -> Iterator[Case]:
    """Yield the cases of replicates."""
    for level in ("gene", "guide"):
        for batches, genes in ((2, 30), (8, 60)):
            world = dict(genes=genes, batches=batches)
            yield Case("replicate correlation, p", f"{level}s, {batches} batches", "p",
                       partial(correlation_p, level, world), worlds=200,
                       quick=batches == 2)  # fmt: skip
            world = world | dict(strength=0.15)
            for metric in ("replicate_correlation_excess", "replicating_fraction"):
                yield Case(metric.replace("_", " "), f"{level}s, {batches} batches", "interval",
                           partial(correlation_interval, metric, level, world),
                           worlds=250)  # fmt: skip
            yield Case("retrieval across batches", f"{level}s, {batches} batches", "interval",
                       partial(retrieval_interval, level, world), worlds=250,
                       quick=batches == 2)  # fmt: skip


def doses_world(
    seed: int, *, strength: float, ed50: float = 2.0, batches: int = 4, per_dose: int = 8
) -> tuple[np.ndarray, ...]:
    """Return cells, gene, dose and batch: a compound at four doses with a Hill curve; controls."""
    rng, levels = np.random.default_rng(seed), np.array([0.0, 0.3, 1.0, 3.0, 10.0])
    n = np.r_[60, np.full(4, per_dose)]
    dose = np.tile(np.repeat(levels, n), batches)
    batch = np.repeat(np.arange(batches), n.sum())
    direction = rng.normal(size=16)
    effect = strength * (dose / (dose + ed50))[:, None] * direction / np.linalg.norm(direction)
    cells = rng.normal(size=(len(dose), 16)) + 2 * rng.normal(size=(batches, 16))[batch] + effect
    return standardised(cells, batch, dose == 0), np.where(dose == 0, "NTC", "c1"), dose, batch


def trend_p(constant: float, world: dict, seed: int) -> list[float]:
    cells, gene, dose, batch = doses_world(seed, strength=0.0, **world)
    cells[dose > 0] += constant  # an effect that is the same at all doses is no trend
    rows = compound_rows(cells, gene, dose, batch, ROW)
    return [row["value"] for row in rows if row["metric"] == "trend_p_value"]


def ed50_interval(world: dict, seed: int) -> list[tuple]:
    rows = compound_rows(*doses_world(seed, **world), ROW)
    ends = [(r["value"], r["low"], r["high"]) for r in rows if r["metric"] == "ed50"]
    return [(*(ends or [(np.nan,) * 3])[0], world["ed50"])]


def response_interval(strength: float, seed: int) -> list[tuple]:
    cells, gene, dose, batch = doses_world(seed, strength=strength)
    rows = [r for r in compound_rows(cells, gene, dose, batch, ROW) if r["metric"] == "response"]
    return [_estimate(rows[-1])]


def mechanisms(seed: int, strength: float, dimensions: int = 16) -> tuple:
    """Return profiles, compound and dose of each, and the mechanisms: nine of three compounds."""
    rng = np.random.default_rng(seed)
    compound, dose = np.repeat(np.arange(30), 4), np.tile([0.3, 1.0, 3.0, 10.0], 30)
    group_of = {f"c{k:02d}": f"m{k // 3}" if k < 27 else "" for k in range(30)}
    effect = strength * rng.gamma(1, size=(10, 1)) * rng.normal(size=(10, dimensions))
    own = 0.5 * rng.normal(size=(30, dimensions))
    where = (effect[compound // 3] + own[compound]) * (dose / (dose + 2))[:, None]
    names = np.array([f"c{k:02d}" for k in compound])
    return where + 0.5 * rng.normal(size=(120, dimensions)), names, dose, group_of


def mechanism_p(seed: int) -> list[float]:
    rows = mechanism_rows(*mechanisms(seed, 0.0), 199, seed, ROW)
    found = [row["value"] for row in rows if row["metric"].endswith("_p_value")]
    return [found[0], found[-1]]


def mixing_interval(metric: str, batches: int, seed: int) -> list[tuple]:
    rng = np.random.default_rng(seed)
    batch = np.repeat(np.arange(batches), 480 // batches)
    offsets = 0.6 * rng.normal(size=(batches, 8))
    first = rng.normal(size=(len(batch), 8)) + offsets[batch]
    latents = {"none": first, "centre": first - 0.7 * offsets[batch]}
    rows = mixing_rows(latents, batch, seed, ROW)
    wanted = ((metric, "none"), (f"{metric}_difference", "centre"))
    return [_estimate(r) for name in wanted for r in rows if (r["metric"], r["item"]) == name]


def truth_interval(n_units: int, per_unit: int, seed: int) -> list[tuple]:
    """R^2 of an axis that units share (complexes of genes, tiles of cells), and a difference."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(7)
    units = np.repeat(np.arange(n_units), per_unit)
    axes = 0.7 * rng.normal(size=(n_units, 2))[units] + 0.7 * rng.normal(size=(len(units), 2))
    names = pd.DataFrame(axes, columns=["size", "damage_foci"])
    weights = fixed.normal(size=(2, 2, 8))
    spaces = {
        space: axes @ weight + 2.5 * rng.normal(size=(len(units), 8))
        for space, weight in zip(("salient", "background"), weights, strict=True)
    }
    rows = regression_rows(spaces, names, units, "units", seed, ROW, few=n_units < 50)
    return [
        _estimate(r) for r in rows
        if (r["metric"], r["item"], r["space"]) == ("r2", "damage_foci", "salient")
        or (r["metric"], r["item"]) == ("mean_r2_difference", "novel axes")
    ]  # fmt: skip


def power_interval(metric: str, seed: int) -> list[tuple]:
    rng = np.random.default_rng(seed)
    n_genes, per_gene, controls = 60, 16, 100
    gene = np.r_[np.full(controls, -1), np.repeat(np.arange(n_genes), per_gene)]
    batch = rng.integers(0, 2, len(gene))
    machine = rng.gamma(2, 0.3, size=(20, 1)) * rng.normal(size=(20, 12))
    own = 0.3 * rng.normal(size=(n_genes, 12))
    latent = rng.normal(size=(len(gene), 12)) + rng.normal(size=(2, 12))[batch]
    latent[gene >= 0] += (np.repeat(machine, 3, axis=0) + own)[gene[gene >= 0]]
    genes = [f"g{k:02d}" for k in range(n_genes)]
    complexes = pd.DataFrame({"complex": [f"c{k // 3}" for k in range(n_genes)], "gene": genes})
    pair_set = build_pair_sets(tuple(genes), complexes, EMPTY_PAIRS, 400, seed)[COMPLEXES]
    rows = mean_over_draws(draw_rows(latent, batch, gene, genes, pair_set, 99, seed))
    found = rows[(rows["metric"] == metric) & (rows["level"] == 8)].iloc[0]
    return [_estimate(found)]


def other_cases() -> Iterator[Case]:
    """Yield the cases of integration, planted truth and power."""
    for metric in ("batch_silhouette", "ilisi"):
        for batches in (3, 8):
            yield Case(metric.replace("_", " "), f"{batches} batches", "interval",
                       partial(mixing_interval, metric, batches), worlds=200)  # fmt: skip
    for n, per in ((24, 3), (80, 10)):
        yield Case("R2 of planted axes", f"{n} units of {per}", "interval",
                   partial(truth_interval, n, per), worlds=300, quick=n == 24)  # fmt: skip
    for metric in ("average_precision", "macro_average_precision", "hit_fraction"):
        yield Case(f"power, {metric.replace('_', ' ')}", "8 of 16 cells", "interval",
                   partial(power_interval, metric), worlds=120)  # fmt: skip


def dose_cases() -> Iterator[Case]:
    """Yield the cases of doses."""
    for constant, label in ((0.0, "no effect"), (0.5, "the same effect at all doses")):
        for per_dose in (2, 8):
            yield Case("trend p", f"{label}, {per_dose} cells a dose", "p",
                       partial(trend_p, constant, dict(per_dose=per_dose)), worlds=1000,
                       quick=per_dose == 8)  # fmt: skip
    for strength, ed50 in ((3.0, 2.0), (5.0, 2.0), (5.0, 0.6), (5.0, 6.0)):
        world = dict(strength=strength, ed50=ed50)
        yield Case("ED50", f"effect {strength:g} sd, ED50 {ed50:g}", "interval",
                   partial(ed50_interval, world), worlds=300)  # fmt: skip
    for strength in (0.0, 2.0):
        yield Case("response", f"effect {strength:g} sd", "interval",
                   partial(response_interval, strength), worlds=300)  # fmt: skip
    yield Case("mechanism p", "30 compounds", "p", mechanism_p, worlds=400, quick=True)


def cases() -> Iterator[Case]:
    """Yield every case."""
    yield from replicate_cases()
    yield from other_cases()
    yield from dose_cases()
