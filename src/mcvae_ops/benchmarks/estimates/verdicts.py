"""An estimate that speaks for a claim where it is above 0, and how estimates combine."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates.table import OVER_SEEDS

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"


@dataclass(frozen=True)
class IntervalEstimate:
    """An estimate with its 95 % interval, signed so that the claim says: above 0.

    Attributes
    ----------
    value, low, high
        NaN where something is missing.
    n_seeds
        Training seeds that it rests on.
    missing
        What is missing; empty if nothing is.
    """

    value: float
    low: float
    high: float
    n_seeds: int
    missing: str = ""

    @property
    def verdict(self) -> str:
        """What the interval says: above 0, below 0, or neither."""
        if self.low > 0:
            return HOLDS
        return FAILS if self.high < 0 else UNDECIDED

    def __neg__(self) -> "IntervalEstimate":
        return IntervalEstimate(-self.value, -self.high, -self.low, self.n_seeds, self.missing)

    def __sub__(self, other: "IntervalEstimate | float") -> "IntervalEstimate":
        """Subtract a number, or an independent estimate (half widths add in quadrature)."""
        if not isinstance(other, IntervalEstimate):
            moved = (self.value - other, self.low - other, self.high - other)
            return IntervalEstimate(*moved, self.n_seeds, self.missing)
        estimate = self.value - other.value
        down = np.hypot(self.value - self.low, other.high - other.value)
        up = np.hypot(self.high - self.value, other.value - other.low)
        missing = self.missing or other.missing
        n_seeds = min(self.n_seeds, other.n_seeds)
        return IntervalEstimate(estimate, estimate - down, estimate + up, n_seeds, missing)


def missing_estimate(what: str) -> IntervalEstimate:
    """Return evidence of nothing, as `what` is missing."""
    return IntervalEstimate(np.nan, np.nan, np.nan, 0, what)


def read_estimate(rows: pd.DataFrame, what: str) -> IntervalEstimate:
    """Return the estimate over training seeds among rows of a benchmark table.

    Parameters
    ----------
    rows
        The rows of one estimate: one per training seed, and that over all of them (`OVER_SEEDS`)
        where there are several.
    what
        What the rows are, for the reason where there are none.
    """
    rows = rows[np.isfinite(rows["value"])]
    if rows.empty:
        return missing_estimate(f"no {what}")
    if rows["seed"].duplicated().any():
        raise ValueError(f"{what}: more than one row per seed")
    folded = rows[rows["seed"] == OVER_SEEDS]
    row = (folded if len(folded) else rows).iloc[0]
    missing = "" if np.isfinite(row["high"] - row["low"]) else f"no interval of {what}"
    n_seeds = max(len(rows) - len(folded), 1)
    return IntervalEstimate(*row[["value", "low", "high"]].astype(float), n_seeds, missing)


def equivalence(difference: IntervalEstimate, margin: float) -> IntervalEstimate:
    """Return the evidence that a difference is smaller than `margin` either way.

    It is above 0 where the whole interval lies within the margin, below 0 where all of it lies
    outside (two one-sided tests).
    """
    nearest = max(0.0, difference.low, -difference.high)
    farthest = max(abs(difference.low), abs(difference.high))
    bounds = (margin - abs(difference.value), margin - farthest, margin - nearest)
    return IntervalEstimate(*bounds, difference.n_seeds, difference.missing)


def weakest(parts: Sequence[IntervalEstimate]) -> IntervalEstimate:
    """Return the part on which a claim that needs all of them stands or falls.

    A part that fails comes before one that is missing, that before one that is undecided.
    """

    def order(part: IntervalEstimate) -> tuple[int, float]:
        rank = 0 if part.verdict == FAILS else 1 if part.missing else 2
        return (rank, part.low if np.isfinite(part.low) else 0.0)

    return min(parts, key=order)
