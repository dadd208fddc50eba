"""The cells of a well and their features, joined from the partitions of all tables.

Some tiles are joined at a time, and every table belongs to one well.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mcvae_ops.archive.patterns import well_name
from mcvae_ops.cells.controls import Counts
from mcvae_ops.cells.distinct_cells import SEVERAL_STAGES, TWICE, distinct_cells
from mcvae_ops.cells.labels import labels_of, mitotic_stages
from mcvae_ops.cells.lookups import attach
from mcvae_ops.cells.overlap import SHOWN_BETTER, duplicate_cells
from mcvae_ops.cells.partition import Key
from mcvae_ops.cells.partition_tables import OfCells, features_column
from mcvae_ops.cells.tally import Tally
from mcvae_ops.cells.well_variance import WellVariance
from mcvae_ops.errors import InputError, some_of
from mcvae_ops.progress import Progress
from mcvae_ops.screen import CONTROL

logger = logging.getLogger(__name__)

MITOTIC = "mitotic"
VALUES_PER_GROUP = 8 << 20
"""Numbers in a row group of the features (32 MB); blocks with fewer are joined together."""
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


class JoinedWells:
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

    def between_wells(self) -> dict[tuple[str, str], float]:
        """Return the share of the variance of each feature that lies between wells.

        By the key of its table and its column; see `WellVariance.fractions`.
        """
        return dict(zip(self.features, self.variance.fractions(), strict=True))

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
        return distinct_cells(self._labelled(table), self.screen["ambiguous_labels"], dropped)

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
