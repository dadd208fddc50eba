"""The one table in a file: as it is, gzipped, or in a zip archive."""

import gzip
import io
import zipfile
import zlib
from pathlib import PurePosixPath

from mcvae_ops.archive.content import GZIP_START, max_content, unpacked_bytes
from mcvae_ops.errors import InputError

MOST_BYTES = 64 << 20  # of a list: each of its fields takes some 100 bytes of memory
_ZIP, _OLD_EXCEL = b"PK", b"\xd0\xcf\x11\xe0"
_EXCEL_PART = "[Content_Types].xml"
_NOTES = ("readme", "license", "licence", "changelog", "citation")
# Damage shows in many ways; NotImplementedError: a method of compression that Python lacks.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError,
    ValueError,  # more in it than its size lets expect
)  # fmt: skip


def unpacked(content: bytes, where: str) -> bytes:
    """Return the table that a file holds, without its wrapping.

    Parameters
    ----------
    content
        Bytes of the file.
    where
        Named in errors.

    Raises
    ------
    InputError
        If the file is a web page (some servers answer so for files that have moved) or a workbook,
        or an archive that is damaged, encrypted, holds no table or more than one, or far more than
        its size lets expect.
    """
    max_bytes = min(max_content(len(content)), MOST_BYTES)
    if content.startswith(_ZIP):
        content = _from_zip(content, where)
    if content.startswith(GZIP_START):
        try:
            content = unpacked_bytes(gzip.GzipFile(fileobj=io.BytesIO(content)), max_bytes)
        except _DAMAGE as error:
            raise _no_table(where, f"a damaged gzip file ({error})", "fetch it again") from None
    if content.startswith(_OLD_EXCEL):
        raise _workbook(where)
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower().startswith((b"<!doctype", b"<html")):
        fix = "correct the address, or place the file by hand"
        raise _no_table(where, "a web page (HTML)", fix)
    return content


def _from_zip(content: bytes, where: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if _EXCEL_PART in packed.namelist():
                raise _workbook(where)
            member = _only_table(packed.infolist(), where)
            if member.flag_bits & 1:
                raise _no_table(where, "an encrypted zip archive", "unpack it by hand")
            with packed.open(member) as handle:
                return unpacked_bytes(handle, min(max_content(len(content)), MOST_BYTES))
    except _DAMAGE as error:
        raise _no_table(where, f"a damaged zip archive ({error})", "fetch it again") from None


def _only_table(members: list[zipfile.ZipInfo], where: str) -> zipfile.ZipInfo:
    """Return the one member that is no folder, no note and nothing of the operating system."""
    tables = [member for member in members if not member.is_dir() and _may_be_table(member)]
    if len(tables) != 1:
        names = ", ".join(member.filename for member in tables[:5])
        found = f"a zip archive with {len(tables)} tables" + (f" ({names})" if names else "")
        raise _no_table(where, found, "unpack it, and name the table itself")
    return tables[0]


def _may_be_table(member: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(member.filename)
    hidden = any(step.startswith((".", "__MACOSX")) for step in path.parts)
    return not hidden and not path.name.lower().startswith(_NOTES)


def _workbook(where: str) -> InputError:
    return _no_table(
        where,
        "a workbook of Excel",
        "save the sheet as CSV UTF-8; columns of gene names must be text there, otherwise MARCH1 "
        "becomes a date",
    )


def _no_table(where: str, found: str, fix: str) -> InputError:
    return InputError(where=where, found=found, expected="one table", fix=fix)
