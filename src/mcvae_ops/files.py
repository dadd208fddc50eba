"""Write files that appear complete or not at all: to a sibling, which is flushed and renamed."""

import hashlib
import io
import json
import os
import re
import shutil
import socket
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mcvae_ops.errors import InputError

_SEAL = b"sha256 of the footer"
_SEALED_WHOLE_BYTES = 4 << 20
_SEAL_BYTES = len(_SEAL) + hashlib.sha256().digest_size
HOST = re.sub(r"\W", "_", socket.gethostname())


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a sibling path to write to; on success it replaces `path`.

    The sibling has the suffix of `path`, because many writers choose their format by it. After an
    exception the sibling is deleted and `path` is as before. After a kill the sibling remains until
    the file is written again.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _sibling(path)
    try:
        yield partial
        with open(partial, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Yield a new folder to write to; on success it replaces the folder `path`."""
    path = Path(path)
    partial = _sibling(path)
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(path, ignore_errors=True)
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_text(text: str, path: str | Path) -> None:
    """Write `text` as UTF-8."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_csv(table, path: str | Path, float_format: str | None = None) -> None:
    """Write a pandas DataFrame for people and spreadsheets: .csv, or .tsv with tabs.

    A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@``. Text that does so, and
    is no number, gets an apostrophe in front.
    """
    text = table.rename(columns=_harmless)
    for column in text.columns[[dtype.kind == "O" for dtype in text.dtypes]]:
        text[column] = text[column].map(_harmless)
    separator = "\t" if str(path).endswith(".tsv") else ","
    content = text.to_csv(
        sep=separator, index=False, float_format=float_format, lineterminator="\n"
    )
    write_text(content, path)


def _harmless(cell: object) -> object:
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def write_npy(array: np.ndarray, path: str | Path) -> None:
    """Write an array as .npy, readable with ``np.load``; its SHA-256 follows the last value."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    with whole_file(path) as partial:
        partial.write_bytes(buffer.getvalue() + hashlib.sha256(buffer.getvalue()).digest())


def read_npy(path: str | Path) -> np.ndarray:
    """Read an array that `write_npy` has written.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    content = Path(path).read_bytes()
    digest = hashlib.sha256(content[:-32]).digest()
    if digest != content[-32:]:
        raise damaged(path, "content that has changed")
    return np.load(io.BytesIO(content), allow_pickle=False)


def write_arrow(table: pa.Table, path: str | Path) -> None:
    """Write a table in the form that it has in memory; its SHA-256 follows. See `map_arrow`."""
    with whole_file(path) as partial:
        with pa.OSFile(str(partial), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table.combine_chunks())
        with open(partial, "r+b") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
            file.seek(0, os.SEEK_END)
            file.write(digest)


def map_arrow(path: str | Path) -> pa.Table:
    """Map a table of `write_arrow`: processes that do so share one copy in memory.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    if Path(path).stat().st_size <= 32:
        raise damaged(path, "the end is missing")
    content = pa.memory_map(str(path)).read_buffer()
    stream, digest = content.slice(0, content.size - 32), content.slice(content.size - 32)
    if hashlib.sha256(stream).digest() != digest.to_pybytes():
        raise damaged(path, "content that has changed")
    return pa.ipc.open_stream(stream).read_all()


def write_note(content: dict, path: str | Path) -> None:
    """Write a note (JSON) by which a job knows what it has finished, behind its SHA-256."""
    text = json.dumps(content, default=float)
    write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}", path)


def read_note(path: str | Path) -> dict | None:
    """Read a note of `write_note`; None if there is none, or it is damaged."""
    path = Path(path)
    if not path.exists():
        return None
    digest, _, text = path.read_bytes().partition(b"\n")
    return json.loads(text) if hashlib.sha256(text).hexdigest().encode() == digest else None


def write_parquet(table, path: str | Path, metadata: dict[str, str] | None = None) -> None:
    """Write a pyarrow Table or a pandas DataFrame (its index is dropped) as parquet.

    Parameters
    ----------
    table
        The rows.
    path
        Target; it appears complete or not at all.
    metadata
        Strings for the schema metadata, read with ``pq.read_schema(path).metadata``.
    """
    if not isinstance(table, pa.Table):
        table = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    if metadata is not None:
        table = table.replace_schema_metadata(metadata)
    with parquet_writer(path, table.schema) as writer:
        writer.write_table(table)


@contextmanager
def parquet_writer(path: str | Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Yield a writer for a table that is larger than memory, in the format of `write_parquet`.

    Every page has a checksum, and the footer a seal: see `opened_parquet`.
    """
    options = {"compression": "zstd", "write_page_checksum": True}
    with whole_file(path) as partial:
        with pq.ParquetWriter(partial, schema, **options) as writer:
            yield writer
        _seal(partial)


@contextmanager
def opened_parquet(path: str | Path) -> Iterator[pq.ParquetFile]:
    """Yield a parquet file whose every byte is verified when it is read.

    Pages by their checksums, which belong to the format; the footer (schema, metadata, places of
    the pages), and all else of a file below 4 MB, by a SHA-256 that `parquet_writer` puts in front
    of the footer, where no reader looks. Files of others, without these, are read as they are.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    with _verified(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        yield file


def read_table(path: str | Path, columns: Sequence[str] | None = None, filters=None) -> pa.Table:
    """Read a parquet file, verified as by `opened_parquet`.

    Parameters
    ----------
    path
        The file.
    columns, filters
        As in ``pyarrow.parquet.read_table``.
    """
    with _verified(path):
        return pq.read_table(
            path, columns=columns, filters=filters, page_checksum_verification=True
        )


def read_codes(path: str | Path, columns: Sequence[str]) -> pa.Table:
    """Read columns of a table; text as codes (dictionary), each distinct text once.

    Of a screen of 24 million cells, a column of text takes gigabytes; its codes take 0.1 GB.
    """
    with _verified(path):
        table = pq.read_table(
            path, columns=columns, read_dictionary=columns, page_checksum_verification=True
        )
    return table.select(columns).unify_dictionaries()


def in_order(codes: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """Return the distinct texts of a column of `read_codes` in order, and the number of each row's.

    Numbers are int32, (row,), and -1 where there is no text.
    """
    values = codes.combine_chunks()
    names = values.dictionary.to_pylist()
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.full(len(names) + 1, -1, np.int32)
    rank[order] = np.arange(len(names), dtype=np.int32)
    return [names[k] for k in order], rank[values.indices.fill_null(len(names)).to_numpy()]


def with_text(table: pa.Table) -> pa.Table:
    """Return a table with its codes as text again."""
    types = [
        pa.field(field.name, pa.string()) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(types))


def read_blocks(
    path: str | Path, columns: Sequence[str] | None = None, n_rows: int = 1 << 18
) -> Iterator[pa.Table]:
    """Yield a table that is larger than memory, `n_rows` at a time; see `opened_parquet`."""
    with opened_parquet(path) as file:
        waiting = file.schema_arrow.empty_table().select(columns or file.schema_arrow.names)
        for batch in file.iter_batches(n_rows, columns=columns):
            waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
            while waiting.num_rows >= n_rows:
                yield waiting.slice(0, n_rows)
                waiting = waiting.slice(n_rows)
        if waiting.num_rows:
            yield waiting


def read_rows(path: str | Path, columns: Sequence[str], rows: np.ndarray) -> pa.Table:
    """Read some rows, ascending, of a table that is larger than memory; see `opened_parquet`."""
    with opened_parquet(path) as file:
        parts, start = [file.schema_arrow.empty_table().select(columns)], 0
        for group in range(file.num_row_groups):
            stop = start + file.metadata.row_group(group).num_rows
            first, last = np.searchsorted(rows, [start, stop])
            if first < last:
                table = file.read_row_group(group, columns=columns)
                parts.append(table.take(pa.array(rows[first:last] - start)))
            start = stop
    return pa.concat_tables(parts)


def first_difference(
    path: str | Path, other: str | Path, column: str
) -> tuple[str | None, str | None] | None:
    """Return the first values in which two tables differ in a column, or None; for large tables.

    None stands for the value of a table that has ended.
    """
    both = (read_blocks(table, [column]) for table in (path, other))
    for one, two in zip_longest(*both, fillvalue=pa.table({column: pa.array([], pa.string())})):
        if not one[column].equals(two[column]):
            pairs = zip_longest(one[column].to_pylist(), two[column].to_pylist())
            return next(((a, b) for a, b in pairs if a != b), None)
    return None


def read_frame(path: str | Path, columns: Sequence[str] | None = None, filters=None):
    """Read a parquet file as a pandas DataFrame; see `read_table`."""
    return read_table(path, columns, filters).to_pandas()


def row_groups(path: str | Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yield the row groups of a parquet file, one after the other; see `opened_parquet`.

    Memory holds one of them. A writer bounds them, and begins one where a reader may begin.
    """
    with opened_parquet(path) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number, columns=columns)


