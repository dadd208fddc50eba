"""What lies at an address: files and OME-Zarr stores, listed; and some bytes of a file."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from mcvae_ops.archive.addresses import is_remote, local_path, scheme_of
from mcvae_ops.archive.http import received_bytes
from mcvae_ops.archive.patterns import ZARR, is_too_long
from mcvae_ops.archive.s3 import is_s3, list_objects
from mcvae_ops.archive.sources import Entry, Source
from mcvae_ops.archive.table_files import RemoteFile
from mcvae_ops.errors import InputError

MOST_FILES = 300_000
_AHEAD_BYTES = 1 << 16


class Listing:
    """An address, listed.

    Parameters
    ----------
    look
        The address: a folder, ``s3://bucket/prefix``, ``biostudies:`` and an accession, ``doi:`` of
        a Dataverse dataset, or an OME-Zarr store (also over https).
    archive
        Section of the configuration.

    Attributes
    ----------
    root
        ``archive.root`` for it.
    files
        (path, size in bytes) of at most `MOST_FILES` files, without those that no pattern reads.
    stores
        Paths of OME-Zarr stores; what is in them is not listed.
    is_whole
        Whether there are no more files.
    local_bytes
        Read of files on this machine so far.

    Raises
    ------
    InputError
        If nothing can be listed there, or nothing lies there.
    """

    def __init__(self, look: str, archive: dict) -> None:
        self.archive = archive
        self._began_bytes, self.local_bytes = received_bytes(), 0
        look = look.rstrip("/")
        self.root = look
        if look.lower().endswith(".zarr"):
            self.root, _, store = look.rpartition("/")
            self.root = self.root or "."
            self.source = Source(self.root, None, archive)
            self.files, self.stores, self.is_whole = [], [store], True
            return
        self.source = Source(look, None, archive)
        found = (entry for entry in self._entries() if not is_too_long(entry[0]))
        found = list(islice(found, MOST_FILES + 1))
        self.is_whole = len(found) <= MOST_FILES
        self.stores = [path for path, _ in found if ZARR.search(path)]
        self.files = [entry for entry in found[:MOST_FILES] if not ZARR.search(entry[0])]
        if not found:
            raise InputError(
                where=f"look={look}",
                found="no file",
                expected="images or tables",
                fix="correct the address",
            )

    def address(self, path: str) -> str:
        """Return the address of a file or store."""
        return self.source.address(path)

    @contextmanager
    def opened(self, path: str, size_bytes: int | None = None) -> Iterator[io.BufferedReader]:
        """Open a file, of which only what is read is fetched."""
        address = self.address(path)
        if is_remote(address):
            known = size_bytes if size_bytes is not None and size_bytes >= 0 else None
            yield io.BufferedReader(RemoteFile(address, known, self.archive), _AHEAD_BYTES)
            return
        with open(local_path(address), "rb", buffering=0) as file:
            counted = _Counted(file)
            yield io.BufferedReader(counted, _AHEAD_BYTES)
            self.local_bytes += counted.n_bytes

    def count(self, n_bytes: int) -> None:
        """Note bytes of this machine that were read by other ways than `opened`."""
        self.local_bytes += n_bytes

    def read_bytes(self) -> int:
        """Return the bytes read so far: listings and contents."""
        return received_bytes() - self._began_bytes + self.local_bytes

    def _entries(self) -> Iterator[Entry]:
        root = self.source.root
        if self.source.listing or self.source.is_dataset:
            yield from self.source.entries(None, [])
        elif is_s3(root):
            key = root.removeprefix("s3://").partition("/")[2]
            for name, size_bytes in list_objects(root, self.archive, stores=ZARR):
                yield name.removeprefix(key), size_bytes
        elif is_remote(root):
            raise InputError(
                where=f"look={self.root}",
                found="an address over https, where nothing can be listed",
                expected="a folder, s3://, biostudies:, doi:, or the address of an OME-Zarr store",
                fix="name one, or fetch the files",
            )
        else:
            yield from _below(local_path(root))


class _Counted(io.RawIOBase):
    """A file that counts the bytes read of it."""

    def __init__(self, file: io.RawIOBase) -> None:
        self.file, self.n_bytes = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def readinto(self, buffer: memoryview) -> int:
        n_bytes = self.file.readinto(buffer)
        self.n_bytes += n_bytes
        return n_bytes


def _below(root: Path) -> Iterator[Entry]:
    if not root.is_dir():
        raise InputError(
            where=f"look={root}", found="no folder", expected="a folder", fix="correct it"
        )
    seen = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        place = os.stat(folder)
        if (place.st_dev, place.st_ino) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add((place.st_dev, place.st_ino))
        stores = sorted(name for name in folders if ZARR.search(name))
        folders[:] = sorted(set(folders) - set(stores))
        for name in stores:
            yield (Path(folder, name)).relative_to(root).as_posix(), 0
        for path in (Path(folder, name) for name in sorted(names)):
            if path.is_file():  # no pipe, and no link to nothing
                yield path.relative_to(root).as_posix(), path.stat().st_size


def name_of_look(look: str) -> str:
    """Return a name for the screen at an address: its last step, in letters that names may have."""
    steps = [step for step in look.rstrip("/").split("/") if step not in ("", ".", "..")]
    last = steps[-1] if steps else "screen"
    scheme = scheme_of(last)
    last = last.removeprefix(f"{scheme}:") if scheme else last
    last = last.removesuffix(".zarr").removesuffix(".json")
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in last)
