"""The columns of the table of hits, in worlds with known truth.

`cases` yields them as `tests.calibration.cases.all_cases` does its own. The last one is a whole
small screen: library, effects, penetrance, density and errors of the calls are those of the
pipeline's own simulation; an embedding stands in for images and model.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.hits import activity, neighbours, proximity
from mcvae_ops.benchmarks.hits.adjusted_activity import adjusted_distance
from mcvae_ops.benchmarks.hits.control_retrieval import retrieval_from_controls
from mcvae_ops.benchmarks.hits.effect_norms import effect_of, moments_of, squared_norms
from mcvae_ops.benchmarks.hits.guide_rows import guide_rows
from mcvae_ops.profiles.centred import CentredCells
from mcvae_ops.profiles.exchange import distance_of_means, strata_of
from mcvae_ops.profiles.significance import q_values
from mcvae_ops.simulate.cell_states import call_cells, draw_cells
from mcvae_ops.simulate.library import AXES, NATURAL_AXES, draw_genes, draw_guides
from mcvae_ops.simulate.well_layout import local_density, place_cells
from tests.calibration import worlds
from tests.calibration.cases import Case, discoveries
from tests.helpers.configurations import merged, whole

PERMUTATIONS = 499
WELL_PX, CELLS_PER_WELL, WELLS = 1600, 1500, 4


def retrieval_p(seed: int, **world) -> list[float]:
    return [retrieval_from_controls(*worlds.cells(seed, **world), PERMUTATIONS, seed)[1][1]]


def genes_world(seed: int, genes: int, real: int, cells: int) -> tuple:
    """Return what `distance_of_means` takes: the last `real` of many genes have an effect."""
    rng = np.random.default_rng(seed)
    group_of = np.r_[np.zeros(100, int), np.repeat(np.arange(1, 1 + genes), cells)]
    latent = rng.normal(size=(len(group_of), 8)) + 1.5 * (group_of > genes - real)[:, None]
    return latent, np.zeros(len(group_of), int), group_of == 0, group_of


def p_among_many(seed: int) -> list[float]:
    """Return the p of one of 54 genes without effect, whose exchanges six with an effect share."""
    return [distance_of_means(*genes_world(seed, 60, 6, 10), 99, seed)[1][1]]


def hits_among_many(real: int, seed: int) -> list[tuple[str, float]]:
    p_values = distance_of_means(*genes_world(seed, 5000, real, 6), 1000, seed)[1][1:]
    q = q_values(p_values, np.ones(5000, bool))
    return discoveries(q < activity.MAX_Q, np.arange(5000) < 5000 - real)


def p_without_density(controls: int, seed: int) -> list[float]:
    """A gene without effect whose cells lie denser, in an embedding that density moves."""
    world = dict(dimensions=16, batches=4, controls=controls, group=30, batch_spread=1.0)
    latent, batch_of, is_control, group_of = worlds.cells(seed, **world)
    density = np.random.default_rng([seed, 1]).normal(size=(len(latent), 4)) + ~is_control[:, None]
    latent[:, :4] += density
    args = (batch_of, is_control, group_of, PERMUTATIONS, seed)
    return [adjusted_distance(latent, density, *args)[1][1]]


def norm_interval(effect: float, dimensions: int, group: int, seed: int) -> list[tuple]:
    world = dict(dimensions=dimensions, batches=4, controls=50, group=group, batch_spread=1.0)
    latent, batch_of, is_control, group_of = worlds.cells(seed, **world, effect=effect)
    centred = CentredCells(latent, batch_of, is_control)
    pooled = np.concatenate(list(centred.controls.values()))
    covariance = pooled.T @ pooled / (len(pooled) - 4)
    strata = strata_of(group_of, batch_of, is_control)[1]
    moments = moments_of(effect_of(centred, strata, covariance), range(dimensions))
    return [(*squared_norms(np.array([moments]))[0], dimensions * effect**2)]


def nearest_p(common_axis: bool, n_related: int, seed: int) -> list[float]:
    """p of a gene beside 200 others, the first `n_related` in complexes of five that are known.

    With complexes, only their genes lie on the common axis: a gene without effect has none.
    """
    rng, n = np.random.default_rng(seed), 201  # p comes in steps of 1 / n: 10 of them below .05
    group = np.where(np.arange(n) < n_related, np.arange(n) // 5, -1)
    profiles = rng.normal(size=(n, 16))
    effects = rng.gamma(2, 0.75, size=(n, 1)) * rng.normal(size=(n, 16))
    profiles[group >= 0] += effects[group[group >= 0]]
    profiles[:, 0] += common_axis * rng.lognormal(size=n) * ((group >= 0) | (n_related == 0))
    related = (group[:, None] == group) & (group >= 0)
    names = np.arange(n).astype(str)
    return [neighbours.nearest_rows(profiles, names, names, related)["neighbour_p"][n - 1]]


def arm_p(common_axis: bool, seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    profiles = rng.normal(size=(80, 16))
    profiles[:, 0] += common_axis * rng.lognormal(size=80)
    arm_of = rng.permutation(np.repeat([f"{k}q" for k in range(10)], 8))
    nothing = np.zeros((80, 80), bool)
    return [proximity.arm_resemblance(profiles, arm_of, nothing)["proximity_p"][0]]


def predicted_set(n_groups: int, size: int, seed: int) -> list[bool]:
    """Whether sets hold the group of genes whose group the annotation does not say."""
    x, group, _ = worlds.groups(seed, n_groups=n_groups, genes_per_group=size, guides=1)
    hidden = np.random.default_rng(seed).random(len(group)) < 0.2
    known = np.where(hidden, "", group.astype(str))
    genes = np.arange(len(x)).astype(str)
    sets, _ = neighbours.predicted_groups(x, genes, known, seed)
    return [str(group[k]) in sets[k].split("; ") for k in np.flatnonzero(hidden)]


def simulated_screen(seed: int) -> tuple[activity.Screen, np.ndarray, pd.Series]:
    """Return a small screen of the pipeline's simulation, its confounders, and the kind of genes.

    The embedding is the planted axes of each cell with noise of the size of the spread of control
    cells, moved by the well, and by the density as the simulation moves the size of cells.
    """
    simulate = whole(merged("config"))["simulate"]
    rng = np.random.default_rng([seed, 11])
    genes = draw_genes(simulate["library"], rng)
    guides = draw_guides(genes, simulate["library"], rng)
    parts = []
    for well in range(WELLS):
        centres = place_cells((WELL_PX, WELL_PX), CELLS_PER_WELL, simulate["well"], rng)
        density = local_density(centres, simulate["well"]["neighbourhood_px"])
        cells = draw_cells(density, guides, simulate, rng)
        cells[["y_px", "x_px"]] = centres
        cells["size"] -= density
        called = call_cells(cells, guides, simulate["calls"], rng)
        parts.append(called.assign(plate="P", well=str(well), tile=0))
    cells = pd.concat(parts, ignore_index=True)
    cells["is_ntc"] = cells["gene"] == "NTC"
    cells["batch"] = cells["plate"] + "/" + cells["well"]
    batch_of = cells["well"].astype(int).to_numpy()
    latent = cells[list(AXES)].to_numpy() + rng.normal(size=(len(cells), len(AXES)))
    latent += rng.normal(size=(WELLS, len(AXES)))[batch_of]
    n, d = len(NATURAL_AXES), len(AXES)
    spaces = {"combined": range(d), "salient": range(n, d), "background": range(n)}
    spaces = {space: list(columns) for space, columns in spaces.items()}
    screen = activity.Screen(cells, latent, spaces, batch_of)
    return (
        screen,
        activity.confounders_of(cells, np.arange(len(cells))),
        genes.set_index("gene")["kind"],
    )


def simulated_hits(seed: int) -> list[tuple[str, float]]:
    """Return false discovery proportions and power of one small screen, by column."""
    screen, confounders, kind = simulated_screen(seed)
    test = activity.ActivityTest("mean", PERMUTATIONS, seed)
    table, _ = activity.hit_rows(screen, confounders, "gene", test, guide_rows(screen, test))
    is_null = (table["gene"].map(kind) == "none").to_numpy()
    is_shift = (table["gene"].map(kind) == "shift").to_numpy()
    calls = {
        "is_hit": (table["is_hit"], is_null),
        "survives_confounders": (table["survives_confounders"], is_null),
        "map_q_combined": (table["map_q_combined"] < activity.MAX_Q, is_null),
        "q_salient": (table["q_salient"] < activity.MAX_Q, is_null | is_shift),
        "q_background": (table["q_background"] < activity.MAX_Q, is_null),
    }
    rows = []
    for name, (called, nothing) in calls.items():
        rows += [(f"{name}: {what}", value) for what, value in discoveries(called, nothing)]
    return rows


def cases() -> Iterator[Case]:
    """Yield every case of the table of hits."""
    for label, world, quick in (
        ("16 d, n/N 0.2", dict(dimensions=16, controls=100, group=20), False),
        ("16 d, 20 controls, 20 cells", dict(dimensions=16, controls=20, group=20), False),
        ("64 d, n/N 0.5", dict(dimensions=64, controls=100, group=50), False),
        ("16 d, 8 uneven batches", dict(dimensions=16, controls=40, group=20, batches=8,
                                        batch_spread=2.0, uneven=True), True),
        ("16 d, 3 batches of 4 controls", dict(dimensions=16, controls=4, group=12, batches=3,
                                               batch_spread=2.0), False),
    ):  # fmt: skip
        yield Case("hits, mAP p", label, "p", partial(retrieval_p, **world), quick=quick)
    yield Case("hits, p of means", "1 of 60 genes, 6 with an effect, 99 exchanges", "p",
               p_among_many, quick=True)  # fmt: skip
    for real in (1, 50):
        yield Case("hits, q .05", f"5,000 genes, {real} with an effect", "hits",
                   partial(hits_among_many, real), worlds=10)  # fmt: skip
    for controls in (5, 40):
        yield Case("hits, p without density", f"denser cells, 4 batches of {controls} controls",
                   "p", partial(p_without_density, controls), quick=controls == 40)  # fmt: skip
    for effect, dimensions, group in ((0.0, 8, 40), (0.3, 8, 40), (0.3, 32, 20), (0.3, 32, 200)):
        yield Case("hits, squared norm", f"{dimensions} d, {group} cells, effect {effect:g}",
                   "interval", partial(norm_interval, effect, dimensions, group), worlds=200,
                   quick=dimensions == 8)  # fmt: skip
    for common in (False, True):
        for n_related in (0, 100):
            label = f"201 genes, {n_related} in complexes" + ", common axis" * common
            yield Case("hits, neighbour p", label, "p", partial(nearest_p, common, n_related),
                       quick=common and n_related > 0)  # fmt: skip
        label = "80 genes, 10 arms" + ", common axis" * common
        yield Case("hits, proximity p", label, "p", partial(arm_p, common), worlds=300)
    for n_groups, size in ((3, 20), (6, 10)):
        yield Case("hits, predicted groups", f"{n_groups} groups of {size} genes", "set",
                   partial(predicted_set, n_groups, size), worlds=60)  # fmt: skip
    yield Case("hits, q .05", "simulated cells, 96 genes, 4 wells", "hits", simulated_hits,
               worlds=10)  # fmt: skip