def read_schema(path: str | Path) -> pa.Schema:
    """Read the schema of a parquet file, with its metadata; see `opened_parquet`."""
    with _verified(path):
        return pq.read_schema(path)


def count_rows(path: str | Path) -> int:
    """Return the number of rows of a parquet file; see `opened_parquet`."""
    with _verified(path):
        return pq.read_metadata(path).num_rows


@contextmanager
def _verified(path: str | Path) -> Iterator[None]:
    """Compare the seal of a parquet file; what reading it raises is an `InputError`."""
    try:
        with open(path, "rb") as file:
            start, end = _footer(file)
            before = max(0, start - _SEAL_BYTES)
            file.seek(before)
            seal = file.read(_SEAL_BYTES)
            expected = _seal_of(file, before, end)
        # A file of others has neither half of it.
        is_ours = seal.startswith(_SEAL) or seal.endswith(expected.removeprefix(_SEAL))
        if is_ours and seal != expected:
            raise damaged(path, "bytes that have changed")
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError) as error:
        raise damaged(path, str(error).partition("\n")[0]) from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise damaged(path, str(error).partition("\n")[0]) from None


def damaged(path: str | Path, found: str) -> InputError:
    """Return the error for a file of the run that is not what was written."""
    return InputError(
        where=str(path),
        found=f"damage ({found})",
        expected="the file as it was written",
        fix="delete it, and Snakemake makes it again",
    )


