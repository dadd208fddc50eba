"""Cells and their classical features: the archive's parts become two tables per well."""

import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mcvae_ops.archive.transfer import fetch, is_remote
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet
from mcvae_ops.progress import Progress
from mcvae_ops.screen import CONTROL

logger = logging.getLogger(__name__)

STAGES = ("interphase", "mitotic")
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


def stage_of(directory: str) -> str:
    """Return the cell cycle stage that the name of a part's directory begins with."""
    for stage in STAGES:
        if directory.rpartition("/")[2].startswith(stage):
            return stage
    raise InputError(
        "the feature table",
        f"a part in the directory {directory!r}",
        f"directories that begin with {' or '.join(STAGES)}",
        "rename the directory or correct archive.dataset",
    )


def read_part(path: Path, name: str, screen: dict) -> pa.Table:
    """Read the wells of the screen from one part, its columns renamed to the pipeline's.

    Parameters
    ----------
    path
        Parquet file.
    name
        Named in errors.
    screen
        Section of the configuration.

    Returns
    -------
    plate, well, tile, y_px, x_px, guide, gene, then every feature (float32), named
    ``feature/...`` so that none can be taken for one of those.

    Raises
    ------
    InputError
        If a column of ``screen.columns`` is missing, or a feature is not a number.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"feature part {name}", f"damage ({error})", "a parquet file", "replace it"
        ) from None
    columns = screen["columns"]
    for ours, theirs in columns.items():
        if theirs not in table.column_names:
            raise InputError(
                f"feature part {name}",
                f"no column {theirs!r}",
                f"the columns {', '.join(columns.values())}",
                f"correct screen.columns.{ours} or replace the part",
            )
    taken = {*columns.values(), *screen["not_features"]}
    features = [column for column in table.column_names if column not in taken]
    types = {"tile": pa.int32(), "y_px": pa.float32(), "x_px": pa.float32()}
    arrays = {
        ours: _cast(table[theirs], types.get(ours, pa.string()), theirs, name)
        for ours, theirs in columns.items()
    }
    for feature in features:
        arrays[f"feature/{feature}"] = _cast(table[feature], pa.float32(), feature, name)
    return pa.table(arrays)


def usable(table: pa.Table, screen: dict) -> tuple[pa.Table, Counter]:
    """Keep the cells of the screen that have a position, a guide and a gene.

    Returns
    -------
    The kept rows, and how many were dropped, by reason.
    """
    tiles = screen["tiles"]
    tests = {
        "outside the screen": pc.and_(
            pc.and_(
                pc.greater_equal(table["tile"], tiles["first"]),
                pc.less_equal(table["tile"], tiles["last"]),
            ),
            pc.is_in(table["plate"], pa.array(list(screen["plates"]))),
        ),
        "without a position": pc.and_(pc.is_finite(table["y_px"]), pc.is_finite(table["x_px"])),
        "without a guide or gene": pc.and_(
            pc.not_equal(table["guide"], ""), pc.not_equal(table["gene"], "")
        ),
    }
    dropped, kept = Counter(), np.ones(table.num_rows, bool)
    for reason, test in tests.items():
        passed = pc.fill_null(test, False).to_numpy()
        dropped[reason] += int((kept & ~passed).sum())
        kept &= passed
    return table.filter(pa.array(kept)), dropped


def number_cells(cells: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Order the cells of a well by tile and position, drop duplicates, and name each.

    A cell found twice (same tile and position) is kept once, as it first stands.

    Parameters
    ----------
    cells
        The columns of the cells table but cell_id, and any others.

    Returns
    -------
    The cells, with cell_id; and how many duplicates were dropped.
    """
    place = ["tile", "y_px", "x_px"]
    ordered = cells.sort_values(place, kind="stable", ignore_index=True)
    unique = ordered.drop_duplicates(place, ignore_index=True)
    rank = unique.groupby("tile").cumcount()
    names = zip(unique["plate"], unique["well"], unique["tile"], rank, strict=True)
    ids = [f"{plate}_{well}_{tile:04d}_{n:05d}" for plate, well, tile, n in names]
    return unique.assign(cell_id=ids), len(cells) - len(unique)


