"""Embeddings of cells that others made, as tables of the pipeline."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from mcvae_ops.embeddings.spaces import LETTERS, chosen_columns
from mcvae_ops.errors import InputError
from mcvae_ops.files import parquet_writer, read_rows, read_schema, read_table

_VALUES_AT_ONCE = 1 << 26  # 256 MB


def take_embedding(
    index: str,
    features: Sequence[str],
    model_name: str,
    spaces: Mapping[str, str | Sequence[str]],
    embedding: str,
) -> None:
    """Rule take_embedding: take one embedding from the numbers of the cells.

    Some cells at a time, which lie near each other in the table of their plate: memory holds no
    plate. A cell without a finite vector stays in the table; no profile counts it.

    Parameters
    ----------
    index
        Index of the cells (`mcvae_ops.shards.index.index_cells`); the output is row-aligned.
    features
        Numbers of the cells of every plate, with the columns of every embedding.
    model_name
        Name of the embedding.
    spaces
        Columns of each space; see `chosen_columns`.
    embedding
        Output: cell_id and float32 ``s_00``.. and ``z_00``.. .

    Raises
    ------
    InputError
        If a column is missing, or no cell has a finite vector.
    """
    key = f"embeddings.{model_name}"
    features = sorted(features)
    columns = [name for name in read_schema(features[0]).names if name != "cell_id"]
    chosen = chosen_columns(spaces, columns, "the tables of cells", key)
    theirs = [name for of_space in chosen.values() for name in of_space]
    ours = [f"{LETTERS[space]}_{k:02d}" for space, of in chosen.items() for k in range(len(of))]
    cell_id = read_table(index, columns=["cell_id"])["cell_id"]
    schema = pa.schema(
        [("cell_id", pa.string()), *((name, pa.float32()) for name in ours)],
        {"model": model_name, "seed": "0"},
    )
    n_rows = max(1, _VALUES_AT_ONCE // len(theirs))
    start = n_finite = 0
    with parquet_writer(embedding, schema) as writer:
        for path in features:
            place = pd.Index(read_table(path, columns=["cell_id"])["cell_id"].to_pandas())
            for first in range(0, len(place), n_rows):
                some = cell_id.slice(start + first, min(n_rows, len(place) - first))
                at = place.get_indexer(some.to_pandas())
                order = np.argsort(at)
                numbers = read_rows(path, theirs, at[order])
                latent = [numbers[name].to_numpy()[np.argsort(order)] for name in theirs]
                n_finite += int(np.isfinite(latent).all(axis=0).sum())
                writer.write_table(pa.table([some, *latent], schema=schema))
            start += len(place)
        if n_finite == 0:
            raise InputError.missing(
                where="the tables of cells",
                what=f"a finite vector of any cell in {key}",
                why="an embedding has a vector for every cell",
                fix=f"correct {key}.spaces or the tables",
            )
