"""The tidy table: training seeds folded into one estimate."""

import numpy as np
import pytest

from mcvae_ops.benchmarks.estimates import table


def folded(metric: str, values: dict[str, tuple[float, float]]):
    rows = [
        table.row(
            benchmark="functions", protocol="strict", model="mcvae", space="x", seed=seed,
            cells="all", metric=metric, item=item, value=value, low=value - 0.1, high=value + 0.1,
            n=5,
        )
        for item, pair in values.items()
        for seed, value in enumerate(pair)
    ]  # fmt: skip
    found = table.with_seeds_folded(table.to_frame(rows))
    return found[found["seed"] == table.OVER_SEEDS].set_index("item")


def test_functional_groups_share_the_spread_between_seeds():
    # Squares .02 and 0 on two degrees of freedom: variance .01; t = 4.3027.
    half = np.hypot(0.1, 4.3027 * np.sqrt(0.01 / 2))
    found = folded("recall_difference", {"A": (0.1, 0.3), "B": (0.2, 0.2)})
    assert found["value"].tolist() == pytest.approx([0.2, 0.2])
    assert found["low"].tolist() == pytest.approx([0.2 - half] * 2, abs=1e-4)
    assert found["high"].tolist() == pytest.approx([0.2 + half] * 2, abs=1e-4)


def test_covariates_do_not_share_it():
    found = folded("auroc", {"A": (0.5, 0.7), "B": (0.6, 0.6)})
    assert found.loc["B", "low"] == pytest.approx(0.5)
    assert found.loc["A", "low"] == 0  # a share, which ends at 0


def test_a_difference_of_shares_stays_within_one():
    found = folded("recall_difference", {"A": (-0.9, 0.9)})
    assert (found.loc["A", "low"], found.loc["A", "high"]) == (-1, 1)
