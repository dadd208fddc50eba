"""Cells and their classical features: two tables per plate, made from the tables of a screen.

A table comes in parts by its own order, for example by stage of the cell cycle. Each part is
partitioned by well and tiles on disk, then each well is joined from all parts. The wells of a plate
follow one another, and every row group of a table belongs to one well: who reads one well, or one
row group after the other (`mcvae_ops.files.row_groups`), never holds a plate.
"""

import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mcvae_ops.archive.patterns import well_name
from mcvae_ops.cells.controls import Counts, check_batches
from mcvae_ops.cells.described import Described, entries_of
from mcvae_ops.cells.labels import labels_of, mitotic_stages
from mcvae_ops.cells.lookups import attach
from mcvae_ops.cells.overlap import duplicate_cells
from mcvae_ops.cells.partition import Key
from mcvae_ops.cells.partition_tables import OfCells, TablePartitioner, features_column
from mcvae_ops.cells.placing import OTHER_TILES, OTHER_WELLS
from mcvae_ops.cells.tally import USED, Tally
from mcvae_ops.cells.well_variance import TELLS_WELL, WellVariance
from mcvae_ops.errors import InputError, some_of
from mcvae_ops.files import parquet_writer, read_table, write_csv
from mcvae_ops.progress import Progress
from mcvae_ops.screen import CONTROL

logger = logging.getLogger(__name__)

MITOTIC = "mitotic"
VALUES_PER_GROUP = 8 << 20
"""Numbers in a row group of the features (32 MB); blocks with fewer are joined together."""
MOST_LOST = 0.2
"""Share of the cells above which a warning says that they are dropped, unless that is `MEANT`."""
TWICE = "listed twice"
SEVERAL_STAGES = "listed twice in several stages"
SHOWN_BETTER = "shown better by another tile"
MEANT = {OTHER_TILES, OTHER_WELLS, SHOWN_BETTER, TWICE, SEVERAL_STAGES}
CELL_COLUMNS = [
    "cell_id",
    "plate",
    "well",
    "tile",
    "y_px",
    "x_px",
    "guide",
    "gene",
    "is_ntc",
    "cell_cycle_stage",
]


def split_cells(
    feature_parts: str,
    tables: Sequence[dict],
    labels: Sequence[dict],
    screen: dict,
    archive: dict,
    cache: str,
    cells: Sequence[str],
    features: Sequence[str],
    feature_list: str,
    row_counts: str,
) -> None:
    """Rule split_cells: write ``.../{plate}.parquet``, cells and row-aligned features.

    The parts are streamed: each is partitioned by well and tiles in `cache`, then each well is
    joined, some tiles at a time. So memory holds some rows of a part, or the cells of
    `TILES_PER_BLOCK` tiles (of more where they are few), beside the tables of labels and images.
    Parts that an interrupted job has partitioned are not fetched again.

    Parameters
    ----------
    feature_parts
        Table of the files of all tables.
    tables, labels
        Sections ``cells`` and ``labels`` of the configuration.
    screen, archive
        Sections of the configuration.
    cache
        Folder for fetched parts and their partitions; deleted at the end.
    cells, features
        Outputs: the tables of each plate, in the order of ``screen.plates``; their wells are in the
        order of the plate, none in a row group of another one.
    feature_list
        Output: every column, whether it is a feature, and why not (TSV).
    row_counts
        Output: how many rows of each plate are used, or why not (TSV); see `fates_of_rows`.

    Raises
    ------
    InputError
        If a part cannot be fetched or read, parts have different columns, labels contradict one
        another, no cell is a control, a batch has none, or a well has no cell.
    """
    parts = read_table(feature_parts).to_pylist()
    entries = entries_of(tables, labels, archive["root"])
    partitioner = TablePartitioner(parts, entries, screen, archive, Path(cache))
    wells = _Wells(partitioner.partition(), screen)
    progress = Progress(sum(map(len, screen["plates"].values())), "wells", "join cells")
    for (plate, names), *paths in zip(screen["plates"].items(), cells, features, strict=True):
        _write(wells.join_plate(plate, names, progress), paths)
    check_batches(wells.counts, screen["batch"])
    wells.say_dropped()
    wells.check_matches()
    write_csv(fates_of_rows(wells.dropped, wells.counts), row_counts)
    listed = wells.list_features(partitioner.described)
    write_csv(listed, feature_list, "%.4g")
    shutil.rmtree(cache)


