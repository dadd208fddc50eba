"""Cells and their classical features: two tables per well, made from the parts of an archive.

The archive's feature table comes in parts by its own order, for example by stage of the cell
cycle. Each part is partitioned by well and tiles on disk, then each well is joined from all parts.
"""

import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mcvae_ops.archive.parts import batches_of, members_of, stage_of
from mcvae_ops.archive.stream import stream_files
from mcvae_ops.archive.transfer import Wanted
from mcvae_ops.cells.overlap import duplicate_cells
from mcvae_ops.cells.partition import Key, Partition, PartitionWriter, other_columns
from mcvae_ops.errors import InputError
from mcvae_ops.files import parquet_writer, read_table
from mcvae_ops.progress import Progress
from mcvae_ops.screen import CONTROL, name_of, tile_numbers

logger = logging.getLogger(__name__)

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


def named_columns(table: pa.Table, name: str, screen: dict) -> pa.Table:
    """Return the rows of a part with the pipeline's column names and types.

    Parameters
    ----------
    table
        Some rows of the part.
    name
        Name of the part, for errors.
    screen
        Section of the configuration.

    Returns
    -------
    plate, well, tile, y_px, x_px, guide, gene, then every feature (float32), named
    ``feature/...`` so that none is confused with those.

    Raises
    ------
    InputError
        If a column of ``screen.columns`` is missing, or a feature is not a number.
    """
    columns = screen["columns"]
    for ours, theirs in columns.items():
        if theirs not in table.column_names:
            raise InputError.missing(
                where=f"feature part {name}",
                what=f"column {theirs!r}",
                why=f"screen.columns.{ours} names it",
                fix=f"correct screen.columns.{ours} or replace the part",
            )
    others = {*columns.values(), *screen["not_features"]}
    features = [column for column in table.column_names if column not in others]
    types = {"tile": pa.int32(), "y_px": pa.float32(), "x_px": pa.float32()}
    arrays = {
        ours: _cast(table[theirs], types.get(ours, pa.string()), theirs, name)
        for ours, theirs in columns.items()
    }
    for feature in features:
        arrays[f"feature/{feature}"] = _cast(table[feature], pa.float32(), feature, name)
    return pa.table(arrays)


def usable_cells(table: pa.Table, screen: dict) -> tuple[pa.Table, Counter]:
    """Return the cells of the screen that have a position, a guide and a gene.

    Returns
    -------
    Rows of these cells, and the number of dropped cells by reason.
    """
    tests = {
        "outside the screen": pc.and_(
            pc.is_in(table["tile"], pa.array(tile_numbers(screen["tiles"]), pa.int32())),
            pc.is_in(table["plate"], pa.array(list(screen["plates"]))),
        ),
        "without a position": pc.and_(pc.is_finite(table["y_px"]), pc.is_finite(table["x_px"])),
        "without a guide or gene": pc.and_(
            pc.not_equal(table["guide"], ""), pc.not_equal(table["gene"], "")
        ),
    }
    dropped, is_usable = Counter(), np.ones(table.num_rows, bool)
    for reason, test in tests.items():
        has_passed = pc.fill_null(test, False).to_numpy()
        dropped[reason] += int((is_usable & ~has_passed).sum())
        is_usable &= has_passed
    return table.filter(pa.array(is_usable)), dropped


def number_cells(cells: pa.Table) -> tuple[pa.Table, int]:
    """Sort the cells of a well by tile and position, drop duplicates, and name each cell.

    Of rows with the same tile and position, the first is used.

    Parameters
    ----------
    cells
        The columns of the cells table except cell_id, and any others; all cells of their tiles,
        because the name of a cell contains its rank in the tile.

    Returns
    -------
    The cells, with cell_id; and the number of dropped duplicates.
    """
    position = cells.select(["tile", "y_px", "x_px"]).to_pandas()
    position = position.sort_values(["tile", "y_px", "x_px"], kind="stable").drop_duplicates()
    rank = position.groupby("tile").cumcount()
    distinct = cells.take(pa.array(position.index.to_numpy()))
    plates, wells = (distinct[name].to_pylist() for name in ("plate", "well"))
    names = zip(plates, wells, position["tile"], rank, strict=True)
    ids = [f"{plate}_{well}_{tile:04d}_{n:05d}" for plate, well, tile, n in names]
    cell_id = pa.array(ids, pa.string())
    return distinct.append_column("cell_id", cell_id), len(cells) - len(distinct)


