"""The tables of cells and labels of a screen, described: names, roles in the join, features."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcvae_ops.archive.patterns import Pattern
from mcvae_ops.archive.table_address import TableAddress, table_address
from mcvae_ops.archive.table_header import Header
from mcvae_ops.archive.vector_files import open_vectors, vector_pattern
from mcvae_ops.cells.columns import DOSE, OUR_NAMES, POSITION, Named
from mcvae_ops.cells.feature_names import sort_columns
from mcvae_ops.embeddings.spaces import chosen_columns
from mcvae_ops.errors import InputError
from mcvae_ops.screen import control_values, only_tile

# The array of obsm that holds positions, by the convention of scanpy and squidpy: x, then y.
_SPATIAL = {"x_px": "spatial_0", "y_px": "spatial_1"}
# Names of more than one cell: a table that adds them says something of images, wells or guides.
OF_GROUPS = {"plate", "well", "tile", "guide", "gene", "role", DOSE}


@dataclass(frozen=True)
class Entry:
    """A table of the configuration.

    Attributes
    ----------
    key
        Its key: ``cells``, or ``labels[1]``.
    table
        Its section: table, columns, parse.
    address
        Where its files are.
    is_label
        Whether it stands under ``labels``.
    vectors
        Where the arrays of vectors beside it are, by their name.
    """

    key: str
    table: dict
    address: TableAddress
    is_label: bool
    vectors: dict[str, Pattern]

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Map the arrays of vectors beside a file of the table, by the path of that file."""
        place = (self.address.place(name) or {}) | (self.address.spelled(name) or {})
        return {key: open_vectors(pattern, place) for key, pattern in self.vectors.items()}


@dataclass(frozen=True)
class Described:
    """A table and what its header says.

    Attributes
    ----------
    entry
        The table of the configuration.
    named
        Its names.
    reasons
        Of every column: None for a feature, or why it is none.
    """

    entry: Entry
    named: Named
    reasons: dict[str, str | None]

    @property
    def features(self) -> list[str]:
        """Columns that are features."""
        return [name for name, reason in self.reasons.items() if reason is None]


def entries_of(cells: Sequence[dict], labels: Sequence[dict], root: str | None) -> list[Entry]:
    """Return the tables of the sections ``cells`` and ``labels``, in their order."""
    entries = []
    for section, tables in (("cells", cells), ("labels", labels)):
        for number, table in enumerate(tables):
            key = section if len(tables) == 1 else f"{section}[{number}]"
            if table["table"] is not None:
                address = table_address(table["table"], f"configuration key {key}.table", root)
                vectors = {
                    name: vector_pattern(text, f"configuration key {key}.vectors.{name}", root)
                    for name, text in table.get("vectors", {}).items()
                }
                entries.append(Entry(key, table, address, section == "labels", vectors))
    return entries


def describe(entry: Entry, name: str, header: Header, screen: dict) -> Described:
    """Describe a table by the header of one of its files.

    Parameters
    ----------
    entry
        The table.
    name
        Path of the file, which may say plate, well or stage.
    header
        Of the file.
    screen
        plates, features and not_features of the configuration; and, of embeddings that others made,
        the spaces of each.

    Raises
    ------
    InputError
        If columns are missing, or used and there twice: all of them in one sentence.
    """
    place = entry.address.place(name) or {}
    named = Named(entry.table, entry.key, name, header, place, list(screen["plates"]))
    spaces = screen.get("spaces")
    if spaces and entry.is_label:
        spaces = {}  # a vector is of a cell
    reasons = sort_columns(header, named.used, screen["features"], screen["not_features"], spaces)
    used = {*named.used, *(column for column, reason in reasons.items() if reason is None)}
    if twice := [column for column in header.twice if column in used]:
        raise InputError.twice(
            where=f"table {name}",
            what=f"column {', '.join(map(repr, twice))}",
            fix="rename or remove one of the two, or name it in screen.not_features",
        )
    return Described(entry, named, reasons)


