"""Tables for the figures of quality control: cells per tile, and the pixels of a few crops."""

import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from mcvae_ops.files import read_table, write_parquet
from mcvae_ops.shards.format import open_shard
from mcvae_ops.shards.index import index_channels

N_EXAMPLES = 9


def choose_examples(cell_ids: np.ndarray, n: int) -> np.ndarray:
    """Choose `n` cells by their names alone; return their rows, ascending."""
    drawn = [zlib.crc32(f"example {cell_id}".encode()) for cell_id in cell_ids]
    return np.sort(np.argsort(drawn, kind="stable")[:n])


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
    columns = ["shard", "row", "cell_id", "plate", "well", "tile", "is_ntc"]
    table = read_table(index, columns=columns).replace_schema_metadata(None)
    keys = ["plate", "well", "tile"]
    counts = (
        table.group_by(keys)
        .aggregate([([], "count_all")])
        .sort_by([(k, "ascending") for k in keys])
    )
    write_parquet(counts.rename_columns([*keys, "n_cells"]), cells_per_tile)
    channels, root, parts = index_channels(index), Path(index).parents[1], []
    is_ntc = table["is_ntc"].to_numpy()
    for arm in (True, False):
        rows = np.flatnonzero(is_ntc == arm)
        chosen = table.take(rows[choose_examples(table["cell_id"].to_numpy()[rows], N_EXAMPLES)])
        for cell in chosen.to_pylist():
            crop = open_shard(root / cell["shard"]).crops[cell["row"]]
            parts.append(pixels_of(crop, channels, cell["cell_id"], arm))
    write_parquet(pa.concat_tables(parts), montage)
