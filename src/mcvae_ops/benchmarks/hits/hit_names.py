"""What the rows of the table of hits are: genes, or guides (doses of compounds)."""

import pandas as pd


def level_of(hits: pd.DataFrame) -> str:
    """Return "guide" or "gene": of genes, the column guide is empty."""
    return "guide" if (hits["guide"] != "").any() else "gene"


def names_of(hits: pd.DataFrame) -> pd.Series:
    """Return the name of each row, (row,)."""
    return hits[level_of(hits)]
