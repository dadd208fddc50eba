"""Tables for the figures of quality control: cells per tile, and the pixels of a few crops."""

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from mcvae_ops.files import read_blocks, read_codes, with_text, write_parquet
from mcvae_ops.shards.format import open_shard
from mcvae_ops.shards.index import index_channels

N_EXAMPLES = 9


def draws_of(names: Iterable[str]) -> np.ndarray:
    """Return a number of each cell by its name alone, (cell,): those with the least are chosen."""
    return np.array([zlib.crc32(f"example {name}".encode()) for name in names], np.int64)


def choose_examples(cells: Iterator[pa.Table], n: int) -> dict[bool, list[dict]]:
    """Choose `n` cells of either arm (is_ntc) by their names alone; return them in their order."""
    chosen, row = {True: [], False: []}, 0
    for table in cells:
        drawn = draws_of(table["cell_id"].to_pylist())
        for arm, kept in chosen.items():
            rows = np.flatnonzero(table["is_ntc"].to_numpy() == arm)
            first = rows[np.argsort(drawn[rows], kind="stable")[:n]]
            new = zip(first.tolist(), table.take(first).to_pylist(), strict=True)
            kept += [(drawn[k], row + k, cell) for k, cell in new]
            kept[:] = sorted(kept, key=lambda each: each[:2])[:n]
        row += table.num_rows
    by_row = {arm: sorted(kept, key=lambda each: each[1]) for arm, kept in chosen.items()}
    return {arm: [cell for *_, cell in kept] for arm, kept in by_row.items()}


def pixels_of(crop: np.ndarray, channels: list[str], cell_id: str, is_ntc: bool) -> pa.Table:
    """Return a crop (channel, y, x) as a table of one row per pixel."""
    channel, y, x = (axis.ravel() for axis in np.indices(crop.shape, np.int32))
    return pa.table(
        {
            "cell_id": pa.repeat(cell_id, crop.size),
            "is_ntc": pa.repeat(is_ntc, crop.size),
            "channel": np.array(channels)[channel],
            "y": y,
            "x": x,
            "counts": np.ascontiguousarray(crop).ravel(),
        }
    )


def sample_crops(index: str, cells_per_tile: str, montage: str) -> None:
    """Rule sample_crops: count the cells of each tile, and write the pixels of some crops.

    Parameters
    ----------
    index
        The shard index.
    cells_per_tile
        Output: one row per plate, well and tile.
    montage
        Output: `N_EXAMPLES` crops of either arm, one row per pixel.
    """
    keys = ["plate", "well", "tile"]
    tiles = read_codes(index, keys).group_by(keys).aggregate([([], "count_all")])
    counts = with_text(tiles.replace_schema_metadata(None)).sort_by(
        [(k, "ascending") for k in keys]
    )
    write_parquet(counts.rename_columns([*keys, "n_cells"]), cells_per_tile)
    channels, root, parts = index_channels(index), Path(index).parents[1], []
    cells = read_blocks(index, ["shard", "row", "cell_id", "is_ntc"])
    for arm, chosen in choose_examples(cells, N_EXAMPLES).items():
        for cell in chosen:
            crop = open_shard(root / cell["shard"]).crops[cell["row"]]
            parts.append(pixels_of(crop, channels, cell["cell_id"], arm))
    write_parquet(pa.concat_tables(parts), montage)
