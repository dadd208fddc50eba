"""Read cells and their embedding, row by row aligned."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from mcvae_ops.embeddings.spaces import spaces_of
from mcvae_ops.errors import InputError
from mcvae_ops.files import opened_parquet, read_table

INDEX_COLUMNS = ["cell_id", "plate", "well", "batch", "tile", "y_px", "x_px", "is_ntc"]
TRAINING_SPLITS = ("train", "validation")  # splits of the cells that models have seen


def is_unseen(split: pd.Series) -> np.ndarray:
    """Return which cells no model was trained on or chosen by, from the split of each, (cell,)."""
    return ~split.isin(TRAINING_SPLITS).to_numpy()


class Embedding(NamedTuple):
    """Latent means of some cells: one matrix of shape (cell, latent) for each space."""

    model: str
    seed: int
    spaces: dict[str, np.ndarray]


def read_cells(index: str | Path) -> pd.DataFrame:
    """Read the columns of the shard index that benchmarks of single cells need."""
    return read_table(index, columns=INDEX_COLUMNS).to_pandas()


def read_embedding(path: str | Path, cells: pd.DataFrame, rows: np.ndarray) -> Embedding:
    """Read some rows of an embedding, part by part, because a whole screen may not fit in memory.

    Parameters
    ----------
    path
        Embedding table (parquet), row-aligned with the shard index.
    cells
        All cells of the index.
    rows
        Rows to read, ascending.

    Raises
    ------
    InputError
        If the rows of the embedding are not those of the index.
    """
    with opened_parquet(path) as file:
        n_rows, schema = file.metadata.num_rows, file.schema_arrow
        if n_rows != len(cells):
            raise _misaligned(path, f"{n_rows} rows", f"{len(cells)} rows")
        parts, start = [], 0
        for part in file.iter_batches(batch_size=1 << 16):
            first, last = np.searchsorted(rows, [start, start + len(part)])
            parts.append(part.take(pa.array(rows[first:last] - start)))
            start += len(part)
    table = pa.Table.from_batches(parts, schema=schema).to_pandas()
    expected = cells["cell_id"].to_numpy()[rows]
    wrong = np.flatnonzero(table["cell_id"].to_numpy() != expected)
    if wrong.size:
        row = wrong[0]
        raise _misaligned(path, f"cell {table['cell_id'][row]}", f"cell {expected[row]}")
    metadata = schema.metadata
    spaces = {
        space: table[columns].to_numpy(np.float32)
        for space, columns in spaces_of(table.columns).items()
    }
    return Embedding(metadata[b"model"].decode(), int(metadata[b"seed"]), spaces)


def check_aligned(expected: pd.Series, present: pd.Series, where: str) -> None:
    """Raise InputError unless two tables hold the same cells in the same order."""
    if not np.array_equal(expected.to_numpy(), present.to_numpy()):
        raise InputError(
            where=where,
            found=f"{len(present)} cells that differ from the index, or are in another order",
            expected=f"the {len(expected)} cells of the index, row by row",
            fix="delete this file and run again",
        )


def _misaligned(path: str | Path, found: str, expected: str) -> InputError:
    return InputError(
        where=str(path),
        found=found,
        expected=f"{expected}, as in the shard index",
        fix="delete the embedding and compute it again",
    )
