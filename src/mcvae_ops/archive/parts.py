"""Tables in archives: the members of zip and tar files that are tables."""

import gzip
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from mcvae_ops.archive.content import GZIP_START, UNPACK_ERRORS, Bounded, max_content, unpack
from mcvae_ops.archive.table_formats import SUFFIXES
from mcvae_ops.errors import InputError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


def members_of(path: Path, name: str, folder: Path | None = None) -> Iterator[tuple[str, Path]]:
    """Yield (name, path) of the tables of a part: itself, or those in an archive.

    Members of an archive are unpacked one at a time, and deleted when the next is asked for.

    Parameters
    ----------
    path, name
        Of the part; the name tells an archive.
    folder
        Where members are unpacked; None takes the system's folder for such files.

    Raises
    ------
    InputError
        If an archive is damaged, holds no table, or much more than its size lets expect.
    """
    if not name.lower().endswith(ARCHIVES):
        yield name, path
        return
    has_table, left_bytes = False, max_content(path.stat().st_size)
    with tempfile.TemporaryDirectory(dir=folder) as unpacked:
        try:
            with _listed(path, name) as listed:
                for member, handle in listed:
                    has_table = True
                    # A name may be longer than that of a file.
                    target = Path(unpacked) / f"member{PurePosixPath(member).suffix}"
                    with open(target, "wb") as copy:
                        left_bytes -= unpack(handle, copy, left_bytes)
                    yield f"{name}/{member}", target
                    target.unlink()
        except (*UNPACK_ERRORS, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the disk; bzip2 says damage without a number
            raise InputError(
                where=f"table {name}",
                found=f"damage ({error})",
                expected="a whole archive without a password",
                fix="replace it",
            ) from None
    if not has_table:
        raise InputError(
            where=f"table {name}",
            found="no table in it",
            expected=f"files that end with {', '.join(SUFFIXES)}",
            fix="leave it out",
        )


@contextmanager
def _listed(path: Path, name: str) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    if name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            names = sorted(filter(_is_table, archive.namelist()))
            yield ((n, archive.open(n)) for n in names)
        return
    with open(path, "rb") as handle:
        opener = gzip.open if handle.read(2) == GZIP_START else open
    # One pass, since a compressed tar cannot be entered at a member.
    with (
        opener(path, "rb") as content,
        tarfile.open(
            fileobj=Bounded(content, max_content(path.stat().st_size)), mode="r|"
        ) as archive,
    ):
        yield (
            (info.name, archive.extractfile(info))
            for info in archive
            if info.isfile() and _is_table(info.name)
        )


def _is_table(name: str) -> bool:
    """Say whether a member is a table; what macOS adds to archives is none."""
    path = PurePosixPath(name)
    return (
        name.lower().endswith(SUFFIXES)
        and not path.name.startswith(("._", "."))
        and ("__MACOSX" not in path.parts)
    )
