"""What training reads of all cells: labels, batches, splits and files, as numbers in one file.

Text is written as numbers, 28 bytes for each cell. Processes map the file instead of reading it, so
that all ranks of a node, and all jobs on it, share one copy.
"""

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mcvae_ops.errors import InputError
from mcvae_ops.files import (
    count_rows,
    first_difference,
    in_order,
    map_arrow,
    read_codes,
    read_table,
    write_arrow,
)
from mcvae_ops.screen import CONTROL


@dataclass(frozen=True)
class Cells:
    """The cells of the shard index, row-aligned with it; all numbers are int32, (cell,).

    Attributes
    ----------
    shards, shard, row
        Paths of the .npy files; number of each cell's file among them; row in that file.
    labels, label
        NTC, then the genes in order; number of each cell's gene among them (0 is NTC).
    batches, batch
        Experimental batches in order; number of each cell's batch among them.
    splits, split
        Splits in order; number of each cell's split among them.
    well
        Number of each cell's well among those of all plates.
    tile
        Number of each cell's tile; other in every plate and well.
    """

    shards: list[str]
    shard: np.ndarray
    row: np.ndarray
    labels: list[str]
    label: np.ndarray
    batches: list[str]
    batch: np.ndarray
    splits: list[str]
    split: np.ndarray
    well: np.ndarray
    tile: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def labels_and_batches(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return label and batch of some cells, int64 as torch wants them."""
        return self.label[rows].astype(np.int64), self.batch[rows].astype(np.int64)

    def in_split(self, name: str) -> np.ndarray:
        """Return the positions of the cells of a split, ascending int32."""
        if name not in self.splits:
            return np.zeros(0, np.int32)
        return np.flatnonzero(self.split == self.splits.index(name)).astype(np.int32)


NAMES = ("shards", "labels", "batches", "splits")
NUMBERS = ("shard", "row", "label", "batch", "split", "well", "tile")


def training_cells(index: str, splits: str, cells: str) -> None:
    """Rule training_cells: write the numbers of all cells, so that processes can map them.

    Labels are sorted by name after NTC; batches, splits and shards by name.

    Parameters
    ----------
    index, splits
        The shard index, and the split of each of its cells.
    cells
        Output: see `read_training_cells`.

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
    shards, shard = _numbered(index, "shard")
    labels, label = _labelled(index)
    batches, batch = _numbered(index, "batch")
    parts, split = _numbered(splits, "split")
    well = _numbered_wells(index)
    row, site = (read_table(index, [name])[name].to_numpy() for name in ("row", "tile"))
    tile = well * np.int32(site.max(initial=0) + 1) + site
    columns = (shard, row, label, batch, split, well, tile)
    arrays = [pa.array(column.astype(np.int32, copy=False)) for column in columns]
    names = zip(NAMES, (shards, labels, batches, parts), strict=True)
    metadata = {name: json.dumps(of_column) for name, of_column in names}
    write_arrow(pa.table(arrays, names=NUMBERS, metadata=metadata), cells)


def _numbered(path: str, column: str) -> tuple[list[str], np.ndarray]:
    return in_order(read_codes(path, [column])[column])


def _labelled(index: str) -> tuple[list[str], np.ndarray]:
    is_ntc = read_table(index, columns=["is_ntc"])["is_ntc"].to_numpy()
    genes, gene = _numbered(index, "gene")
    labels = [CONTROL, *(genes[k] for k in np.unique(gene[~is_ntc]) if genes[k] != CONTROL)]
    number = {name: k for k, name in enumerate(labels)}
    label = np.array([number.get(name, 0) for name in genes], np.int32)[gene]
    label[is_ntc] = 0
    return labels, label


def _numbered_wells(index: str) -> np.ndarray:
    """Return the number of each cell's well, in the order of "plate/well"."""
    (plates, plate), (wells, well) = (_numbered(index, name) for name in ("plate", "well"))
    pairs, pair = np.unique(plate * np.int32(len(wells)) + well, return_inverse=True)
    spelt = [f"{plates[k // len(wells)]}/{wells[k % len(wells)]}" for k in pairs.tolist()]
    return np.argsort(np.argsort(spelt)).astype(np.int32)[pair]


def read_training_cells(cells: str) -> Cells:
    """Map the output of the rule training_cells: its columns are numbers, its metadata names.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    table = map_arrow(cells)
    names = {name: json.loads(table.schema.metadata[name.encode()]) for name in NAMES}
    return Cells(**names, **{name: table[name].chunk(0).to_numpy() for name in NUMBERS})
