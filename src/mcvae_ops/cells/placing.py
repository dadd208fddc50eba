"""Cells of the screen among the rows of a table: those with a place, a position and a label."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mcvae_ops.archive.patterns import well_name
from mcvae_ops.cells.columns import POSITION
from mcvae_ops.cells.lookups import keys_of
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
OTHER_TILES = "of tiles that screen.tiles does not name"
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

    def cells(self, rows: pa.Table) -> tuple[pa.Table, Counter, Counter, Counter]:
        """Return the cells of the screen that have a place, a position, a guide and a gene.

        Where crops are given, a cell needs its crop in place of a position; where others embedded
        cells that have no positions, it needs none; and what its role marks as a control needs
        neither guide nor gene.

        Parameters
        ----------
        rows
            Named columns of a table with one row per cell, and any others.

        Returns
        -------
        All of `NAMES` (tile int32, positions float32, others text; wells spelled as the
        configuration spells them), then the other columns; the number of dropped cells by reason;
        of all cells by (plate, well); of controls by (plate, well) outside the screen.
        """
        rows = self._named_controls(self._complete(rows))
        table, seen = self._placed(rows)
        where = {}
        if "crop" in table.column_names:
            where = {"without a crop": pc.is_valid(table["crop"])}
        elif self.needs_positions:
            is_known = _both(pc.is_finite(table["y_px"]), pc.is_finite(table["x_px"]))
            where = {"without a position": is_known}
        tests = {
            "of other plates or wells": pc.is_valid(table["well"]),
            OTHER_TILES: self._is_tile(table["tile"]),
            **where,
            "without a guide or gene": _both(
                pc.is_valid(table["guide"]), pc.is_valid(table["gene"])
            ),
        }
        dropped, is_usable = Counter(), np.ones(len(table), bool)
        for reason, test in tests.items():
            has_passed = pc.fill_null(test, False).to_numpy(zero_copy_only=False)
            dropped[reason] += int((is_usable & ~has_passed).sum())
            is_usable &= has_passed
        elsewhere = self._controls(rows.filter(pc.is_null(table["well"])))
        return table.filter(pa.array(is_usable)), dropped, seen, elsewhere

    def rows(self, rows: pa.Table) -> pa.Table:
        """Return the rows that lie in a well and tile of the screen: places alone are needed."""
        table, _ = self._placed(self._complete(rows, PLACE))
        return table.filter(_both(pc.is_valid(table["well"]), self._is_tile(table["tile"])))

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
