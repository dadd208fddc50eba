"""Compare average precision between models and between spaces, paired over complexes and seeds."""

import itertools
from dataclasses import dataclass

import numpy as np

from mcvae_ops.benchmarks import table
from mcvae_ops.benchmarks.intervals import interval


@dataclass(frozen=True)
class Estimate:
    """Average precision of one space of one trained model, with its bootstrap rounds."""

    value: float
    rounds: np.ndarray
    n_genes: int


def difference_rows(estimates: dict[tuple, Estimate], seed: int) -> list[dict]:
    """Compare models in the combined space, and the spaces of each model, over training seeds.

    Parameters
    ----------
    estimates
        (model, space, cells, training seed) -> average precision; all bootstrapped with the same
        draws of complexes, so that their rounds are paired.
    seed
        Of the draws of training seeds.

    Returns
    -------
    Rows ``average_precision_difference``: `model` and `space` minus the model `item` and its
    space `against`, in both directions. Spaces of one model are also paired by training seed.
    """
    by_space: dict[tuple, dict[int, Estimate]] = {}
    for (model, space, cells, training_seed), estimate in estimates.items():
        by_space.setdefault((model, space, cells), {})[training_seed] = estimate
    rows = []
    for one, other in itertools.permutations(by_space, 2):
        same_model, both_combined = one[0] == other[0], one[1] == other[1] == "combined"
        if one[2] != other[2] or not (same_model or both_combined):
            continue
        compare = _paired_difference if same_model else _unpaired_difference
        rng = np.random.default_rng([seed, 3])
        value, rounds = compare(by_space[one], by_space[other], rng)
        low, high = interval(rounds)
        rows.append(
            table.row(
                benchmark="complexes", protocol="strict", model=one[0], space=one[1],
                seed=table.OVER_SEEDS, cells=one[2], metric="average_precision_difference",
                item=other[0], against=other[1], value=value, low=low, high=high,
                n=next(iter(by_space[one].values())).n_genes,
            )
        )  # fmt: skip
    return rows


def _paired_difference(mine, theirs, rng) -> tuple[float, np.ndarray]:
    seeds = sorted(mine.keys() & theirs.keys())
    value = np.mean([mine[seed].value - theirs[seed].value for seed in seeds])
    rounds = np.stack([mine[seed].rounds - theirs[seed].rounds for seed in seeds])
    return float(value), _resample_seeds(rounds, rng)


def _unpaired_difference(mine, theirs, rng) -> tuple[float, np.ndarray]:
    values, rounds = [], []
    for side in (mine, theirs):
        values.append(np.mean([estimate.value for estimate in side.values()]))
        stacked = np.stack([estimate.rounds for estimate in side.values()])
        rounds.append(_resample_seeds(stacked, rng))
    return float(values[0] - values[1]), rounds[0] - rounds[1]


def _resample_seeds(rounds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw training seeds with replacement in each round and average, (seed, round) -> (round,)."""
    drawn = rng.integers(len(rounds), size=rounds.shape)
    return np.take_along_axis(rounds, drawn, axis=0).mean(axis=0)
