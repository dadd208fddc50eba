"""An estimate that speaks for a claim where it is above 0, and how estimates combine."""

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
    """An estimate with its 95 % interval, signed so that the claim says: above 0.

    Attributes
    ----------
    value, low, high
        NaN where something is missing.
    n_seeds
        Training seeds that it rests on; infinite where no model was trained.
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
        """What the interval says: above 0, below 0, or neither; nothing of a single training."""
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
        """Subtract a number, or an independent estimate (half widths add in quadrature)."""
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
    is_trained = row["model"] not in ("", *UNTRAINED)
    n_seeds = max(len(rows) - len(folded), 1) if is_trained else np.inf
    ends = row[["value", "low", "high"]].astype(float)
    return IntervalEstimate(*ends, n_seeds, missing, row["cells"], row["units"])


def equivalence(difference: IntervalEstimate, margin: float) -> IntervalEstimate:
    """Return the evidence that a difference is smaller than `margin` either way.

    It is above 0 where the whole interval lies within the margin, below 0 where all of it lies
    outside (two one-sided tests).
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
    """Return the part on which a claim that needs all of them stands or falls.

    A part that fails comes before one that was not tested, that before one that is undecided.
    """

    def order(part: IntervalEstimate) -> tuple[int, float]:
        rank = 0 if part.verdict == FAILS else 1 if part.reason else 2
        return (rank, part.low if np.isfinite(part.low) else 0.0)

    return min(parts, key=order)
