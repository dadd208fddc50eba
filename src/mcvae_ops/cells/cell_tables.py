"""Cells and their classical features: the archive's parts become two tables per well."""

import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mcvae_ops.archive.parts import batches_of, members_of, stage_of
from mcvae_ops.archive.stream import stream_files
from mcvae_ops.archive.transfer import Wanted
from mcvae_ops.cells.overlap import duplicate_cells
from mcvae_ops.cells.partition import Key, Partition, PartitionWriter, other_columns
from mcvae_ops.errors import InputError
from mcvae_ops.files import parquet_writer
from mcvae_ops.progress import Progress
from mcvae_ops.screen import CONTROL, tile_numbers

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
    """Give the columns of a part the pipeline's names and types.

    Parameters
    ----------
    table
        Some rows of the part.
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
    columns = screen["columns"]
    for ours, theirs in columns.items():
        if theirs not in table.column_names:
            raise InputError(
                where=f"feature part {name}",
                found=f"no column {theirs!r}",
                expected=f"the columns {', '.join(columns.values())}",
                fix=f"correct screen.columns.{ours} or replace the part",
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


def usable_cells(table: pa.Table, screen: dict) -> tuple[pa.Table, Counter]:
    """Keep the cells of the screen that have a position, a guide and a gene.

    Returns
    -------
    The kept rows, and how many were dropped, by reason.
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
    dropped, kept = Counter(), np.ones(table.num_rows, bool)
    for reason, test in tests.items():
        passed = pc.fill_null(test, False).to_numpy()
        dropped[reason] += int((kept & ~passed).sum())
        kept &= passed
    return table.filter(pa.array(kept)), dropped


def number_cells(cells: pa.Table) -> tuple[pa.Table, int]:
    """Order cells of a well by tile and position, drop duplicates, and name each.

    A cell found twice (same tile and position) is kept once, as it first stands.

    Parameters
    ----------
    cells
        The columns of the cells table but cell_id, and any others; all cells of its tiles.

    Returns
    -------
    The cells, with cell_id; and how many duplicates were dropped.
    """
    place = cells.select(["tile", "y_px", "x_px"]).to_pandas()
    place = place.sort_values(["tile", "y_px", "x_px"], kind="stable").drop_duplicates()
    rank = place.groupby("tile").cumcount()
    kept = cells.take(pa.array(place.index.to_numpy()))
    names = zip(kept["plate"].to_pylist(), kept["well"].to_pylist(), place["tile"], rank,
                strict=True)  # fmt: skip
    ids = [f"{plate}_{well}_{tile:04d}_{n:05d}" for plate, well, tile, n in names]
    return kept.append_column("cell_id", pa.array(ids, pa.string())), len(cells) - len(kept)


