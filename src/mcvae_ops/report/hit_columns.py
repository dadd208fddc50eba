"""Columns of the tables of hits that the report and the explorer show, as JSON can hold them."""

import numpy as np
import pandas as pd


def json_numbers(values: np.ndarray, digits: int) -> list[float | None]:
    """Return rounded numbers; NaN becomes None, because JSON has no NaN."""
    return [round(float(value), digits) if np.isfinite(value) else None for value in values]


def alone_in_words(hits: pd.DataFrame) -> list[str]:
    """Return whether the effect of each hit remains beside density and place; "" for no hit."""
    remains = np.where(hits["survives_confounders"], "yes", "no")
    return np.where(hits["is_hit"], remains, "").tolist()