def identity_of(cells: pa.Table) -> list[str]:
    """Return the columns that tell the cells of a well apart: tile and position, or crop.

    The tile alone, where cells have no positions: every row is a cell.
    """
    if "crop" in cells.column_names:
        return ["tile", "crop"]
    return ["tile"] if cells["y_px"].null_count else ["tile", "y_px", "x_px"]


def number_cells(cells: pa.Table) -> tuple[pa.Table, int]:
    """Sort the cells of a well by tile and position (or crop), drop duplicates, and name each.

    Of rows with the same tile and position, the first is used.

    Parameters
    ----------
    cells
        The columns of the cells table, and any others; all cells of their tiles, because the name
        of a cell contains its rank in the tile. Cells that come with names (cell_id) keep them.

    Returns
    -------
    The cells, with cell_id; and the number of dropped duplicates.

    Raises
    ------
    InputError
        If a name that the table gives is missing or stands twice.
    """
    names = identity_of(cells)
    position = cells.select(names).to_pandas().sort_values(names, kind="stable")
    position = position if names == ["tile"] else position.drop_duplicates()
    rank = position.groupby("tile").cumcount()
    distinct = cells.take(pa.array(position.index.to_numpy()))
    if "cell_id" in cells.column_names:
        _check_names(distinct)
        return distinct, len(cells) - len(distinct)
    plates, wells = (distinct[name].to_pylist() for name in ("plate", "well"))
    names = zip(plates, wells, position["tile"], rank, strict=True)
    ids = [f"{plate}_{well}_{tile:04d}_{n:05d}" for plate, well, tile, n in names]
    cell_id = pa.array(ids, pa.string())
    return distinct.append_column("cell_id", cell_id), len(cells) - len(distinct)


def _check_names(cells: pa.Table) -> None:
    """Raise an `InputError` unless the table of cells gives each cell a name of its own."""
    n_names = len(pc.unique(cells["cell_id"].drop_null()))
    if n_names != len(cells):
        raise InputError(
            where=f"the tables of cells, plate {cells['plate'][0]} well {cells['well'][0]}",
            found=f"{n_names} names (cells.columns.cell_id) of {len(cells)} cells",
            expected="a name of its own for each cell",
            fix="name another column, or leave cell_id out: then cells are numbered",
        )


def doubled_cells(cells: pa.Table) -> tuple[pd.DataFrame, int]:
    """Find cells that stand twice: at one position of a tile, or with one crop.

    Returns
    -------
    The rows of cells that stand there with different guides or genes (`identity_of`, guide, gene,
    and their row number as index); and the number of further rows of cells with different stages
    alone.
    """
    names, labels = identity_of(cells), ["guide", "gene", "stage"]
    rows = cells.select([*names, *labels]).to_pandas()
    rows = rows[rows.duplicated(names, keep=False)] if len(names) > 1 else rows[:0]
    if rows.empty:
        return rows, 0
    n_labels = rows.groupby(names)[labels].transform("nunique", dropna=False)
    has_several = (n_labels[["guide", "gene"]] > 1).any(axis=1)
    staged = rows[~has_several & (n_labels["stage"] > 1)]
    return rows[has_several], int(staged.duplicated(names).sum())


def fates_of_rows(dropped: Counter, counts: Counts) -> pd.DataFrame:
    """Return what became of the rows of the tables: every row is counted once.

    Parameters
    ----------
    dropped
        Number of rows by (plate, reason).
    counts
        Cells of each well; see `check_batches`.

    Returns
    -------
    plate (empty for plates that the screen does not name), reason (``used``, or why not), n_rows,
    n_listed (rows of this plate) and is_lost (whether the tables say too little of a cell of the
    screen, or contradict one another).
    """
    used: Counter = Counter()
    for (plate, _), (n_controls, n_others) in counts.items():
        used[plate, USED] += n_controls + n_others
    rows = [(plate, reason, n) for (plate, reason), n in (used + dropped).items()]
    fates = pd.DataFrame(rows, columns=["plate", "reason", "n_rows"])
    fates["n_listed"] = fates.groupby("plate")["n_rows"].transform("sum")
    fates["is_lost"] = ~fates["reason"].isin({USED, *MEANT})
    fates["is_unused"] = fates["reason"] != USED
    order = fates.sort_values(["plate", "is_unused", "n_rows"], ascending=[True, True, False])
    return order.drop(columns="is_unused")


