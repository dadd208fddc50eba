"""Tables in CSV and TSV: any encoding, delimiter and decimal point that their first lines tell."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from mcvae_ops.archive.content import GZIP_START
from mcvae_ops.archive.table_batches import no_numbers
from mcvae_ops.archive.table_header import Header, Place, header_of_schema

UTF16_STARTS = (b"\xff\xfe", b"\xfe\xff")
_BLOCK_BYTES = 8 << 20
_LINE_BYTES = 1 << 20
_LINES = 100  # that tell the dialect
_FRACTION = re.compile(r'[\s"]*[-+]?\d+([.,])\d+(?:[eE][-+]?\d+)?[\s"]*')
_NO_NUMBERS = [*pa_csv.ConvertOptions().null_values, " "]


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


def csv_header(place: Place, table: str | None) -> Header:
    """Read the header of a CSV; the rows at its beginning tell the kinds of columns."""
    start = _uncompressed(place).read(_BLOCK_BYTES)
    dialect = _dialect(start)
    text = start.decode(dialect.encoding, errors="replace").removeprefix("\ufeff")
    if len(start) == _BLOCK_BYTES:  # the last line is cut
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text
    source = pa.BufferReader(text.encode())
    return header_of_schema(dialect.read(source, "utf-8", 4 * _BLOCK_BYTES).schema)


def csv_batches(
    path: Path, table: str | None, texts: Sequence[str], numbers: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield some columns of all rows of a CSV."""
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
