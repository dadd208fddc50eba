"""The shard index: one row per crop of the screen, in the order of its shards."""

import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mcvae_ops.errors import InputError
from mcvae_ops.files import parquet_writer, read_codes, read_schema, read_table
from mcvae_ops.progress import Progress
from mcvae_ops.shards.format import open_shard, read_metadata

ROW_GROUP = 1 << 18  # rows
_READERS = 4  # shards that are read at a time


def shard_rows(path: str | Path, name: str) -> pa.Table:
    """Return the rows of a shard, with two columns in front: shard (`name`) and row of the crop.

    Every byte of the shard is read and verified, once and for all that is made of it.
    """
    cells = open_shard(path, verify=True).cells.replace_schema_metadata(None)
    rows = pa.array(np.arange(cells.num_rows, dtype=np.int32))
    names = pa.repeat(name, cells.num_rows)
    return cells.add_column(0, "shard", names).add_column(1, "row", rows)


def chunk_key(path: str | Path) -> tuple[str, str, str, str]:
    """Return (plate, well, chunk, arm) of ``.../{plate}/{well}/{chunk}.{arm}.npy``."""
    path = Path(path)
    chunk, arm, _ = path.name.split(".")
    return path.parts[-3], path.parts[-2], chunk, arm


def check_alike(shards: Sequence[str]) -> dict[str, str]:
    """Return the metadata that all shards have in common: version, channels and crop size.

    Raises
    ------
    InputError
        If a shard differs from the first.
    """
    keys = ("schema_version", "channels", "crop_size_px")
    first = {key: read_metadata(shards[0])[key] for key in keys}
    for shard in shards[1:]:
        metadata = read_metadata(shard)
        for key in keys:
            if metadata[key] != first[key]:
                raise InputError(
                    where=f"shard {shard}",
                    found=f"{key} {metadata[key]}",
                    expected=f"{first[key]} as in {shards[0]}",
                    fix="delete the older one, and Snakemake makes it again",
                )
    return first


def index_channels(path: str | Path) -> list[str]:
    """Return the channel names of the crops that an index lists."""
    return json.loads(read_schema(path).metadata[b"channels"])


def check_channels(channels: Sequence[str], index: str) -> list[str]:
    """Return the names of the configured channels.

    Raises
    ------
    InputError
        If the crops that the index lists have other channels.
    """
    indexed = index_channels(index)
    if indexed != list(channels):
        raise InputError(
            where="configuration key screen.channels",
            found=", ".join(channels),
            expected=f"{', '.join(indexed)}, as in {index}",
            fix="correct the key, or make the crops again (rule crop_chunk)",
        )
    return indexed


def batches_of(plate: pa.ChunkedArray, well: pa.ChunkedArray, batch: Sequence[str]) -> pa.Array:
    """Return the batch of each cell, as ``screen.batch`` defines it: ``P1/A1``, or ``P1``."""
    names = {"plate": plate.cast(pa.string()), "well": well.cast(pa.string())}
    return pc.binary_join_element_wise(*(names[part] for part in batch), "/")


def index_shards(shards: Sequence[str], root: str, batch: Sequence[str], index: str) -> None:
    """Rule index_shards: list every crop, by plate, well, chunk, arm and row.

    The column batch is the one definition of a batch: whatever compares cells with the controls of
    their batch reads it here.

    Parameters
    ----------
    shards
        Paths of the shards (.npy).
    root
        Folder to which the paths in the index are relative.
    batch
        ``screen.batch``: what the cells of a batch share.
    index
        Output.

    Raises
    ------
    InputError
        If a shard is damaged, shards differ, no cell is left, or a cell occurs twice.
    """
    shards = sorted(shards, key=chunk_key)
    shared = check_alike(shards)
    names = [Path(path).relative_to(root).as_posix() for path in shards]
    digests, waiting = [], []
    with ExitStack() as stack:
        for rows in _read_in_order(shards, names):
            rows = rows.append_column("batch", batches_of(rows["plate"], rows["well"], batch))
            if not digests:
                schema = rows.schema.with_metadata(shared)
                writer = stack.enter_context(parquet_writer(index, schema))
            digests.append(_digests(rows["cell_id"]))
            waiting.append(rows)
            if sum(map(len, waiting)) >= ROW_GROUP:
                waiting = [_write_groups(writer, pa.concat_tables(waiting))]
        writer.write_table(pa.concat_tables(waiting))
        every = np.concatenate(digests)
        n_crops, n_cells = len(every), len(np.unique(every))
        if n_crops == 0:
            raise InputError.missing(
                where=f"the {len(shards)} shards of {root}",
                what="every cell",
                why="training needs cells",
                fix="read in crops/*/*/*.dropped.parquet why cells were dropped",
            )
        if n_cells != n_crops:
            raise InputError(
                where=f"the shards of {root}",
                found=f"{n_crops} crops of {n_cells} cells",
                expected="one crop of each cell",
                fix="delete the folder crops, and Snakemake makes it again",
            )


