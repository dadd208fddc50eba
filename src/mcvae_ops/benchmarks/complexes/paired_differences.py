"""Differences of average precision between models and spaces, paired over clusters and seeds."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.intervals import bootstrap_interval
from mcvae_ops.embeddings.spaces import UNTRAINED


@dataclass(frozen=True)
class AveragePrecision:
    """Average precision of one space of one trained model, with its bootstrap rounds."""

    value: float
    rounds: np.ndarray
    n_genes: int
    n_clusters: int


def precision_difference_rows(estimates: dict[tuple, AveragePrecision], metric: str) -> list[dict]:
    """Return differences between models, and between the spaces of each model, over training seeds.

    The combined and the salient space of every model are compared with the combined space of every
    other model.

    Parameters
    ----------
    estimates
        (model, space, cells, training seed) -> average precision. All bootstraps draw the same
        clusters, so that rounds are paired.
    metric
        What was averaged: "average_precision" or "macro_average_precision".

    Returns
    -------
    Rows ``{metric}_difference``: the space `space` of `model` minus the space `against` of the
    model `item`. Pairs of combined spaces, and pairs of spaces of one model, are given in both
    directions. Spaces of one model are also paired by training seed. The intervals over clusters
    and over seeds (Student's t) add in quadrature; models share the standard deviation between
    seeds, as in `mcvae_ops.benchmarks.estimates.seeds`. Without a model of two seeds that spread is
    unknown: the interval is over clusters alone, as `units` says.
    """
    by_space: dict[tuple, dict[int, AveragePrecision]] = {}
    for (model, space, cells, training_seed), estimate in estimates.items():
        by_space.setdefault((model, space, cells), {})[training_seed] = estimate
    rows = []
    # Both directions, so that a claim finds its difference with the sign that it needs.
    for first, other in itertools.permutations(by_space, 2):
        same_model = first[0] == other[0]
        compared = first[1] in ("combined", "salient") and other[1] == "combined"
        if first[2] != other[2] or not (same_model or compared):
            continue
        mine, theirs = by_space[first], by_space[other]
        value = _mean_value(mine) - _mean_value(theirs)
        estimate = next(iter(mine.values()))
        rounds = _mean_rounds(mine) - _mean_rounds(theirs)
        low, high = bootstrap_interval(rounds, estimate.n_clusters)
        # Spaces of one training share its seed, so their differences are paired; models do not.
        if same_model:
            between = _between_pairs(by_space, first, other)
        else:
            between = _between_models(by_space, first, other)
        # Clusters and seeds are independent sources of uncertainty: half widths in quadrature.
        low, high = value - np.hypot(value - low, between), value + np.hypot(high - value, between)
        rows.append(
            table.row(
                benchmark="complexes",
                protocol="strict",
                model=first[0],
                space=first[1],
                seed=table.OVER_SEEDS,
                cells=first[2],
                metric=f"{metric}_difference",
                item=other[0],
                against=other[1],
                value=value,
                low=low,
                high=high,
                n=estimate.n_genes,
                units=_units(estimate, first, other, mine, theirs),
            )
        )
    return rows


def _units(estimate: AveragePrecision, first: tuple, other: tuple, *sides: dict) -> str:
    """Name the units of the interval: clusters, and the seeds of the trained models."""
    n_seeds = min(
        len(side)
        for side, key in zip(sides, (first, other), strict=True)
        if key[0] not in UNTRAINED or (first[0] in UNTRAINED and other[0] in UNTRAINED)
    )
    seeds = f", {n_seeds} seeds" if n_seeds > 1 else ""
    return f"{estimate.n_clusters} clusters of complexes{seeds}"


def _mean_value(seeds: dict[int, AveragePrecision]) -> float:
    return float(np.mean([estimate.value for estimate in seeds.values()]))


def _mean_rounds(seeds: dict[int, AveragePrecision]) -> np.ndarray:
    return np.mean([estimate.rounds for estimate in seeds.values()], axis=0)


def _between_pairs(by_space: dict[tuple, dict], first: tuple, other: tuple) -> float:
    """Return the half width over seeds of the difference between two spaces of a model.

    All models with these two spaces share the standard deviation: few seeds estimate it poorly.
    """
    differences = [
        [mine[seed].value - theirs[seed].value for seed in mine]
        for (model, space, cells), mine in by_space.items()
        if (space, cells) == first[1:] and (theirs := by_space.get((model, *other[1:]))) is not None
    ]
    return _spread(differences) / np.sqrt(len(by_space[first]))


def _between_models(by_space: dict[tuple, dict], first: tuple, other: tuple) -> float:
    """Return the half width over seeds of the difference between two models.

    Every model contributes one space to the shared standard deviation, because the spaces of one
    training are correlated: the first model its own space, the others the space of the second.
    """
    values = [
        [estimate.value for estimate in seeds.values()]
        for key, seeds in by_space.items()
        if key[1:] == (first if key[0] == first[0] else other)[1:]
    ]
    # A baseline is not trained: it has no seed to draw, and adds no spread.
    trained = [key for key in (first, other) if key[0] not in UNTRAINED]
    return _spread(values) * np.sqrt(sum(1 / len(by_space[key]) for key in trained))


def _spread(groups: Iterable[list[float]]) -> float:
    """Return the pooled standard deviation times Student's factor; 0 if no group has two values."""
    several = [np.array(group) for group in groups if len(group) > 1]
    freedom = sum(len(group) - 1 for group in several)
    if freedom == 0:
        return 0.0
    squares = sum(((group - group.mean()) ** 2).sum() for group in several)
    return float(stats.t.ppf(0.975, freedom) * np.sqrt(squares / freedom))
