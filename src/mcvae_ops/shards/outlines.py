"""Outlines of cells: which pixels of each crop belong to its cell, a bit each."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from mcvae_ops.errors import InputError
from mcvae_ops.files import in_order, read_codes, read_table, write_parquet
from mcvae_ops.screen import folder_name


def pack_outlines(outlines: np.ndarray) -> np.ndarray:
    """Return outlines, bool (cell, y, x), with eight pixels a byte: uint8 (cell, byte)."""
    return np.packbits(outlines.reshape(len(outlines), -1), axis=1)


def write_outlines(cell_id: Sequence[str], packed: np.ndarray, path: str) -> None:
    """Write the outlines of the cells of a well.

    Parameters
    ----------
    cell_id
        Cells of the well, in the order of the index.
    packed
        See `pack_outlines`; zeros where a cell has no outline.
    path
        Target: cell_id and outline.
    """
    column = pa.array([row.tobytes() for row in packed], pa.binary())
    write_parquet(pa.table({"cell_id": pa.array(cell_id, pa.string()), "outline": column}), path)


class Outlines:
    """The outlines of all cells by their position in the index; one well is held at a time.

    Parameters
    ----------
    index
        The shard index.
    files
        Outlines of every well, ``.../{plate}/{well}.parquet``; see `write_outlines`.
    size_px
        Edge of a crop.
    """

    def __init__(self, index: str, files: Sequence[str], size_px: int) -> None:
        codes = read_codes(index, ["plate", "well"])
        (plates, plate), (wells, well) = (in_order(codes[name]) for name in codes.column_names)
        is_first = (np.diff(plate, prepend=-1) != 0) | (np.diff(well, prepend=-1) != 0)
        self._bounds = [*np.flatnonzero(is_first).tolist(), len(plate)]
        file_of = {Path(file).parts[-2:]: file for file in files}
        self._files = [
            file_of[folder_name(plates[plate[k]]), f"{folder_name(wells[well[k]])}.parquet"]
            for k in self._bounds[:-1]
        ]
        self._shape = (size_px, size_px)
        self._packed = lru_cache(maxsize=1)(self._read)

    def read(self, positions: np.ndarray) -> np.ndarray:
        """Return which pixels are the cell's, bool (cell, y, x), at ascending positions."""
        parts = []
        for number, (start, stop) in enumerate(pairwise(self._bounds)):
            of_well = positions[(positions >= start) & (positions < stop)] - start
            if len(of_well):
                parts.append(self._packed(number)[of_well])
        n_pixels = self._shape[0] * self._shape[1]
        bits = np.unpackbits(np.concatenate(parts), axis=1, count=n_pixels)
        return bits.astype(bool).reshape(-1, *self._shape)

    def _read(self, number: int) -> np.ndarray:
        """Return the packed outlines of a well, uint8 (cell, byte)."""
        rows = read_table(self._files[number])["outline"].to_pylist()
        n_cells = self._bounds[number + 1] - self._bounds[number]
        n_bytes = -(-self._shape[0] * self._shape[1] // 8)
        packed = np.frombuffer(b"".join(rows), np.uint8)
        if packed.size != n_cells * n_bytes:
            raise InputError(
                where=self._files[number],
                found=f"{len(rows)} outlines of {packed.size} bytes together",
                expected=f"{n_cells} of {n_bytes} bytes each",
                fix="delete it, and Snakemake makes it again",
            )
        return packed.reshape(n_cells, n_bytes)
