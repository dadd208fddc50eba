"""The files of a table: found by its address, each with what its path says; and their headers."""

import io
import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mcvae_ops.archive.addresses import files_below, is_remote, local_path
from mcvae_ops.archive.dataverse import parts_of_dataset
from mcvae_ops.archive.parts import ARCHIVES, members_of
from mcvae_ops.archive.patterns import row_and_column, well_name
from mcvae_ops.archive.s3 import is_s3, list_objects
from mcvae_ops.archive.sources import Source
from mcvae_ops.archive.table_address import TableAddress
from mcvae_ops.archive.table_formats import FORMATS, SUFFIXES, format_of, header_of
from mcvae_ops.archive.table_header import Header
from mcvae_ops.archive.transfer import read_range
from mcvae_ops.errors import InputError
from mcvae_ops.screen import tile_numbers

logger = logging.getLogger(__name__)

FileRow = tuple[str, str, int | None, str | None]  # path below the root, address, bytes, md5
_AHEAD_BYTES = 1 << 18
_SCHEMA_BYTES = 4 << 20


def files_of(address: TableAddress, archive: dict, screen: dict) -> list[FileRow]:
    """Return the files of a table, by path.

    Parameters
    ----------
    address
        Of the table.
    archive
        Section of the configuration.
    screen
        plates and tiles of the configuration: files of other plates and wells are left out.

    Returns
    -------
    Path below the root, address, size in bytes and md5 (None where unknown) of each.

    Raises
    ------
    InputError
        If no file belongs to the table.
    """
    found = list(_found(address, archive, screen))
    kept = [row for row in found if _belongs(row[0], address, screen)]
    if not kept:
        example = f", such as {found[0][0]}" if found else ""
        raise InputError(
            where=address.names.where,
            found=f"no table among {len(found)} files{example}",
            expected=f"files like {address.names.text or '{*}'} that end with "
            f"{', '.join(SUFFIXES + ARCHIVES)}",
            fix="correct the address",
        )
    if len(kept) < len(found):
        logger.info("%d files are tables here, %d are not", len(kept), len(found) - len(kept))
    return sorted(kept)


def first_header(path: Path, name: str, address: TableAddress) -> tuple[str, Header]:
    """Return the name and header of a file, or of the first member of an archive.

    Parameters
    ----------
    path, name
        The file, and its path below the root of the table.
    address
        Of the table: members that are not of it are passed over.
    """
    for member, place in members_of(path, name):
        if address.place(member) is not None:
            return member, header_of(place, member, address.table)
    raise InputError(
        where=f"table {name}",
        found="no table that fits the address",
        expected=f"names like {address.names.text}",
        fix="correct the address, or leave the archive out",
    )


def early_header(row: FileRow, address: TableAddress, archive: dict) -> tuple[str, Header] | None:
    """Return name and header of a file before it is fetched; None where the whole file is needed.

    Remote files are read by some ranges of bytes; archives (zip, tar) as a whole.
    """
    path, place, size_bytes, _ = row
    if not is_remote(place):
        return first_header(local_path(place), path, address)
    if format_of(path) is None:
        return None
    remote = io.BufferedReader(RemoteFile(place, size_bytes, archive), _AHEAD_BYTES)
    if format_of(path) is not FORMATS["SQLite"]:
        return path, header_of(remote, path)
    return _database_header(remote, path, address)


