"""Fetch the tables of cells and labels, join what is small, and partition the rest by well."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from mcvae_ops.archive.addresses import inside, is_remote, local_path
from mcvae_ops.archive.parts import members_of
from mcvae_ops.archive.stream import stream_files
from mcvae_ops.archive.table_files import first_header
from mcvae_ops.archive.table_formats import batches_of, header_of
from mcvae_ops.archive.table_header import Header
from mcvae_ops.archive.transfer import Wanted, fetch
from mcvae_ops.archive.vector_files import batches_beside, header_beside
from mcvae_ops.cells.columns import one_form
from mcvae_ops.cells.described import (
    Described,
    Entry,
    check_features,
    check_names,
    describe,
    joins_of,
    needs_positions,
)
from mcvae_ops.cells.feature_names import EMPTY, check_named_exist
from mcvae_ops.cells.lookups import Lookup
from mcvae_ops.cells.partition import Partition, PartitionWriter
from mcvae_ops.cells.placing import PLACE, Placing
from mcvae_ops.errors import InputError
from mcvae_ops.files import read_note, write_note
from mcvae_ops.progress import Progress

logger = logging.getLogger(__name__)
_FEATURES = "features/"  # no name of a table's columns: a column of a block


@dataclass(frozen=True)
class OfCells:
    """A table with one row per cell, partitioned.

    Attributes
    ----------
    described
        The table.
    keys
        Names by which its rows are matched with those of the first table; of that, none.
    parts
        Its partitions.
    """

    described: Described
    keys: list[str]
    parts: list[Partition]

    @property
    def columns(self) -> list[str]:
        """Columns of its blocks: names, and all features as one list (`features_column`)."""
        return next((part.columns for part in self.parts if part.columns), [])

    def features_of(self, cells: pa.Table) -> np.ndarray:
        """Return the features, float32 (cell, feature), of cells that have the columns of blocks.

        NaN where a cell has no row in this table.
        """
        n_features = len(self.described.features)
        values = np.full((len(cells), n_features), np.nan, np.float32)
        if n_features and features_column(self.described) in cells.column_names:
            lists = cells[features_column(self.described)].combine_chunks()
            has_row = lists.is_valid().to_numpy(zero_copy_only=False)
            values[has_row] = lists.flatten().to_numpy().reshape(-1, n_features)
        return values


class TablePartitioner:
    """Bring the tables of a screen onto the disk, by well and tiles.

    Parameters
    ----------
    parts
        Rows of ``manifest/feature_parts.parquet``.
    entries
        The tables of the configuration.
    screen, archive
        Sections of the configuration.
    cache
        Folder for fetched files and partitions.

    Attributes
    ----------
    described
        The tables, as the first file of each describes them.
    """

    def __init__(
        self, parts: list[dict], entries: Sequence[Entry], screen: dict, archive: dict, cache: Path
    ) -> None:
        # The key of a Dataverse goes to the one that holds the first dataset.
        datasets = [
            part["address"] for part in parts if entries[part["table"]].address.dataset is not None
        ]
        self.archive = archive | {"dataset": next(iter(datasets), None)}
        self.screen, self.cache = screen, cache
        self.parts = {n: [p for p in parts if p["table"] == n] for n in range(len(entries))}
        self.numbers = {entry.key: n for n, entry in enumerate(entries)}
        self.described = [self._first(n, entry) for n, entry in enumerate(entries)]
        self.tables, self.of_cells = joins_of(self.described)
        check_names(self.described, screen)
        self.placing = Placing(screen, needs_positions(self.described, screen))
        check_named_exist([table.reasons for table in self.described], screen)
        check_features([self.described[0], *self.of_cells], screen)
        self.lookups: list[Lookup] = []

    def partition(self) -> list[OfCells]:
        """Return the tables with one row per cell, partitioned, the first one first."""
        tables = [self.partition_first()]
        known = [*self.described[0].named.names, *(n for own in self.lookups for n in own.added)]
        for table in self.of_cells:
            keys = [name for name in table.named.names if name in known]
            parts = self._partition(table, self._places(table, tables[0]))
            tables.append(OfCells(table, keys, parts))
        return tables

    def partition_first(self) -> OfCells:
        """Return the first table, joined to those of images, wells and guides, and partitioned."""
        first = self.described[0]
        known = list(first.named.names)
        for table in self.tables:
            lookup = Lookup(self._rows(table), known, table.entry.key,
                            self.screen["ambiguous_labels"] == "drop")  # fmt: skip
            self.lookups.append(lookup)
            known += lookup.added
        parts = self._partition(first, self.lookups)
        for lookup in self.lookups:
            lookup.check()
        return OfCells(first, [], parts)

    def _first(self, number: int, entry: Entry) -> Described:
        """Describe a table by its first file, whose header is kept for a job that goes on."""
        kept = self.cache / "headers" / f"{number}.json"
        part = self.parts[number][0]
        identity = [entry.table["table"], _identity(part)]
        noted = read_note(kept)
        if noted is None or noted["identity"] != identity:
            path = fetch(part["address"], self._target(part), self.archive, part["size_bytes"],
                         part["md5"])  # fmt: skip
            name, header = first_header(path, part["path"], entry.address)
            noted = {"identity": identity, "name": name, "header": asdict(header)}
            write_note(noted, kept)
        header = header_beside(Header(**noted["header"]), entry.arrays(noted["name"]))
        return describe(entry, noted["name"], header, self.screen)

    def _rows(self, table: Described) -> pa.Table:
        """Return the named columns of all rows of a table that is joined in memory."""
        number = self.numbers[table.entry.key]
        wanted = {n: [self._wanted(part)] for n, part in enumerate(self.parts[number])}
        # Another table of the same database is still to be read.
        kept = self.archive | {"keep_raw": True}
        tables = [
            rows
            for n, paths in _fetched(wanted, kept)
            for rows, _ in self._batches(table, self.parts[number][n], paths[0], [])
        ]
        rows = pa.concat_tables(tables)
        logger.info("%s: %d rows with %s", table.entry.key, len(rows), ", ".join(rows.column_names))
        return rows

    def _partition(self, table: Described, lookups: Sequence[Lookup]) -> list[Partition]:
        number = self.numbers[table.entry.key]
        is_first = table is self.described[0]
        settings = [self.screen, [t.entry.table for t in self.described], self._joined_files()]
        writers = {
            n: PartitionWriter(
                self.cache / "partitions" / f"{number}_{n:06d}",
                part["path"],
                [*settings, _identity(part)],
            )
            for n, part in enumerate(self.parts[number])
        }
        wanted = {n: [self._wanted(self.parts[number][n])]
                  for n, writer in writers.items() if writer.finished() is None}  # fmt: skip
        progress = Progress(len(wanted), "parts", f"partition {table.entry.key}")
        for n, paths in _fetched(wanted, self.archive):
            with writers[n] as writer:
                part = self.parts[number][n]
                for rows, batch in self._batches(table, part, paths[0], table.features):
                    for lookup in lookups:
                        rows = lookup.join(rows)
                    if table.features:
                        values = _one_list(batch, table.features)
                        rows = rows.append_column(features_column(table), values)
                    if not is_first:
                        writer.add(self.placing.rows(rows))
                        continue
                    cells, tally = self.placing.cells(rows)
                    writer.add(cells)
                    writer.tally += tally
            progress.step()
        return [writer.finished() for writer in writers.values()]

    def _batches(
        self, table: Described, part: Mapping, path: Path, features: Sequence[str]
    ) -> Iterator[tuple]:
        """Yield the named columns of some rows of a part, and the rows as they stand there."""
        entry = table.entry
        for name, member in members_of(path, part["path"], self._unpacked()):
            if entry.address.place(name) is None:
                continue
            vectors = entry.arrays(name)
            own = header_of(member, name, entry.address.table)
            header = header_beside(own, vectors)
            found = describe(entry, name, header, self.screen)
            if features:
                _check_features(found, table, name, header)
            named = found.named
            beside = [column for column in features if column not in own.kinds]
            numbers = [column for column in (*named.numbers, *features) if column in own.kinds]
            batches = batches_of(member, name, entry.address.table, named.texts, numbers)
            first_row = 0
            for batch in batches_beside(batches, vectors, beside, name):
                yield named.rows(batch, first_row), batch
                first_row += len(batch)

    def _places(self, table: Described, first: OfCells) -> list[Lookup]:
        """Return what tells the well and tile of a further table's rows."""
        names = set(table.named.names)
        needed = {name for name in PLACE if name in first.columns} - names
        placing = []
        for lookup in self.lookups:
            if set(lookup.keys) <= names and needed & set(lookup.added):
                placing.append(lookup)
                names |= set(lookup.added)
        if not needed - names:
            return placing
        shared = [name for name in table.named.names if name in first.columns]
        places = [name for name in PLACE if name not in shared]
        rows = pa.concat_tables(
            block for part in first.parts for block in part.read_all([*shared, *places])
        )
        # In the form in which the further table still has them.
        in_form = [one_form(name, rows[name].cast(pa.string()).combine_chunks())
                   if name in PLACE else rows[name] for name in rows.column_names]  # fmt: skip
        rows = pa.table(in_form, rows.column_names)
        return [Lookup(rows, shared, table.entry.key, drop=False)]

    def _joined_files(self) -> list:
        """Return the files of the tables that are joined: another one joins other labels."""
        numbers = [self.numbers[table.entry.key] for table in self.tables]
        return [[_identity(part) for part in self.parts[number]] for number in numbers]

    def _wanted(self, part: Mapping) -> Wanted:
        return Wanted(part["address"], self._target(part), part["size_bytes"], part["md5"])

    def _target(self, part: Mapping) -> Path:
        return self.cache / "raw" / inside(part["path"])

    def _unpacked(self) -> Path:
        folder = self.cache / "unpacked"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _identity(part: dict) -> list:
    """Return what tells a file from what stood at its address before an interruption.

    A local table may have been corrected in place, without a change of its size.
    """
    if is_remote(part["address"]):
        return [part, None]
    path = local_path(part["address"])
    return [part, path.stat().st_mtime_ns if path.is_file() else None]


