"""The columns of the shard index that training reads: names, labels, batches and files of cells."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mcvae_ops.errors import InputError
from mcvae_ops.files import read_table
from mcvae_ops.screen import CONTROL


@dataclass(frozen=True)
class Cells:
    """The columns of the shard index that training reads, row-aligned with it.

    Attributes
    ----------
    cell_id
        pyarrow array of strings.
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

    cell_id: pa.ChunkedArray
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


def read_training_cells(index: str) -> Cells:
    """Read the shard index; labels are sorted by name after NTC, batches by name."""
    columns = ["cell_id", "shard", "row", "plate", "well", "tile", "batch", "gene", "is_ntc"]
    table = read_table(index, columns=columns)
    shards, shard = _codes(table["shard"])
    batches, batch = _codes(table["batch"])
    _, well = _codes(pc.binary_join_element_wise(table["plate"], table["well"], "/"))
    is_ntc = table["is_ntc"].to_numpy()
    genes, gene = _codes(pc.if_else(table["is_ntc"], CONTROL, table["gene"]))
    names = [CONTROL, *(name for name in genes if name != CONTROL)]
    number = {name: k for k, name in enumerate(names)}
    label_of_gene = np.array([number[name] for name in genes])
    label = np.where(is_ntc, 0, label_of_gene[gene])
    row = table["row"].to_numpy().astype(np.int64)
    site = table["tile"].to_numpy().astype(np.int64)
    tile = well * (site.max(initial=0) + 1) + site
    return Cells(table["cell_id"], shards, shard, row, names, label, batches, batch, well, tile)


def _codes(column) -> tuple[list[str], np.ndarray]:
    names = sorted(pc.unique(column).to_pylist())
    codes = pc.index_in(column, value_set=pa.array(names, column.type))
    return names, codes.to_numpy().astype(np.int64)


def read_split(index: str, splits: str, cells: Cells) -> np.ndarray:
    """Return the split of each cell (str), after a check that both tables have the same cells.

    Raises
    ------
    InputError
        If the splits belong to another index.
    """
    table = read_table(splits, columns=["cell_id", "split"])
    if not table["cell_id"].equals(cells.cell_id):
        raise InputError(
            where=splits,
            found=f"{table.num_rows} rows that are not the cells of {index}",
            expected=f"its {len(cells)} cells in the same order",
            fix="run the rule assign_splits again",
        )
    return table["split"].to_numpy()
