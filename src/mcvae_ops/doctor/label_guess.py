"""Which tables say where cells are and what was done to them, and how they join."""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from mcvae_ops.archive.patterns import well_name
from mcvae_ops.cells.feature_names import sort_columns
from mcvae_ops.doctor.finding import Finding
from mcvae_ops.doctor.table_guess import TableFacts, column_has, is_control, share_of
from mcvae_ops.screen import is_like

_LEAST_SHARE = 0.2
_FEW_CELLS = 5  # of a tile: a table with fewer is an excerpt


@dataclass
class Joined:
    """Tables of cells and labels.

    Attributes
    ----------
    cells, labels
        Entries of the configuration.
    used
        Table to the names that it gives.
    controls_apart
        Whether controls stand in wells of their own; None where it is not known.
    control
        Key ``screen.control``; None where nothing looks like a control.
    features
        Columns that are features, and those that are none with the reason.
    question
        About positions; or None.
    """

    cells: list[dict] = field(default_factory=list)
    labels: list[dict] = field(default_factory=list)
    used: list[tuple[TableFacts, dict[str, str]]] = field(default_factory=list)
    controls_apart: bool | None = None
    control: object = None
    features: dict[str, str | None] = field(default_factory=dict)
    question: str | None = None


def table_of_cells(tables: Sequence[TableFacts], n_tiles: int) -> TableFacts | None:
    """Return the table that has a row per cell, with positions or crops; None if there is none.

    Parameters
    ----------
    tables
        Of the address.
    n_tiles
        Of the images: a table with few rows for them is an excerpt, and comes last.
    """
    placed = [t for t in tables if {"y_px", "x_px"} <= set(t.roles) or "crop" in t.roles]

    def rank(table: TableFacts) -> tuple:
        is_excerpt = table.n_rows is not None and table.n_rows < _FEW_CELLS * n_tiles
        n_places = len({"well", "well_row", "tile", "image"} & set(table.roles))
        return is_excerpt, -("stage" in table.fields), -n_places, -sum(table.shares.values())

    return min(placed, key=rank) if placed else None


def join(
    cells: TableFacts | None,
    tables: Sequence[TableFacts],
    places: Mapping[str, set[str]],
    root: str,
) -> Joined:
    """Join the table of cells (None where images show the cells) with those that give labels.

    Parameters
    ----------
    cells, tables
        Of the address.
    places
        See `find_tables`.
    root
        What stands before the addresses of the tables, as the configuration names them.
    """
    joined = Joined()
    have: set[str] = {"plate", "well", "tile"}
    if cells is not None:
        names = _names(
            cells,
            ("plate", "well", "tile", "y_px", "x_px", "guide", "gene", "role", "stage", "crop"),
        )
        have = set(names) | cells.fields
        _add_shifts(cells, names, joined)
        partner = None
        if not {"well", "crop"} & have:
            partner = _images_of(cells, tables)
        if partner is not None:
            image = _image_key(cells, partner)
            names |= {"image": image}
            where = {"image": image} | _names(partner, ("plate", "well", "tile"))
            where = {k: v for k, v in where.items() if k not in partner.fields}
            joined.used += [(cells, names), (partner, where)]
            joined.cells = [_entry(cells, names, root), _entry(partner, where, root)]
            have |= set(where)
        else:
            joined.used.append((cells, names))
            joined.cells = [_entry(cells, names, root)]
    _add_labels(joined, tables, have, places, root)
    _find_controls(joined)
    for table, names in joined.used[: len(joined.cells)]:
        columns = {c for text in names.values() for c in _columns_in(text)}
        joined.features |= sort_columns(table.header, columns, ["*"], [])
    return joined


def _add_shifts(cells: TableFacts, names: dict[str, str], joined: Joined) -> None:
    """Add the columns of an alignment to positions that were measured before it."""
    for ours, letter in (("y_px", "Y"), ("x_px", "X")):
        shifts = [c for c in cells.header.kinds if re.fullmatch(rf"(?i)align_{letter}shift_\w+", c)]
        if shifts and ours in names:
            names[ours] = f"{{{names[ours]}}} + {{{shifts[0]}}}"
            joined.question = (
                f"were positions measured before the alignment, as the columns {shifts[0]} "
                "and so on let expect, and are shifts added (not subtracted)? The run compares "
                "positions with the images."
            )


def _columns_in(text: str) -> list[str]:
    found = [name for _, name, *_ in string.Formatter().parse(text) if name]
    return found or [text]


