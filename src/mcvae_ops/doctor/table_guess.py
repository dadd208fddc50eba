"""The tables that lie at an address: their columns, some rows, and what the columns look like."""

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mcvae_ops.archive.csv_tables import first_rows_of_csv
from mcvae_ops.archive.hdf5_files import opened_hdf5
from mcvae_ops.archive.parts import ARCHIVES, members_of
from mcvae_ops.archive.patterns import well_name
from mcvae_ops.archive.table_formats import (
    FORMATS,
    SUFFIXES,
    format_of,
    header_of,
    open_database,
    rows_of_database,
)
from mcvae_ops.archive.table_header import Header
from mcvae_ops.cells.columns import as_text, one_form
from mcvae_ops.doctor.listing import Listing
from mcvae_ops.errors import InputError

N_ROWS = 5000
_MOST_TABLES, _MOST_OPENED = 40, 400
_MOST_PLATES = 500
_MOST_WHOLE_BYTES = 16 << 20
_MOST_ARCHIVE_BYTES = 64 << 20
_MOST_COLUMN_BYTES = 32 << 20
_SCHEMA_BYTES = 4 << 20
_STAGES = ("interphase", "mitotic", "mitosis", "metaphase", "anaphase")
_NO_TABLE = re.compile(r"(?i)readme|licen[cs]e|(^|/)left_out|manifest|checksum|md5")

# What columns are called, as expressions of whole names in small letters; likelier ones first.
CALLED: dict[str, tuple[str, ...]] = {
    "plate": (r"plate", r"(image_)?metadata_(foci_)?plate(_x|_barcode)?", r"plate_?(name|id)",
              r".*metadata_plate.*", r"(assay_)?plate_barcode"),
    "well": (r"well", r"(image_)?metadata_(foci_)?well(_x)?", r"well_?(name|id|position)",
             r".*metadata_well.*", r"well_position"),
    "well_row": (r"well_?row", r"row", r"(image_)?metadata_row"),
    "well_column": (r"well_?col(umn)?", r"col(umn)?", r"(image_)?metadata_col(umn)?"),
    "tile": (r"tile", r"site", r".*site_location", r"(image_)?metadata_(foci_)?site(_x)?",
             r"(image_)?metadata_fieldid", r"field(_?id)?", r"fov"),
    "y_px": (r"y_px", r"cell_i", r"y", r"centroid[-_]0", r"(cell|nucleus|nuclei)_y",
             r"pos(ition)?_y",
             r"nuclei_location_center_y", r"cells_location_center_y",
             r"nuclei_areashape_center_y", r"cells_areashape_center_y", r"location_center_y",
             r"i", r"centroid_y", r"i_0"),
    "guide": (r"guide", r"sgrna(_0)?", r"barcode(_0)?", r".*barcode_matchedto_barcode",
              r"[sg]+rna\w*",
              r"protospacer_sequence", r"broad_sample", r"(image_)?metadata_broad_sample"),
    "gene": (r"gene", r"gene_symbol(_0)?", r".*matchedto_genecode", r"gene symbol", r"gene_?name",
             r"genotype", r"(.*_)?compound(_name)?", r"treatment", r"perturbation",
             r"target(_gene)?",
             r"gene_id", r"drug"),
    "role": (r"role", r"control[_ ]?type", r"pert_type", r".*control.*"),
    "stage": (r"stage", r"cell_class", r"cell_cycle\w*", r"phase", r"mitotic\w*"),
    "image": (r"(metadata_)?image_?number",),
    "dose": (r"(.*_)?concentration(_um)?", r"(.*_)?dose(_um)?"),
    "pixel_size_m": (r"(image_)?metadata_imageresolutionx",),
}  # fmt: skip
_OF_ROLE = {
    role: re.compile("|".join(f"(?:{name})" for name in names)) for role, names in CALLED.items()
}
_OF_ANY = re.compile("|".join(f"(?:{role.pattern})" for role in _OF_ROLE.values()))
_ENDS = (("_Y", "_X"), ("_y", "_x"), ("-0", "-1"), ("_i", "_j"), ("centroid_0", "centroid_1"),
         ("y_px", "x_px"), ("i_0", "j_0"))  # fmt: skip
