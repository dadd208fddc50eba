"""The files of a data set, as a Dataverse lists them."""

import re
from contextlib import suppress
from pathlib import PurePosixPath
from urllib.parse import quote, urlsplit

from mcvae_ops.archive.addresses import is_doi, is_remote, local_path
from mcvae_ops.archive.parts import ARCHIVES
from mcvae_ops.archive.table_formats import SUFFIXES
from mcvae_ops.archive.transfer import LARGEST_LIST_BYTES, read_json
from mcvae_ops.errors import InputError

RESOLVER = "https://doi.org/api/handles/"
_LARGEST_BYTES = 1 << 62


Part = tuple[str, str, int | None, str | None]  # path, address, size in bytes, md5


def parts_of(
    content: dict, root: str, remote: bool, suffixes: tuple[str, ...] = SUFFIXES + ARCHIVES
) -> list[Part]:
    """List the parts of a data set.

    Parameters
    ----------
    content
        The answer of the API, or a file in its shape.
    root
        Address of the server, or of the folder that holds the parts; no slash at its end.
    remote
        Whether parts are fetched by their number, or lie in folders below `root`.
    suffixes
        Of the names that are listed; by default of tables, and of archives that may hold some.

    Returns
    -------
    Path (folder and name), address, size and md5 of each. A table that the Dataverse has converted
    is asked for in its original form and name, whose checksum is not published.

    Raises
    ------
    InputError
        If the data set cannot be had, or has a part that is restricted or not described whole.
    """
    if not isinstance(content, dict) or content.get("status") != "OK":
        content = content if isinstance(content, dict) else {}
        raise _no_dataset(root, f"status {content.get('status')}: {content.get('message')}")
    try:
        files = list(content["data"]["latestVersion"]["files"])
    except (KeyError, TypeError):
        raise _no_dataset(root, "no data.latestVersion.files") from None
    parts = []
    for entry in files:
        _check_entry(entry, root)
        part = _part(entry, root, remote, suffixes)
        parts += [part] * (part is not None)
    return parts


def _part(entry: dict, root: str, remote: bool, suffixes: tuple[str, ...]) -> Part | None:
    """Return a file of a data set; None if its name ends otherwise."""
    data = entry["dataFile"]
    converted = bool(data.get("originalFileFormat"))
    name = data.get("originalFileName") or entry["label"] if converted else entry["label"]
    path = str(PurePosixPath(entry.get("directoryLabel") or "", name))
    if not name.lower().endswith(suffixes):
        return None
    if ".." in PurePosixPath(path).parts or entry.get("restricted"):
        raise InputError(
            where=root,
            found=f"{path}{' restricted' if entry.get('restricted') else ''}",
            expected="an open file with a name below the data set",
            fix="place a copy by hand",
        )
    if not remote:
        address = f"{root}/{quote(path)}"
    else:
        original = "?format=original" if converted else ""
        address = f"{root}/api/access/datafile/{data['id']}{original}"
    size_bytes = data.get("originalFileSize") if converted else data["filesize"]
    return path, address, size_bytes, None if converted else _md5_of(data)


def _no_dataset(root: str, found: str) -> InputError:
    return InputError(
        where=root, found=found, expected="a data set of Dataverse", fix="correct the address"
    )


def dataset_url(doi: str, archive: dict) -> str:
    """Return the address of a dataset's latest version, from its DOI.

    The DOI resolves to the page of the dataset, on the Dataverse that publishes it.
    """
    answer = read_json(f"{RESOLVER}{doi.removeprefix('doi:')}", archive)
    values = answer.get("values") if isinstance(answer, dict) else None
    for entry in values if isinstance(values, list) else []:
        if server := _server_of(entry):
            return f"{server}/api/datasets/:persistentId/?persistentId={doi}"
    raise InputError(
        where=f"address {doi}",
        found="no address that this DOI stands for",
        expected="the DOI of a Dataverse dataset",
        fix="correct it",
    )


def _server_of(entry: object) -> str | None:
    """Return the address of the server that a value of a handle names; None if it names none."""
    is_url = isinstance(entry, dict) and entry.get("type") == "URL"
    data = entry.get("data") if is_url else None
    page = data.get("value") if isinstance(data, dict) else None
    if not isinstance(page, str) or not is_remote(page):
        return None
    with suppress(ValueError):  # brackets that hold no address
        place = urlsplit(page)
        return f"{place.scheme}://{place.netloc}" if place.netloc else None
    return None


def parts_of_dataset(
    dataset: str, archive: dict, suffixes: tuple[str, ...] = SUFFIXES + ARCHIVES
) -> list[Part]:
    """Return path, address, size in bytes and md5 of every part of a data set.

    Parameters
    ----------
    dataset
        DOI, address of the API, or path of a file in the shape of its answer.
    archive
        Section of the configuration.
    suffixes
        As of `parts_of`.
    """
    dataset = dataset_url(dataset, archive) if is_doi(dataset) else dataset
    remote = is_remote(dataset)
    if remote:
        place = urlsplit(dataset)
        root = f"{place.scheme}://{place.netloc}"
    else:
        root = local_path(dataset).resolve().parent.as_uri()
    listed = read_json(dataset, archive | {"dataset": dataset}, LARGEST_LIST_BYTES)
    return parts_of(listed, root, remote, suffixes)


def _check_entry(entry: object, root: str) -> None:
    """Raise an `InputError` if an entry does not say what is read of it, in the types expected."""

    def is_text(value: object) -> bool:
        return isinstance(value, str) and value.isprintable()

    data = entry.get("dataFile") if isinstance(entry, dict) else None
    if not isinstance(data, dict) or not is_text(entry.get("label")):
        wrong = "a file without label or dataFile"
    elif not is_text(data.get("originalFileName") or ""):
        wrong = f"originalFileName {data['originalFileName']!r:.80}"
    elif not is_text(entry.get("directoryLabel") or ""):
        wrong = f"directoryLabel {entry['directoryLabel']!r:.80}"
    elif not re.fullmatch(r"\d{1,18}", str(data.get("id")), re.ASCII):
        wrong = f"id {data.get('id')!r:.80}"
    elif not all(
        type(size) is int and 0 <= size < _LARGEST_BYTES
        for size in (data.get("filesize"), data.get("originalFileSize") or 0)
    ):
        wrong = f"sizes {data.get('filesize')!r:.40} and {data.get('originalFileSize')!r:.40}"
    elif not isinstance(data.get("checksum") or {}, dict) or not is_text(_md5_of(data) or ""):
        wrong = f"checksum {data.get('checksum') or data.get('md5')!r:.80}"
    else:
        return
    raise InputError(
        where=root,
        found=wrong,
        expected="a file as a Dataverse describes it",
        fix="correct the address, or place a copy by hand",
    )


def _md5_of(data: dict) -> str | None:
    checksum = data.get("checksum") or {}
    if checksum.get("type") == "MD5":
        return checksum.get("value")
    return data.get("md5")
