"""Tables of any format, in batches: parquet, CSV, SQLite, AnnData.

Every format is a pair of functions: one reads the header, one yields some columns of all rows, in
pieces, so that a table of any size fits in memory.
"""

import csv
import io
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from mcvae_ops.archive.content import GZIP_START
from mcvae_ops.archive.hdf5_files import opened_hdf5
from mcvae_ops.archive.parquet_tables import parquet_batches, parquet_header
from mcvae_ops.archive.table_batches import no_numbers, rows_at_once
from mcvae_ops.archive.table_header import Header, Place, header_of_schema
from mcvae_ops.archive.vector_columns import elements_of, with_vectors
from mcvae_ops.errors import InputError

UTF16_STARTS = (b"\xff\xfe", b"\xfe\xff")
_BLOCK_BYTES = 8 << 20
_LINE_BYTES = 1 << 20
_LONGEST_VALUE_BYTES = 1 << 20  # in a database
_STEPS, _LEAST_STEPS, _STEPS_PER_BYTE = 1_000_000, 1_000_000_000, 100  # of SQLite's machine
_LINES = 100  # of a table, that tell its dialect
_FRACTION = re.compile(r'[\s"]*[-+]?\d+([.,])\d+(?:[eE][-+]?\d+)?[\s"]*')
_NO_NUMBERS = [*pa_csv.ConvertOptions().null_values, " "]
_OBS_NAMES = "obs_names"
_IN_OBSM = "in an array of cells (obsm)"


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


@dataclass(frozen=True)
class _Dialect:
    """How a CSV is written.

    Attributes
    ----------
    encoding, delimiter, decimal_point
        Of the text.
    names
        Names of the columns without the spaces around them; None where there are none.
    """

    encoding: str
    delimiter: str
    decimal_point: str
    names: list[str] | None

    def read(self, source: pa.NativeFile, encoding: str, block_size: int, **types):
        """Open a CSV as text of an encoding, in blocks; `types` are of `ConvertOptions`."""
        return pa_csv.open_csv(source, *self.options(encoding, block_size, **types))

    def options(self, encoding: str, block_size: int, **types) -> tuple:
        """Return what pyarrow is told of the CSV; see `read`."""
        n_header = 0 if self.names is None else 1
        return (
            pa_csv.ReadOptions(use_threads=False, block_size=block_size, encoding=encoding,
                               skip_rows=n_header, column_names=self.names),
            pa_csv.ParseOptions(delimiter=self.delimiter),
            pa_csv.ConvertOptions(decimal_point=self.decimal_point, null_values=_NO_NUMBERS,
                                  **types),
        )  # fmt: skip


def _csv_header(place: Place, table: str | None) -> Header:
    start = _uncompressed(place).read(_BLOCK_BYTES)
    dialect = _dialect(start)
    text = start.decode(dialect.encoding, errors="replace").removeprefix("\ufeff")
    if len(start) == _BLOCK_BYTES:  # the last line is cut
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text
    source = pa.BufferReader(text.encode())
    return header_of_schema(dialect.read(source, "utf-8", 4 * _BLOCK_BYTES).schema)


def _csv_batches(
    path: Path, table: str | None, texts: Sequence[str], numbers: Sequence[str]
) -> Iterator[pa.Table]:
    columns = list(dict.fromkeys([*texts, *numbers]))
    types = dict.fromkeys(numbers, pa.float64()) | dict.fromkeys(texts, pa.string())
    dialect = _dialect(_uncompressed(path).read(_LINE_BYTES))
    try:
        for batch in dialect.read(
            _uncompressed(path), dialect.encoding, _BLOCK_BYTES, column_types=types,
            include_columns=columns,
        ):  # fmt: skip
            yield pa.Table.from_batches([batch])
    except pa.ArrowInvalid:
        if odd := _texts_among_numbers(path, dialect, numbers):
            raise no_numbers(odd) from None
        raise


def _texts_among_numbers(path: Path, dialect: _Dialect, numbers: Sequence[str]) -> dict[str, str]:
    """Return the columns of numbers of a CSV that hold text, and the first text of each."""
    odd: dict[str, str] = {}
    with suppress(pa.ArrowInvalid):  # damage of another kind, which is said as it is
        for batch in dialect.read(
            _uncompressed(path), dialect.encoding, _BLOCK_BYTES, include_columns=numbers,
            column_types=dict.fromkeys(numbers, pa.string()), strings_can_be_null=True,
        ):  # fmt: skip
            for name in [name for name in numbers if name not in odd]:
                texts = pc.unique(pc.utf8_trim_whitespace(batch[name].drop_null())).to_pylist()
                text = next((text for text in texts if not _is_number(text, dialect)), None)
                odd |= {} if text is None else {name: text}
    return odd