_IS_CONTROL = re.compile(
    r"(?i)non[-_ ]?target\w*|ntc?|neg(ative)?[-_ ]?con(trol)?\w*|dmso|untreated|wt|wild[-_ ]?type"
    r"|control|scramble[d]?\w*|mock|vehicle|no[-_ ]?target\w*|safe[-_ ]?\w*|intergenic"
)


@dataclass
class TableFacts:
    """A table, or tables of one kind, and what their columns look like.

    Attributes
    ----------
    address
        As the configuration names it: a path below the root, a pattern, with ``#Table``.
    paths
        Its files.
    header
        Of the first one.
    n_rows
        Of the first one; None where only the whole file says it.
    rows
        Its first rows of the columns that look like something, as text.
    roles
        Role to column; see `CALLED`, and ``x_px``, ``crop``.
    shares
        Role to the share of its values that the names of the images have.
    fields
        What the address says: plate, well, stage.
    """

    address: str
    paths: list[str]
    header: Header
    n_rows: int | None
    rows: pd.DataFrame
    roles: dict[str, str] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    fields: set[str] = field(default_factory=set)


def is_control(value: str) -> bool:
    """Say whether a gene, compound or role is called as controls are."""
    return _IS_CONTROL.fullmatch(value.strip()) is not None


def find_tables(
    listing: Listing, places: Mapping[str, set[str]], notes: list[str]
) -> list[TableFacts]:
    """Read the headers and some rows of the tables of a listing.

    Parameters
    ----------
    listing
        Where to look.
    places
        Values that the names of the images have: plate, well (in one form), tile, channel.
    notes
        Takes a sentence for each table that could not be read.
    """
    groups: dict[str, list[tuple[str, int]]] = {}
    longest = sorted((p for p in places["plate"] if len(p) > 3), key=len, reverse=True)
    plates = longest[:_MOST_PLATES]
    for path, size in listing.files:
        is_table = path.lower().endswith(SUFFIXES + ARCHIVES) and size
        if is_table and not _NO_TABLE.search(path) and path.rpartition("/")[2][:1] not in "._":
            groups.setdefault(_kind_of(path, plates), []).append((path, size))
    found: list[TableFacts] = []
    by_depth = sorted(groups.items(), key=lambda group: group[0].count("/"))
    for k, (pattern, files) in enumerate(by_depth):
        if len(found) >= _MOST_TABLES or k == _MOST_OPENED:
            notes.append(f"{len(groups)} kinds of tables: only the first {k} were read.")
            break
        path, size = files[0]
        try:
            for name, header, n_rows, rows in _read(listing, path, size):
                address = pattern if name is None else f"{pattern}#{name}"
                if _are_of_cells_or_labels(header):
                    paths, fields = [p for p, _ in files], set(re.findall(r"{(\w+)", pattern))
                    table = TableFacts(address, paths, header, n_rows, rows, fields=fields)
                    found.append(table)
        except (InputError, OSError, ValueError, pa.ArrowException, sqlite3.Error) as error:
            notes.append(f"{path} could not be read: {str(error).partition(chr(10))[0]}")
    for table in found:
        _assign_roles(table, places, listing)
    return found


def _kind_of(path: str, plates: Sequence[str]) -> str:
    """Return the pattern of a table's path: plates and stages as fields, numbered parts as any."""
    path = path.replace("{", "{{").replace("}", "}}")
    for plate in plates:
        if plate in path:
            path = re.sub(rf"(?<![A-Za-z0-9]){re.escape(plate)}(?![A-Za-z0-9])", "{plate}", path)
    folder, slash, name = path.rpartition("/")
    if stage := next((stage for stage in _STAGES if name.lower().startswith(stage)), None):
        rest = name[len(stage) :]
        if "/" not in rest and rest[:1] in "-_.":
            return f"{folder}{slash}{{stage}}{rest[:1]}{{*}}"
    name = re.sub(r"(?<=part)([-_.]?)\d+[-\w]*", r"\1{*}", name)
    return folder + slash + name


