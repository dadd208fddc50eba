"""Compare average precision between models and spaces, paired over clusters and over seeds."""

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
    """Compare models, and the spaces of each model, over training seeds.

    Models are compared in the combined space, and by their salient space with the combined one of
    others.

    Parameters
    ----------
    estimates
        (model, space, cells, training seed) -> average precision; all bootstrapped with the same
        draws of clusters, so that their rounds are paired.
    metric
        What was averaged: "average_precision" or "macro_average_precision".

    Returns
    -------
    Rows ``{metric}_difference``: `model` and `space` minus the model `item` and its
    space `against`, in both directions where both are combined or of one model. Spaces of one
    model are also paired by training seed. The interval over clusters and that over seeds
    (Student's t) add in quadrature; models share the standard deviation between seeds, as in
    `mcvae_ops.benchmarks.estimates.seeds`. Where no model has two seeds, that spread is unknown:
    the interval is over clusters alone, as `units` says.
    """
    by_space: dict[tuple, dict[int, AveragePrecision]] = {}
    for (model, space, cells, training_seed), estimate in estimates.items():
        by_space.setdefault((model, space, cells), {})[training_seed] = estimate
    rows = []
    for ours, other in itertools.permutations(by_space, 2):
        same_model = ours[0] == other[0]
        compared = ours[1] in ("combined", "salient") and other[1] == "combined"
        if ours[2] != other[2] or not (same_model or compared):
            continue
        mine, theirs = by_space[ours], by_space[other]
        value = _mean_value(mine) - _mean_value(theirs)
        first = next(iter(mine.values()))
        low, high = bootstrap_interval(_mean_rounds(mine) - _mean_rounds(theirs), first.n_clusters)
        if same_model:
            between = _between_pairs(by_space, ours, other)
        else:
            between = _between_models(by_space, ours, other)
        low, high = value - np.hypot(value - low, between), value + np.hypot(high - value, between)
        rows.append(
            table.row(
                benchmark="complexes", protocol="strict", model=ours[0], space=ours[1],
                seed=table.OVER_SEEDS, cells=ours[2], metric=f"{metric}_difference",
                item=other[0], against=other[1], value=value, low=low, high=high,
                n=first.n_genes, units=_units(first, ours, other, mine, theirs),
            )
        )  # fmt: skip
    return rows


def _units(first: AveragePrecision, ours: tuple, other: tuple, *sides: dict) -> str:
    """Say what the interval is over: clusters, and the seeds of the trained models."""
    n_seeds = min(
        len(side)
        for side, key in zip(sides, (ours, other), strict=True)
        if key[0] not in UNTRAINED or (ours[0] in UNTRAINED and other[0] in UNTRAINED)
    )
    seeds = f", {n_seeds} seeds" if n_seeds > 1 else ""
    return f"{first.n_clusters} clusters of complexes{seeds}"


def _mean_value(seeds: dict[int, AveragePrecision]) -> float:
    return float(np.mean([estimate.value for estimate in seeds.values()]))


def _mean_rounds(seeds: dict[int, AveragePrecision]) -> np.ndarray:
    return np.mean([estimate.rounds for estimate in seeds.values()], axis=0)


def _between_pairs(by_space: dict[tuple, dict], ours: tuple, other: tuple) -> float:
    """Return the half width over seeds of the difference between two spaces of a model."""
    differences = [
        [mine[seed].value - theirs[seed].value for seed in mine]
        for (model, space, cells), mine in by_space.items()
        if (space, cells) == ours[1:] and (theirs := by_space.get((model, *other[1:]))) is not None
    ]
    return _spread(differences) / np.sqrt(len(by_space[ours]))


def _between_models(by_space: dict[tuple, dict], ours: tuple, other: tuple) -> float:
    """Return the half width over seeds of the difference between two models.

    Each model stands with one space, as one witness: the first with its own, the others with that
    of the other.
    """
    values = [
        [estimate.value for estimate in seeds.values()]
        for key, seeds in by_space.items()
        if key[1:] == (ours if key[0] == ours[0] else other)[1:]
    ]
    trained = [key for key in (ours, other) if key[0] not in UNTRAINED]
    return _spread(values) * np.sqrt(sum(1 / len(by_space[key]) for key in trained))


def _spread(groups: Iterable[list[float]]) -> float:
    """Return the standard deviation within groups times Student's factor; 0 if none has two."""
    several = [np.array(group) for group in groups if len(group) > 1]
    freedom = sum(len(group) - 1 for group in several)
    if freedom == 0:
        return 0.0
    squares = sum(((group - group.mean()) ** 2).sum() for group in several)
    return float(stats.t.ppf(0.975, freedom) * np.sqrt(squares / freedom))
