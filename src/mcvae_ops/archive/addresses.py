"""What an address is: a path on this machine, a server, a bucket, or a study of an archive.

An address begins where its scheme says, or is a path:

| address | where it begins |
|---|---|
| ``images/a.tif`` | below ``archive.root``, or the working folder |
| ``./images/a.tif``, ``/data/a.tif``, ``file:///data/a.tif`` | here |
| ``https://server/a.tif`` | a server |
| ``s3://bucket/a.tif`` | a public bucket |
| ``biostudies:S-BIAD394`` | the files of a study; also the path or address of its JSON |
| ``doi:10.7910/DVN/VYKTI5`` | the files of a dataset in a Dataverse |
"""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from mcvae_ops.errors import InputError
from mcvae_ops.screen import folder_name

_LONGEST_NAME = 200  # bytes; file systems hold 255, of which ``.part.mark`` takes some
_SCHEME = re.compile(r"([a-z][a-z0-9]+):")
_ACCESSION = re.compile(r"S-[A-Z]+\d+")
# An identifier of Dataverse: an authority, shoulders such as DVN, and six signs.
DATASET = r"doi:10\.[\d.]+/(?:[A-Za-z0-9.-]+/)*?[A-Z0-9]{6}"


def scheme_of(address: str) -> str | None:
    """Return the scheme of an address (https, s3, biostudies, ...); None for a path."""
    match = _SCHEME.match(address)
    return match[1] if match else None


def without_scheme(address: str) -> str:
    """Return what stands behind the scheme of an address."""
    return address.removeprefix(f"{scheme_of(address)}:")


def is_remote(address: str) -> bool:
    """Tell an address on the network from a local path or ``file://`` address."""
    return str(address).lower().startswith(("http:", "https:"))


def is_absolute(address: str) -> bool:
    """Say whether an address does not lie below ``archive.root``."""
    path = PurePosixPath(address)
    is_here = path.is_absolute() or address.startswith(("./", "../"))
    return is_here or scheme_of(address) is not None


def local_path(address: str) -> Path:
    """Return the path that a local path or a ``file://`` address names."""
    parts = urlsplit(str(address))
    return Path(unquote(parts.path)) if parts.scheme == "file" else Path(address)


def is_doi(address: str) -> bool:
    """Say whether an address is a digital object identifier."""
    return scheme_of(address) == "doi"


def split_doi(address: str) -> tuple[str, str]:
    """Return the DOI of a Dataverse dataset, and the folder in it that an address goes on with.

    The folder ends with a slash, or is "".

    Raises
    ------
    InputError
        If the address is none of a dataset.
    """
    match = re.fullmatch(f"({DATASET})(?:/(.*))?", address)
    if match is None:
        raise InputError(
            where="configuration key archive.root",
            found=address,
            expected="the DOI of a Dataverse dataset, such as doi:10.7910/DVN/VYKTI5",
            fix="correct it",
        )
    folder = (match[2] or "").rstrip("/")
    return match[1], folder + "/" * bool(folder)


def is_accession(study: str) -> bool:
    """Say whether the name of a study is its accession, such as S-BIAD394."""
    return _ACCESSION.fullmatch(study) is not None


def local_study(address: str | None) -> str | None:
    """Return the path of a study on this machine, from ``biostudies:PATH``; None for others."""
    if address is None or scheme_of(address) != "biostudies":
        return None
    study = without_scheme(address)
    return None if is_accession(study) or scheme_of(study) else study


def split_address(root: str | None, address: str) -> tuple[str | None, str]:
    """Return where an address begins, and what follows; fields stand in the second part.

    Parameters
    ----------
    root
        ``archive.root``.
    address
        Such as ``screen.images``; an absolute one has a beginning of its own.
    """
    if not is_absolute(address):
        return root, address
    address = address.removeprefix("./")
    end = address.partition("{")[0].rfind("/") + 1
    return address[:end] or ".", address[end:]


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder; no pipe, which would never end, and no link to nothing."""
    for place, _, names in os.walk(folder):
        yield from (path for name in sorted(names) if (path := Path(place, name)).is_file())


def inside(path: str) -> PurePosixPath:
    """Return the path of a listed file as one that stays below any folder it is joined to.

    A step that a folder cannot hold has another name there: ``..``, one with a zero byte, and a
    long one, of which the end stays.
    """
    return PurePosixPath(*map(_held_name, PurePosixPath(path.lstrip("/")).parts))


def _held_name(step: str) -> str:
    if step == ".." or "\0" in step:
        step = folder_name(step)
    content = step.encode(errors="surrogatepass")
    if len(content) <= _LONGEST_NAME:
        return step
    return hashlib.sha256(content).hexdigest() + step[-20:]