def _are_of_cells_or_labels(header: Header) -> bool:
    """Say whether some column looks like a place, a cell or a label."""
    roles = ("well", "well_row", "y_px", "guide", "gene", "image")
    return any(_OF_ROLE[role].fullmatch(name.lower()) for role in roles for name in header.kinds)


def _read(
    listing: Listing, path: str, size: int
) -> Iterator[tuple[str | None, Header, int | None, pd.DataFrame]]:
    """Yield (table in a database, header, rows in all, some rows) of a file."""
    if path.lower().endswith(ARCHIVES):
        if size > _MOST_ARCHIVE_BYTES:
            raise ValueError(f"an archive of {size / 1e9:.1f} GB, which can only be fetched whole")
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "archive")
            with listing.opened(path, size) as handle, open(copy, "wb") as target:
                shutil.copyfileobj(handle, target)
            for name, member in members_of(copy, path):
                yield None, *_of_file(partial(member.open, "rb"), name)
                return
    if format_of(path) is FORMATS["SQLite"]:
        yield from _of_database(listing, path, size)
        return
    if 0 < size <= _MOST_WHOLE_BYTES:
        with listing.opened(path, size) as handle:
            content = handle.read()
        yield None, *_of_file(lambda: BytesIO(content), path)
        return
    yield None, *_of_file(lambda: listing.opened(path, size), path)


def _of_file(
    opened: Callable[[], AbstractContextManager[BinaryIO]], name: str
) -> tuple[Header, int | None, pd.DataFrame]:
    with opened() as handle:
        header = header_of(handle, name)
    with opened() as handle:  # a reader of gzip has closed the first one
        return header, *_first_rows(handle, name, _interesting(header))


def _first_rows(handle: BinaryIO, name: str, columns: list[str]) -> tuple[int | None, pd.DataFrame]:
    """Return the number of all rows, where the header says it, and some columns of the first."""
    if format_of(name) is FORMATS["parquet"]:
        parts = pq.ParquetFile(handle)
        first = parts.metadata.row_group(0) if parts.metadata.num_row_groups else None
        n_bytes = sum(
            first.column(k).total_compressed_size
            for k in range(first.num_columns)
            if first.column(k).path_in_schema in columns
        ) if first else 0  # fmt: skip
        if first is None or n_bytes > _MOST_COLUMN_BYTES:
            return parts.metadata.num_rows, _text(pa.table({c: [] for c in columns}))
        batch = next(parts.iter_batches(N_ROWS, row_groups=[0], columns=columns))
        return parts.metadata.num_rows, _text(pa.Table.from_batches([batch]))
    if format_of(name) is FORMATS["CSV"]:
        return None, _text(first_rows_of_csv(handle, columns, N_ROWS))
    from anndata.io import read_elem

    with opened_hdf5(handle) as data:
        obs = read_elem(data["obs"])
    kept = [column for column in columns if column in obs]
    return len(obs), _text(pa.Table.from_pandas(obs[kept].head(N_ROWS), preserve_index=False))


