"""HDF5 files of strangers: opened only if all they hold is their own.

HDF5 lets a file name others: by external links, external storage, and virtual data sets. Whoever
wrote the file would so choose what is read on this machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO


@contextmanager
def opened_hdf5(place: str | Path | IO[bytes]) -> Iterator:
    """Open an HDF5 file (a path or an open file) for reading.

    Raises
    ------
    OSError
        If it is none, is damaged, or names another file.
    """
    import h5py  # not needed by those who read other formats

    with h5py.File(place, "r") as data:
        if isinstance(place, str | Path):
            status = Path(place).stat()
            _check_once(str(place), status.st_size, status.st_mtime_ns)
        else:
            _check(data)
        yield data


@lru_cache(1024)
def _check_once(path: str, size_bytes: int, modified_ns: int) -> None:
    """Check a file of this size and time: all that it holds is visited, so once for all readers."""
    import h5py

    with h5py.File(path, "r") as data:
        _check(data)


def _check(data) -> None:
    import h5py

    def of_link(name: str, link: object) -> tuple[str, str] | None:
        return (name, link.filename) if isinstance(link, h5py.ExternalLink) else None

    def of_item(name: str, item: object) -> tuple[str, str] | None:
        if not isinstance(item, h5py.Dataset):
            return None
        files = [file for file, *_ in item.external or ()]
        if item.is_virtual:
            files += [source.file_name for source in item.virtual_sources()]
        return next(((name, file) for file in files if file != "."), None)

    if found := data.visititems_links(of_link) or data.visititems(of_item):
        raise OSError("{} lies in another file, {}".format(*found))
