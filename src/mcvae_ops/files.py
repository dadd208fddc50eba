"""Write files that appear complete or not at all: to a sibling, which is flushed and renamed."""

import os
import re
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

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
    """Write an array as .npy, readable with ``np.load(path, mmap_mode="r")``."""
    with whole_file(path) as partial:
        np.save(partial, array, allow_pickle=False)


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
    with whole_file(path) as partial:
        pq.write_table(table, partial, compression="zstd")


@contextmanager
def parquet_writer(path: str | Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Yield a writer for a table that is larger than memory, in the format of `write_parquet`."""
    with (
        whole_file(path) as partial,
        pq.ParquetWriter(partial, schema, compression="zstd") as writer,
    ):
        yield writer


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
