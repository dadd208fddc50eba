"""Intensities of the NTC crops of each batch, by which batches are compared and normalised."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mcvae_ops.files import read_codes, with_text, write_parquet
from mcvae_ops.progress import Progress
from mcvae_ops.shards.format import open_shard
from mcvae_ops.shards.index import check_channels

N_COUNTS = 1 << 16
_BLOCK_CELLS = 256


def count_histogram(crops: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return how often each count occurs in some rows of a shard, int64 (channel, count)."""
    histogram = np.zeros((crops.shape[1], N_COUNTS), np.int64)
    for first in range(0, len(rows), _BLOCK_CELLS):
        block = np.take(crops, rows[first : first + _BLOCK_CELLS], axis=0)
        for k in range(crops.shape[1]):
            histogram[k] += np.bincount(block[:, k].ravel(), minlength=N_COUNTS)
    return histogram


def histogram_summary(histogram: np.ndarray) -> dict[str, float]:
    """Return mean, sd (of the population) and exact percentiles of a histogram of counts.

    Percentiles are counts that occur (``numpy.percentile(..., method="inverted_cdf")``).
    """
    counts, n = np.arange(N_COUNTS, dtype=np.float64), histogram.sum()
    mean = (histogram @ counts) / n
    variance = (histogram @ (counts - mean) ** 2) / n
    cumulative = np.cumsum(histogram)
    summary = {"mean": float(mean), "sd": float(np.sqrt(variance))}
    for percent in (1, 50, 99):
        rank = np.ceil(percent / 100 * n)
        summary[f"p{percent:02d}"] = float(np.searchsorted(cumulative, rank))
    return summary


def shard_statistics(index: str, splits: str, channels: Sequence[str], statistics: str) -> None:
    """Rule shard_statistics: summarise the NTC crops for training of each batch and channel.

    A batch that is held out as a whole has none for training; all its NTC crops are used instead.

    Parameters
    ----------
    index, splits
        The shard index, and the split of each of its cells.
    channels
        Names of the channels in the configuration.
    statistics
        Output: one row per batch and channel.

    Raises
    ------
    InputError
        If the channels of the configuration are not those of the crops.
    """
    check_channels(channels, index)
    table = read_codes(index, ["shard", "row", "batch", "is_ntc"])
    is_trained = pc.equal(read_codes(splits, ["split"])["split"], "train")
    table = with_text(table.append_column("is_trained", is_trained).filter(table["is_ntc"]))
    root = Path(index).parents[1]
    batches = sorted(pc.unique(table["batch"]).to_pylist())
    progress = Progress(len(batches), "batches", "statistics")
    rows = []
    for batch in batches:
        controls = table.filter(pc.equal(table["batch"], batch))
        trained = controls.filter(controls["is_trained"])
        histogram, n_cells = _histogram_of(trained if len(trained) else controls, root)
        for name, counts in zip(channels, histogram, strict=True):
            keys = {"batch": batch, "channel": name, "n_cells": n_cells}
            rows.append(keys | histogram_summary(counts))
        progress.step()
    write_parquet(pa.Table.from_pylist(rows), statistics)


def _histogram_of(table: pa.Table, root: Path) -> tuple[np.ndarray, int]:
    total = np.int64(0)
    for shard in pc.unique(table["shard"]).to_pylist():
        rows = table.filter(pc.equal(table["shard"], shard))["row"].to_numpy()
        total = total + count_histogram(open_shard(root / shard).crops, rows)
    return total, table.num_rows
