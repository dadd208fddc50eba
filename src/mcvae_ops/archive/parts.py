"""The parts of a feature table: parquet files, alone or in tar and zip archives, in batches."""

import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from mcvae_ops.archive.content import UNPACK_ERRORS, max_content, unpack
from mcvae_ops.errors import InputError

PARQUET = (".parquet", ".pq")
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
STAGES = ("interphase", "mitotic")
_BATCH_BYTES = 64 << 20


def stage_of(name: str) -> str:
    """Return the cell cycle stage that a folder or file on the way to a part begins with."""
    for step in reversed(PurePosixPath(name).parts):
        for stage in STAGES:
            if step.startswith(stage):
                return stage
    raise InputError(
        where="the feature table",
        found=f"a part {name!r}",
        expected=f"folders or archives that begin with {' or '.join(STAGES)}",
        fix="rename it or correct archive.dataset",
    )


def members_of(path: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Yield (name, path) of the parquet files of a part: itself, or those in an archive.

    Members of an archive are unpacked one at a time, and deleted when the next is asked for.

    Raises
    ------
    InputError
        If an archive is damaged, holds no parquet file, or much more than its size lets expect.
    """
    if not name.lower().endswith(ARCHIVES):
        yield name, path
        return
    has_parquet = False
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        target, left_bytes = Path(folder) / "member.parquet", max_content(path)
        try:
            with _listed(path, name) as listed:
                for member, handle in listed:
                    has_parquet = True
                    with open(target, "wb") as copy:
                        left_bytes -= unpack(handle, copy, left_bytes)
                    yield f"{name}/{member}", target
        except UNPACK_ERRORS as error:
            raise _damaged(name, error) from None
    if not has_parquet:
        raise InputError(
            where=f"feature part {name}",
            found="no parquet file in it",
            expected="parts of a table",
            fix="leave it out",
        )


def batches_of(path: Path, name: str) -> Iterator[pa.Table]:
    """Yield the rows of a parquet file in pieces of about 64 MB, so that any size fits in memory.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    try:
        with pq.ParquetFile(path) as parts:
            rows = max(1, _BATCH_BYTES // (8 * max(1, len(parts.schema_arrow))))
            for batch in parts.iter_batches(batch_size=rows, use_threads=False):
                yield pa.Table.from_batches([batch])
            if not parts.metadata.num_rows:
                yield parts.schema_arrow.empty_table()
    except (OSError, pa.ArrowInvalid) as error:
        raise _damaged(name, error) from None


@contextmanager
def _listed(path: Path, name: str) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    if name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            names = sorted(n for n in archive.namelist() if n.lower().endswith(PARQUET))
            yield ((n, archive.open(n)) for n in names)
        return
    # One pass, since a compressed tar cannot be entered at a member.
    with tarfile.open(path, "r|*") as archive:
        yield (
            (info.name, archive.extractfile(info))
            for info in archive
            if info.isfile() and info.name.lower().endswith(PARQUET)
        )


def _damaged(name: str, error: Exception) -> InputError:
    return InputError(
        where=f"feature part {name}",
        found=f"damage ({error})",
        expected="a parquet file",
        fix="replace it",
    )