def check_control(genes: Counter, control: str) -> None:
    """Raise an `InputError` if no cell bears the control's label; it lists the commonest."""
    if not genes.total():
        raise InputError(
            where="the feature table",
            found="no cell of the screen",
            expected="cells of the plates, wells and tiles of the configuration",
            fix="correct screen.plates, screen.tiles or screen.columns",
        )
    if not genes[control]:
        commonest = ", ".join(repr(gene) for gene, _ in genes.most_common(5))
        raise InputError(
            where="configuration key screen.control",
            found=f"{control!r}, which labels none of {genes.total()} cells",
            expected=f"a label of the feature table (the commonest are {commonest or 'none'})",
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

    The parts are streamed: each is cut up by well and tiles in `cache`, then each well is put
    together, some tiles at a time. Memory is bounded by a batch of a part, and by the cells of
    `TILES_PER_BLOCK` tiles. Parts that an interrupted job had cut are not fetched again.
    """
    parts = pq.read_table(feature_parts).to_pylist()
    cuts = _cut_parts(parts, screen, archive, Path(cache))
    check_columns(cuts)
    check_control(sum((cut.genes for cut in cuts), Counter()), screen["control"])
    for reason, n in sorted(sum((cut.dropped for cut in cuts), Counter()).items()):
        logger.info("%d cells dropped: %s", n, reason)
    progress = Progress(len(cells), "wells", "join cells")
    for cells_path, features_path in zip(cells, features, strict=True):
        plate, well = Path(cells_path).parent.name, Path(cells_path).stem
        _join_well(cuts, plate, well, screen, cells_path, features_path)
        progress.step()
    shutil.rmtree(cache)


def check_columns(cuts: Sequence[Partition]) -> None:
    """Raise an `InputError` if two parts have other columns than one another."""
    for cut in cuts:
        if set(cut.columns) != set(cuts[0].columns):
            raise other_columns(cut.name, cut.columns, cuts[0].name, cuts[0].columns)


def _cut_parts(parts: list[dict], screen: dict, archive: dict, cache: Path) -> list[Partition]:
    names = [f"{part['directory']}/{part['name']}" for part in parts]
    begun = {
        number: PartitionWriter(cache / "cut" / f"{number:06d}", names[number], [screen, part])
        for number, part in enumerate(parts)
    }
    wanted = {
        number: [Wanted(part["address"], cache / "raw" / names[number].lstrip("/"),
                        part["size_bytes"], part["md5"])]
        for number, part in enumerate(parts)
        if begun[number].finished() is None
    }  # fmt: skip
    progress = Progress(len(wanted), "parts", "cut parts")
    for number, paths in stream_files(wanted, archive):
        if isinstance(paths, InputError):
            raise paths
        with begun[number] as writer:
            for member, path in members_of(paths[0], names[number]):
                stage = stage_of(member)
                for batch in batches_of(path, member):
                    writer.add(*usable_cells(named_columns(batch, member, screen), screen), stage)
        progress.step()
    return [begun[number].finished() for number in range(len(parts))]


def _join_well(
    cuts: Sequence[Partition],
    plate: str,
    well: str,
    screen: dict,
    cells_path: str,
    features_path: str,
) -> None:
    numbers = sorted({key[2] for cut in cuts for key in cut.blocks if key[:2] == (plate, well)})
    if not numbers:
        raise InputError(
            where="the feature table",
            found=f"no cell of plate {plate} well {well}",
            expected="cells of every well of screen.plates",
            fix="leave the well out of screen.plates or complete the table",
        )
    n_cells, n_twice, columns = 0, 0, cuts[0].columns
    named = [column for column in columns if column.startswith("feature/")]
    elsewhere = _shown_elsewhere(cuts, plate, well, numbers, screen)
    with ExitStack() as stack:
        writers = []
        for number in numbers:
            table, n = _numbered(cuts, (plate, well, number), columns, screen["control"])
            n_twice += n
            table = table.filter(pc.invert(pc.is_in(table["cell_id"], elsewhere)))
            n_cells += len(table)
            features = table.select(["cell_id", *named])
            features = features.rename_columns([c.removeprefix("feature/") for c in
                                                features.column_names])  # fmt: skip
            tables = (table.select(CELL_COLUMNS), features)
            if not writers:
                writers = [
                    stack.enter_context(parquet_writer(path, one.schema))
                    for path, one in zip((cells_path, features_path), tables, strict=True)
                ]
            for writer, one in zip(writers, tables, strict=True):
                writer.write_table(one)
    logger.info("%s/%s: %d cells, %d dropped that stand there twice, %d that another tile shows",
                plate, well, n_cells, n_twice, len(elsewhere))  # fmt: skip


def _shown_elsewhere(
    cuts: Sequence[Partition], plate: str, well: str, numbers: Sequence[int], screen: dict
) -> pa.Array:
    """Name the cells of a well that another tile shows better, if any are to be dropped."""
    if screen["duplicates"] is None:
        return pa.array([], pa.string())
    of_cells = [column for column in cuts[0].columns if not column.startswith("feature/")]
    needed = ["cell_id", "tile", "y_px", "x_px", "guide"]
    found = [_numbered(cuts, (plate, well, k), of_cells, screen["control"])[0] for k in numbers]
    cells = pa.concat_tables([table.select(needed) for table in found]).to_pandas()
    return pa.array(cells.loc[duplicate_cells(cells, screen), "cell_id"], pa.string())


def _numbered(
    cuts: Sequence[Partition], key: Key, columns: Sequence[str], control: str
) -> tuple[pa.Table, int]:
    blocks = [block for cut in cuts for block in cut.read(key, columns)]
    return number_cells(_with_control(pa.concat_tables(blocks), control))


def _with_control(table: pa.Table, control: str) -> pa.Table:
    is_ntc = pc.equal(table["gene"], control)
    at = table.column_names.index("gene")
    table = table.set_column(at, "gene", pc.if_else(is_ntc, CONTROL, table["gene"]))
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