def _is_number(text: str, dialect: _Dialect) -> bool:
    try:
        pa.scalar(text.replace(dialect.decimal_point, ".")).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def whole_csv(content: bytes) -> pa.Table:
    """Return all columns of a CSV that fits in memory; all of its rows tell their types."""
    dialect = _dialect(content[:_LINE_BYTES])
    options = dialect.options(dialect.encoding, _BLOCK_BYTES)
    return pa_csv.read_csv(pa.BufferReader(content), *options)


def first_rows_of_csv(place: Place, columns: Sequence[str], n_rows: int) -> pa.Table:
    """Return some columns of the first rows of a CSV, as text; only its first bytes are read."""
    start = _uncompressed(place).read(_LINE_BYTES)
    dialect = _dialect(start)
    text = start.decode(dialect.encoding, errors="replace").removeprefix("\ufeff")
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=dialect.delimiter)
    header = rows.fieldnames  # read before it is replaced
    rows.fieldnames = dialect.names or header
    kept = [row for row, _ in zip(rows, range(n_rows + 1), strict=False)]
    if len(start) == _LINE_BYTES or len(kept) > n_rows:
        kept = kept[:-1]  # the last line may be cut
    return pa.table({name: pa.array([row.get(name) for row in kept], pa.string())
                     for name in columns})  # fmt: skip


def _dialect(start: bytes) -> _Dialect:
    """Tell the dialect of a CSV: the delimiter is the sign that its first line has most of."""
    encoding = "utf-16" if start.startswith(UTF16_STARTS) else "utf-8"
    text = start.decode(encoding, errors="replace").removeprefix("\ufeff")
    first, *lines = [*islice(io.StringIO(text, newline=None), _LINES)] or [""]
    columns = {sign: next(csv.reader([first], delimiter=sign), []) for sign in ",\t;"}
    delimiter = max(columns, key=lambda sign: len(columns[sign]))
    # A comma that separates columns is no decimal point.
    cells = [cell for line in lines for cell in line.split(delimiter)] if delimiter != "," else []
    signs = Counter(found[1] for cell in cells if (found := _FRACTION.fullmatch(cell)))
    names = [name.strip() for name in columns[delimiter]]
    return _Dialect(encoding, delimiter, "," if signs[","] > signs["."] else ".",
                    None if names == columns[delimiter] else names)  # fmt: skip


def _uncompressed(place: Place) -> pa.NativeFile:
    """Open a file, or the beginning of an open one; its first bytes tell gzip, not its name."""
    if isinstance(place, str | Path):
        with open(place, "rb") as file:
            is_packed = file.read(2) == GZIP_START
        return pa.input_stream(str(place), compression="gzip" if is_packed else None)
    place.seek(0)
    is_packed = place.read(2) == GZIP_START
    place.seek(0)
    return pa.input_stream(place, compression="gzip" if is_packed else None)


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
        rows = database.execute(f"SELECT * FROM {_quoted(table)} LIMIT {_LINES}").fetchall()
    kinds = {
        name: _affinity(kind, next((row[k] for row in rows if row[k] not in (None, "")), None))
        for k, (_, name, kind, *_) in enumerate(declared)
    }
    return Header(kinds)