def _database_header(
    remote: io.BufferedReader, path: str, address: TableAddress
) -> tuple[str, Header] | None:
    """Return the header of a database from its first bytes, where the schema stands.

    SQLite opens files of its own alone: an empty one of the same size, with these bytes at its
    beginning, which takes no room on the disk. None where the schema goes on elsewhere.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "head.sqlite")
        copy.write_bytes(remote.read(_SCHEMA_BYTES))
        with suppress(sqlite3.DatabaseError, OSError):  # OSError: a size that no disk has
            os.truncate(copy, remote.raw.size_bytes)
            return path, FORMATS["SQLite"].header(copy, address.table)
    return None


class RemoteFile(io.RawIOBase):
    """A remote file, of which only the bytes that are read are fetched.

    Parameters
    ----------
    address
        Of the file.
    size_bytes
        Its size; None asks the server.
    archive
        Section of the configuration.
    """

    def __init__(self, address: str, size_bytes: int | None, archive: dict) -> None:
        self.address, self.archive, self.at = address, archive, 0
        self.size_bytes = self._asked() if size_bytes is None else size_bytes

    def readable(self) -> bool:
        """Say that the file can be read."""
        return True

    def seekable(self) -> bool:
        """Say that any place of the file can be read."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self.at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.size_bytes}[whence]
        self.at = start + offset
        return self.at

    def readinto(self, buffer: memoryview) -> int:
        """Fetch as many bytes as the buffer holds, fewer at the end of the file."""
        end = min(self.at + len(buffer), self.size_bytes)
        if end <= self.at:
            return 0
        answer = read_range(self.address, self.archive, f"{self.at}-{end - 1}")
        if answer is None:
            raise self._absent()
        content, _ = answer
        buffer[: len(content)] = content
        self.at += len(content)
        return len(content)

    def _asked(self) -> int:
        answer = read_range(self.address, self.archive, "0-0")
        if answer is None or answer[1] is None:
            raise self._absent()
        return answer[1]

    def _absent(self) -> InputError:
        return InputError(
            where=self.address, found="no file", expected="a table", fix="correct the address"
        )


def _found(address: TableAddress, archive: dict, screen: dict) -> Iterator[FileRow]:
    if address.dataset is not None:
        yield from parts_of_dataset(address.dataset, archive)
        return
    root = "." if address.root is None else address.root
    listed = archive["files"] if is_remote(root) else None
    source = Source(root, listed, archive)
    fixed = _fixed_part(address.names.text)
    if fixed is not None:
        entries = _below(source, fixed, archive)
    else:
        entries = source.entries(address.names, _places(address, screen))
    for path, size_bytes in entries:
        yield path, source.address(path), size_bytes if size_bytes >= 0 else None, None


def _fixed_part(names: str) -> str | None:
    """Return the path of a file or folder that holds all there is; None where a pattern finds it.

    The members of an archive are listed by the archive alone.
    """
    steps = names.split("/")
    for n, step in enumerate(steps, 1):
        if "{" in step:
            return None
        if step.lower().endswith(ARCHIVES):
            return "/".join(steps[:n])
    return names


def _below(source: Source, path: str, archive: dict) -> Iterator[tuple[str, int]]:
    """Yield a file, or all files of a folder."""
    if source.is_dataset:
        for name, size_bytes in source.entries(None, []):
            if name == path or name.startswith(f"{path.rstrip('/')}/"):
                yield name, size_bytes
        return
    if is_s3(source.root):
        start = source.root.removeprefix("s3://").partition("/")[2]
        for key, size_bytes in list_objects(source.root + path, archive):
            name = key.removeprefix(start)
            if name == path or name.startswith(f"{path.rstrip('/')}/"):
                yield name, size_bytes
        return
    if is_remote(source.root):
        yield path, -1
        return
    root = local_path(source.root)
    if (root / path).is_file():
        yield path, (root / path).stat().st_size
    for file in files_below(root / path):
        yield file.relative_to(root).as_posix(), file.stat().st_size


def _places(address: TableAddress, screen: dict) -> list[dict]:
    tiles = tile_numbers(screen["tiles"]) if "tile" in address.names.fields else [0]
    return [
        {"plate": plate, "well": well, "tile": tile}
        | dict(zip(("row", "column"), row_and_column(well), strict=True))
        for plate, wells in screen["plates"].items()
        for well in wells
        for tile in tiles
    ]


def _belongs(path: str, address: TableAddress, screen: dict) -> bool:
    name = path.rpartition("/")[2]
    is_named = not address.names.fields and path == address.names.text
    if not path.lower().endswith(SUFFIXES + ARCHIVES) or (name[:1] in "._" and not is_named):
        return False
    place = address.place(path, is_archive=path.lower().endswith(ARCHIVES))
    if place is None:
        return False
    plates = screen["plates"]
    if place.get("plate", next(iter(plates))) not in plates:
        return False
    wells = [plates[place["plate"]]] if "plate" in place else plates.values()
    return "well" not in place or any(
        place["well"] in map(well_name, of_plate) for of_plate in wells
    )