def check_control(genes: Counter, control: str) -> None:
    """Raise an `InputError` if no cell bears the control's label; it lists the commonest."""
    if not genes.total():
        raise InputError(
            "the feature table",
            "no cell of the screen",
            "cells of the plates, wells and tiles of the configuration",
            "correct screen.plates, screen.tiles or screen.columns",
        )
    if not genes[control]:
        commonest = ", ".join(repr(gene) for gene, _ in genes.most_common(5))
        raise InputError(
            "configuration key screen.control",
            f"{control!r}, which labels none of {genes.total()} cells",
            f"a label of the feature table (the commonest are {commonest or 'none'})",
            "correct screen.control or screen.columns.gene",
        )


def split_cells(
    feature_parts: str, screen: dict, cache: str, cells: Sequence[str], features: Sequence[str]
) -> None:
    """Rule split_cells: write ``.../{plate}/{well}.parquet``, cells and row-aligned features.

    The parts are streamed: each is cut up by well in `cache`, then each well is put together.
    """
    parts = pq.read_table(feature_parts).to_pylist()
    shutil.rmtree(cache, ignore_errors=True)
    genes, dropped, columns = Counter(), Counter(), None
    progress = Progress(len(parts), "parts", "split cells")
    for number, part in enumerate(parts):
        table, lost = usable(_fetch_part(part, screen, cache), screen)
        dropped += lost
        if columns is not None and set(columns) != set(table.column_names):
            odd = min(set(columns) ^ set(table.column_names)).removeprefix("feature/")
            raise InputError(
                f"feature part {part['directory']}/{part['name']}",
                f"other columns than in {parts[0]['directory']}/{parts[0]['name']} ({odd!r})",
                "the same columns in all parts",
                "replace it or name the column in screen.not_features",
            )
        columns = columns or table.column_names
        for count in pc.value_counts(table["gene"]).to_pylist():
            genes[count["values"]] += count["counts"]
        stage = stage_of(part["directory"])
        table = table.select(columns).append_column(
            "cell_cycle_stage", pa.repeat(stage, table.num_rows)
        )
        _cut_by_well(table, cache, number)
        progress.step()
    check_control(genes, screen["control"])
    for reason, n in sorted(dropped.items()):
        logger.info("%d cells dropped: %s", n, reason)
    for cells_path, features_path in zip(cells, features, strict=True):
        plate, well = Path(cells_path).parent.name, Path(cells_path).stem
        _join_well(Path(cache) / plate / well, screen["control"], cells_path, features_path)
    shutil.rmtree(cache)


def _fetch_part(part: dict, screen: dict, cache: str) -> pa.Table:
    target = Path(cache) / "parts" / part["directory"] / part["name"]
    path = fetch(part["address"], target, part["size_bytes"])
    table = read_part(path, f"{part['directory']}/{part['name']}", screen)
    if is_remote(part["address"]):
        path.unlink()
    return table


def _cut_by_well(table: pa.Table, cache: str, number: int) -> None:
    pairs = table.select(["plate", "well"]).group_by(["plate", "well"]).aggregate([])
    for pair in pairs.to_pylist():
        chosen = pc.and_(
            pc.equal(table["plate"], pair["plate"]), pc.equal(table["well"], pair["well"])
        )
        folder = Path(cache) / pair["plate"] / pair["well"]
        write_parquet(table.filter(chosen), folder / f"{number:06d}.parquet")


def _join_well(folder: Path, control: str, cells_path: str, features_path: str) -> None:
    pieces = sorted(folder.glob("*.parquet"))
    if not pieces:
        raise InputError(
            "the feature table",
            f"no cell of plate {folder.parent.name} well {folder.name}",
            "cells of every well of screen.plates",
            "leave the well out of screen.plates or complete the table",
        )
    table = pa.concat_tables([pq.read_table(piece) for piece in pieces]).to_pandas()
    table["is_ntc"] = table["gene"] == control
    table.loc[table["is_ntc"], "gene"] = CONTROL
    table, n_duplicates = number_cells(table)
    name = f"{folder.parent.name}/{folder.name}"
    logger.info("%s: %d cells, %d duplicates dropped", name, len(table), n_duplicates)
    named = [column for column in table if column.startswith("feature/")]
    features = table[["cell_id", *named]].rename(columns=lambda c: c.removeprefix("feature/"))
    write_parquet(table[CELL_COLUMNS], cells_path)
    write_parquet(features, features_path)


def _cast(column: pa.ChunkedArray, kind: pa.DataType, name: str, part: str) -> pa.ChunkedArray:
    try:
        return column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(
            f"feature part {part}, column {name!r}",
            f"{column.type} values",
            f"values that can be read as {kind}",
            "correct the part, or name the column in screen.columns or screen.not_features",
        ) from None
