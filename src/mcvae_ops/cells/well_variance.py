"""Which features tell the well instead of the cell: analysis of variance, while wells are joined.

A number that is the same in all cells of a well, and another one in the next well (an index, a
date, a correction factor), tells models and benchmarks the batch. Its share of variance between
wells is 1; of a measurement it is small. The adjusted eta squared is reported (Fisher's one-way
analysis of variance; epsilon squared of Kelley 1935, doi:10.1073/pnas.21.9.554).
"""

import numpy as np

TELLS_WELL = 0.95
_LEAST_FREEDOM = 20


class WellVariance:
    """Sums of every feature over the cells of each well; values that are not finite do not count.

    Parameters
    ----------
    n_features
        Number of features.
    """

    def __init__(self, n_features: int) -> None:
        self.centre = np.full(n_features, np.nan)
        self.wells: list[np.ndarray] = []

    def next_well(self) -> None:
        """Begin another well."""
        self.wells.append(np.zeros((3, len(self.centre))))

    def add(self, values: np.ndarray) -> None:
        """Add cells of the well; `values` is (cell, feature)."""
        if not len(values):
            return
        is_finite = np.isfinite(values)
        # Values near the centre lose no digits when they are squared.
        unknown = np.flatnonzero(np.isnan(self.centre) & is_finite.any(axis=0))
        self.centre[unknown] = values[is_finite[:, unknown].argmax(axis=0), unknown]
        values = np.where(is_finite, values - self.centre, 0)
        sums = self.wells[-1]
        sums[0] += is_finite.sum(axis=0)
        sums[1] += values.sum(axis=0)
        sums[2] += np.einsum("ij,ij->j", values, values)

    def fractions(self) -> np.ndarray:
        """Return the share of the variance of each feature that lies between wells, adjusted.

        (feature,); NaN where there are fewer than two wells or 20 degrees of freedom within wells,
        or no variance.
        """
        n, total, squares = np.stack(self.wells, axis=1)
        used = n > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            within = (squares - np.where(used, total**2 / n, 0)).sum(axis=0)
            whole = squares.sum(axis=0) - total.sum(axis=0) ** 2 / n.sum(axis=0)
            freedom = n.sum(axis=0) - used.sum(axis=0)
            share = 1 - (within.clip(0) / freedom) / (whole / (n.sum(axis=0) - 1))
        is_known = (used.sum(axis=0) > 1) & (freedom >= _LEAST_FREEDOM) & (whole > 0)
        # A constant has only the error of rounding as its variance.
        is_known &= whole > 1e-12 * np.nan_to_num(self.centre) ** 2 * n.sum(axis=0)
        return np.where(is_known, share, np.nan)
