"""95 % percentile intervals."""

import numpy as np

PERCENTILES = (2.5, 97.5)
BOOTSTRAP_ROUNDS = 1000  # of benchmarks whose number of rounds is not configured


def interval(rounds: np.ndarray) -> tuple[float, float]:
    """Return the 95 % percentile interval of bootstrap rounds; NaN if no round is finite."""
    finite = rounds[np.isfinite(rounds)]
    if len(finite) == 0:
        return np.nan, np.nan
    low, high = np.percentile(finite, PERCENTILES)
    return float(low), float(high)
