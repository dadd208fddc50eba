"""One row for each cell of a well: rows that stand twice are dropped, and every cell has a name."""

from collections import Counter

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mcvae_ops.errors import InputError

TWICE = "listed twice"
SEVERAL_STAGES = "listed twice in several stages"


def distinct_cells(cells: pa.Table, ambiguous_labels: str, dropped: Counter) -> pa.Table:
    """Return the cells of a well, sorted, with one row and a name (cell_id) each.

    Parameters
    ----------
    cells
        The columns of the cells table and ``stage``, and any others; all cells of their tiles,
        because the name of a cell contains its rank in the tile. Cells that come with names
        (cell_id) keep them.
    ambiguous_labels
        ``screen.ambiguous_labels``.
    dropped
        Takes the number of rows that are dropped, by reason.

    Raises
    ------
    InputError
        If a cell has several guides or genes, and `ambiguous_labels` is ``refuse``; if a name that
        the table gives is missing or stands twice.
    """
    several, n_staged = _doubled_cells(cells)
    if len(several):
        if ambiguous_labels == "refuse":
            raise _several_labels(several, _place_of(cells))
        dropped["listed with several labels"] += len(several)
        keep = pd.RangeIndex(len(cells)).difference(several.index)
        cells = cells.take(pa.array(keep.to_numpy()))
    cells, n_twice = _number_cells(cells)
    dropped[TWICE] += n_twice - n_staged
    dropped[SEVERAL_STAGES] += n_staged
    return cells


def _identity_of(cells: pa.Table) -> list[str]:
    """Return the columns that tell the cells of a well apart: tile and position, or crop.

    The tile alone, where cells have no positions: every row is a cell.
    """
    if "crop" in cells.column_names:
        return ["tile", "crop"]
    return ["tile"] if cells["y_px"].null_count else ["tile", "y_px", "x_px"]


def _doubled_cells(cells: pa.Table) -> tuple[pd.DataFrame, int]:
    """Find cells that stand twice: at one position of a tile, or with one crop.

    Returns
    -------
    The rows of cells that stand there with different guides or genes (`_identity_of`, guide, gene,
    and their row number as index); and the number of further rows of cells with different stages
    alone.
    """
    names, labels = _identity_of(cells), ["guide", "gene", "stage"]
    rows = cells.select([*names, *labels]).to_pandas()
    rows = rows[rows.duplicated(names, keep=False)] if len(names) > 1 else rows[:0]
    if rows.empty:
        return rows, 0
    n_labels = rows.groupby(names)[labels].transform("nunique", dropna=False)
    has_several = (n_labels[["guide", "gene"]] > 1).any(axis=1)
    staged = rows[~has_several & (n_labels["stage"] > 1)]
    return rows[has_several], int(staged.duplicated(names).sum())


def _number_cells(cells: pa.Table) -> tuple[pa.Table, int]:
    """Sort the cells of a well by tile and position (or crop), drop duplicates, and name each.

    Of rows with the same tile and position, the first is used.

    Returns
    -------
    The cells, with cell_id; and the number of dropped duplicates.
    """
    names = _identity_of(cells)
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
            where=f"the tables of cells, {_place_of(cells)}",
            found=f"{n_names} names (cells.columns.cell_id) of {len(cells)} cells",
            expected="a name of its own for each cell",
            fix="name another column, or leave cell_id out: then cells are numbered",
        )


def _several_labels(rows: pd.DataFrame, place: str) -> InputError:
    cells = rows.groupby([name for name in rows.columns if name not in ("guide", "gene", "stage")])
    _, first = next(iter(cells))
    name = "gene" if first["gene"].nunique() > 1 else "guide"
    labels = " and ".join(first[name].unique()[:3])
    cell = first.iloc[0]
    where = f"crop {cell.get('crop')}"
    if "y_px" in cell:
        where = f"y {cell['y_px']:.2f}, x {cell['x_px']:.2f}"
    return InputError(
        where=f"the tables of cells, {place}",
        found=f"{cells.ngroups} cells that stand twice with different labels, as in tile "
        f"{cell['tile']} at {where}: {name} {labels}",
        expected="one guide and gene of each cell",
        fix="correct the table (a join may have doubled its rows), or set screen.ambiguous_labels: "
        "drop to leave these cells out",
    )


def _place_of(cells: pa.Table) -> str:
    return f"plate {cells['plate'][0]} well {cells['well'][0]}"
