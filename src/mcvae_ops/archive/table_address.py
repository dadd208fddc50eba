"""The address of a table: where its files lie, which of them belong to it, and what they are of.

``doi:10.7910/DVN/VYKTI5/{stage}-{*}`` are the files of a Dataverse dataset, or the folders and
archives there, whose names begin with a stage. An address that names a folder, or an archive (zip,
tar), means all tables in it. ``cells.sqlite#Nuclei`` is one table of a database.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from mcvae_ops.archive.addresses import DATASET, is_absolute
from mcvae_ops.archive.patterns import Pattern, is_too_long, well_of

_DATASET = re.compile(rf"(.*?/api/datasets/\S*?persistentId=)?({DATASET})(?:/(.*))?")
_LISTED = re.compile(r"(.*?\.json)(?:/(.*))?", re.IGNORECASE)
_IN_DATABASE = re.compile(r"(.*\.(?:sqlite3?|db))#(\w+)", re.IGNORECASE)
_HIVE = re.compile(r"([^/=]+)=([^/]*)")


@dataclass(frozen=True)
class TableAddress:
    """An address, taken apart.

    Attributes
    ----------
    dataset
        Path or address of a Dataverse dataset that lists the files; None where folders do.
    root
        Where the paths of its files begin, with a slash at its end; None means the archive's.
    names
        Pattern of the paths below the root.
    table
        Name of the table in a database; None elsewhere.
    """

    dataset: str | None
    root: str | None
    names: Pattern
    table: str | None

    def place(self, path: str, is_archive: bool = False) -> dict[str, str] | None:
        """Return what a path says, see `spelled`; row and column say the well, in its one form."""
        found = self.spelled(path, is_archive)
        if found is None:
            return None
        well = well_of(found)
        found |= {} if well is None else {"well": well}
        return {name: found[name] for name in found if name not in ("row", "column")}

    def spelled(self, path: str, is_archive: bool = False) -> dict[str, str] | None:
        """Return the values of the fields in a path; None if the path is not of this table.

        Parameters
        ----------
        path
            Below the root; names within an archive follow the name of the archive.
        is_archive
            Whether it is a whole archive: then its members may say the rest of the pattern.

        Returns
        -------
        The fields of the pattern as the path spells them, and the names of folders such as
        ``well=A1``.
        """
        if is_too_long(path):
            return None
        steps, pattern = path.split("/"), self.names
        n_steps = pattern.text.count("/") + 1
        if is_archive and len(steps) < n_steps:
            pattern = Pattern("/".join(pattern.text.split("/")[: len(steps)]), pattern.where)
        match = pattern.regex().fullmatch("/".join(steps[:n_steps]))
        if match is None and pattern.text:
            return None
        found = match.groupdict() if match else {}
        return {name: unquote(value) for name, value in _HIVE.findall("/".join(steps[:-1]))} | found

    def file(self) -> str | None:
        """Return the path of its only file, where no listing is needed to know it."""
        if self.dataset is not None or not self.names.text or self.names.pieces[0].field:
            return None
        if len(self.names.pieces) > 1:
            return None
        root = "" if self.root in (None, ".") else self.root.rstrip("/") + "/"
        return root + self.names.text


def table_address(text: str, where: str, root: str | None = None) -> TableAddress:
    """Take the address of a table apart.

    Parameters
    ----------
    text
        The address, as the configuration has it.
    where
        Configuration key, for errors.
    root
        ``archive.root``: where relative addresses begin; None is the working folder.
    """
    table = None
    if match := _IN_DATABASE.fullmatch(text):
        text, table = match.groups()
    if match := _DATASET.fullmatch(text):
        server, doi, names = match.groups()
        return TableAddress((server or "") + doi, None, Pattern(names or "", where), table)
    if match := _LISTED.fullmatch(text):
        listed, names = match.groups()
        is_whole = root is None or is_absolute(listed)
        dataset = listed.removeprefix("./") if is_whole else f"{root.rstrip('/')}/{listed}"
        return TableAddress(dataset, None, Pattern(names or "", where), table)
    if not is_absolute(text):
        return TableAddress(None, root, Pattern(text, where), table)
    text = text.removeprefix("./")  # rules know their files without it
    fixed = text.rstrip("/").partition("{")[0]
    end = fixed.rfind("/") + 1
    return TableAddress(None, text[:end] or ".", Pattern(text[end:].rstrip("/"), where), table)


def named_fields(tables: list[Mapping]) -> set[str]:
    """Return the names that addresses, columns and parsed texts of some tables say.

    Parameters
    ----------
    tables
        Sections ``cells`` or ``labels`` of the configuration.
    """
    names = set()
    for table in tables:
        names |= set(table["columns"])
        names |= {f for text in table["parse"].values() for f in Pattern(text).fields}
        if table["table"] is not None:
            names |= table_address(table["table"], "cells.table").names.fields
    return names
