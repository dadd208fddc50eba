"""Recognise files by their content: a status 200 or the right size proves little."""

import gzip
import hashlib
import io
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
import tifffile

# Before it, a page may have a byte order mark, an XML declaration and comments. Each ends where it
# first can (``(?>...)``): to try later ends, too, takes twice the time with every comment.
_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?>(?:<\?xml[^>]*>|<!--.*?-->)\s*)*<(?:!doctype|html)", re.DOTALL | re.I
)
UNPACK_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    RuntimeError,  # encrypted, or packed by an unknown method
    ValueError,  # too much: see `unpack`
)
_CONTENT_RATIO = 100
_LEAST_CONTENT_BYTES = 256 << 20
_COPY_BYTES = 1 << 22
GZIP_START = b"\x1f\x8b"
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
NUMPY_START = b"\x93NUMPY"
PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


def fault_of(path: str | Path, name: str) -> str:
    """Say what is wrong with a file that has arrived.

    Parameters
    ----------
    path
        The file, under any name.
    name
        The name it is to have; its suffix says what it must hold.

    Returns
    -------
    What was found instead of a whole file of that kind; "" where nothing is wrong.
    """
    with open(path, "rb") as handle:
        head = handle.read(1024)
    if _PAGE.match(head):
        return "a web page (HTML)"
    lower = name.lower()
    if lower.endswith((".tif", ".tiff", ".png")):
        return _image_fault(path, head, "PNG" if lower.endswith("png") else "TIFF")
    if lower.endswith((".parquet", ".pq")):
        return _parquet_fault(path)
    if lower.endswith(".zip"):
        return "" if zipfile.is_zipfile(path) else "no zip archive"
    if lower.endswith((".tar", ".tar.gz", ".tgz")):
        return "" if _is_tar(path, head) else "no tar archive"
    return ""


def unpack(packed: IO[bytes], copy: IO[bytes], max_bytes: int) -> int:
    """Copy the content of a member of an archive; return its size in bytes.

    Raises
    ------
    ValueError
        If there is more than `max_bytes`; `max_content` says how much an archive may hold.
    """
    n_bytes = 0
    while block := packed.read(_COPY_BYTES):
        n_bytes += len(block)
        if n_bytes > max_bytes:
            raise _too_much(max_bytes)
        copy.write(block)
    return n_bytes


def unpacked_bytes(packed: IO[bytes], max_bytes: int) -> bytes:
    """Return the content of a packed file; see `unpack`."""
    held = io.BytesIO()
    unpack(packed, held, max_bytes)
    return held.getvalue()


def check_parquet(source: str | Path | IO[bytes], max_bytes: int) -> None:
    """Raise a `ValueError` if a table in parquet takes more memory than it may, by its metadata.

    Equal values are stored once: rows without number may take no bytes at all.
    """
    table = pq.ParquetFile(source).metadata
    packed_bytes = sum(table.row_group(k).total_byte_size for k in range(table.num_row_groups))
    if max(packed_bytes, 8 * table.num_rows * table.num_columns) > max_bytes:
        raise _too_much(max_bytes)


class Bounded:
    """A stream that may be read for so many bytes; a `ValueError` follows them.

    Not only members fill the memory, or take hours: so do their headers, and what is skipped.
    """

    def __init__(self, stream: IO[bytes], max_bytes: int) -> None:
        self._stream, self._max_bytes, self._left_bytes = stream, max_bytes, max_bytes

    def read(self, n_bytes: int) -> bytes:
        """Return the next bytes, at most `n_bytes`."""
        block = self._stream.read(n_bytes)
        self._left_bytes -= len(block)
        if self._left_bytes < 0:
            raise _too_much(self._max_bytes)
        return block


def max_content(size_bytes: int) -> int:
    """Return how much an archive of a size may hold, in bytes: 100 times as much, or 256 MB."""
    return max(_CONTENT_RATIO * size_bytes, _LEAST_CONTENT_BYTES)


def _too_much(max_bytes: int) -> ValueError:
    return ValueError(f"more than {max_bytes} bytes in it")


def digest_of(path: str | Path, algorithm: str = "sha256") -> str:
    """Return a checksum of a file, in hexadecimal digits."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, algorithm).hexdigest()


def _image_fault(path: str | Path, head: bytes, wanted: str) -> str:
    """Judge an image by its first bytes, as the reader of tiles does, whatever its name."""
    if head.startswith(PNG_START):
        return _png_fault(path)
    if head.startswith(TIFF_STARTS):
        return _tiff_fault(path)
    return "" if head.startswith(NUMPY_START) else f"no {wanted}"


def _is_tar(path: str | Path, head: bytes) -> bool:
    """Say whether a file, or what is packed in it, begins with the header of a member of a tar.

    No more is read: what follows the header of a name may be of any size.
    """
    with suppress(*UNPACK_ERRORS):
        if head.startswith(GZIP_START):
            with gzip.open(path) as content:
                head = content.read(tarfile.BLOCKSIZE)
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
        return True
    return False


def _tiff_fault(path: str | Path) -> str:
    size_bytes = os.path.getsize(path)
    try:
        with tifffile.TiffFile(path, name="") as tif:
            page = tif.pages.first
            last_byte = max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True)))
            if page.is_contiguous and tif.imagej_metadata:
                # ImageJ writes the planes one after the other, behind a single directory.
                images = tif.imagej_metadata.get("images", 1)
                if len(tif.pages) < images:
                    last_byte += page.nbytes * (images - 1)
    # tifffile raises nearly every kind of error, depending on what is damaged.
    except Exception as error:
        return f"no TIFF ({error})"
    if last_byte > size_bytes:
        return f"a TIFF whose pixels reach byte {last_byte} in {size_bytes} bytes"
    return ""


def _png_fault(path: str | Path) -> str:
    return "" if Path(path).read_bytes().endswith(_PNG_END) else "a PNG that breaks off"


def _parquet_fault(path: str | Path) -> str:
    try:
        pq.ParquetFile(path).close()
    except (OSError, pa.ArrowInvalid) as error:
        return f"no parquet file ({error})"
    return ""
