"""The columns of the shard index that training reads: labels, batches and files of cells.

Text is read as numbers, 24 bytes for each cell: every rank of a training holds a copy.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mcvae_ops.errors import InputError
from mcvae_ops.files import count_rows, first_difference, in_order, read_codes, read_table
from mcvae_ops.screen import CONTROL


@dataclass(frozen=True)
class Cells:
    """The columns of the shard index that training reads, row-aligned with it.

    Attributes
    ----------
    index
        Path of the shard index.
    shards, shard, row
        Paths of the .npy files; number of each cell's file among them; row in that file.
    labels, label
        NTC, then the genes in order; number of each cell's gene among them (0 is NTC).
    batches, batch
        Experimental batches in order; number of each cell's batch among them.
    well
        Number of each cell's well among those of all plates.
    tile
        Number of each cell's tile; other in every plate and well.
    """

    index: str
    shards: list[str]
    shard: np.ndarray
    row: np.ndarray
    labels: list[str]
    label: np.ndarray
    batches: list[str]
    batch: np.ndarray
    well: np.ndarray
    tile: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def names(self, rows: np.ndarray) -> pa.ChunkedArray:
        """Return the names (cell_id) of some cells."""
        return read_table(self.index, columns=["cell_id"])["cell_id"].take(pa.array(rows))

    def labels_and_batches(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return label and batch of some cells, int64 as torch wants them."""
        return self.label[rows].astype(np.int64), self.batch[rows].astype(np.int64)


def read_training_cells(index: str) -> Cells:
    """Read the shard index; labels are sorted by name after NTC, batches by name."""
    is_ntc = read_table(index, columns=["is_ntc"])["is_ntc"].to_numpy()
    shards, shard = in_order(read_codes(index, ["shard"])["shard"])
    batches, batch = in_order(read_codes(index, ["batch"])["batch"])
    (plates, plate), (wells, well) = (
        in_order(read_codes(index, [name])[name]) for name in ("plate", "well")
    )
    # Wells are numbered in the order of "plate/well", those that hold cells.
    pairs, pair = np.unique(plate * np.int32(len(wells)) + well, return_inverse=True)
    spelt = [f"{plates[k // len(wells)]}/{wells[k % len(wells)]}" for k in pairs.tolist()]
    well = np.argsort(np.argsort(spelt)).astype(np.int32)[pair]
    genes, gene = in_order(read_codes(index, ["gene"])["gene"])
    labels = [CONTROL, *(genes[k] for k in np.unique(gene[~is_ntc]) if genes[k] != CONTROL)]
    number = {name: k for k, name in enumerate(labels)}
    label = np.array([number.get(name, 0) for name in genes], np.int32)[gene]
    label[is_ntc] = 0
    places = read_table(index, columns=["row", "tile"])
    row, site = (places[name].to_numpy() for name in ("row", "tile"))
    tile = well * np.int32(site.max(initial=0) + 1) + site
    return Cells(index, shards, shard, row, labels, label, batches, batch, well, tile)


def read_split(index: str, splits: str) -> np.ndarray:
    """Return the split of each cell (str), after a check that both tables have the same cells.

    Raises
    ------
    InputError
        If the splits belong to another index.
    """
    if first_difference(index, splits, "cell_id"):
        raise InputError(
            where=splits,
            found=f"{count_rows(splits)} rows that are not the cells of {index}",
            expected=f"its {count_rows(index)} cells in the same order",
            fix="run the rule assign_splits again",
        )
    names, split = in_order(read_codes(splits, ["split"])["split"])
    return np.array(names, object)[split]