def check_control(genes: Counter, control: str) -> None:
    """Raise an `InputError` if no cell has the label of the control; it lists common labels."""
    if not genes.total():
        raise InputError.missing(
            where="the feature table",
            what="every cell of the screen",
            why="the configuration names its plates, wells and tiles",
            fix="correct screen.plates, screen.tiles or screen.columns",
        )
    if not genes[control]:
        commonest = ", ".join(repr(gene) for gene, _ in genes.most_common(5))
        raise InputError(
            where="configuration key screen.control",
            found=f"{control!r}, which labels none of {genes.total()} cells",
            expected=f"a label of the feature table (the most common are {commonest or 'none'})",
            fix="correct screen.control or screen.columns.gene",
        )


def split_cells(
    feature_parts: str,
    screen: dict,
    archive: dict,
    cache: str,
    cells: Sequence[str],
    features: Sequence[str],
) -> None:
    """Rule split_cells: write ``.../{plate}/{well}.parquet``, cells and row-aligned features.

    The parts are streamed: each is partitioned by well and tiles in `cache`, then each well is
    joined, some tiles at a time. So memory holds some rows of a part, or the cells of
    `TILES_PER_BLOCK` tiles. Parts that an interrupted job has partitioned are not fetched again.

    Parameters
    ----------
    feature_parts
        Table of the parts of the archive's feature table.
    screen, archive
        Sections of the configuration.
    cache
        Folder for fetched parts and their partitions; deleted at the end.
    cells, features
        Outputs: the tables of each well, in the same order of wells.

    Raises
    ------
    InputError
        If a part cannot be fetched or read, parts have different columns, no cell is a control, or
        a well has no cell.
    """
    parts = read_table(feature_parts).to_pylist()
    partitions = _partition_parts(parts, screen, archive, Path(cache))
    check_columns(partitions)
    check_control(sum((part.genes for part in partitions), Counter()), screen["control"])
    for reason, n in sorted(sum((part.dropped for part in partitions), Counter()).items()):
        logger.info("%d cells dropped: %s", n, reason)
    progress = Progress(len(cells), "wells", "join cells")
    for cells_path, features_path in zip(cells, features, strict=True):
        plate = name_of(Path(cells_path).parent.name)
        well = name_of(Path(cells_path).name.removesuffix(".parquet"))
        _join_well(partitions, plate, well, screen, cells_path, features_path)
        progress.step()
    shutil.rmtree(cache)


def check_columns(partitions: Sequence[Partition]) -> None:
    """Raise an `InputError` if the parts do not all have the same columns."""
    first = partitions[0]
    for part in partitions:
        if set(part.columns) != set(first.columns):
            raise other_columns(part.name, part.columns, first.name, first.columns)


def _partition_parts(
    parts: list[dict], screen: dict, archive: dict, cache: Path
) -> list[Partition]:
    names = [f"{part['directory']}/{part['name']}" for part in parts]
    writers = {
        number: PartitionWriter(
            cache / "partitions" / f"{number:06d}", names[number], [screen, part]
        )
        for number, part in enumerate(parts)
    }
    wanted = {
        number: [_wanted(part, cache / "raw" / names[number].lstrip("/"))]
        for number, part in enumerate(parts)
        if writers[number].finished() is None
    }
    progress = Progress(len(wanted), "parts", "partition parts")
    for number, paths in stream_files(wanted, archive):
        if isinstance(paths, InputError):
            raise paths
        with writers[number] as writer:
            for member, path in members_of(paths[0], names[number]):
                stage = stage_of(member)
                for rows in batches_of(path, member):
                    writer.add(*usable_cells(named_columns(rows, member, screen), screen), stage)
        progress.step()
    return [writers[number].finished() for number in range(len(parts))]


