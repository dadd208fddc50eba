"""The tidy table: training seeds folded into one estimate."""

import numpy as np
import pytest

from mcvae_ops.benchmarks.estimates import table
from tests.helpers.documented_tables import documented_metrics

WITHOUT_RANGE = {"robust_z", "r2_difference", "cell_mean_r2_difference", "gene_mean_r2_difference",
                 "response", "ed50"}  # fmt: skip
WITHOUT_INTERVAL = {
    "n_batches", "n_mitotic_factors", "threshold_percent", "mitotic_index_has_sign",
    "norms_are_without_noise", "confusion", "trend", "mechanism_precision", "consistent_fraction",
    "replicate_correlation", "replicating_fraction_fdr", "variance_explained", "label_recall",
}  # fmt: skip


def folded(metric: str, values: dict[str, tuple[float, float]], benchmark: str = "functions"):
    rows = [
        table.row(
            benchmark=benchmark, protocol="strict", model="mcvae", space="x", seed=seed,
            cells="all", metric=metric, item=item, value=value, low=value - 0.1, high=value + 0.1,
            n=5,
        )
        for item, pair in values.items()
        for seed, value in enumerate(pair)
    ]  # fmt: skip
    found = table.with_seeds_folded(table.to_frame(rows))
    return found[found["seed"] == table.OVER_SEEDS].set_index("item")


@pytest.mark.parametrize(
    ("metric", "benchmark"),
    [("recall_difference", "functions"), ("average_precision_difference", "corrections")],
)
def test_functional_groups_and_corrections_share_the_spread_between_seeds(metric, benchmark):
    # Squares .02 and 0 on two degrees of freedom: variance .01; t = 4.3027.
    half = np.hypot(0.1, 4.3027 * np.sqrt(0.01 / 2))
    found = folded(metric, {"A": (0.1, 0.3), "B": (0.2, 0.2)}, benchmark)
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


@pytest.mark.parametrize(
    ("metric", "low", "high"),
    [
        ("mean_average_precision", 0, 1),
        ("auroc", 0, 1),
        ("recall_difference", -1, 1),
        ("replicate_correlation_excess", -2, 2),
        ("cell_r2", -2.1, 1),
        ("robust_z", -2.1, 4.1),
    ],
)
def test_an_interval_ends_where_the_range_of_its_quantity_ends(metric, low, high):
    row = table.row(
        benchmark="b", protocol="strict", model="m", space="s", seed=0, cells="all", metric=metric,
        value=1.0, low=-2.1, high=4.1, n=5, units="5 genes",
    )  # fmt: skip
    found = table.with_seeds_folded(table.to_frame([row])).iloc[0]
    assert (found["low"], found["high"]) == (low, high)
    assert (found["value"], found["units"]) == (1.0, "5 genes")


def test_every_metric_with_an_interval_has_its_range():
    documented = set().union(*documented_metrics().values())
    estimated = {m for m in documented if not m.endswith(("_null", "_value")) and "chance" not in m}
    ranged = set().union(*(metrics for metrics, *_ in table.RANGES))
    assert estimated == ranged | WITHOUT_RANGE | WITHOUT_INTERVAL
