"""The tidy table that all benchmarks write: one row per estimate."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates.seeds import mean_over_seeds
from mcvae_ops.files import write_parquet

PROTOCOLS = ("published", "strict")  # in which every benchmark is computed
EFAAR = "efaar"  # in addition, for complexes
OVER_SEEDS = -1  # value of the column seed for an estimate over all training seeds
BETWEEN_0_AND_1 = {
    "recall", "precision", "average_precision", "auroc", "macro_f1", "macro_recall", "accuracy",
    "mean_average_precision", "macro_average_precision", "guide_consistency", "group_auroc",
    "replicating_fraction", "mean_reciprocal_rank", "hit_fraction", "ilisi",
    "knn_accuracy", "probe_accuracy", "knn_auroc", "probe_auroc", "called_gene",
}  # fmt: skip
BETWEEN_MINUS_1_AND_1 = {
    "average_precision_difference", "macro_average_precision_difference", "auroc_difference",
    "macro_f1_difference", "recall_difference", "mean_recall_difference", "ilisi_difference",
    "batch_silhouette",
}  # fmt: skip
BETWEEN_MINUS_2_AND_2 = {"batch_silhouette_difference", "replicate_correlation_excess"}
AT_MOST_1 = {"r2", "r2_mean", "cell_r2", "gene_r2", "cell_mean_r2", "gene_mean_r2"}
RANGES = (
    (BETWEEN_0_AND_1, 0, 1),
    (BETWEEN_MINUS_1_AND_1, -1, 1),
    (BETWEEN_MINUS_2_AND_2, -2, 2),
    (AT_MOST_1, -np.inf, 1),
)  # of metrics with intervals; what is in none of them (a distance, a dose) has no bounds
# By column: values whose items (groups, corrections) vary alike between seeds.
ALIKE_ITEMS = {"metric": ["recall_difference"], "benchmark": ["corrections"]}
COLUMNS = {
    "benchmark": "str",  # complexes, covariates, functions, features, mitosis, guides, corrections
    "protocol": "str",  # published | strict | efaar
    "model": "str",
    "space": "str",  # combined | salient | background
    "seed": "int64",  # training seed of the model, or OVER_SEEDS
    "cells": "str",  # a set of cells, see aggregate.CELL_SETS
    "metric": "str",
    "item": "str",  # what is measured: a covariate, a group, a set of pairs
    "against": "str",  # what it is compared with: the predicted group, the batch
    "level": "float64",  # percentile or k
    "value": "float64",
    "low": "float64",  # 95 % interval
    "high": "float64",
    "n": "int64",  # number of cells, guides, genes or pairs behind the estimate
    "units": "str",  # what the interval is over: "8 batches, 2 seeds"
}


def row(
    *,
    benchmark: str,
    protocol: str,
    model: str,
    space: str,
    seed: int,
    cells: str,
    metric: str,
    value: float,
    n: int,
    item: str = "",
    against: str = "",
    level: float = np.nan,
    low: float = np.nan,
    high: float = np.nan,
    units: str = "",
) -> dict[str, str | int | float]:
    """Return one estimate as a row.

    Parameters
    ----------
    benchmark, protocol, model, space, seed, cells
        The profiles and the protocol of the estimate; see `COLUMNS`.
    metric
        The name of the estimate ("recall").
    value, low, high
        The estimate and its 95 % interval (NaN where there is none).
    n
        Number of cells, guides, genes or pairs behind the estimate.
    item, against, level
        What distinguishes estimates of the same metric.
    units
        Number and kind of the units that the interval is over; dropped without an interval.

    Raises
    ------
    ValueError
        If `protocol` is neither one of `PROTOCOLS` nor `EFAAR`.
    """
    if protocol not in (*PROTOCOLS, EFAAR):
        raise ValueError(f"protocol {protocol!r}: expected one of {(*PROTOCOLS, EFAAR)}")
    return {
        "benchmark": benchmark,
        "protocol": protocol,
        "model": model,
        "space": space,
        "seed": int(seed),
        "cells": cells,
        "metric": metric,
        "item": item,
        "against": against,
        "level": float(level),
        "value": float(value),
        "low": float(low),
        "high": float(high),
        "n": int(n),
        "units": units if np.isfinite(low) else "",
    }


def to_frame(rows: Sequence[dict]) -> pd.DataFrame:
    """Return the rows as a table with the columns and types of `COLUMNS`, in their order."""
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def with_seeds_folded(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows, followed by the strict estimates over all training seeds.

    An estimate with an interval for two seeds or more gets one more row, `OVER_SEEDS`: the mean
    over seeds, with an interval that includes the spread between seeds (`seeds.mean_over_seeds`).
    Models and spaces share the spread of a metric; so do the items of `ALIKE_ITEMS`.
    No interval leaves the range of its metric (`RANGES`).
    """
    per_seed = rows[(rows["protocol"] == "strict") & (rows["seed"] != OVER_SEEDS)]
    per_seed = per_seed[np.isfinite(per_seed["low"]) & np.isfinite(per_seed["high"])]
    keys = [name for name in COLUMNS if name not in ("seed", "value", "low", "high", "n", "units")]
    is_alike = per_seed.isin(ALIKE_ITEMS).any(axis=1)
    per_seed = per_seed.assign(pool=per_seed["item"].mask(is_alike, ""))
    alike = ["pool", *(name for name in keys if name not in ("model", "space", "item"))]
    groups = per_seed.groupby([*keys, "pool"], sort=False, dropna=False)
    rest = groups.agg(n=("n", "max"), units=("units", "first"))
    folded = mean_over_seeds(per_seed, [*keys, "pool"], alike).join(rest).reset_index()
    folded["units"] += ", " + folded["n_seeds"].astype(str) + " seeds"
    folded["seed"] = OVER_SEEDS
    together = pd.concat([rows, folded[list(COLUMNS)].astype(COLUMNS)], ignore_index=True)
    return _within_ranges(together)


def _within_ranges(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with intervals that end where the range of their metric ends.

    Half widths by Student's t know nothing of the range. The truth lies in it, so that an interval
    covers the truth as often when it is cut there.
    """
    rows = rows.copy()
    for metrics, least, most in RANGES:
        bounded = rows["metric"].isin(metrics)
        rows.loc[bounded, ["low", "high"]] = rows.loc[bounded, ["low", "high"]].clip(least, most)
    return rows


def write(rows: Sequence[dict], path: str | Path) -> None:
    """Write the rows, and the estimates over training seeds, as a benchmark table (parquet)."""
    write_parquet(with_seeds_folded(to_frame(rows)), path)
