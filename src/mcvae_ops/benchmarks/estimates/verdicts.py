"""Estimates that support a claim if they are above 0, and the verdicts of their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates.table import OVER_SEEDS
from mcvae_ops.embeddings.spaces import UNTRAINED

HOLDS, FAILS, UNDECIDED, NOT_TESTED = "holds", "does not hold", "undecided", "not tested"
BETTER, ABOUT, WORSE = "better", "about", "worse"
FEWEST_SEEDS = 2  # of a trained model: one training says nothing of another


@dataclass(frozen=True)
class IntervalEstimate:
    """An estimate with its 95 % interval; its sign is chosen so that the claim says "above 0".

    Attributes
    ----------
    value, low, high
        NaN if something is missing.
    n_seeds
        Number of training seeds behind the estimate; infinite where no model was trained.
    missing
        What is missing; empty if nothing is.
    cells
        The sets of cells that it rests on.
    units
        What the interval is over.
    """

    value: float
    low: float
    high: float
    n_seeds: float
    missing: str = ""
    cells: str = ""
    units: str = ""

    @property
    def verdict(self) -> str:
        """Whether the interval is above 0 (holds), below 0 (does not hold), or includes 0.

        One training decides nothing.
        """
        if not np.isfinite(self.value):
            return NOT_TESTED
        if self.n_seeds < FEWEST_SEEDS or not self.low < self.high:
            return UNDECIDED
        if self.low > 0:
            return HOLDS
        return FAILS if self.high < 0 else UNDECIDED

    @property
    def reason(self) -> str:
        """Why there is no verdict, where that is not for the interval to say."""
        if self.missing or not self.n_seeds < FEWEST_SEEDS:
            return self.missing
        return "one training seed, which says nothing of other trainings"

    def __neg__(self) -> "IntervalEstimate":
        return replace(self, value=-self.value, low=-self.high, high=-self.low)

    def __sub__(self, other: "IntervalEstimate | float") -> "IntervalEstimate":
        """Subtract a number or an independent estimate, whose half widths add in quadrature."""
        if not isinstance(other, IntervalEstimate):
            moved = dict(value=self.value - other, low=self.low - other, high=self.high - other)
            return replace(self, **moved)
        value = self.value - other.value
        down = np.hypot(self.value - self.low, other.high - other.value)
        up = np.hypot(self.high - self.value, other.value - other.low)
        return IntervalEstimate(
            value,
            value - down,
            value + up,
            min(self.n_seeds, other.n_seeds),
            self.missing or other.missing,
            " and ".join(dict.fromkeys([self.cells, other.cells])),
            " and ".join(dict.fromkeys([self.units, other.units])),
        )


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
    is_trained = row["model"] not in ("", *UNTRAINED)
    n_seeds = max(len(rows) - len(folded), 1) if is_trained else np.inf
    ends = row[["value", "low", "high"]].astype(float)
    return IntervalEstimate(*ends, n_seeds, missing, row["cells"], row["units"])


def equivalence(difference: IntervalEstimate, margin: float) -> IntervalEstimate:
    """Return an estimate of how far a difference stays within `margin` on both sides.

    Its interval is above 0 if the whole interval of the difference is within the margin, and below
    0 if the whole interval is outside (two one-sided tests of equivalence).
    """
    nearest = max(0.0, difference.low, -difference.high)
    farthest = max(abs(difference.low), abs(difference.high))
    bounds = (margin - abs(difference.value), margin - farthest, margin - nearest)
    return replace(difference, **dict(zip(("value", "low", "high"), bounds, strict=True)))


def compared(difference: IntervalEstimate, margin: float) -> str:
    """Return how two things compare: better or worse by more than `margin`, about, undecided.

    Better and worse: the whole interval lies beyond 0, and not all of it within the margin.
    """
    verdict = equivalence(difference, margin).verdict
    if verdict == HOLDS:
        return ABOUT
    if verdict == NOT_TESTED or difference.verdict in (UNDECIDED, NOT_TESTED):
        return NOT_TESTED if verdict == NOT_TESTED else UNDECIDED
    return BETTER if difference.low > 0 else WORSE


def weakest(parts: Sequence[IntervalEstimate]) -> IntervalEstimate:
    """Return the part that decides a claim that needs all of its parts.

    A part that does not hold decides before a part that was not tested, that before an undecided
    one; among equals, the part with the lowest lower bound decides.
    """

    def order(part: IntervalEstimate) -> tuple[int, float]:
        rank = 0 if part.verdict == FAILS else 1 if part.reason else 2
        return (rank, part.low if np.isfinite(part.low) else 0.0)

    return min(parts, key=order)
