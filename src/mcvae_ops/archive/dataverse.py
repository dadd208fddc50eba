"""The data set of cell features: its parts, as a Dataverse lists them."""

import logging
import re
from pathlib import PurePosixPath
from urllib.parse import quote, urlsplit

import pandas as pd

from mcvae_ops.archive.parts import ARCHIVES, PARQUET
from mcvae_ops.archive.transfer import is_remote, local_path, read_json
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet

logger = logging.getLogger(__name__)

_LARGEST_BYTES = 1 << 62
COLUMNS = ["name", "directory", "address", "size_bytes", "md5"]


def parts_of(content: dict, root: str, remote: bool) -> pd.DataFrame:
    """List the parts of a data set: parquet files, and archives that may hold some.

    Parameters
    ----------
    content
        The answer of the API, or a file in its shape.
    root
        Address of the server, or of the folder that holds the parts; no slash at its end.
    remote
        Whether parts are fetched by their number, or lie in folders below `root`.

    Returns
    -------
    Columns name, directory, address, size_bytes, md5, by directory and name. A table that the
    Dataverse has converted is asked for in its original form, whose checksum is not published.

    Raises
    ------
    InputError
        If the data set cannot be had, has no part, or one that is restricted.
    """
    if not isinstance(content, dict) or content.get("status") != "OK":
        content = content if isinstance(content, dict) else {}
        raise InputError(
            where=root,
            found=f"status {content.get('status')}: {content.get('message')}",
            expected="a data set",
            fix="correct archive.dataset",
        )
    rows = []
    try:
        files = content["data"]["latestVersion"]["files"]
    except (KeyError, TypeError):
        raise InputError(
            where=root,
            found="no data.latestVersion.files",
            expected="a data set",
            fix="correct archive.dataset",
        ) from None
    for entry in files if isinstance(files, list) else [files]:
        _check_entry(entry, root)
        name, directory = entry["label"], entry.get("directoryLabel") or ""
        if not name.lower().endswith(PARQUET + ARCHIVES):
            continue
        if ".." in PurePosixPath(directory, name).parts:
            raise InputError(
                where=root,
                found=f"the part {directory}/{name}",
                expected="a name",
                fix="place a copy by hand",
            )
        if entry.get("restricted"):
            raise InputError(
                where=root,
                found=f"{directory}/{name} restricted",
                expected="an open file",
                fix="place a copy by hand",
            )
        data = entry["dataFile"]
        converted = bool(data.get("originalFileFormat"))
        if remote:
            address = f"{root}/api/access/datafile/{data['id']}"
            address += "?format=original" if converted else ""
        else:
            address = f"{root}/{quote(str(PurePosixPath(directory, name)))}"
        size_bytes = data.get("originalFileSize") if converted else data["filesize"]
        md5 = None if converted else _md5_of(data)
        rows.append((name, directory, address, size_bytes, md5))
    logger.info("%d parts, %d other files", len(rows), len(files) - len(rows))
    if not rows:
        raise InputError(
            where=root,
            found=f"{len(files)} files, none of them parquet, tar or zip",
            expected="parts of a feature table",
            fix="correct archive.dataset",
        )
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"size_bytes": "Int64"})
    return table.sort_values(["directory", "name"], ignore_index=True)


def list_feature_parts(archive: dict, feature_parts: str) -> None:
    """Rule list_feature_parts: one row per part of the feature table.

    Parameters
    ----------
    archive
        ``dataset``: path or address of the data set. And how files are fetched.
    feature_parts
        Output.
    """
    dataset = archive["dataset"]
    remote = is_remote(dataset)
    if remote:
        parts = urlsplit(dataset)
        root = f"{parts.scheme}://{parts.netloc}"
    else:
        root = local_path(dataset).resolve().parent.as_uri()
    write_parquet(parts_of(read_json(dataset, archive), root, remote), feature_parts)


def _check_entry(entry: object, root: str) -> None:
    """Raise an `InputError` if an entry does not say what is read of it, in the types expected."""

    def is_text(value: object) -> bool:
        return isinstance(value, str) and value.isprintable()

    data = entry.get("dataFile") if isinstance(entry, dict) else None
    if not isinstance(data, dict) or not is_text(entry.get("label")):
        wrong = "a file without label or dataFile"
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
        fix="correct archive.dataset, or place a copy by hand",
    )


def _md5_of(data: dict) -> str | None:
    checksum = data.get("checksum") or {}
    if checksum.get("type") == "MD5":
        return checksum.get("value")
    return data.get("md5")
