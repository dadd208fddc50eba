"""Training seeds folded into an interval."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats


def mean_over_seeds(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return the mean over training seeds of each estimate, with its 95 % interval.

    The intervals of the rows rest on the same cells or genes and do not shrink with seeds: their
    mean half width and the 95 % interval of the mean over seeds (Student's t) add in quadrature.

    Parameters
    ----------
    rows
        One row per estimate and seed: `keys`, value, low, high.
    keys
        Columns that name an estimate.

    Returns
    -------
    By `keys`: value, low, high, n_seeds. One seed keeps its own interval.
    """
    sides = rows.assign(down=rows["value"] - rows["low"], up=rows["high"] - rows["value"])
    groups = sides.groupby(list(keys), sort=False, dropna=False)
    means, n = groups[["value", "down", "up"]].mean(), groups.size()
    student = stats.t.ppf(0.975, np.maximum(n - 1, 1))
    between = np.where(n > 1, student * groups["value"].std().fillna(0) / np.sqrt(n), 0)
    return pd.DataFrame(
        {
            "value": means["value"],
            "low": means["value"] - np.hypot(means["down"], between),
            "high": means["value"] + np.hypot(means["up"], between),
            "n_seeds": n,
        }
    )
