"""The files of an archive: listed where it can be listed, otherwise asked for one by one."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import NamedTuple
from urllib.parse import quote

import pandas as pd

from mcvae_ops.archive.addresses import (
    files_below,
    is_remote,
    local_path,
    scheme_of,
    split_doi,
    without_scheme,
)
from mcvae_ops.archive.biostudies import files_root
from mcvae_ops.archive.dataverse import Part, parts_of_dataset
from mcvae_ops.archive.pagetab import UNKNOWN_SIZE, study_entries
from mcvae_ops.archive.patterns import Pattern
from mcvae_ops.archive.s3 import is_s3, list_objects, object_url
from mcvae_ops.archive.transfer import read_range
from mcvae_ops.errors import InputError

Entry = tuple[str, int]  # path below the root, size in bytes


class Listing(NamedTuple):
    """An archive whose studies name their files: where these lie, and what they are.

    Attributes
    ----------
    root
        (study, archive) -> address below which the files lie, with a slash at its end.
    entries
        (study, root, archive) -> (path, size in bytes) of its files.
    """

    root: Callable[[str, dict], str]
    entries: Callable[[str, str, dict], Iterator[Entry]]


# What stands before the colon of ``archive.root``.
LISTINGS = {
    "biostudies": Listing(files_root, study_entries),
}


class Source:
    """Where the addresses of a screen begin.

    Parameters
    ----------
    root
        A folder, ``s3://bucket/prefix``, an address with ``https://``, a study of an archive that
        names its files (`LISTINGS`), such as ``biostudies:S-BIAD394``, or the DOI of a Dataverse
        dataset and a folder in it, such as ``doi:10.7910/DVN/VYKTI5/images``.
    files
        A table of files (path, size) in place of a listing; or None.
    archive
        Section of the configuration.

    Raises
    ------
    InputError
        If no root is given, or one of an unknown kind.
    """

    def __init__(self, root: str | None, files: str | None, archive: dict) -> None:
        scheme = scheme_of(root) if root else None
        if root is None or scheme not in {None, "file", "http", "https", "s3", "doi", *LISTINGS}:
            raise InputError(
                where="configuration key archive.root",
                found=root or "nothing",
                expected="a folder, https://, s3://, doi: or "
                + " or ".join(f"{n}:" for n in LISTINGS),
                fix="correct it",
            )
        self.files, self.archive = files, archive
        self.name = files or root
        self.study, self.listing = without_scheme(root), LISTINGS.get(scheme)
        self.is_dataset = scheme == "doi"
        if self.listing:
            self.root = self.listing.root(self.study, archive)
        else:
            self.root = root if self.is_dataset else _with_slash(root)

    @cached_property
    def parts(self) -> dict[str, Part]:
        """The files of a dataset, by their path: a Dataverse gives them by numbers."""
        doi, folder = split_doi(self.root)
        parts = parts_of_dataset(doi, self.archive, suffixes=("",))
        return {part[0].removeprefix(folder): part for part in parts if part[0].startswith(folder)}

    def address(self, path: str) -> str:
        """Return the address of a path below the root, percent-encoded where it is remote."""
        if self.is_dataset:
            return self.parts[path][1]
        if is_s3(self.root):
            return object_url(self.root + path)
        return self.root + quote(path)

    def entries(self, pattern: Pattern, places: Sequence[dict]) -> Iterator[Entry]:
        """Yield (path, size) of files that may belong to the screen; the size may be unknown.

        Parameters
        ----------
        pattern
            The addresses of the images, below the root.
        places
            Values of the fields for every file that there can be: only what can be theirs is
            listed, where the archive allows it; where nothing can be listed, each is asked for.
        """
        if self.files is not None:
            return iter(table_entries(self.files))
        if self.listing is not None:
            return self.listing.entries(self.study, self.root, self.archive)
        if self.is_dataset:
            return (
                (path, UNKNOWN_SIZE if part[2] is None else part[2])
                for path, part in self.parts.items()
            )
        prefixes = sorted({pattern.prefix({"plate": place["plate"]}) for place in places})
        if is_s3(self.root):
            return self._objects(prefixes)
        if is_remote(self.root):
            return self._asked(pattern, places)
        return self._local(prefixes)

    def _objects(self, prefixes: list[str]) -> Iterator[Entry]:
        key = self.root.removeprefix("s3://").partition("/")[2]
        for prefix in prefixes:
            for name, size_bytes in list_objects(self.root + prefix, self.archive):
                yield name.removeprefix(key), size_bytes

    def _local(self, prefixes: list[str]) -> Iterator[Entry]:
        root = local_path(self.root)
        if not root.is_dir():
            raise InputError(
                where=str(root), found="no folder", expected="a folder", fix="correct archive.root"
            )
        for folder in _outermost({prefix.rpartition("/")[0] for prefix in prefixes}):
            for path in files_below(root / folder):
                yield path.relative_to(root).as_posix(), path.stat().st_size

    def _asked(self, pattern: Pattern, places: Sequence[dict]) -> Iterator[Entry]:
        """Ask for the first byte of every file that there can be: its answer says the size."""
        if not pattern.can_be_filled():
            raise InputError(
                where=f"{pattern.where}, below {self.root}",
                found=pattern.text,
                expected="an address without {*}, because nothing can be listed over https",
                fix="write what stands there, or name a table of files in archive.files",
            )
        paths = list(dict.fromkeys(pattern.fill(place) for place in places))
        with ThreadPoolExecutor(self.archive["streams"]) as pool:
            for path, size_bytes in zip(paths, pool.map(self._size, paths), strict=True):
                if size_bytes is not None:
                    yield path, size_bytes

    def _size(self, path: str) -> int | None:
        answer = read_range(self.address(path), self.archive, "0-0")
        if answer is None:
            return None
        return UNKNOWN_SIZE if answer[1] is None else answer[1]


def table_entries(path: str) -> list[Entry]:
    """Return (path, size in bytes) of a hand-placed table of files (parquet, or tsv)."""
    is_parquet = path.endswith((".parquet", ".pq"))
    try:
        table = pd.read_parquet(path) if is_parquet else pd.read_csv(path, sep="\t")
    except (ValueError, OSError) as error:
        raise InputError(
            where=path, found=f"no table ({error})", expected="parquet or tsv", fix="replace it"
        ) from None
    if missing := {"path", "size"} - set(table.columns):
        raise InputError(
            where=path,
            found=f"no column {min(missing)!r}",
            expected="columns path and size",
            fix="add the column",
        )
    sizes = pd.to_numeric(table["size"], errors="coerce")
    if (wrong := ~(sizes >= 0) | (sizes % 1 != 0) | table["path"].isna()).any():
        row = table[wrong].iloc[0]
        raise InputError(
            where=path,
            found=f"path {row['path']!r} with size {row['size']!r}",
            expected="a path and a size in bytes in every row",
            fix="correct the table",
        )
    return list(zip(table["path"].astype(str), sizes.astype("int64"), strict=True))


def _outermost(folders: set[str]) -> list[str]:
    """Drop the folders that lie in another one."""
    inside = {
        folder
        for folder in folders
        if any(other != folder and f"{folder}/".startswith(f"{other}/" if other else "")
               for other in folders)
    }  # fmt: skip
    return sorted(folders - inside)


def _with_slash(root: str) -> str:
    root = root if is_remote(root) or is_s3(root) else local_path(root).resolve().as_uri()
    return root.rstrip("/") + "/"
