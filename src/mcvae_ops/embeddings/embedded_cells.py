"""Read cells and their embedding, row by row aligned, when a whole screen does not fit in memory.

Text is read as codes (categories), and the vectors of an embedding row group by row group.
"""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from mcvae_ops.embeddings.spaces import latent_columns, space_dimensions, spaces_of
from mcvae_ops.errors import InputError
from mcvae_ops.files import (
    count_rows,
    first_difference,
    in_order,
    opened_parquet,
    read_codes,
    read_schema,
)

TRAINING_SPLITS = ("train", "validation")  # splits of the cells that models have seen


def is_unseen(split: pd.Series) -> np.ndarray:
    """Return which cells no model was trained on or chosen by, from the split of each, (cell,)."""
    return ~split.isin(TRAINING_SPLITS).to_numpy()


def read_cells(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read columns of a table of all cells; text becomes categories in alphabetical order."""
    return pd.DataFrame({name: _as_categories(read_codes(path, [name])[name]) for name in columns})


def _as_categories(column: pa.ChunkedArray) -> np.ndarray | pd.Categorical:
    if not pa.types.is_dictionary(column.type):
        return column.to_numpy()
    names, numbers = in_order(column)
    return pd.Categorical.from_codes(numbers, np.array(names, object))


def groups_of(cells: pd.DataFrame, keys: Sequence[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the groups of cells that have the same `keys`, sorted, and the group of each cell.

    Returns
    -------
    `keys` and n_cells, one row per group; and the row of each cell in it, (cell,).
    """
    groups = cells.groupby(list(keys), sort=True, observed=True)
    table = groups.size().rename("n_cells").reset_index()
    text = {key: object for key in keys if isinstance(table[key].dtype, pd.CategoricalDtype)}
    return table.astype(text), groups.ngroup().to_numpy()


def batch_numbers(cells: pd.DataFrame) -> np.ndarray:
    """Return the batch of each cell, numbered from 0 on."""
    return groups_of(cells, ["batch"])[1]


class Latent:
    """The latent vectors of cells, (cell, dimension) float32, in their file.

    It stands for an array: ``latent[rows]`` reads rows, which are ascending or a mask.

    Parameters
    ----------
    path
        Embedding table (parquet), row-aligned with the shard index.

    Attributes
    ----------
    columns
        Names of the dimensions.
    model, seed
        Of the embedding.
    shape
        Number of cells, and of dimensions.
    """

    def __init__(self, path: str | Path) -> None:
        schema = read_schema(path)
        self.columns = latent_columns(schema.names)
        self.model, self.seed = schema.metadata[b"model"].decode(), int(schema.metadata[b"seed"])
        self.shape = (count_rows(path), len(self.columns))
        self._path, self._rows = path, None

    def part(self, rows: np.ndarray, columns: Sequence[str]) -> "Latent":
        """Return some dimensions of some cells (ascending rows, or a mask); nothing is read."""
        part = copy.copy(self)
        part._rows = self._in_file(rows)
        part.columns, part.shape = list(columns), (len(part._rows), len(columns))
        return part

    def combined(self) -> "Latent":
        """Return the dimensions of the space "combined"."""
        return self.part(np.arange(len(self)), spaces_of(self.columns)["combined"])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        rows = self._in_file(rows)
        values = np.empty((len(rows), self.shape[1]), np.float32)
        for place, part in self._row_groups(rows):
            values[place] = part
        return values

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[np.arange(len(self))]

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield all cells: which rows, and their vectors."""
        rows = np.arange(len(self)) if self._rows is None else self._rows
        yield from self._row_groups(rows)

    def finite(self) -> np.ndarray:
        """Return which cells have a finite vector, (cell,)."""
        finite = np.empty(len(self), bool)
        for rows, part in self.blocks():
            finite[rows] = np.isfinite(part).all(axis=1)
        return finite

    def _in_file(self, rows: np.ndarray) -> np.ndarray:
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return rows if self._rows is None else self._rows[rows]

    def _row_groups(self, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield `rows` of the file, group by group: their places in `rows`, and their vectors."""
        with opened_parquet(self._path) as file:
            start = 0
            for group in range(file.num_row_groups):
                stop = start + file.metadata.row_group(group).num_rows
                first, last = np.searchsorted(rows, [start, stop])
                if first < last:
                    table = file.read_row_group(group, columns=self.columns)
                    values = np.empty((len(self.columns), table.num_rows), np.float32)
                    for k, name in enumerate(self.columns):
                        values[k] = table[name].to_numpy()
                    is_whole = last - first == table.num_rows
                    part = values if is_whole else values[:, rows[first:last] - start]
                    yield slice(int(first), int(last)), part.T
                start = stop


def some_cells(latent: np.ndarray | Latent, rows: np.ndarray) -> np.ndarray | Latent:
    """Return some cells (ascending rows, or a mask); of an embedding in its file, none is read."""
    return latent.part(rows, latent.columns) if isinstance(latent, Latent) else latent[rows]


def read_latent(index: str | Path, path: str | Path) -> Latent:
    """Return the vectors of an embedding, after a check that it has the cells of the index.

    Raises
    ------
    InputError
        If the rows of the embedding are not those of the index.
    """
    check_aligned(index, path)
    return Latent(path)


class Embedding(NamedTuple):
    """Latent means of some cells: one matrix of shape (cell, latent) for each space."""

    model: str
    seed: int
    spaces: dict[str, np.ndarray]


def read_embedding(index: str | Path, path: str | Path, rows: np.ndarray) -> Embedding:
    """Read the spaces of some cells.

    Parameters
    ----------
    index
        The shard index.
    path
        Embedding table (parquet), row-aligned with the index.
    rows
        Rows to read, ascending.

    Raises
    ------
    InputError
        If the rows of the embedding are not those of the index.
    """
    latent = read_latent(index, path)
    values = np.asfortranarray(latent[rows])  # spaces are columns
    spaces = {space: values[:, at] for space, at in space_dimensions(latent.columns).items()}
    return Embedding(latent.model, latent.seed, spaces)


def check_aligned(index: str | Path, path: str | Path) -> None:
    """Raise InputError unless a table holds the cells of the index, in the same order."""
    expected, found = count_rows(index), count_rows(path)
    if expected != found:
        raise _misaligned(path, f"{found} rows", f"{expected} rows")
    if different := first_difference(index, path, "cell_id"):
        raise _misaligned(path, f"cell {different[1]}", f"cell {different[0]}")


def _misaligned(path: str | Path, found: str, expected: str) -> InputError:
    return InputError(
        where=str(path),
        found=found,
        expected=f"{expected}, as in the shard index",
        fix="delete this file and run again",
    )
