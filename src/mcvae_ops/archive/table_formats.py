"""Tables of any format, in batches: parquet, CSV, SQLite, AnnData.

Every format is a pair of functions: one reads the header, one yields some columns of all rows, in
pieces, so that a table of any size fits in memory.
"""

import csv
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from mcvae_ops.archive.anndata_tables import anndata_batches, anndata_header
from mcvae_ops.archive.csv_tables import csv_batches, csv_header
from mcvae_ops.archive.parquet_tables import parquet_batches, parquet_header
from mcvae_ops.archive.table_batches import no_numbers
from mcvae_ops.archive.table_header import Header, Place
from mcvae_ops.errors import InputError

_LONGEST_VALUE_BYTES = 1 << 12  # in a database: as long as a path may be
_VALUES_AT_ONCE = 1 << 19  # of a database: 2 GB, if all are that long
_STEPS, _LEAST_STEPS, _STEPS_PER_BYTE = 1_000_000, 1_000_000_000, 100  # of SQLite's machine
_LINES = 100  # of a table, that tell the kinds of its columns


@dataclass(frozen=True)
class Format:
    """A format: how its header is read, and its rows.

    Attributes
    ----------
    suffixes
        Of its files.
    header
        (path or open file, name of the table in it) to `Header`.
    batches
        (path, name of the table in it, columns of text, columns of numbers) to tables of these
        columns. Texts come as they stand there, numbers as they come or float64.
    """

    suffixes: tuple[str, ...]
    header: Callable[[Place, str | None], Header]
    batches: Callable[[Path, str | None, Sequence[str], Sequence[str]], Iterator[pa.Table]]


def _sqlite_header(place: Place, table: str | None) -> Header:
    with closing(open_database(place)) as database:
        listed = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
        found = [row[0] for row in database.execute(listed)]
        if table not in found:
            raise InputError(
                where=f"database {Path(place).name}",
                found=f"{'no name of a table' if table is None else f'no table {table!r}'}",
                expected=f"one of its tables ({', '.join(found) or 'none'})",
                fix="write it behind the address, as in x.sqlite#Cells",
            )
        declared = database.execute(f"PRAGMA table_info({_quoted(table)})").fetchall()
        return Header({
            name: _affinity(kind) or _kind_of_first(database, table, name)
            for _, name, kind, *_ in declared
        })  # fmt: skip


def _sqlite_batches(
    path: Path, table: str | None, texts: Sequence[str], numbers: Sequence[str]
) -> Iterator[pa.Table]:
    columns, n_texts = ", ".join(map(_quoted, [*texts, *numbers])), len(texts)
    with closing(open_database(path)) as database:
        cursor = database.execute(f"SELECT {columns or 1} FROM {_quoted(table)}")
        # A text is there four times: as it was read and in a column, of this batch and the last.
        n_rows = rows_of_database(4 * n_texts + len(numbers))
        while rows := cursor.fetchmany(n_rows):
            arrays = {
                name: pa.array([None if row[k] is None else _plain(row[k]) for row in rows])
                for k, name in enumerate(texts)
            }
            values = _floats([row[n_texts:] for row in rows], numbers)
            yield pa.table(arrays | dict(zip(numbers, map(pa.array, values.T), strict=True)))


def open_database(path: Place) -> sqlite3.Connection:
    """Open a database to read it; its views may be queries without an end, or of huge values."""
    database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    database.execute("SELECT 1 FROM sqlite_master")  # reads the schema, which has longer texts
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE_BYTES)
    n_calls = count()
    most = _LEAST_STEPS + _STEPS_PER_BYTE * os.path.getsize(path)
    database.set_progress_handler(lambda: _STEPS * next(n_calls) > most, _STEPS)
    return database


