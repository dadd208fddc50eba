"""The lists that the configuration names: their files, verified, as tidy tables."""

from dataclasses import dataclass, field

import pandas as pd

from mcvae_ops.archive.annotations.list_formats import place_and_name, rows_of
from mcvae_ops.archive.annotations.text_rows import Rows
from mcvae_ops.archive.annotations.tidy_lists import TIDY
from mcvae_ops.archive.annotations.unpacking import MOST_BYTES
from mcvae_ops.archive.content import digest_of
from mcvae_ops.archive.transfer import opened
from mcvae_ops.errors import InputError

COMPLEXES, PAIRS = "corum", "pairs"


@dataclass(frozen=True)
class Listed:
    """A list as the configuration names it.

    Attributes
    ----------
    name
        Name of the list: a key of ``archive.annotations`` or of its ``pairs``.
    kind
        What it lists: a key of `TIDY`.
    table
        Path or address; one of several lists behind a ``#``.
    sha256
        Checksum that the file must have, or None.
    columns
        Our names -> those in the header, where they are unusual.
    """

    name: str
    kind: str
    table: str
    sha256: str | None = None
    columns: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its key in the configuration."""
        name = f"{PAIRS}.{self.name}" if self.kind == PAIRS else self.name
        return f"archive.annotations.{name}"

    @property
    def place(self) -> str:
        """Path or address of its file."""
        return place_and_name(self.table)[0]


def listed_sources(annotations: dict) -> list[Listed]:
    """Return the lists that the configuration names, in its order; those that are null are none.

    Parameters
    ----------
    annotations
        Section of the configuration: an address each, or ``{table, sha256, columns}``.
    """
    entries = [(key, key, entry) for key, entry in annotations.items() if key != PAIRS]
    entries += [(name, PAIRS, entry) for name, entry in annotations[PAIRS].items()]
    return [
        Listed(name, kind, **(entry if isinstance(entry, dict) else {"table": entry}))
        for name, kind, entry in entries
        if entry is not None
    ]


def read_content(listed: Listed, archive: dict) -> tuple[bytes, str]:
    """Return the bytes of a list and their sha256.

    Raises
    ------
    InputError
        If the file is missing, or has another checksum than the configuration says.
    """
    with opened(listed.place, archive, listed.sha256, MOST_BYTES) as path:
        return path.read_bytes(), digest_of(path)


def tidy_list(listed: Listed, content: bytes, organism: str | int) -> pd.DataFrame:
    """Return the tidy table of a list; see `mcvae_ops.archive.annotations.tidy_lists`.

    Raises
    ------
    InputError
        If the file cannot be read, or has no row.
    """
    return _tidy(listed, rows_of(content, listed.table), organism)


def check_list(listed: Listed, content: bytes) -> None:
    """Raise what `tidy_list` raises for the header and the first lines of a list."""
    _tidy(listed, rows_of(content, listed.table, head=True), None)


def _tidy(listed: Listed, rows: Rows, organism: str | int | None) -> pd.DataFrame:
    about = (listed.columns, organism) if listed.kind == COMPLEXES else (listed.columns,)
    table = TIDY[listed.kind](rows, *about)
    if table.empty:
        raise InputError(
            where=f"{listed.key} ({listed.place})",
            found="no gene",
            expected="a list with genes",
            fix="replace it, or set it to null",
        )
    return table