def joins_of(tables: Sequence[Described]) -> tuple[list[Described], list[Described]]:
    """Return the tables that add labels and places, and further ones with one row per cell.

    A table that adds a plate, well, tile, guide, gene, role or dose says something of images, wells
    or guides, and its other columns are no features of cells. A table that adds none of these holds
    features (or positions) of each cell.

    Parameters
    ----------
    tables
        All tables; the first has one row per cell.

    Raises
    ------
    InputError
        If a table shares no name with those before it, or adds nothing.
    """
    known = set(tables[0].named.names)
    lookups, of_cells = [], []
    for table in tables[1:]:
        names = set(table.named.names)
        if not names & known:
            raise InputError(
                where=f"configuration key {table.entry.key}",
                found=f"the names {', '.join(sorted(names)) or 'none'}",
                expected=f"a name of the tables before it ({', '.join(sorted(known))})",
                fix="name the columns that both are joined by, under columns of both tables",
            )
        is_lookup = table.entry.is_label or bool((names - known) & OF_GROUPS)
        if not names - known and (is_lookup or not table.features):
            raise InputError(
                where=f"configuration key {table.entry.key}",
                found=f"the names {', '.join(sorted(names))} alone, which are known already",
                expected="a further name, or features",
                fix="name what the table adds, or leave it out",
            )
        (lookups if is_lookup else of_cells).append(table)
        known |= names
    measured = Counter(column for table in [tables[0], *of_cells] for column in table.features)
    if twice := [column for column, n in measured.items() if n > 1]:
        raise InputError.twice(
            where="the tables of cells",
            what=f"feature {', '.join(twice[:8])}",
            fix="rename the column in one of the tables, or name it in screen.not_features",
        )
    return lookups, of_cells


def check_names(tables: Sequence[Described], screen: dict) -> None:
    """Raise an `InputError` if no table says what is needed of each cell: all of it at once.

    So does a name of the user's own that joins no tables, which may be a slip.

    Parameters
    ----------
    tables
        All tables of the screen.
    screen
        plates, tiles, cut_px and control of the configuration.
    """
    _check_own_names(tables)
    known = _names(tables)
    positions = needs_positions(tables, screen)
    wells = screen["plates"].values()
    label = control_values(screen["control"])[0]
    needed = {
        "plate": len(wells) > 1,
        "well": max(map(len, wells)) > 1,
        "tile": screen["cut_px"] is None and only_tile(screen["tiles"]) is None,
        "y_px": positions,
        "x_px": positions,
        "gene": True,
        label: True,
    }
    if missing := [name for name, is_needed in needed.items() if is_needed and name not in known]:
        columns = list(dict.fromkeys(c for table in tables for c in table.reasons))
        raise InputError.missing(
            where="the tables of cells and labels",
            what=", ".join(missing),
            why=f"their columns are {', '.join(columns[:12])}"
            + (" ..." if len(columns) > 12 else ""),
            fix="name the columns under cells.columns or labels.columns"
            + (_how_to_name_spatial(columns) if "y_px" in missing else ""),
        )


def _check_own_names(tables: Sequence[Described]) -> None:
    counts = Counter(name for table in tables for name in table.named.names)
    for table in tables:
        for name in table.entry.table["columns"]:
            if name not in OUR_NAMES and counts[name] == 1:
                raise InputError(
                    where=f"configuration key {table.entry.key}.columns.{name}",
                    found="a name that no other table has",
                    expected=f"{', '.join(OUR_NAMES)}, or a name by which two tables are joined",
                    fix="remove it, or name it so (replicates are told by plate and well: see "
                    "screen.batch)",
                )


def _how_to_name_spatial(columns: Sequence[str]) -> str:
    if not {*_SPATIAL.values()} <= {*columns}:
        return ""
    named = ", ".join(f"{ours}: {theirs}" for ours, theirs in _SPATIAL.items())
    return f'; obsm["spatial"] has positions, x first: cells.columns: {{{named}}}'


def needs_positions(tables: Sequence[Described], screen: dict) -> bool:
    """Say whether every cell needs a position.

    A cell with a crop needs none, and neither does one that others embedded, unless a table has
    positions, or the screen is cut or compared by them.
    """
    known = _names(tables)
    if "crop" in known:
        return False
    is_used = screen["cut_px"] is not None or screen.get("duplicates") is not None
    return "spaces" not in screen or is_used or not known.isdisjoint(POSITION)


def _names(tables: Sequence[Described]) -> set[str]:
    return {name for table in tables for name in table.named.names}


def check_features(tables: Sequence[Described], screen: dict) -> None:
    """Raise an `InputError` if no cell has a feature, and the configuration does not say so.

    Of embeddings that others made, every space needs its columns.

    Parameters
    ----------
    tables
        Tables with one row per cell, the first one first.
    screen
        features of the configuration, and the spaces of embeddings that others made.
    """
    if spaces := screen.get("spaces"):
        features = [name for table in tables for name in table.features]
        for model, of_model in spaces.items():
            chosen_columns(of_model, features, "the tables of cells", f"embeddings.{model}")
        return
    is_said = not screen["features"] or tables[0].entry.table.get("measure") is False
    if is_said or any(table.features for table in tables):
        return
    reasons = Counter(reason for table in tables for reason in table.reasons.values())
    listed = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common(5))
    raise InputError(
        where="configuration key screen.features",
        found=f"no feature in the tables of cells (columns: {listed})",
        expected="columns of numbers that are measured of each cell, or an empty list",
        fix="set it to [], which leaves out CellProfiler as a model and figures 4D and 4E",
    )