def rows_of_database(n_values: int) -> int:
    """Return how many rows of a database to hold at a time, by the values of a row."""
    return max(1, _VALUES_AT_ONCE // max(1, n_values))


def _affinity(declared: str) -> str | None:
    """Return the kind of a column by the rules of SQLite; None if its type does not say it."""
    declared = declared.upper()
    if any(word in declared for word in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if "DATE" in declared or "TIME" in declared:
        return "time"
    if any(word in declared for word in ("INT", "REAL", "FLOA", "DOUB", "NUM", "DEC", "BOOL")):
        return "number"
    return None


def _kind_of_first(database: sqlite3.Connection, table: str, column: str) -> str:
    """Return the kind of the first value in the first rows of a column."""
    name = _quoted(column)
    rows = f"SELECT {name} FROM {_quoted(table)} LIMIT {_LINES}"
    try:
        first = database.execute(f"SELECT {name} FROM ({rows}) WHERE {name} <> ''").fetchone()
    except sqlite3.DataError:  # a long value, such as a picture
        return "other"
    if first is None:
        return "empty"
    return "number" if isinstance(first[0], int | float) else "text"


def _floats(rows: list[tuple], names: Sequence[str]) -> np.ndarray:
    try:
        return np.array(rows, np.float64).reshape(len(rows), len(names))  # None becomes NaN
    except (ValueError, TypeError):
        pass
    values, odd = np.empty((len(rows), len(names))), {}
    for k, name in enumerate(names):
        for n, row in enumerate(rows):
            try:
                # Programs that fill a database from a CSV leave empty text where nothing was.
                values[n, k] = np.nan if row[k] in (None, "") else float(row[k])
            except (ValueError, TypeError):
                odd.setdefault(name, row[k])
    if odd:
        raise no_numbers(odd)
    return values


def _plain(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


FORMATS = {
    "parquet": Format((".parquet", ".pq"), parquet_header, parquet_batches),
    "CSV": Format(
        tuple(f"{suffix}{packed}" for suffix in (".csv", ".tsv", ".txt") for packed in ("", ".gz")),
        csv_header,
        csv_batches,
    ),
    "SQLite": Format((".sqlite", ".sqlite3", ".db"), _sqlite_header, _sqlite_batches),
    "AnnData": Format((".h5ad", ".h5sc"), anndata_header, anndata_batches),
}
SUFFIXES = tuple(suffix for kind in FORMATS.values() for suffix in kind.suffixes)


def format_of(name: str) -> Format | None:
    """Return the format of a file by its name; None if it is no table."""
    for kind in FORMATS.values():
        if name.lower().endswith(kind.suffixes):
            return kind
    return None


def header_of(place: Place, name: str, table: str | None = None) -> Header:
    """Read the header of a table.

    Parameters
    ----------
    place
        Path, or an open file (not of SQLite), of which only some bytes are read.
    name
        Its name, which tells the format; for errors.
    table
        Name of the table in a database.

    Raises
    ------
    InputError
        If the file is damaged, or has no such table.
    """
    with _damage(name):
        return format_of(name).header(place, table)


def batches_of(
    path: Path, name: str, table: str | None, texts: Sequence[str], numbers: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield some columns of all rows, in pieces of about 64 MB.

    Parameters
    ----------
    path, name, table
        As of `header_of`.
    texts, numbers
        Columns. Texts keep their spelling where the file has one (CSV: ``007``).

    Raises
    ------
    InputError
        If the file is damaged, or a number is none.
    """
    with _damage(name):
        yield from format_of(name).batches(path, table, texts, numbers)


@contextmanager
def _damage(name: str) -> Iterator[None]:
    """Say in one sentence what a library says of a file that it cannot read."""
    try:
        yield
    except sqlite3.DataError:
        raise InputError(
            where=f"table {name}",
            found=f"a value of more than {_LONGEST_VALUE_BYTES:,} bytes",
            expected="names, paths and numbers",
            fix="name other columns, or shorten what stands in them",
        ) from None
    except (OSError, pa.ArrowException, sqlite3.Error, csv.Error) as error:
        raise InputError(
            where=f"table {name}",
            found=f"damage ({str(error).partition(chr(10))[0]})",
            expected="a table that can be read to its end",
            fix="replace it, name a column of numbers in place of one of text, or name columns of "
            "text in screen.not_features",
        ) from None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
