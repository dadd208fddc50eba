"""The data set of cell features: its parts, as a Dataverse lists them."""

import logging
from pathlib import PurePosixPath
from urllib.parse import quote, urlsplit

import pandas as pd

from mcvae_ops.archive.parts import ARCHIVES, PARQUET
from mcvae_ops.archive.table_address import is_doi, table_address
from mcvae_ops.archive.transfer import is_remote, local_path, read_json
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet

logger = logging.getLogger(__name__)

RESOLVER = "https://doi.org/api/handles/"
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
            fix="correct cells.table",
        )
    rows = []
    try:
        files = content["data"]["latestVersion"]["files"]
    except (KeyError, TypeError):
        raise InputError(
            where=root,
            found="no data.latestVersion.files",
            expected="a data set",
            fix="correct cells.table",
        ) from None
    for entry in files:
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
            fix="correct cells.table",
        )
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"size_bytes": "Int64"})
    return table.sort_values(["directory", "name"], ignore_index=True)


def dataset_url(doi: str, archive: dict) -> str:
    """Return the address of a dataset's latest version, from its DOI.

    The DOI resolves to the page of the dataset, on the Dataverse that publishes it.
    """
    answer = read_json(f"{RESOLVER}{doi.removeprefix('doi:')}", archive)
    values = answer.get("values", []) if isinstance(answer, dict) else []
    for entry in values:
        if entry.get("type") == "URL":
            page = urlsplit(entry["data"]["value"])
            api = f"{page.scheme}://{page.netloc}/api/datasets/:persistentId/"
            return f"{api}?persistentId={doi}"
    raise InputError(
        where=f"configuration key cells.table, {doi}",
        found="no address that this DOI stands for",
        expected="the DOI of a Dataverse dataset",
        fix="correct it",
    )


def list_feature_parts(cells: list[dict], archive: dict, feature_parts: str) -> None:
    """Rule list_feature_parts: one row per part of the feature table.

    Parameters
    ----------
    cells
        Section of the configuration.
    archive
        How files are fetched.
    feature_parts
        Output.
    """
    dataset = table_address(cells[0]["table"], "configuration key cells.table").dataset
    dataset = dataset_url(dataset, archive) if is_doi(dataset) else dataset
    remote = is_remote(dataset)
    if remote:
        parts = urlsplit(dataset)
        root = f"{parts.scheme}://{parts.netloc}"
    else:
        root = local_path(dataset).resolve().parent.as_uri()
    write_parquet(parts_of(read_json(dataset, archive), root, remote), feature_parts)


def _md5_of(data: dict) -> str | None:
    checksum = data.get("checksum") or {}
    if checksum.get("type") == "MD5":
        return checksum.get("value")
    return data.get("md5")
