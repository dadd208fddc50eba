"""Every estimator that prints a p value or an interval, in settings that are known to be hard."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from mcvae_ops.benchmarks import guide_consistency
from mcvae_ops.benchmarks.complexes import complex_retrieval
from mcvae_ops.benchmarks.complexes.pair_graph import (
    complex_graph,
    draw_clusters,
    resampled_weights,
)
from mcvae_ops.benchmarks.corrections import EMPTY_PAIRS
from mcvae_ops.benchmarks.covariates import covariate_fits, covariate_prediction
from mcvae_ops.benchmarks.estimates import intervals, retrieval, roc, seeds
from mcvae_ops.benchmarks.estimates.mean_average_precision import (
    p_value_of,
    random_sets,
    rank_neighbours,
    score_sets,
)
from mcvae_ops.benchmarks.functions import function_prediction, group_recall
from mcvae_ops.profiles.energy_distance import energy_from_controls
from mcvae_ops.profiles.exchange import distance_of_means
from tests.calibration import worlds

PERMUTATIONS, ROUNDS = 499, 400


@dataclass(frozen=True)
class Case:
    """One estimator in one setting.

    Attributes
    ----------
    estimator, setting
        In words.
    kind
        "p" (a p value, where nothing is there), "interval", "set" (a conformal set at 90 %) or
        "hits" (discoveries at a false discovery rate of 5 %).
    run
        Seed of a world -> its p values; or rows (estimate, low, high, truth), NaN where the truth
        is the mean of the estimate over all worlds; or whether each set holds the truth; or (what,
        share) of false discoveries and power.
    worlds
        How many are drawn at first; four times as many where these leave the goal in doubt.
    quick
        Whether it belongs to the small part that every test run has.
    of
        What the rows of an interval are of.
    """

    estimator: str
    setting: str
    kind: str
    run: Callable[[int], list]
    worlds: int = 600
    quick: bool = False
    of: tuple[str, ...] = ("estimate", "paired difference")


def guide_p(test: Callable, seed: int, **world) -> list[float]:
    return [test(*worlds.cells(seed, **world), PERMUTATIONS, seed)[1][1]]


def complex_p(size: int, seed: int) -> list[float]:
    ranks = rank_neighbours(
        retrieval.cosine_distances(np.random.default_rng(seed).normal(size=(120, 16)))
    )
    scores = score_sets(ranks, np.arange(5 * size).reshape(5, size))
    null = score_sets(ranks, random_sets(len(ranks), size, PERMUTATIONS, seed))
    return [p_value_of(score, null) for score in scores[:1]]


def complex_hits(seed: int) -> list[tuple[str, float]]:
    """False discoveries and power of q over complexes; half of them are random sets of genes."""
    rng = np.random.default_rng([seed, 4])
    first, _, genes, real = worlds.complexes(seed, overlapping=False, strength=3, machines=30)
    first = np.concatenate([first, rng.normal(size=(150, first.shape[1]))])
    random = pd.DataFrame(
        {"complex": [f"none{k // 5}" for k in range(150)], "gene": [f"n{k}" for k in range(150)]}
    )
    names = [*genes, *random["gene"]]
    pair_set = complex_retrieval.build_pair_sets(
        tuple(names), pd.concat([real, random]), EMPTY_PAIRS, 10, seed
    )[complex_retrieval.COMPLEXES]
    rows, _ = complex_retrieval.mean_average_precision_rows(
        first, pair_set, {"permutations": 999}, seed, dict
    )
    q = {row["item"]: row["value"] for row in rows if row["metric"].endswith("q_value")}
    return discoveries(pd.Series(q) < 0.05, pd.Series(list(q)).str.startswith("none"))


def guide_hits(seed: int) -> list[tuple[str, float]]:
    """False discoveries and power of q over genes; the guides of about half do not agree."""
    rows = _consistency(seed)
    q = {row["item"]: row["value"] for row in rows if row["metric"].endswith("q_value")}
    return discoveries(pd.Series(q) < 0.05, pd.Series(list(q)).str.startswith("n"))


def guide_mean(seed: int) -> list[tuple]:
    found = _consistency(seed)[0]
    return [(found["value"], found["low"], found["high"], np.nan)]


def _consistency(seed: int) -> list[dict]:
    rng = np.random.default_rng(seed)
    is_real = rng.random(60) < 0.5
    gene_of = np.repeat([f"{'g' if real else 'n'}{k:02d}" for k, real in enumerate(is_real)], 3)
    shared = 2 * rng.normal(size=(60, 16)) * is_real[:, None]
    profiles = np.repeat(shared, 3, axis=0) + rng.normal(size=(180, 16))
    return guide_consistency.space_rows(profiles, gene_of, 999, seed, partial(dict, low=0), True)


def discoveries(called: np.ndarray, is_null: np.ndarray) -> list[tuple[str, float]]:
    """Return the share of false ones among the calls, and the share of real effects called."""
    called, is_null = np.asarray(called, bool), np.asarray(is_null, bool)
    false = (called & is_null).sum() / max(called.sum(), 1)
    return [("false discoveries", false), ("power", called[~is_null].mean())]


def pairs_p(seed: int) -> list[float]:
    first, _, genes, annotation = worlds.complexes(seed, overlapping=True, strength=0, machines=15)
    graph = complex_graph(genes, annotation)
    ranking = retrieval.rank_pairs(retrieval.cosine_distances(first[graph.nodes]))
    value = retrieval.average_precision(ranking.of(*graph.edges.T))
    return [
        p_value_of(
            value, retrieval.permuted_average_precision(ranking, graph.edges, PERMUTATIONS, seed)
        )
    ]


def pairs_interval(measure: str, overlapping: bool, seed: int) -> list[tuple]:
    first, second, genes, annotation = worlds.complexes(seed, overlapping=overlapping, strength=1)
    graph = complex_graph(genes, annotation)
    counts = draw_clusters(graph, ROUNDS, seed)
    pair_set = complex_retrieval.PairSet(graph, counts, resampled_weights(graph, counts))
    values, drawn = zip(*(_precision(measure, x, pair_set) for x in (first, second)), strict=True)
    rows = [(values[0], drawn[0]), (values[0] - values[1], drawn[0] - drawn[1])]
    return [(v, *intervals.bootstrap_interval(r, graph.n_clusters), np.nan) for v, r in rows]


def _precision(measure: str, profiles: np.ndarray, pair_set) -> tuple[float, np.ndarray]:
    graph = pair_set.graph
    if measure == "pairs":
        ranking = retrieval.rank_pairs(retrieval.cosine_distances(profiles[graph.nodes]))
        ranks = ranking.of(*graph.edges.T)
        resampling = retrieval.resample_pairs(ranking, graph.edges, pair_set.weights, [])
        drawn = retrieval.resampled_average_precision(ranks, resampling)
        return float(retrieval.average_precision(ranks)), drawn
    settings, row = {"permutations": 2}, dict
    macro = complex_retrieval.mean_average_precision_rows(profiles, pair_set, settings, 0, row)[1]
    return macro.value, macro.rounds


def mean_of(n: int, skewed: bool, seed: int) -> list[tuple]:
    rng = np.random.default_rng(seed)
    values = rng.gamma(4, size=n) if skewed else rng.normal(4, 2, size=n)
    return [(values.mean(), *intervals.mean_interval(values), 4.0)]


def median_of(n: int, seed: int) -> list[tuple]:
    values = np.random.default_rng(seed).gamma(4, size=n)
    return [(np.median(values), *intervals.median_interval(values), stats.gamma.median(4))]


def difference_of(n: int, m: int, seed: int) -> list[tuple]:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0.4, 0.3, n), rng.normal(0.1, 0.1, m)
    ends = intervals.difference_interval(first, second)
    return [(first.mean() - second.mean(), *ends, 0.3)]


def auroc_of(n: int, m: int, shift: float, seed: int) -> list[tuple]:
    rng = np.random.default_rng(seed)
    is_positive = np.arange(n + m) < n
    shared = rng.normal(size=n + m) * 0.7
    scores = shared + rng.normal(size=(2, n + m)) * np.sqrt(0.51)
    scores += np.array([[shift], [0.5]]) * is_positive
    values, terms = roc.auroc(scores, is_positive)
    truth = stats.norm.cdf(np.array([shift, 0.5]) / np.sqrt(2))
    ends = roc.auroc_interval(values[0], terms[0], is_positive)
    between = roc.auroc_interval(values[0] - values[1], terms[0] - terms[1], is_positive,
                                 is_share=False)  # fmt: skip
    return [(values[0], *ends, truth[0]), (values[0] - values[1], *between, truth[0] - truth[1])]


def covariate_of(covariate: str, batches: int, seed: int) -> list[tuple]:
    cells, *predictors = worlds.tiles(seed, batches=batches)
    todo = [t for t in covariate_fits.tasks(cells, "strict", 0.4, seed) if t.covariate == covariate]
    every = {"all": np.ones(len(cells), bool)}
    estimates = [
        covariate_prediction.summarise_fits(
            [(t, covariate_fits.score(t, x, every, standardise=True)) for t in todo], "strict"
        )[covariate, "auroc", "all"]
        for x in predictors
    ]
    both = [estimates[0], estimates[0] - estimates[1]]
    ends = [each.interval() for each in both]
    return [(e.value, i["low"], i["high"], np.nan) for e, i in zip(both, ends, strict=True)]


def recall_of(n_groups: int, genes_per_group: int, seed: int) -> list[tuple]:
    x, group, gene = worlds.groups(seed, n_groups=n_groups, genes_per_group=genes_per_group)
    settings = {"folds": 4, "repeats": 1}
    found = [
        group_recall.recalls(
            function_prediction.predict_strict(
                features, group.astype(str), gene.astype(str), settings, seed
            )
        )
        for features in (x, x[:, :3])
    ]
    means = [each.mean(list(range(n_groups))) for each in (found[0], found[0] - found[1])]
    return [(m["value"], m["low"], m["high"], np.nan) for m in means]


def seeds_of(n_seeds: int, seed: int) -> list[tuple]:
    rng = np.random.default_rng(seed)
    n_units, n_models = 20, 4
    shared = rng.normal(size=(n_models, 1, n_units))
    rows = []
    for model in range(n_models):
        for training in range(n_seeds):
            values = 0.5 + 0.1 * rng.normal() + shared[model, 0] + 0.2 * rng.normal(size=n_units)
            low, high = intervals.mean_interval(values)
            rows.append((f"m{model}", "", training, values.mean(), low, high))
    frame = pd.DataFrame(rows, columns=["model", "item", "seed", "value", "low", "high"])
    folded = seeds.mean_over_seeds(frame.assign(metric="x"), ["model", "item", "metric"],
                                   ["metric"]).iloc[0]  # fmt: skip
    return [(folded["value"], folded["low"], folded["high"], 0.5)]


def all_cases() -> Iterator[Case]:
    """Yield every case."""
    tests = {"guide p, mean": distance_of_means, "guide p, energy": energy_from_controls}
    for name, test in tests.items():
        one = dict(controls=100, batches=1)
        for dimensions in (16, 64):
            for share in (0.06, 0.2, 0.5):
                world = one | dict(dimensions=dimensions, group=int(100 * share))
                run = partial(guide_p, test, **world)
                yield Case(name, f"{dimensions} d, n/N {share}", "p", run, quick=share == 0.5)
        for dimensions, batches, controls, group, label in (
            (16, 1, 20, 20, "20 controls, 20 cells"),
            (16, 8, 40, 20, "8 uneven batches"),
            (16, 3, 4, 12, "3 batches of 4 controls"),
            (64, 34, 10, 68, "34 uneven batches"),
        ):
            world = dict(dimensions=dimensions, batches=batches, controls=controls, group=group)
            world |= dict(batch_spread=2.0, uneven=True)
            yield Case(name, f"{dimensions} d, {label}", "p", partial(guide_p, test, **world),
                       quick=batches == 8)  # fmt: skip
    for size in (2, 4, 10):
        yield Case("mAP p", f"set of {size}", "p", partial(complex_p, size), quick=size == 4)
    yield Case("AP of pairs, p", "overlapping complexes", "p", pairs_p)
    yield Case("q of complexes", "30 real, 30 random sets of 5", "hits", complex_hits, worlds=40)
    yield Case("q of guides that agree", "60 genes of 3 guides", "hits", guide_hits, worlds=40)
    yield Case("guide consistency", "60 genes of 3 guides", "interval", guide_mean, worlds=150)
    for measure in ("pairs", "complexes"):
        for overlapping in (False, True):
            setting = f"{'overlapping' if overlapping else 'disjoint'} complexes"
            yield Case(f"AP over {measure}", setting, "interval",
                       partial(pairs_interval, measure, overlapping), worlds=150)  # fmt: skip
    for n in (3, 8, 34):
        for skewed in (False, True):
            yield Case("mean over units", f"n {n}{', skewed' if skewed else ''}", "interval",
                       partial(mean_of, n, skewed), worlds=2000, quick=True)  # fmt: skip
    for n in (6, 8, 34):
        yield Case("median over units", f"n {n}", "interval", partial(median_of, n), worlds=2000,
                   quick=n == 8)  # fmt: skip
    for n, m in ((3, 3), (6, 6), (6, 3)):
        yield Case("difference of groups", f"n {n}, {m}", "interval", partial(difference_of, n, m),
                   worlds=2000, quick=True)  # fmt: skip
    for n, m in ((8, 14), (8, 30), (42, 70)):
        for shift in (0.0, 1.0):
            yield Case("AUROC", f"n {n}, {m}, shift {shift:g}", "interval",
                       partial(auroc_of, n, m, shift), worlds=1000, quick=n == 42)  # fmt: skip
    for covariate, batches in (
        ("batch", 2), ("batch", 3), ("batch", 8),
        ("position_in_fov", 2), ("position_in_fov", 3), ("position_in_fov", 8),
    ):  # fmt: skip
        yield Case(f"AUROC of {covariate}", f"{batches} batches of 16 tiles", "interval",
                   partial(covariate_of, covariate, batches), worlds=100)  # fmt: skip
    for n_groups, genes in ((4, 5), (6, 8), (6, 24)):
        yield Case("mean recall", f"{n_groups} groups of {genes} genes", "interval",
                   partial(recall_of, n_groups, genes), worlds=150)  # fmt: skip
    for n in (2, 3):
        yield Case("mean over training seeds", f"{n} seeds", "interval", partial(seeds_of, n),
                   worlds=400)  # fmt: skip