def _fetched(wanted: dict, archive: dict) -> Iterator[tuple[int, list[Path]]]:
    for number, paths in stream_files(wanted, archive):
        if isinstance(paths, InputError):
            raise paths
        yield number, paths


def _check_features(found: Described, first: Described, name: str, header: Header) -> None:
    """Raise an `InputError` if a part has other features than the first part of its table.

    A column without a value there is as good as none: what later parts measure would be lost.
    """
    usable = {c for c in header.kinds if header.kinds[c] in ("number", "empty")}
    missing = [c for c in first.features if c not in usable]
    new = [c for c in found.features if first.reasons.get(c, EMPTY) == EMPTY]
    if missing or new:
        raise InputError(
            where=f"table {name}",
            found="other columns than in the first part: "
            + "; ".join(f"{what} {', '.join(map(repr, columns[:8]))}"
                        for what, columns in (("without", missing), ("with", new)) if columns),
            expected="the same features in all parts",
            fix="replace it, or name the columns in screen.not_features",
        )  # fmt: skip


def features_column(table: Described) -> str:
    """Return the name of the column of a block that holds all features of its cells."""
    return _FEATURES + table.entry.key


def _one_list(batch: pa.Table, names: Sequence[str]) -> pa.FixedSizeListArray:
    """Return the numbers of some columns as one list of each row, NaN where there is none.

    To cut and gather a thousand columns takes a thousand times the work, whatever their length.
    """
    values = np.empty((batch.num_rows, len(names)), np.float32)
    for k, name in enumerate(names):
        values[:, k] = _float32(batch[name]).to_numpy()
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), len(names))


def _float32(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Round numbers of any type to float32."""
    if pa.types.is_boolean(column.type) or pa.types.is_decimal(column.type):
        column = column.cast(pa.uint8() if pa.types.is_boolean(column.type) else pa.float64())
    return column.cast(pa.float32(), safe=False)