def _sqlite_batches(
    path: Path, table: str | None, texts: Sequence[str], numbers: Sequence[str]
) -> Iterator[pa.Table]:
    columns, n_texts = ", ".join(map(_quoted, [*texts, *numbers])), len(texts)
    with closing(open_database(path)) as database:
        cursor = database.execute(f"SELECT {columns or 1} FROM {_quoted(table)}")
        # A number of Python takes four times the room of its value.
        while rows := cursor.fetchmany(max(1, rows_at_once(len(texts) + len(numbers)) // 4)):
            arrays = {
                name: pa.array([None if row[k] is None else _plain(row[k]) for row in rows])
                for k, name in enumerate(texts)
            }
            values = _floats([row[n_texts:] for row in rows], numbers)
            yield pa.table(arrays | dict(zip(numbers, map(pa.array, values.T), strict=True)))


def open_database(path: Place) -> sqlite3.Connection:
    """Open a database to read it; its views may be queries without an end, or of huge values."""
    database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE_BYTES)
    n_calls = count()
    most = _LEAST_STEPS + _STEPS_PER_BYTE * os.path.getsize(path)
    database.set_progress_handler(lambda: _STEPS * next(n_calls) > most, _STEPS)
    return database


def _affinity(declared: str, value: object) -> str:
    """Return the kind of a column by the rules of SQLite; one without a type by a value."""
    declared = declared.upper()
    if any(word in declared for word in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if "DATE" in declared or "TIME" in declared:
        return "time"
    if any(word in declared for word in ("INT", "REAL", "FLOA", "DOUB", "NUM", "DEC", "BOOL")):
        return "number"
    if value is None:
        return "empty"
    return "number" if isinstance(value, int | float) else "text"


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


def _h5ad_header(place: Place, table: str | None) -> Header:
    from anndata.io import read_elem

    with opened_hdf5(place) as data:  # an open file will do, unlike for read_h5ad
        obs = read_elem(data["obs"])
        features = list(map(str, read_elem(data["var"]).index)) if "X" in data else []
        vectors = {name: array.shape[1] for name, array in _obsm(data).items()}
    kinds = header_of_schema(pa.Schema.from_pandas(obs, preserve_index=False)).kinds
    kinds[_OBS_NAMES] = "text"
    twice = [name for name, n in Counter([*kinds, *features]).items() if n > 1]
    annotations = dict.fromkeys(kinds, "annotation of cells (obs)")
    header = Header(kinds | dict.fromkeys(features, "number"), annotations, twice)
    return with_vectors(header, vectors, _IN_OBSM)


def _h5ad_batches(
    path: Path, table: str | None, texts: Sequence[str], numbers: Sequence[str]
) -> Iterator[pa.Table]:
    from anndata.io import read_elem

    # Not read_h5ad, which would read all of obsm: the pictures of all cells in .h5sc.
    with opened_hdf5(path) as data:
        obs, var = (read_elem(data[name]) for name in ("obs", "var"))
        obs = obs.assign(**{_OBS_NAMES: obs.index})
        obsm = _obsm(data)
        lengths = {name: array.shape[1] for name, array in obsm.items()}
        elements = elements_of(numbers, {*obs, *var.index}, lengths)
        at = var.index.get_indexer([n for n in numbers if n not in obs and n not in elements])
        x = _array(data["X"]) if "X" in data else None
        vectors = {name: obsm[name] for name, _ in elements.values()}
        step = rows_at_once(len(var) + sum(lengths[name] for name in vectors))
        for start in range(0, len(obs), step):
            rows = obs.iloc[start : start + step]
            named = [name for name in dict.fromkeys([*texts, *numbers]) if name in obs]
            arrays = {name: pa.array(rows[name], from_pandas=True) for name in named}
            if len(at):
                block = _dense(x[start : start + step])
                arrays |= {var.index[k]: pa.array(block[:, k]) for k in at}
            blocks = {name: _dense(vectors[name][start : start + step]) for name in vectors}
            arrays |= {c: pa.array(blocks[name][:, k]) for c, (name, k) in elements.items()}
            yield pa.table(arrays)


def _obsm(data) -> dict:
    """Return the arrays of obsm with one vector of each cell, opened; pictures are none."""
    group = data.get("obsm", {})
    arrays = {name: _array(place) for name in group if (place := group.get(name)) is not None}
    return {name: array for name, array in arrays.items() if len(getattr(array, "shape", ())) == 2}


def _array(place):
    """Return an array of an open file, of which parts can be read; None if it is a table."""
    import h5py
    from anndata.io import sparse_dataset

    if isinstance(place, h5py.Dataset):
        return place
    return None if place.attrs.get("encoding-type") == "dataframe" else sparse_dataset(place)


def _dense(block) -> np.ndarray:
    return block.toarray() if hasattr(block, "toarray") else np.asarray(block)


FORMATS = {
    "parquet": Format((".parquet", ".pq"), parquet_header, parquet_batches),
    "CSV": Format(
        tuple(f"{suffix}{packed}" for suffix in (".csv", ".tsv", ".txt") for packed in ("", ".gz")),
        _csv_header,
        _csv_batches,
    ),
    "SQLite": Format((".sqlite", ".sqlite3", ".db"), _sqlite_header, _sqlite_batches),
    "AnnData": Format((".h5ad", ".h5sc"), _h5ad_header, _h5ad_batches),
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
