"""Vectors of cells in .npy files beside a table: row k of an array is of row k of the table.

Arrays are mapped, not loaded: memory holds some of their rows.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from mcvae_ops.archive.addresses import is_absolute, local_path, scheme_of
from mcvae_ops.archive.patterns import Pattern
from mcvae_ops.archive.table_batches import rows_at_once
from mcvae_ops.archive.table_header import Header
from mcvae_ops.archive.vector_columns import elements_of, with_vectors
from mcvae_ops.errors import InputError

logger = logging.getLogger(__name__)
_IN_FILE = "in an array beside the table"
_SHOWN = 10


def vector_pattern(address: str, where: str, root: str | None) -> Pattern:
    """Return where the arrays of a table are, one for each of its files.

    Parameters
    ----------
    address
        Of the arrays, with fields of the table's address.
    where
        Configuration key, for errors.
    root
        ``archive.root``, where relative addresses begin; None is the working folder.

    Raises
    ------
    InputError
        If they are not on this machine, or ``{*}`` leaves open which file is meant.
    """
    is_whole = root is None or is_absolute(address)
    pattern = Pattern(address if is_whole else f"{root.rstrip('/')}/{address}", where)
    if scheme_of(pattern.text) not in (None, "file") or not pattern.can_be_filled():
        raise InputError(
            where=where,
            found=pattern.text,
            expected="a file on this machine, whose name has only fields of the table's address",
            fix="fetch the array, and write its path",
        )
    return pattern


def open_vectors(pattern: Pattern, place: Mapping[str, str]) -> np.ndarray:
    """Map the array of one file of a table, (row, dimension).

    Parameters
    ----------
    pattern
        As `vector_pattern` returns it.
    place
        The values of its fields: what the path of the table's file says.

    Raises
    ------
    InputError
        If there is no such file, or it is no array of vectors.
    """
    if missing := pattern.fields - set(place):
        raise InputError(
            where=pattern.where,
            found=f"{{{min(missing)}}} in {pattern.text}",
            expected="fields that the address of the table has, too",
            fix="correct it",
        )
    path = local_path(pattern.fill(place))
    if not path.is_file():
        raise InputError.missing(
            where=str(path), what="the file", why=f"{pattern.where} names it",
            fix="put it there, or correct the address",
        )  # fmt: skip
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise _no_vectors(path, f"no array that can be mapped ({error})") from None
    if not isinstance(array, np.ndarray):
        raise _no_vectors(path, "an archive of several arrays (.npz)")
    if array.ndim != 2 or array.dtype.kind != "f":
        raise _no_vectors(path, f"{array.dtype} of shape {array.shape}")
    return array


def header_beside(header: Header, vectors: Mapping[str, np.ndarray]) -> Header:
    """Return the header of a table with the columns ``{name}_{k}`` of the arrays beside it."""
    return with_vectors(header, {name: a.shape[1] for name, a in vectors.items()}, _IN_FILE)


def batches_beside(
    batches: Iterator[pa.Table],
    vectors: Mapping[str, np.ndarray],
    columns: Sequence[str],
    name: str,
) -> Iterator[pa.Table]:
    """Yield the rows of a table with some columns of the arrays beside it, some rows at a time.

    Vectors that are not finite are counted in a warning.

    Parameters
    ----------
    batches
        All rows of the table, in their order.
    vectors
        Arrays (row, dimension), by name.
    columns
        Wanted columns ``{name}_{k}``.
    name
        The file of the table, for errors.

    Raises
    ------
    InputError
        If an array has another number of rows.
    """
    elements = elements_of(columns, (), {key: a.shape[1] for key, a in vectors.items()})
    odd: dict[str, list[int]] = {key: [] for key in vectors}
    start = 0
    for batch in batches:
        n_rows = rows_at_once(batch.num_columns + sum(a.shape[1] for a in vectors.values()))
        for first in range(0, len(batch), n_rows):
            rows = batch.slice(first, n_rows)
            blocks = {}
            for key, array in vectors.items():
                if start + len(rows) > len(array):
                    raise _other_rows(array, key, name, "more rows")
                block = np.asfortranarray(array[start : start + len(rows)], np.float32)
                odd[key] += (start + np.flatnonzero(~np.isfinite(block).all(axis=1))).tolist()
                blocks[key] = block
            yield pa.table(
                {column: rows[column] for column in rows.column_names}
                | {column: pa.array(blocks[key][:, k]) for column, (key, k) in elements.items()}
            )
            start += len(rows)
    for key, array in vectors.items():
        if len(array) != start:
            raise _other_rows(array, key, name, f"{start} rows")
        if odd[key]:
            some = ", ".join(map(str, odd[key][:_SHOWN])) + " ..." * (len(odd[key]) > _SHOWN)
            logger.warning("%s of table %s: %d of %d vectors are not finite (rows %s, from 0)",
                           key, name, len(odd[key]), start, some)  # fmt: skip


def _no_vectors(path, found: str) -> InputError:
    return InputError(
        where=str(path),
        found=found,
        expected="a .npy of float numbers, (row of the table, dimension)",
        fix="write it with numpy.save, such as numpy.save(path, vectors.astype('float32'))",
    )


def _other_rows(array: np.ndarray, key: str, name: str, n_rows: str) -> InputError:
    return InputError(
        where=f"the vectors {key} of table {name}",
        found=f"{len(array)} rows in {getattr(array, 'filename', 'the array')}",
        expected=f"a vector for each row of the table, which has {n_rows}",
        fix="write the vectors of all its rows, in their order; each file of a table needs an "
        "array of its own, named by the same fields",
    )