def _names(table: TableFacts, wanted: Sequence[str]) -> dict[str, str]:
    """Return our name to column or expression, for the roles of a table."""
    names = {role: table.roles[role] for role in wanted if role in table.roles}
    has_parts = {"well_row", "well_column"} <= set(table.roles)
    if "well" in wanted and "well" not in names and has_parts:
        row, column = table.roles["well_row"], table.roles["well_column"]
        names["well"] = f"{{{row}}}{{{column}}}"
    if "guide" in wanted and "guide" not in names and {"gene", "dose"} <= set(table.roles):
        names["dose"] = table.roles["dose"]
    return {name: text for name, text in names.items() if name not in table.fields}


def _entry(table: TableFacts, names: Mapping[str, str], root: str) -> dict:
    columns = {name: text for name, text in names.items() if name != text}
    return {"table": f"{root}{table.address}"} | ({"columns": columns} if columns else {})


def _images_of(cells: TableFacts, tables: Sequence[TableFacts]) -> TableFacts | None:
    """Return CellProfiler's table of images beside its table of objects."""
    if "image" not in cells.roles:
        return None
    beside = [t for t in tables if t is not cells and {"image", "well"} <= set(t.roles)]
    same = [t for t in beside if t.address.partition("#")[0] == cells.address.partition("#")[0]]
    return next(iter(same or beside), None)


def _image_key(cells: TableFacts, images: TableFacts) -> str:
    """Return what tells images apart in both tables: their numbers begin anew in each batch."""
    both = [n for n in ("TableNumber",) if n in cells.header.kinds and n in images.header.kinds]
    key = cells.roles["image"]
    return f"{{{both[0]}}}/{{{key}}}" if both else key


def _add_labels(
    joined: Joined, tables: Sequence[TableFacts], have: set[str], places: Mapping, root: str
) -> None:
    """Add tables until cells have a gene or a role: by the names that they share with others."""
    rest = [
        t for t in tables if t not in [table for table, _ in joined.used] and "y_px" not in t.roles
    ]
    for _ in range(3):
        if "gene" in have and (joined.used and _says_control(joined)):
            return
        best, best_rank = None, (0, 0.0)
        for table in rest:
            names = _names(table, ("plate", "well", "guide", "gene", "role"))
            keys = [name for name in names if name in have and name in ("guide", "well", "plate")]
            new = [
                name
                for name in ("gene", "role", "guide", "dose")
                if name in names and name not in have
            ]
            if not new or not {"guide", "well"} & set(keys):
                continue
            fits = min(_fit(joined, table, name, names[name], places) for name in keys)
            if "plate" in keys and fits < _LEAST_SHARE:  # a map of one plate for all of them
                names.pop("plate")
                keys.remove("plate")
                fits = min(_fit(joined, table, name, names[name], places) for name in keys)
            # A further table that joins by the guide gives no second guide.
            rank = (("gene" in new or "role" in new) + ("guide" in keys), fits)
            if fits >= _LEAST_SHARE and rank > best_rank:
                kept = {n: c for n, c in names.items() if n in keys or n in new}
                best, best_rank = (table, kept), rank
        if best is None:
            return
        table, names = best
        rest.remove(table)
        joined.used.append((table, names))
        joined.labels.append(_entry(table, names, root))
        have |= set(names)


def _says_control(joined: Joined) -> bool:
    return any(
        name in names and _values(t, names[name]).map(is_control).any()
        for t, names in joined.used
        for name in ("gene", "role")
    )


def _values(table: TableFacts, column: str) -> pd.Series:
    if not column_has(table.rows, column):
        return pd.Series([], dtype=object)
    return table.rows[column].dropna()


def _fit(
    joined: Joined, table: TableFacts, name: str, column: str, places: Mapping[str, set[str]]
) -> float:
    """Return the share of values of a key that what is there has, too; a guess where unknown."""
    if name == "guide":
        there = [_values(t, names["guide"]) for t, names in joined.used if "guide" in names]
        known = {value for values in there for value in values}
        # Of the cells, since a library may be far larger than a screen.
        own = set(_values(table, column))
        return sum(value in own for value in known) / len(known) if known and own else 0.5
    if "{" in column:
        return 0.5
    known = set(places[name]) if name != "well" else {well_name(w) for w in places["well"]}
    return share_of(_values(table, column), known, name)


def _find_controls(joined: Joined) -> None:
    for name in ("role", "gene"):
        for table, names in joined.used:
            if name not in names:
                continue
            values = _values(table, names[name])
            found = [v for v, _ in Counter(values[values.map(is_control)]).most_common()]
            if found:
                found = _as_patterns(found)
                value = found[0] if len(found) == 1 else found
                joined.control = {"role": value} if name == "role" else value
                joined.controls_apart = _are_apart(joined, table, names, values, found)
                return