def _wanted(part: dict, path: Path) -> Wanted:
    return Wanted(part["address"], path, part["size_bytes"], part["md5"])


def _join_well(
    partitions: Sequence[Partition],
    plate: str,
    well: str,
    screen: dict,
    cells_path: str,
    features_path: str,
) -> None:
    keys = sorted({key for part in partitions for key in part.blocks if key[:2] == (plate, well)})
    if not keys:
        raise InputError.missing(
            where="the feature table",
            what=f"every cell of plate {plate} well {well}",
            why="screen.plates names this well",
            fix="leave the well out of screen.plates or complete the table",
        )
    n_cells, n_duplicates, columns = 0, 0, partitions[0].columns
    named = [column for column in columns if column.startswith("feature/")]
    shown_elsewhere = _shown_elsewhere(partitions, keys, screen)
    with ExitStack() as stack:
        writers = []
        for key in keys:
            table, n = _numbered(partitions, key, columns, screen["control"])
            table = table.filter(pc.invert(pc.is_in(table["cell_id"], shown_elsewhere)))
            n_cells, n_duplicates = n_cells + len(table), n_duplicates + n
            features = table.select(["cell_id", *named])
            plain_names = [name.removeprefix("feature/") for name in features.column_names]
            tables = (table.select(CELL_COLUMNS), features.rename_columns(plain_names))
            if not writers:
                writers = [
                    stack.enter_context(parquet_writer(path, rows.schema))
                    for path, rows in zip((cells_path, features_path), tables, strict=True)
                ]
            for writer, rows in zip(writers, tables, strict=True):
                writer.write_table(rows)
    logger.info(
        "%s/%s: %d cells; dropped: %d listed twice, %d shown better by another tile",
        plate,
        well,
        n_cells,
        n_duplicates,
        len(shown_elsewhere),
    )


def _shown_elsewhere(
    partitions: Sequence[Partition], keys: Sequence[Key], screen: dict
) -> pa.Array:
    """Return the names of a well's cells that another tile shows better, if they are dropped."""
    if screen["duplicates"] is None:
        return pa.array([], pa.string())
    columns = [name for name in partitions[0].columns if not name.startswith("feature/")]
    needed = ["cell_id", "tile", "y_px", "x_px", "guide"]
    blocks = [_numbered(partitions, key, columns, screen["control"])[0] for key in keys]
    cells = pa.concat_tables([block.select(needed) for block in blocks]).to_pandas()
    return pa.array(cells.loc[duplicate_cells(cells, screen), "cell_id"], pa.string())


def _numbered(
    partitions: Sequence[Partition], key: Key, columns: Sequence[str], control: str
) -> tuple[pa.Table, int]:
    blocks = [block for part in partitions for block in part.read(key, columns)]
    return number_cells(_with_control(pa.concat_tables(blocks), control))


def _with_control(table: pa.Table, control: str) -> pa.Table:
    is_ntc = pc.equal(table["gene"], control)
    position = table.column_names.index("gene")
    table = table.set_column(position, "gene", pc.if_else(is_ntc, CONTROL, table["gene"]))
    return table.append_column("is_ntc", is_ntc)


def _cast(column: pa.ChunkedArray, kind: pa.DataType, name: str, part: str) -> pa.ChunkedArray:
    try:
        return column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(
            where=f"feature part {part}, column {name!r}",
            found=f"{column.type} values",
            expected=f"values that can be read as {kind}",
            fix="correct the part, or name the column in screen.columns or screen.not_features",
        ) from None
