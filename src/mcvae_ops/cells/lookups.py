"""Tables that are joined to cells on the names they share: images, plate maps, libraries."""

import logging
from collections import Counter
from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mcvae_ops.errors import InputError

logger = logging.getLogger(__name__)
_BETWEEN = "\x1f"


def keys_of(table: pa.Table, names: Sequence[str]) -> pd.Index:
    """Return one text per row that holds its values of some names; None where one is missing."""
    columns = [table[name].cast(pa.string()).combine_chunks() for name in names]
    return pd.Index(pc.binary_join_element_wise(*columns, _BETWEEN).to_pandas(), dtype=object)


class Lookup:
    """A table in memory that adds names to cells; each row of it is one key.

    Parameters
    ----------
    rows
        Its named columns.
    known
        The names that the cells have already; those that it shares are the key.
    key
        Its key in the configuration, for errors.
    drop
        What becomes of a key with two different rows: True leaves it out, False is an error.

    Attributes
    ----------
    keys, added
        The names that it shares with the cells, and those that it adds.
    n_cells, unmatched
        How many cells were joined; how many of them had no row here, by their key.
    """

    def __init__(self, rows: pa.Table, known: Sequence[str], key: str, drop: bool) -> None:
        self.key = key
        self.keys = [name for name in rows.column_names if name in known]
        self.added = [name for name in rows.column_names if name not in known]
        table = rows.to_pandas().astype(object)
        table = table[table[self.keys].notna().all(axis=1)].drop_duplicates()
        twice = table.duplicated(self.keys, keep=False)
        if twice.any():
            self._say_twice(table[twice], drop)
            table = table[~twice]
        self.values = pa.Table.from_pandas(
            table[self.added], schema=rows.select(self.added).schema, preserve_index=False
        )
        self.index = keys_of(
            pa.Table.from_pandas(
                table[self.keys], schema=rows.select(self.keys).schema, preserve_index=False
            ),
            self.keys,
        )
        self.n_cells, self.unmatched = 0, Counter()

    def join(self, cells: pa.Table) -> pa.Table:
        """Return cells with the added names, null where the table has no row for them."""
        keys = keys_of(cells, self.keys)
        at = self.index.get_indexer(keys)
        rows = pa.array(at, mask=at < 0)
        self.n_cells += len(cells)
        missed = pd.Series(keys[at < 0], dtype=object).fillna("nothing")
        self.unmatched.update(missed.str.replace(_BETWEEN, " ").value_counts().to_dict())
        for name in self.added:
            cells = cells.append_column(name, self.values[name].take(rows))
        return cells

    def check(self) -> None:
        """Raise an `InputError` if no cell has a row here; otherwise say how many have none."""
        n = self.unmatched.total()
        if not n:
            return
        named = " ".join(self.keys)
        examples = ", ".join(repr(key) for key, _ in self.unmatched.most_common(3))
        if n == self.n_cells:
            here = ", ".join(repr(key.replace(_BETWEEN, " ")) for key in self.index[:3])
            raise InputError(
                where=f"configuration key {self.key}",
                found=f"{named} {here or 'of no row'}",
                expected=f"the {named} of cells, such as {examples}",
                fix="correct the columns that both tables are joined by",
            )
        logger.warning("%s: no row for %d of %d cells (%s %s)",
                       self.key, n, self.n_cells, named, examples)  # fmt: skip

    def _say_twice(self, rows: pd.DataFrame, drop: bool) -> None:
        first = rows[rows[self.keys].eq(rows[self.keys].iloc[0]).all(axis=1)]
        n_keys = len(rows[self.keys].drop_duplicates())
        differ = [name for name in self.added if first[name].nunique(dropna=False) > 1]
        values = " and ".join(map(repr, first[differ[0]].head(2)))
        what = f"{' '.join(self.keys)} {' '.join(map(str, first[self.keys].iloc[0]))}"
        found = f"{n_keys} keys with two labels, as {what}: {differ[0]} {values}"
        if not drop:
            raise InputError(
                where=f"configuration key {self.key}",
                found=found,
                expected=f"one {differ[0]} of each {' '.join(self.keys)}",
                fix="correct the table, or set screen.ambiguous_labels: drop to leave them out",
            )
        logger.warning("%s: left out: %s", self.key, found)


def attach(
    cells: pa.Table, other: pa.Table, keys: Sequence[str], name: str
) -> tuple[pa.Table, int]:
    """Add the features of another table that has one row per cell.

    Parameters
    ----------
    cells, other
        Rows of the same tiles.
    keys
        Names that both have, by which their rows are matched.
    name
        Of the other table, for errors.

    Returns
    -------
    The cells, with its columns; and how many of them have a row there.

    Raises
    ------
    InputError
        If the other table has two rows for one cell.
    """
    there = keys_of(other, keys)
    if (twice := there[there.notna() & there.duplicated()]).size:
        raise InputError.twice(
            where=f"table {name}",
            what=f"{' '.join(keys)} {twice[0].replace(_BETWEEN, ' ')}",
            fix="name further columns that tell its rows apart, as in cells of an image",
        )
    usable = there.notna()
    at = there[usable].get_indexer(keys_of(cells, keys))
    rows = pa.array(at, mask=at < 0)
    other = other.filter(pa.array(usable))
    for column in other.column_names:
        if column not in cells.column_names:
            cells = cells.append_column(column, other[column].take(rows))
    return cells, len(rows) - rows.null_count