def _as_patterns(found: list[str]) -> list[str]:
    """Return values, or what many of them begin with: nontargeting_1 ... are ``nontargeting*``."""
    if len(found) <= 4:
        return found
    heads = {value.rstrip("0123456789").rstrip("_-. ") for value in found}
    return [f"{head}*" for head in sorted(heads)] if len(heads) <= 4 else found


def _are_apart(
    joined: Joined, table: TableFacts, names: Mapping, values: pd.Series, controls: list[str]
) -> bool | None:
    """Say whether wells with controls hold nothing else; None where too little is known."""
    marked = set(values[values.map(lambda v: is_like(v, controls))])
    labelled = table.rows.assign(is_ntc=table.rows[names[_label(names)]].isin(marked))
    if not joined.cells or table is not joined.used[0][0]:
        by_well = [(t, n) for t, n in joined.used[len(joined.cells) :] if "well" in n]
        if by_well:
            return True  # a plate map: one label for all cells of a well
        return False if "guide" in names else None  # a pool of guides in every well
    if "well" not in names or not column_has(table.rows, names["well"]):
        return False if "guide" in names else None
    kinds = labelled.groupby(names["well"])["is_ntc"].nunique()
    return bool((kinds == 1).all())


def _label(names: Mapping[str, str]) -> str:
    return "role" if "role" in names else "gene"


def label_findings(
    joined: Joined, wells: Sequence[tuple[str, str]], plate_map: str
) -> list[Finding]:
    """Return what the tables say of cells, labels, controls and features.

    Parameters
    ----------
    joined
        See `join`.
    wells
        (plate, well) of the images.
    plate_map
        Where a plate map to fill in lies, for screens that have no labels.
    """
    findings = []
    if joined.cells:
        value = joined.cells[0] if len(joined.cells) == 1 else joined.cells
        table, _ = joined.used[0]
        n_rows = "" if table.n_rows is None else f" ({table.n_rows:,} rows in the first file)"
        shares = ", ".join(f"{name} {share:.0%}" for name, share in table.shares.items())
        findings.append(
            Finding(
                "cells",
                value,
                f"{len(table.paths)} files{n_rows}; values that "
                f"the names of the images have: {shares or 'not compared'}.",
                joined.question,
            )
        )
    has_gene = any("gene" in names or "role" in names for _, names in joined.used)
    if joined.labels:
        value = joined.labels[0] if len(joined.labels) == 1 else joined.labels
        said = "; ".join(
            f"{t.address} gives {', '.join(n)}" for t, n in joined.used[len(joined.cells) :]
        )
        findings.append(Finding("labels", value, f"{said}."))
    elif not has_gene:
        findings.append(
            Finding(
                "labels",
                {"table": f"./{plate_map}"},
                f"No table says what was done to the cells of these {len(wells)} wells.",
                f"what was done to each well? Fill in the column gene of {plate_map} (a plate map; "
                "write control for controls), or name a table of yours, or where tables lie "
                "(--config tables=ADDRESS).",
            )
        )
    findings.append(_control_finding(joined, has_gene))
    if joined.controls_apart or not has_gene:
        findings.append(Finding("screen.batch", ["plate"], "Controls stand in wells of their own."))
    elif joined.controls_apart is False:
        findings.append(Finding("screen.batch", None, "Controls share wells with perturbed cells."))
    else:
        findings.append(
            Finding(
                "screen.batch",
                None,
                "",
                "do controls share wells with perturbed cells? If not: [plate].",
            )
        )
    if joined.cells:
        kept = [name for name, reason in joined.features.items() if reason is None]
        if not kept:
            findings.append(Finding("screen.features", [], "The table of cells has no features."))
        else:
            findings.append(
                Finding(
                    "screen.features",
                    None,
                    f"{len(kept)} columns are features, "
                    f"{len(joined.features) - len(kept)} are not; the page lists "
                    "them.",
                )
            )
    return findings


def _control_finding(joined: Joined, has_gene: bool) -> Finding:
    if joined.control is not None:
        return Finding("screen.control", joined.control, "These values are called as controls are.")
    if not has_gene:
        return Finding("screen.control", "control", "The word of the plate map to fill in.")
    values = Counter()
    for table, names in joined.used:
        if "gene" in names:
            values.update(_values(table, names["gene"]))
    often = [value for value, _ in values.most_common(5)]
    return Finding(
        "screen.control",
        often[0] if often else "nontargeting",
        "Nothing is called as controls are; this is the most frequent label.",
        f"which label marks controls? The most frequent are {', '.join(often) or 'none'}.",
    )