def _write(blocks: Iterable[tuple[pa.Table, pa.Table]], paths: Sequence[str]) -> None:
    """Write some cells after the other, and their features: a row group of each."""
    with ExitStack() as stack:
        writers = []
        for tables in blocks:
            writers = writers or [
                stack.enter_context(parquet_writer(path, rows.schema))
                for path, rows in zip(paths, tables, strict=True)
            ]
            if not len(tables[0]):
                continue
            for writer, rows in zip(writers, tables, strict=True):
                writer.write_table(rows)


class _Wells:
    """Join the partitions of each well to its two tables.

    Attributes
    ----------
    written
        Columns of the table of cells: split, too, where the configuration names it.
    counts
        Cells of each well that was joined; see `check_batches`.
    """

    def __init__(self, tables: Sequence[OfCells], screen: dict) -> None:
        self.first, *self.others = tables
        self.screen = screen
        self.columns = self.first.columns
        extra = {"split": self.first.described.named.names, "crop": self.columns}
        self.written = [*CELL_COLUMNS, *(name for name in extra if name in extra[name])]
        parts = self.first.parts
        tally = sum((part.tally for part in parts), Tally())
        self.seen, self.dropped = tally.seen, tally.dropped
        self.labels = labels_of(parts, screen)
        self.mitotic = mitotic_stages(parts, screen["mitotic"])
        self.tables = tables
        self.features = [(t.described.entry.key, c) for t in tables for c in t.described.features]
        self.variance = WellVariance(len(self.features))
        self.cells_per_group = max(1, VALUES_PER_GROUP // (len(self.features) + 1))
        self.counts: Counts = {}
        self.n_matched: Counter = Counter()

    def join_plate(
        self, plate: str, wells: Sequence[str], progress: Progress
    ) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield the cells of a plate, well by well and some tiles at a time, and their features."""
        for well in wells:
            yield from self._join(plate, well)
            progress.step()

    def _join(self, plate: str, well: str) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield the cells of a well; a table of no row where it has images, but no cell."""
        keys = sorted({k for p in self.first.parts for k in p.blocks if k[:2] == (plate, well)})
        is_empty = not keys
        if is_empty:
            keys = [self._key_elsewhere(plate, well)]
        n_controls, n_cells, dropped = 0, 0, Counter()
        shown_elsewhere = self._shown_elsewhere(keys)
        self.variance.next_well()
        for some in self._together(keys):
            table = self._numbered(some, self.columns, dropped)
            table = table.filter(pc.invert(pc.is_in(table["cell_id"], shown_elsewhere)))
            table = table.slice(0, 0) if is_empty else table
            n_cells += len(table)
            n_controls += pc.sum(table["is_ntc"]).as_py() or 0
            for other in self.others:
                table, n_matched = _attached(table, other, some)
                self.n_matched[other.described.entry.key] += n_matched
            for start in range(0, max(1, len(table)), self.cells_per_group):
                rows = table.slice(start, self.cells_per_group)
                yield rows.select(self.written), self._features_of(rows)
        self.counts[plate, well] = n_controls, n_cells - n_controls
        dropped[SHOWN_BETTER] = len(shown_elsewhere)
        if is_empty:
            dropped.clear()  # they are of the other well
        self.dropped.update({(plate, reason): n for reason, n in dropped.items()})
        reasons = ", ".join(f"{n} {reason}" for reason, n in dropped.items() if n)
        logger.info("%s/%s: %d cells; dropped: %s", plate, well, n_cells, reasons or "none")
        if n := dropped[SEVERAL_STAGES]:
            logger.warning("%s/%s: %d cells stand there in several stages of the cell cycle; the "
                           "first is used", plate, well, n)  # fmt: skip
        if n := dropped[TWICE]:
            logger.warning("%s/%s: %d cells stand there twice", plate, well, n)

    def _features_of(self, cells: pa.Table) -> pa.Table:
        """Return cell_id and the features of all tables."""
        features = np.concatenate([of.features_of(cells) for of in self.tables], axis=1)
        self.variance.add(features)
        names = ["cell_id", *(column for _, column in self.features)]
        return pa.table([cells["cell_id"], *np.ascontiguousarray(features.T)], names)

    def say_dropped(self) -> None:
        """Say how many cells are dropped and why; warn if the tables say too little of many."""
        dropped: Counter = Counter()
        for (_, reason), n in sorted(self.dropped.items()):
            dropped[reason] += n
        for reason, n in dropped.items():
            logger.info("%d cells dropped: %s", n, reason)
        if n := dropped[OTHER_TILES]:
            n_all, tiles = self.seen.total(), self.screen["tiles"]
            logger.warning("%d of the %d cells in the tables lie in tiles that screen.tiles (%s) "
                           "does not name: left out", n, n_all, tiles)  # fmt: skip
        lost = {reason: n for reason, n in dropped.items() if n and reason not in MEANT}
        n_lost = sum(lost.values())
        share = n_lost / max(1, n_lost + sum(map(sum, self.counts.values())))
        if share > MOST_LOST:
            reasons = ", ".join(f"{n} {reason}" for reason, n in lost.items())
            logger.warning("%.0f %% of the cells are dropped: %s", 100 * share, reasons)

    def check_matches(self) -> None:
        """Raise an `InputError` if a further table has a row of no cell; say how many it lacks."""
        n_cells = sum(map(sum, self.counts.values()))
        for other in self.others:
            key, named = other.described.entry.key, " ".join(other.keys)
            if n_cells and not self.n_matched[key]:
                raise InputError.missing(
                    where=f"configuration key {key}",
                    what="the row of every cell",
                    why=f"rows of this table are matched with those of the first one by {named}",
                    fix="correct the columns that both tables are joined by",
                )
            if n := n_cells - self.n_matched[key]:
                logger.warning("%s: no row for %d of %d cells (by %s)", key, n, n_cells, named)

    def list_features(self, tables: Sequence[Described]) -> pd.DataFrame:
        """Return every column of all tables, and warn of features that tell the well."""
        share = dict(zip(self.features, self.variance.fractions(), strict=True))
        rows = []
        for table in tables:
            is_used = table in [self.first.described, *(other.described for other in self.others)]
            for column, reason in table.reasons.items():
                if reason is None and not is_used:
                    reason = "of a table that is joined by image, well or guide"
                of_wells = share.get((table.entry.key, column)) if reason is None else None
                rows.append((table.entry.key, column, reason is None, reason, of_wells))
        names = ["table", "column", "is_feature", "reason", "variance_between_wells"]
        listed = pd.DataFrame(rows, columns=names)
        counts = listed["reason"].fillna("feature").value_counts()
        logger.info("columns: %s", ", ".join(f"{n} {reason}" for reason, n in counts.items()))
        text = listed.loc[listed["reason"] == "text", "column"].tolist()
        if text:
            logger.warning("%d columns of text are no features: %s", len(text), some_of(text))
        telling = listed.loc[listed["variance_between_wells"] >= TELLS_WELL, "column"].tolist()
        if telling:
            logger.warning(
                "features that tell the well, not the cell (%.0f %% of their variance lies "
                "between wells, or more): %s (%d in all); name them in screen.not_features if they "
                "measure no cell",
                100 * TELLS_WELL, some_of(telling), len(telling),
            )  # fmt: skip
        return listed

    def _together(self, keys: Sequence[Key]) -> Iterator[list[Key]]:
        """Yield groups of keys: to join and write a thousand columns of few cells takes long."""
        some, n_cells = [], 0
        for key in keys:
            n_here = sum(part.n_rows[key] for part in self.first.parts)
            if some and n_cells + n_here > self.cells_per_group:
                yield some
                some, n_cells = [], 0
            some, n_cells = [*some, key], n_cells + n_here
        yield some

    def _numbered(self, keys: Sequence[Key], columns: Sequence[str], dropped: Counter) -> pa.Table:
        """Return the cells of some tiles, named and labelled; count those that are dropped."""
        blocks = [block for part in self.first.parts for block in part.read(keys, columns)]
        table = pa.concat_tables(blocks).combine_chunks()
        if self.labels.ambiguous:
            is_one = pc.invert(pc.is_in(table["guide"], pa.array(self.labels.ambiguous)))
            dropped["of guides of several genes"] += len(table) - pc.sum(is_one).as_py()
            table = table.filter(is_one)
        table = self._labelled(table)
        several, n_staged = doubled_cells(table)
        if len(several):
            if self.screen["ambiguous_labels"] == "refuse":
                raise _several_labels(several, keys[0])
            dropped["listed with several labels"] += len(several)
            keep = pd.RangeIndex(len(table)).difference(several.index)
            table = table.take(pa.array(keep.to_numpy()))
        table, n_twice = number_cells(table)
        dropped[TWICE] += n_twice - n_staged
        dropped[SEVERAL_STAGES] += n_staged
        return table

    def _labelled(self, table: pa.Table) -> pa.Table:
        """Mark controls, and bring their gene and the stages to the pipeline's words."""
        is_ntc = self.labels.is_control(table)
        gene = pc.if_else(is_ntc, CONTROL, table["gene"])
        table = table.set_column(table.column_names.index("gene"), "gene", gene)
        is_mitotic = pc.is_in(table["stage"], pa.array(self.mitotic, pa.string()))
        stage = pc.if_else(is_mitotic, MITOTIC, table["stage"])
        return table.append_column("is_ntc", is_ntc).append_column("cell_cycle_stage", stage)

    def _shown_elsewhere(self, keys: Sequence[Key]) -> pa.Array:
        """Return the names of cells that another tile shows better, if they are dropped."""
        if self.screen["duplicates"] is None:
            return pa.array([], pa.string())
        features = features_column(self.first.described)
        columns = [name for name in self.columns if name != features]
        needed = ["cell_id", "tile", "y_px", "x_px", "guide"]
        cells = self._numbered(keys, columns, Counter()).select(needed).to_pandas()
        return pa.array(cells.loc[duplicate_cells(cells, self.screen), "cell_id"], pa.string())

    def _key_elsewhere(self, plate: str, well: str) -> Key:
        """Return tiles of another well, from whose cells an empty well takes its columns.

        Raises
        ------
        InputError
            If the tables may call the well otherwise: they have cells of wells of its plate that
            the screen does not name, or of none of its wells.
        """
        known = set(map(well_name, self.screen["plates"][plate]))
        found = sorted(w for p, w in self.seen if p == plate)
        if found and known.issuperset(found):
            logger.warning("%s/%s: images, but no cell", plate, well)
            return next(k for part in self.first.parts for k in part.blocks)
        raise InputError.missing(
            where="the tables of cells",
            what=f"every cell of plate {plate} well {well}",
            why=f"screen.plates names this well, and there are cells of {some_of(found)}",
            fix="leave the well out of screen.plates, correct its name, or complete the table",
        )


def _attached(table: pa.Table, other: OfCells, keys: Sequence[Key]) -> tuple[pa.Table, int]:
    """Return the cells of some tiles with a further table's features; how many have a row there."""
    blocks = [block for part in other.parts for block in part.read(keys, other.columns)]
    if not blocks:
        return table, 0
    return attach(table, pa.concat_tables(blocks), other.keys, other.described.entry.key)


def _several_labels(rows: pd.DataFrame, key: Key) -> InputError:
    cells = rows.groupby([name for name in rows.columns if name not in ("guide", "gene", "stage")])
    _, first = next(iter(cells))
    name = "gene" if first["gene"].nunique() > 1 else "guide"
    labels = " and ".join(first[name].unique()[:3])
    cell = first.iloc[0]
    where = f"crop {cell.get('crop')}"
    if "y_px" in cell:
        where = f"y {cell['y_px']:.2f}, x {cell['x_px']:.2f}"
    return InputError(
        where=f"the tables of cells, plate {key[0]} well {key[1]}",
        found=f"{cells.ngroups} cells that stand twice with different labels, as in tile "
        f"{cell['tile']} at {where}: {name} {labels}",
        expected="one guide and gene of each cell",
        fix="correct the table (a join may have doubled its rows), or set screen.ambiguous_labels: "
        "drop to leave these cells out",
    )
