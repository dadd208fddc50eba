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
    precision_of,
    treated,
    trends_of,
)
from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.integration.batch_integration import MEASURES, NONE, mixing_rows
from mcvae_ops.benchmarks.replicates.power_curve import draw_rows, mean_over_draws
from mcvae_ops.benchmarks.replicates.replicate_agreement import correlation_rows, retrieval_rows
from mcvae_ops.benchmarks.replicates.replicate_correlation import replicate_correlations
from mcvae_ops.benchmarks.replicates.replicate_profiles import Replicates, replicate_profiles
from mcvae_ops.benchmarks.replicates.replicate_retrieval import gene_queries, guide_queries
from mcvae_ops.benchmarks.truth.planted_truth import regression_rows
from tests.calibration.cases import Case

ROW = partial(table.row, benchmark="", protocol="strict", model="", space="", seed=0, cells="all")
ROUNDS = 199
POWER = ("average_precision", "macro_average_precision", "hit_fraction")
DOSE = r"([\d.]+) uM$"


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
                           worlds=200)  # fmt: skip
            yield Case("retrieval across batches", f"{level}s, {batches} batches", "interval",
                       partial(retrieval_interval, level, world), worlds=200,
                       quick=batches == 2)  # fmt: skip


def doses_world(
    seed: int,
    *,
    strength: float = 0.0,
    ed50: float = 2.0,
    constant: float = 0.0,
    per_dose: int = 8,
    wells: int = 0,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return cells and embedding of a compound at four doses with a Hill curve, and controls.

    A model has seen three quarters of the cells, but for one dose, and moved those of the compound
    away from the controls. With `wells` a batch is a plate and a dose stands in so many of its
    wells, which differ.

    Parameters
    ----------
    constant
        An effect that is the same at all doses is no trend.
    """
    rng, levels = np.random.default_rng(seed), np.array([0.0, 0.3, 1.0, 3.0, 10.0])
    n, batches = np.r_[60, np.full(4, per_dose)], 4
    dose = np.tile(np.repeat(levels, n), batches)
    batch = np.repeat(np.arange(batches), n.sum())
    well = np.tile(np.concatenate([np.arange(size) % max(1, wells) for size in n]), batches)
    well = np.unique(np.c_[batch, dose, well], axis=0, return_inverse=True)[1] if wells else batch
    direction = rng.normal(size=16)
    direction /= np.linalg.norm(direction)
    seen = (rng.random(len(dose)) < 0.75) & (dose != 3.0)
    along = strength * dose / (dose + ed50) + (constant + 0.5 * seen) * (dose > 0)
    latent = rng.normal(size=(len(dose), 16)) + 2 * rng.normal(size=(batches, 16))[batch]
    latent += rng.normal(size=(well.max() + 1, 16))[well] * (wells > 0)
    cells = pd.DataFrame({"plate": batch, "well": well, "batch": batch, "is_ntc": dose == 0})
    names = np.where(dose == 0, "NTC", "c1")
    cells = cells.assign(
        gene=names, guide=[f"{a} {d:g} uM" for a, d in zip(names, dose, strict=True)]
    )
    return cells.assign(split=np.where(seen, "train", "test")), latent + along[:, None] * direction


def dose_rows(world: dict, seed: int) -> list[dict]:
    cells, latent = doses_world(seed, **world)
    tested, controls = treated(cells, latent, DOSE)
    halves = treated(cells, latent, DOSE, apart=True)[0]
    return compound_rows(tested, halves, precision_of(controls), ROW)


def trend_p(world: dict, seed: int) -> list[float]:
    tested, controls = treated(*doses_world(seed, **world), DOSE)
    return list(trends_of(tested, precision_of(controls))[2])


def ed50_interval(world: dict, seed: int) -> list[tuple]:
    rows = dose_rows(world, seed)
    ends = [(r["value"], r["low"], r["high"]) for r in rows if r["metric"] == "ed50"]
    return [(*(ends or [(np.nan,) * 3])[0], world["ed50"])]


def response_interval(world: dict, seed: int) -> list[tuple]:
    return [_estimate([r for r in dose_rows(world, seed) if r["metric"] == "response"][-1])]


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


def mixing_interval(batches: int, seed: int) -> list[tuple]:
    rng = np.random.default_rng(seed)
    batch = np.repeat(np.arange(batches), 240 // batches)
    offsets = 0.6 * rng.normal(size=(batches, 8))
    first = rng.normal(size=(len(batch), 8)) + offsets[batch]
    latents = {"none": first, "centre": first - 0.7 * offsets[batch]}
    rows = mixing_rows(latents, batch, seed, ROW)
    wanted = [
        name for metric in MEASURES for name in ((metric, NONE), (f"{metric}_difference", "centre"))
    ]
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


def power_interval(seed: int) -> list[tuple]:
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
    found = rows[rows["level"] == 8].set_index("metric")
    return [_estimate(found.loc[metric]) for metric in POWER]


def other_cases() -> Iterator[Case]:
    """Yield the cases of integration, planted truth and power."""
    of = tuple(f"{metric}{what}" for metric in MEASURES for what in ("", ", paired difference"))
    for batches in (3, 8):
        yield Case("batch integration", f"{batches} batches", "interval",
                   partial(mixing_interval, batches), worlds=100, of=of)  # fmt: skip
    for n, per in ((48, 2), (80, 10)):
        yield Case("R2 of planted axes", f"{n} units of {per}", "interval",
                   partial(truth_interval, n, per), worlds=200, quick=n == 48)  # fmt: skip
    yield Case("power curve", "8 of 16 cells", "interval", power_interval, worlds=120, of=POWER)


def dose_cases() -> Iterator[Case]:
    """Yield the cases of doses."""
    for label, world in (
        ("no effect, 2 cells a dose", dict(per_dose=2)),
        ("no effect, 8 cells a dose", dict(per_dose=8)),
        ("the same effect at all doses, 2 cells a dose", dict(per_dose=2, constant=2.0)),
        ("the same effect at all doses, 8 cells a dose", dict(per_dose=8, constant=2.0)),
        ("the same effect at all doses, 3 wells a dose", dict(wells=3, per_dose=12, constant=2.0)),
    ):
        yield Case("trend p", label, "p", partial(trend_p, world), worlds=400,
                   quick=world["per_dose"] == 8)  # fmt: skip
    for strength, ed50, per_dose in ((3, 2, 32), (5, 2, 32), (5, 0.6, 32), (5, 6, 32), (3, 2, 8)):
        world = dict(strength=float(strength), ed50=float(ed50), per_dose=per_dose)
        yield Case("ED50", f"effect {strength} sd, ED50 {ed50:g}, {per_dose} cells a dose",
                   "interval", partial(ed50_interval, world), worlds=200)  # fmt: skip
    for strength in (0.0, 2.0):
        yield Case("response", f"effect {strength:g} sd", "interval",
                   partial(response_interval, dict(strength=strength)), worlds=150)  # fmt: skip
    yield Case("mechanism p", "30 compounds", "p", mechanism_p, worlds=300, quick=True)


def cases() -> Iterator[Case]:
    """Yield every case."""
    yield from replicate_cases()
    yield from other_cases()
    yield from dose_cases()
