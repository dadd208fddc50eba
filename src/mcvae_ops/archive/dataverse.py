"""The data set of cell features: its parts, as a Dataverse lists them."""

import logging
from pathlib import PurePosixPath
from urllib.parse import quote, urlsplit

import pandas as pd

from mcvae_ops.archive.transfer import is_remote, local_path, read_json
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet

logger = logging.getLogger(__name__)

COLUMNS = ["name", "directory", "address", "size_bytes", "md5"]


def parts_of(content: dict, root: str, remote: bool) -> pd.DataFrame:
    """List the parquet parts of a data set.

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
        If the data set cannot be had, has no parquet part, or one that is restricted.
    """
    if content.get("status") != "OK":
        raise InputError(
            root,
            f"status {content.get('status')}: {content.get('message')}",
            "a data set",
            "correct archive.dataset",
        )
    rows = []
    files = content["data"]["latestVersion"]["files"]
    for entry in files:
        name, directory = entry["label"], entry.get("directoryLabel") or ""
        if PurePosixPath(name).suffix not in {".parquet", ".pq"}:
            continue
        if entry.get("restricted"):
            raise InputError(
                root, f"{directory}/{name} restricted", "an open file", "place a copy by hand"
            )
        data = entry["dataFile"]
        converted = bool(data.get("originalFileFormat"))
        if remote:
            address = f"{root}/api/access/datafile/{data['id']}"
            address += "?format=original" if converted else ""
        else:
            address = f"{root}/{quote(str(PurePosixPath(directory, name)))}"
        size_bytes = data.get("originalFileSize") if converted else data["filesize"]
        md5 = None if converted else data.get("md5")
        rows.append((name, directory, address, size_bytes, md5))
    logger.info("%d parquet parts, %d other files", len(rows), len(files) - len(rows))
    if not rows:
        raise InputError(
            root, f"{len(files)} files, none of them parquet", "parts of a feature table",
            "correct archive.dataset",
        )  # fmt: skip
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"size_bytes": "Int64"})
    return table.sort_values(["directory", "name"], ignore_index=True)


def list_feature_parts(dataset: str, feature_parts: str) -> None:
    """Rule list_feature_parts: one row per part of the feature table."""
    remote = is_remote(dataset)
    if remote:
        parts = urlsplit(dataset)
        root = f"{parts.scheme}://{parts.netloc}"
    else:
        root = local_path(dataset).resolve().parent.as_uri()
    write_parquet(parts_of(read_json(dataset), root, remote), feature_parts)
