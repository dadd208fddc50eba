"""Cells and their classical features: two tables per plate, made from the tables of a screen.

A table comes in parts by its own order, for example by stage of the cell cycle. Each part is
partitioned by well and tiles on disk, then each well is joined from all parts. The wells of a plate
follow one another, and every row group of a table belongs to one well: who reads one well, or one
row group after the other (`mcvae_ops.files.row_groups`), never holds a plate.
"""

import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa

from mcvae_ops.cells.controls import check_batches
from mcvae_ops.cells.described import entries_of
from mcvae_ops.cells.feature_list import list_features
from mcvae_ops.cells.feature_names import say_unused_patterns
from mcvae_ops.cells.joined_wells import JoinedWells
from mcvae_ops.cells.partition_tables import TablePartitioner
from mcvae_ops.cells.row_fates import fates_of_rows, say_dropped
from mcvae_ops.files import parquet_writer, read_table, write_csv
from mcvae_ops.progress import Progress


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
    say_unused_patterns([table.reasons for table in partitioner.described], screen)
    wells = JoinedWells(partitioner.partition(), screen)
    progress = Progress(sum(map(len, screen["plates"].values())), "wells", "join cells")
    for (plate, names), *paths in zip(screen["plates"].items(), cells, features, strict=True):
        _write(wells.join_plate(plate, names, progress), paths)
    check_batches(wells.counts, screen["batch"])
    say_dropped(wells.dropped, wells.counts, wells.seen.total(), screen["tiles"])
    wells.check_matches()
    write_csv(fates_of_rows(wells.dropped, wells.counts), row_counts)
    listed = list_features(partitioner.described, wells.between_wells())
    write_csv(listed, feature_list, "%.4g")
    shutil.rmtree(cache)