def chunk_order(plate: str, well: str, chunk: int, n_cells: int) -> np.ndarray:
    """Return the order of the cells of a chunk, (cell,): shuffled over its tiles.

    Training reads cells together that are neighbours in this order.
    """
    seed = zlib.crc32(f"{plate}/{well}/{chunk:03d}".encode())
    return np.random.default_rng(seed).permutation(n_cells)


def index_cells(
    cells: Sequence[str],
    tiles: Sequence[int] | None,
    tiles_per_chunk: int,
    batch: Sequence[str],
    index: str,
) -> None:
    """Rule index_cells: list cells without crops, in the order in which their crops would stand.

    So whatever draws rows of the index draws the same cells with and without crops.

    Parameters
    ----------
    cells
        Table of the cells of every plate (``.../{plate}.parquet``), sorted by tile in each well.
    tiles, tiles_per_chunk
        Tiles of a well in their order (None: those that cells lie in), and how many of them make a
        chunk.
    batch
        ``screen.batch``: what the cells of a batch share.
    index
        Output: as that of `index_shards`; the shard of a cell is an empty text.
    """
    tiles = _tiles_of(cells) if tiles is None else tiles
    chunk_of = np.full(max(tiles) + 1, -1)
    chunk_of[list(tiles)] = np.arange(len(tiles)) // tiles_per_chunk
    metadata = {"channels": "[]", "crop_size_px": "0"}
    with ExitStack() as stack:
        writer = None
        for path in sorted(cells):
            for well in sorted(pc.unique(read_codes(path, ["well"])["well"]).to_pylist()):
                rows = read_table(path, filters=[("well", "==", well)])
                rows = rows.take(pa.array(_well_order(rows, chunk_of))).combine_chunks()
                rows = rows.add_column(0, "shard", pa.repeat("", len(rows)))
                rows = rows.add_column(1, "row", pa.array(np.arange(len(rows), dtype=np.int32)))
                rows = rows.append_column("batch", batches_of(rows["plate"], rows["well"], batch))
                rows = rows.replace_schema_metadata(metadata)
                writer = writer or stack.enter_context(parquet_writer(index, rows.schema))
                writer.write_table(rows, row_group_size=ROW_GROUP)


def _tiles_of(cells: Sequence[str]) -> list[int]:
    tiles: set[int] = set()
    for path in cells:
        tiles.update(pc.unique(read_table(path, columns=["tile"])["tile"]).to_pylist())
    return sorted(tiles)


def _well_order(rows: pa.Table, chunk_of: np.ndarray) -> np.ndarray:
    """Return the order of the cells of a well: by chunk, controls first, shuffled in each."""
    plate, well = rows["plate"][0].as_py(), rows["well"][0].as_py()
    chunk, is_ntc = chunk_of[rows["tile"].to_numpy()], rows["is_ntc"].to_numpy()
    parts = []
    for number in np.unique(chunk):
        of_chunk = np.flatnonzero(chunk == number)
        shuffled = of_chunk[chunk_order(plate, well, number, len(of_chunk))]
        parts += [shuffled[is_ntc[shuffled]], shuffled[~is_ntc[shuffled]]]
    return np.concatenate(parts)


def _read_in_order(shards: Sequence[str], names: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the rows of each shard; some are read at a time, and no more wait in memory."""
    progress = Progress(len(shards), "shards", "verify")
    with ThreadPoolExecutor(_READERS) as pool:
        for first in range(0, len(shards), _READERS):
            some = slice(first, first + _READERS)
            for rows in pool.map(shard_rows, shards[some], names[some]):
                yield rows
                progress.step()


def _digests(cell_id: pa.ChunkedArray) -> np.ndarray:
    """Return 8 bytes of each name: of 24 million names two have the same by a chance of 1e-5."""
    ids = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in cell_id.to_pylist())
    return np.frombuffer(b"".join(ids), np.uint64)


def _write_groups(writer, rows: pa.Table) -> pa.Table:
    """Write whole row groups; return the rows that are left."""
    n = len(rows) // ROW_GROUP * ROW_GROUP
    writer.write_table(rows.slice(0, n), row_group_size=ROW_GROUP)
    return rows.slice(n)