def _of_database(listing: Listing, path: str, size: int) -> Iterator[tuple]:
    """Yield the tables of a database, from its first bytes; rows, where these hold some."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "head.sqlite")
        with listing.opened(path, size) as handle, open(copy, "wb") as target:
            target.write(handle.read(_SCHEMA_BYTES))
            target.truncate(size)
        with closing(open_database(copy)) as database:
            listed = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
            names = [row[0] for row in database.execute(listed)]
            for name in names:
                header = header_of(copy, path, name)
                columns = _interesting(header)
                rows: list[tuple] = []
                table, *quoted = ('"' + text.replace('"', '""') + '"' for text in (name, *columns))
                n_rows = min(N_ROWS, rows_of_database(len(columns)))
                with suppress(sqlite3.DatabaseError):  # rows beyond the first bytes
                    rows = database.execute(
                        f"SELECT {', '.join(quoted) or 1} FROM {table} LIMIT {n_rows}"
                    ).fetchall()
                frame = pd.DataFrame(rows, columns=columns or ["1"])
                yield name, header, None, _text(pa.Table.from_pandas(frame, preserve_index=False))


def _interesting(header: Header) -> list[str]:
    """Return the columns whose names or kinds may say a place, a label or a file."""
    named = [name for name in header.kinds if _OF_ANY.fullmatch(name.lower())]
    named += [partner for n in list(named) if (partner := x_of(n)) in header.kinds]
    texts = [n for n, kind in header.kinds.items() if kind == "text" and len(n) < 60][:40]
    return list(dict.fromkeys([*named, *texts]))


def _text(table: pa.Table) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series(as_text(table[name]).to_pylist(), dtype=object)
         for name in table.column_names}
    )  # fmt: skip


def x_of(column: str) -> str | None:
    """Return what the column of x is called, where one of y has this name; None if unclear."""
    for y, x in _ENDS:
        if column.endswith(y):
            return column[: -len(y)] + x
    return {"y": "x", "Y": "X", "i": "j"}.get(column)


def share_of(values: Sequence[str], known: set[str], role: str) -> float:
    """Return the share of values, in their one form, that are among known ones; 0 of none."""
    values = pd.Series(list(values), dtype=object).dropna()
    if not len(values):
        return 0.0
    formed = one_form(role, pa.array(values, pa.string())).to_pylist()
    return sum(value in known for value in formed) / len(formed)


def _assign_roles(table: TableFacts, places: Mapping[str, set[str]], listing: Listing) -> None:
    rows, known = table.rows, {role: set(values) for role, values in places.items()}
    known["well"] = {well_name(well) for well in known["well"]}
    columns = [name for name in table.header.kinds if _OF_ANY.fullmatch(name.lower())]
    for role, names in CALLED.items():
        best: tuple[float, int, str] | None = None
        for column in columns:
            if not _OF_ROLE[role].fullmatch(column.lower()):
                continue
            order = next(k for k, n in enumerate(names) if re.fullmatch(n, column.lower()))
            score = _score(role, column, rows, known)
            if score is not None and (best is None or (-score, order) < (-best[0], best[1])):
                best = score, order, column
        if best is not None:
            table.roles[role] = best[2]
    if "y_px" in table.roles:
        partner = x_of(table.roles["y_px"])
        if partner in table.header.kinds:
            table.roles["x_px"] = partner
        else:
            del table.roles["y_px"]
    files = {path for path, _ in listing.files}
    for column in rows:
        values = rows[column].dropna()
        if len(values) and (values.isin(files)).mean() > 0.5:
            table.roles["crop"], table.shares["crop"] = column, float(values.isin(files).mean())
    compare(table, places)
    if table.roles.get("guide") == table.roles.get("gene") and "gene" in table.roles:
        del table.roles["gene"]


def compare(table: TableFacts, places: Mapping[str, set[str]]) -> None:
    """Note the share of plates, wells and tiles of a table that the names of the images have."""
    for role in ("plate", "well", "tile"):
        column = table.roles.get(role)
        if column is not None and column_has(table.rows, column):
            table.shares[role] = share_of(table.rows[column], set(places[role]), role)


def column_has(rows: pd.DataFrame, column: str) -> bool:
    """Say whether some row has a value in a column."""
    return column in rows and rows[column].notna().any()


def _score(role: str, column: str, rows: pd.DataFrame, known: Mapping) -> float | None:
    """Return how well the values of a column fit a role, 0 to 1; None if they cannot."""
    if not column_has(rows, column):
        return 0.2
    values = rows[column].dropna()
    if role in ("plate", "well", "tile"):
        return round(share_of(values, known[role], role), 2)
    if role == "role":
        return 1.0 if any(map(is_control, values.unique())) else None
    if role in ("y_px", "image", "well_column", "dose", "pixel_size_m"):
        return 1.0 if pd.to_numeric(values, errors="coerce").notna().all() else None
    if role == "gene":
        is_number = pd.to_numeric(values, errors="coerce").notna().mean()
        return None if is_number > 0.9 else 1.0
    if role == "stage":
        return 1.0 if values.nunique() <= 20 else None
    return 1.0
