"""What became of the rows of the tables of cells: counted, and said where many are lost."""

import logging
from collections import Counter

import pandas as pd

from mcvae_ops.cells.controls import Counts
from mcvae_ops.cells.distinct_cells import SEVERAL_STAGES, TWICE
from mcvae_ops.cells.overlap import SHOWN_BETTER
from mcvae_ops.cells.placing import OTHER_TILES, OTHER_WELLS
from mcvae_ops.cells.tally import USED

logger = logging.getLogger(__name__)

MOST_LOST = 0.2
"""Share of the cells above which a warning says that they are dropped, unless that is `MEANT`."""
MEANT = {OTHER_TILES, OTHER_WELLS, SHOWN_BETTER, TWICE, SEVERAL_STAGES}


def fates_of_rows(dropped: Counter, counts: Counts) -> pd.DataFrame:
    """Return what became of the rows of the tables: every row is counted once.

    Parameters
    ----------
    dropped
        Number of rows by (plate, reason).
    counts
        Cells of each well; see `check_batches`.

    Returns
    -------
    plate (empty for plates that the screen does not name), reason (``used``, or why not), n_rows,
    n_listed (rows of this plate) and is_lost (whether the tables say too little of a cell of the
    screen, or contradict one another).
    """
    used: Counter = Counter()
    for (plate, _), (n_controls, n_others) in counts.items():
        used[plate, USED] += n_controls + n_others
    rows = [(plate, reason, n) for (plate, reason), n in (used + dropped).items()]
    fates = pd.DataFrame(rows, columns=["plate", "reason", "n_rows"])
    fates["n_listed"] = fates.groupby("plate")["n_rows"].transform("sum")
    fates["is_lost"] = ~fates["reason"].isin({USED, *MEANT})
    fates["is_unused"] = fates["reason"] != USED
    order = fates.sort_values(["plate", "is_unused", "n_rows"], ascending=[True, True, False])
    return order.drop(columns="is_unused")


def say_dropped(dropped: Counter, counts: Counts, n_rows: int, tiles: str) -> None:
    """Say how many cells are dropped and why; warn if the tables say too little of many.

    Parameters
    ----------
    dropped, counts
        As of `fates_of_rows`.
    n_rows
        Number of all rows of the first table.
    tiles
        ``screen.tiles``.
    """
    reasons: Counter = Counter()
    for (_, reason), n in sorted(dropped.items()):
        reasons[reason] += n
    for reason, n in reasons.items():
        logger.info("%d cells dropped: %s", n, reason)
    if n := reasons[OTHER_TILES]:
        logger.warning("%d of the %d cells in the tables lie in tiles that screen.tiles (%s) "
                       "does not name: left out", n, n_rows, tiles)  # fmt: skip
    lost = {reason: n for reason, n in reasons.items() if n and reason not in MEANT}
    n_lost = sum(lost.values())
    share = n_lost / max(1, n_lost + sum(map(sum, counts.values())))
    if share > MOST_LOST:
        shown = ", ".join(f"{n} {reason}" for reason, n in lost.items())
        logger.warning("%.0f %% of the cells are dropped: %s", 100 * share, shown)
