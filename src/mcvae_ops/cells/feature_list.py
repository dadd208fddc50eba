"""The columns of all tables of cells: which are features, why the others are none."""

import logging
from collections.abc import Mapping, Sequence

import pandas as pd

from mcvae_ops.cells.described import Described
from mcvae_ops.cells.well_variance import TELLS_WELL
from mcvae_ops.errors import some_of

logger = logging.getLogger(__name__)


def list_features(
    tables: Sequence[Described], between_wells: Mapping[tuple[str, str], float]
) -> pd.DataFrame:
    """Return every column of all tables, and warn of features that tell the well.

    Parameters
    ----------
    tables
        All tables of the screen.
    between_wells
        Share of the variance of each feature that lies between wells, by the key of its table and
        its column. Those of tables that are joined by image, well or guide have none.

    Returns
    -------
    table, column, is_feature, reason (why it is none) and variance_between_wells.
    """
    rows = []
    for table in tables:
        for column, reason in table.reasons.items():
            feature = (table.entry.key, column)
            if reason is None and feature not in between_wells:
                reason = "of a table that is joined by image, well or guide"
            of_wells = between_wells[feature] if reason is None else None
            rows.append((*feature, reason is None, reason, of_wells))
    names = ["table", "column", "is_feature", "reason", "variance_between_wells"]
    listed = pd.DataFrame(rows, columns=names)
    counts = listed["reason"].fillna("feature").value_counts()
    logger.info("columns: %s", ", ".join(f"{n} {reason}" for reason, n in counts.items()))
    text = listed.loc[listed["reason"] == "text", "column"].tolist()
    if text:
        logger.warning("%d columns of text are no features: %s", len(text), some_of(text))
    telling = listed.loc[listed["variance_between_wells"] >= TELLS_WELL, "column"].tolist()
    if telling:
        logger.warning(
            "features that tell the well, not the cell (%.0f %% of their variance lies "
            "between wells, or more): %s (%d in all); name them in screen.not_features if they "
            "measure no cell",
            100 * TELLS_WELL, some_of(telling), len(telling),
        )  # fmt: skip
    return listed
