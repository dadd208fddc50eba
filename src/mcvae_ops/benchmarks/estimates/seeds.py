"""Training seeds folded into an interval."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats


def mean_over_seeds(rows: pd.DataFrame, keys: Sequence[str], alike: Sequence[str]) -> pd.DataFrame:
    """Return the mean over training seeds of each estimate, with its 95 % interval.

    The intervals of the rows rest on the same cells or genes and do not shrink with seeds: their
    mean half width and the 95 % interval of the mean over seeds (Student's t) add in quadrature.
    Two or three seeds say little of their spread: estimates that are alike (the same metric in
    other models and spaces) share one standard deviation, as in an analysis of variance.

    Parameters
    ----------
    rows
        One row per estimate and seed: `keys`, value, low, high.
    keys
        Columns that name an estimate, model and item among them.
    alike
        Those of `keys` in which estimates that share a standard deviation agree.

    Returns
    -------
    By `keys`, for estimates of two seeds or more: value, low, high, n_seeds.
    """
    sides = rows.assign(down=rows["value"] - rows["low"], up=rows["high"] - rows["value"])
    groups = sides.groupby(list(keys), sort=False, dropna=False)
    means = groups[["value", "down", "up"]].mean()
    means["n_seeds"] = groups.size()
    means["squares"] = groups["value"].var(ddof=0) * means["n_seeds"]
    means = means[means["n_seeds"] > 1]
    # The spaces of one training move together: they are one witness.
    is_first = ~means.reset_index().duplicated([*alike, "model", "item"]).to_numpy()
    means["own_freedom"] = (means["n_seeds"] - 1) * is_first
    pools = means.groupby(list(alike), sort=False, dropna=False)
    less_one = pools["n_seeds"].transform("sum") - pools["n_seeds"].transform("size")
    variance = pools["squares"].transform("sum") / less_one
    freedom = pools["own_freedom"].transform("sum")
    between = stats.t.ppf(0.975, freedom) * np.sqrt(variance / means["n_seeds"])
    return pd.DataFrame(
        {
            "value": means["value"],
            "low": means["value"] - np.hypot(means["down"], between),
            "high": means["value"] + np.hypot(means["up"], between),
            "n_seeds": means["n_seeds"],
        }
    )
