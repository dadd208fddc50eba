"""Means over training seeds, with intervals that hold the spread between seeds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit


def mean_over_seeds(rows: pd.DataFrame, keys: Sequence[str], alike: Sequence[str]) -> pd.DataFrame:
    """Return the mean over training seeds of each estimate, with its 95 % interval.

    Two sources of uncertainty add in quadrature: the mean half width of the intervals of the rows,
    which does not shrink with more seeds because all seeds share the same cells or genes, and the
    95 % interval of the mean over seeds (Student's t). Two or three seeds estimate their spread
    poorly, so similar estimates (the same metric in other models and spaces) share one standard
    deviation, as in an analysis of variance.

    Parameters
    ----------
    rows
        One row per estimate and seed: `keys`, value, low, high.
    keys
        Columns that name an estimate; model and item are among them.
    alike
        The subset of `keys` that estimates with a shared standard deviation have in common.

    Returns
    -------
    value, low, high, n_seeds, indexed by `keys`; only estimates with two seeds or more.
    """
    sides = rows.assign(down=rows["value"] - rows["low"], up=rows["high"] - rows["value"])
    groups = sides.groupby(list(keys), sort=False, dropna=False)
    means = groups[["value", "down", "up"]].mean()
    means["n_seeds"] = groups.size()
    means["squares"] = groups["value"].var(ddof=0) * means["n_seeds"]
    means = means[means["n_seeds"] > 1]
    # Spaces of one training are correlated: count their degrees of freedom once.
    is_first = ~means.reset_index().duplicated([*alike, "model", "item"]).to_numpy()
    means["own_freedom"] = (means["n_seeds"] - 1) * is_first
    pools = means.groupby(list(alike), sort=False, dropna=False)
    less_one = pools["n_seeds"].transform("sum") - pools["n_seeds"].transform("size")
    variance = pools["squares"].transform("sum") / less_one
    freedom = pools["own_freedom"].transform("sum")
    between = stdtrit(freedom, 0.975) * np.sqrt(variance / means["n_seeds"])
    return pd.DataFrame(
        {
            "value": means["value"],
            "low": means["value"] - np.hypot(means["down"], between),
            "high": means["value"] + np.hypot(means["up"], between),
            "n_seeds": means["n_seeds"],
        }
    )