def _seal(path: Path) -> None:
    with open(path, "r+b") as file:
        start, end = _footer(file)
        seal = _seal_of(file, start, end)
        file.seek(start)
        file.write(seal + end)


def _seal_of(file: BinaryIO, before: int, end: bytes) -> bytes:
    """Return the seal of a footer, and of the bytes before it where they are few."""
    file.seek(0)
    pages = file.read(before) if before <= _SEALED_WHOLE_BYTES else b""
    return _SEAL + hashlib.sha256(pages + end).digest()


def _footer(file: BinaryIO) -> tuple[int, bytes]:
    """Return where the footer of a parquet file begins, and the bytes from there on."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 8))
    length = int.from_bytes(file.read(8)[:4], "little")
    start = max(0, size - 8 - length)
    file.seek(start)
    return start, file.read()


def _sibling(path: Path) -> Path:
    """Name a hidden sibling after this process; delete those of processes that were killed.

    Siblings of running processes, or of another host, are left alone because they may be in use.
    """
    name = re.compile(rf"\.{re.escape(path.stem)}\.{HOST}-(\d+)-\w+{re.escape(path.suffix)}")
    for sibling in path.parent.glob(".*"):
        if (match := name.fullmatch(sibling.name)) and not _is_running(int(match[1])):
            if sibling.is_dir():
                shutil.rmtree(sibling, ignore_errors=True)
            else:
                sibling.unlink(missing_ok=True)
    return path.with_name(f".{path.stem}.{HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}{path.suffix}")


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
        # A zombie keeps its PID until its parent reaps it, and the first process of some containers
        # reaps none.
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except ProcessLookupError:
        return False
    except (PermissionError, FileNotFoundError):
        return True  # a process of another user; a system without /proc
