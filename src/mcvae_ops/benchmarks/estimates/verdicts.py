"""Estimates that support a claim if they are above 0, and the verdicts of their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates.table import OVER_SEEDS

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"


@dataclass(frozen=True)
class IntervalEstimate:
    """An estimate with its 95 % interval; its sign is chosen so that the claim says "above 0".

    Attributes
    ----------
    value, low, high
        NaN if something is missing.
    n_seeds
        Number of training seeds behind the estimate.
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
        """Whether the interval is above 0 (holds), below 0 (does not hold), or includes 0."""
        if self.low > 0:
            return HOLDS
        return FAILS if self.high < 0 else UNDECIDED

    def __neg__(self) -> "IntervalEstimate":
        return IntervalEstimate(-self.value, -self.high, -self.low, self.n_seeds, self.missing)

    def __sub__(self, other: "IntervalEstimate | float") -> "IntervalEstimate":
        """Subtract a number or an independent estimate, whose half widths add in quadrature."""
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
    """Return an estimate without numbers, because `what` is missing."""
    return IntervalEstimate(np.nan, np.nan, np.nan, 0, what)


def read_estimate(rows: pd.DataFrame, what: str) -> IntervalEstimate:
    """Return the estimate over training seeds from the rows of a benchmark table.

    Parameters
    ----------
    rows
        The rows of one estimate: one per training seed and, if there are several seeds, the row
        over all of them (`OVER_SEEDS`).
    what
        Name of the estimate, for the reason given if there is no row.
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
    """Return an estimate of how far a difference stays within `margin` on both sides.

    Its interval is above 0 if the whole interval of the difference is within the margin, and below
    0 if the whole interval is outside (two one-sided tests of equivalence).
    """
    nearest = max(0.0, difference.low, -difference.high)
    farthest = max(abs(difference.low), abs(difference.high))
    bounds = (margin - abs(difference.value), margin - farthest, margin - nearest)
    return IntervalEstimate(*bounds, difference.n_seeds, difference.missing)


def weakest(parts: Sequence[IntervalEstimate]) -> IntervalEstimate:
    """Return the part that decides a claim that needs all of its parts.

    A part that does not hold decides before a missing part, a missing part before an undecided one;
    among equals, the part with the lowest lower bound decides.
    """

    def order(part: IntervalEstimate) -> tuple[int, float]:
        rank = 0 if part.verdict == FAILS else 1 if part.missing else 2
        return (rank, part.low if np.isfinite(part.low) else 0.0)

    return min(parts, key=order)
