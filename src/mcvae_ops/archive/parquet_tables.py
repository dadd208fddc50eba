"""Tables in parquet: columns of numbers and texts, and lists of numbers as columns of vectors."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mcvae_ops.archive.table_batches import rows_at_once
from mcvae_ops.archive.table_header import Header, Place, header_of_schema, kind_of
from mcvae_ops.archive.vector_columns import elements_of, with_vectors

_BUFFER_BYTES = 1 << 20
_FIRST_ROWS = 100


def parquet_header(place: Place, table: str | None) -> Header:
    """Read the header of a parquet file."""
    with pq.ParquetFile(place, buffer_size=_BUFFER_BYTES) as parts:
        schema = parts.schema_arrow
        vectors = _lengths_of_lists(parts)
    pandas = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    index = [name for name in pandas.get("index_columns", []) if isinstance(name, str)]
    header = header_of_schema(schema, dict.fromkeys(index, "index of the table"))
    return with_vectors(header, vectors, "in a column of lists")


def parquet_batches(
    path: Path, table: str | None, texts: Sequence[str], numbers: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield some columns of all rows of a parquet file."""
    columns = list(dict.fromkeys([*texts, *numbers]))
    with pq.ParquetFile(path) as parts:
        vectors = _lengths_of_lists(parts)
        elements = elements_of(columns, parts.schema_arrow.names, vectors)
        stored = list(dict.fromkeys(elements[c][0] if c in elements else c for c in columns))
        n_numbers = len(columns) + sum(vectors.get(name, 0) for name in stored)
        for batch in parts.iter_batches(rows_at_once(n_numbers), columns=stored, use_threads=False):
            rows = pa.Table.from_batches([batch])
            lists = {name: _matrix(rows, name, vectors[name]) for name in stored if name in vectors}
            yield pa.table({
                c: lists[elements[c][0]][:, elements[c][1]] if c in elements else rows[c]
                for c in columns
            })  # fmt: skip


def _lengths_of_lists(parts: pq.ParquetFile) -> dict[str, int]:
    """Return how many numbers a list has, of each column of lists of numbers."""
    lengths = {}
    for column in parts.schema_arrow:
        kind = column.type
        if pa.types.is_fixed_size_list(kind) and kind_of(kind.value_type) == "number":
            lengths[column.name] = kind.list_size
        elif _is_list(kind) and kind_of(kind.value_type) == "number":
            lengths[column.name] = _length_of_first(parts, column.name)
    return lengths


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _length_of_first(parts: pq.ParquetFile, name: str) -> int:
    """Return the length of the first list of a column; 0 where no row has one."""
    for batch in parts.iter_batches(_FIRST_ROWS, columns=[name], use_threads=False):
        if length := pc.max(pc.list_value_length(batch.column(0))).as_py():
            return length
    return 0


def _matrix(rows: pa.Table, name: str, length: int) -> np.ndarray:
    """Return the lists of a column as (row, number); NaN where there is none."""
    lists = rows[name].combine_chunks()
    has_list = lists.is_valid().to_numpy(zero_copy_only=False)
    if wrong := set(pc.unique(pc.list_value_length(lists.drop_null())).to_pylist()) - {length}:
        raise pa.ArrowInvalid(f"{min(wrong)} numbers in a list of column {name}, not {length}")
    matrix = np.full((len(lists), length), np.nan, np.float32)
    matrix[has_list] = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, length)
    return matrix
