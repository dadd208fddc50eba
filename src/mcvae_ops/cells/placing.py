"""Cells of the screen among the rows of a table: those with a place, a position and a label."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mcvae_ops.archive.patterns import well_name
from mcvae_ops.cells.columns import DOSE, POSITION
from mcvae_ops.cells.lookups import keys_of
from mcvae_ops.cells.tally import Tally
from mcvae_ops.screen import (
    ALL_TILES,
    CONTROL,
    control_values,
    is_like,
    only_tile,
    tile_numbers,
    tile_shape,
)

PLACE = ("plate", "well", "tile")
# Why rows are no cells of the screen, in words that follow their number.
OTHER_WELLS = "of other plates or wells"
NO_TILE = "without the number of a tile"
OTHER_TILES = "of tiles that screen.tiles does not name"
_SHOWN_TILES = 8
NAMES = (*PLACE, *POSITION, "guide", "gene", "role", "stage")


class Placing:
    """Find the cells of a screen.

    Parameters
    ----------
    screen
        plates, tiles, tile_size_px, cut_px and control of the configuration.
    needs_positions
        Whether cells without a position are dropped; otherwise they have none (null).
    """

    def __init__(self, screen: dict, needs_positions: bool = True) -> None:
        self.screen, self.needs_positions = screen, needs_positions
        self.wells = {
            (plate, well_name(well)): well
            for plate, wells in screen["plates"].items()
            for well in wells
        }
        self.label, self.patterns = control_values(screen["control"])

    def cells(self, rows: pa.Table) -> tuple[pa.Table, Tally]:
        """Return the cells of the screen that have a place, a position, a guide and a gene.

        Where crops are given, a cell needs its crop in place of a position; where others embedded
        cells that have no positions, it needs none; and what its role marks as a control needs
        neither guide nor gene. Where tables name a dose, it is added to the guide.

        Parameters
        ----------
        rows
            Named columns of a table with one row per cell, and any others.

        Returns
        -------
        All of `NAMES` (tile int32, positions float32, others text; wells spelled as the
        configuration spells them), then the other columns; and what became of the rows.
        """
        rows = self._with_doses(self._named_controls(self._complete(rows)))
        table, seen = self._placed(rows)
        tally = Tally(seen=seen, tiles=_commonest(rows["tile"]))
        is_usable = np.ones(len(table), bool)
        for reason, test in self._tests(rows, table).items():
            has_passed = pc.fill_null(test, False).to_numpy(zero_copy_only=False)
            fails = table["plate"].filter(pa.array(is_usable & ~has_passed))
            tally.dropped.update(self._by_plate(fails, reason))
            is_usable &= has_passed
        tally.elsewhere = self._controls(rows.filter(pc.is_null(table["well"])))
        return table.filter(pa.array(is_usable)), tally

    def rows(self, rows: pa.Table) -> pa.Table:
        """Return the rows that lie in a well and tile of the screen: places alone are needed."""
        table, _ = self._placed(self._complete(rows, PLACE))
        return table.filter(_both(pc.is_valid(table["well"]), self._is_tile(table["tile"])))

    def _tests(self, rows: pa.Table, table: pa.Table) -> dict[str, pa.ChunkedArray]:
        """Return what a cell has to have, by why a row without it is dropped.

        Parameters
        ----------
        rows, table
            The rows before and after their wells and tiles were brought to one form.
        """
        is_known = {name: pc.is_valid(table[name]) for name in ("well", "tile", "guide", "gene")}
        says_well = _both(pc.is_valid(rows["plate"]), pc.is_valid(rows["well"]))
        is_cut = self.screen["cut_px"] is not None
        tests = {
            "without a plate or well": says_well,
            OTHER_WELLS: is_known["well"],
            "without a position in the image" if is_cut else NO_TILE: is_known["tile"],
            OTHER_TILES: self._is_tile(table["tile"]),
        }
        if "crop" in table.column_names:
            tests["without a crop"] = pc.is_valid(table["crop"])
        elif self.needs_positions:
            tests["without a position"] = _both(*(pc.is_finite(table[name]) for name in POSITION))
        return tests | {
            "with neither guide nor gene": pc.or_(is_known["guide"], is_known["gene"]),
            "of a guide without a gene": is_known["gene"],
            "without a dose above 0": self._has_dose(rows),
            "of a gene without a guide": is_known["guide"],
        }

    def _by_plate(self, plates: pa.ChunkedArray, reason: str) -> Counter:
        """Count rows that are dropped, by (plate, reason)."""
        counts: Counter = Counter()
        for found in pc.value_counts(plates).to_pylist():
            plate = found["values"] if found["values"] in self.screen["plates"] else ""
            counts[plate, reason] += found["counts"]
        return counts

    def _complete(self, rows: pa.Table, names: tuple[str, ...] = NAMES) -> pa.Table:
        """Add what no table says: the only plate, well or tile, and the gene as the guide."""
        plates = list(self.screen["plates"])
        only = {
            "plate": plates[0] if len(plates) == 1 else None,
            "well": next(iter(self.wells.values())) if len(self.wells) == 1 else None,
            "tile": only_tile(self.screen["tiles"]),
        }
        for name in names:
            if name in rows.column_names:
                continue
            if name == "guide" and "gene" in rows.column_names:
                values = rows["gene"]
            else:
                kind = pa.float32() if name in POSITION else pa.string()
                values = pa.repeat(pa.scalar(only.get(name), kind), len(rows))
            rows = rows.append_column(name, values)
        others = [name for name in rows.column_names if name not in names]
        return rows.select([*names, *others])

    def _named_controls(self, rows: pa.Table) -> pa.Table:
        """Name the guide and gene of controls, which plate maps with a role may leave empty."""
        if self.label == "gene":
            return rows
        is_control = self._is_control(rows)
        for name in ("guide", "gene"):
            is_nameless = pc.and_(is_control, pc.is_null(rows[name]))
            values = pc.if_else(is_nameless, CONTROL, rows[name])
            rows = rows.set_column(rows.column_names.index(name), name, values)
        return rows

    def _with_doses(self, rows: pa.Table) -> pa.Table:
        """Add the dose to the guide of each cell that is no control; see `DOSE_OF_GUIDE`."""
        if DOSE not in rows.column_names:
            return rows
        dosed = pc.binary_join_element_wise(rows["guide"], rows[DOSE], " ")
        guides = pc.if_else(self._is_control(rows), rows["guide"], dosed)
        return rows.set_column(rows.column_names.index("guide"), "guide", guides)

    def _has_dose(self, rows: pa.Table) -> pa.ChunkedArray:
        """Say which cells have a dose where one is needed: cells of compounds, not controls."""
        if DOSE not in rows.column_names:
            return pa.repeat(True, len(rows))
        return pc.or_kleene(self._is_control(rows), pc.greater(rows[DOSE].cast(pa.float64()), 0))

    def _placed(self, rows: pa.Table) -> tuple[pa.Table, Counter]:
        """Give wells the spelling of the configuration (null outside), and tiles their number."""
        places = pa.chunked_array([_array(keys_of(rows, ["plate", "well"]))]).dictionary_encode()
        places = places.combine_chunks()
        counts = Counter()
        for place in pc.value_counts(places).to_pylist():
            if place["values"] is not None:
                counts[tuple(place["values"].split("\x1f"))] += place["counts"]
        named = (place.split("\x1f") for place in places.dictionary.to_pylist())
        known = [self.wells.get((plate, well_name(well))) for plate, well in named]
        wells = pa.array(known, pa.string()).take(places.indices)
        cut_px = self.screen["cut_px"]
        tiles = _numbers(rows["tile"]) if cut_px is None else self._cut(rows, cut_px)
        for name, values in (("well", wells), ("tile", tiles)):
            rows = rows.set_column(rows.column_names.index(name), name, values)
        return rows, counts

    def _cut(self, rows: pa.Table, cut_px: int) -> pa.Array:
        """Return the tile of a stitched image in which each cell lies, counted row by row."""
        height, width = tile_shape(self.screen["tile_size_px"])
        y, x = (rows[name].to_numpy().astype(np.float64) for name in POSITION)
        with np.errstate(invalid="ignore"):
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        tile = np.where(inside, y // cut_px * -(-width // cut_px) + x // cut_px, -1)
        return pa.array(tile.astype(np.int32), mask=~inside)

    def _is_tile(self, tiles: pa.ChunkedArray) -> pa.Array:
        if self.screen["tiles"] == ALL_TILES:
            return pc.is_valid(tiles)
        return pc.is_in(tiles, pa.array(tile_numbers(self.screen["tiles"]), pa.int32()))

    def _controls(self, rows: pa.Table) -> Counter:
        """Count the controls among rows by (plate, well)."""
        controls = rows.filter(self._is_control(rows))
        wells = zip(controls["plate"].to_pylist(), controls["well"].to_pylist(), strict=True)
        return Counter(wells)

    def _is_control(self, rows: pa.Table) -> pa.ChunkedArray:
        labels = rows[self.label]
        marked = [value for value in pc.unique(labels).to_pylist()
                  if value is not None and is_like(value, self.patterns)]  # fmt: skip
        return pc.is_in(labels, pa.array(marked, pa.string()))


def _commonest(tiles: pa.ChunkedArray) -> Counter:
    counts = {(v["values"],): v["counts"] for v in pc.value_counts(tiles.drop_null()).to_pylist()}
    return Counter(dict(Counter(counts).most_common(_SHOWN_TILES)))


def _numbers(tiles: pa.ChunkedArray) -> pa.Array:
    """Return tiles as int32; null where the text is no number."""

    def number(text: str) -> int | None:
        return int(text) if text.isdecimal() and len(text) <= 9 else None

    return _by_value(tiles, number)


def _by_value(tiles: pa.ChunkedArray, change: Callable[[str], int | None]) -> pa.Array:
    packed = tiles.combine_chunks().dictionary_encode()
    return pa.array(map(change, packed.dictionary.to_pylist()), pa.int32()).take(packed.indices)


def _array(keys) -> pa.Array:
    return pa.array(keys, pa.string(), from_pandas=True)


def _both(first, second):
    return pc.and_kleene(first, second)
