"""Crops of a chunk, stored tile by tile: an interrupted job resumes after its last tile."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mcvae_ops.files import read_note, write_note


class FinishedTiles:
    """Crops of finished tiles in one file, with a note beside it for each complete tile.

    Only the crops of one tile are in memory. Every tile has its place in the file, with room for
    all of its cells. Other settings or numbers of cells have another file.

    Parameters
    ----------
    folder
        A folder that is no output of the job, because outputs are deleted when a job fails.
    settings
        Everything else on which the crops depend, besides the files and cells of a tile; JSON.
    n_cells
        Number of cells of each tile, in the order of the tiles.
    shape
        Shape of a crop: channel, y, x.
    """

    def __init__(
        self,
        folder: str | Path,
        settings: dict,
        n_cells: Mapping[int, int],
        shape: Sequence[int],
    ) -> None:
        self.root, self.shape = Path(folder), tuple(shape)
        layout = [settings, self.shape, list(n_cells.items())]
        digest = hashlib.sha256(json.dumps(layout, sort_keys=True, default=str).encode())
        self.folder = self.root / digest.hexdigest()[:16]
        ends = np.cumsum([0, *n_cells.values()])
        self.first_row = dict(zip(n_cells, ends[:-1].tolist(), strict=True))
        self.n_rows = int(ends[-1])
        self.data = self.folder / "crops.u16"

    def save(
        self, tile: int, files: pd.DataFrame, cells: pd.DataFrame, crops: np.ndarray, notes: dict
    ) -> None:
        """Store the crops of a tile, and its notes.

        Parameters
        ----------
        tile, files, cells
            The tile, and its rows of the files and the cells table.
        crops
            uint16 (cell, channel, y, x), of the cells inside the tile.
        notes
            What `load` shall return for this tile; JSON.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        # An old note, of other files or cells, must not declare the new crops complete.
        self._path(tile).unlink(missing_ok=True)
        with open(self.data, "r+b" if self.data.exists() else "w+b") as handle:
            handle.seek(self.first_row[tile] * int(np.prod(self.shape)) * crops.itemsize)
            handle.write(np.ascontiguousarray(crops).data)
            handle.flush()
            os.fsync(handle.fileno())
        content = {
            "identity": self._identity(files, cells),
            "n_crops": len(crops),
            "sha256": hashlib.sha256(np.ascontiguousarray(crops).data).hexdigest(),
            "notes": notes,
        }
        write_note(content, self._path(tile))

    def load(self, tile: int, files: pd.DataFrame, cells: pd.DataFrame) -> dict | None:
        """Return the notes of a tile.

        None unless it was finished from the same files and cells, and its crops are as they were.
        """
        saved = read_note(self._path(tile))
        if saved is None or saved["identity"] != self._identity(files, cells):
            return None
        n_bytes = int(np.prod(self.shape)) * np.uint16().itemsize
        crops = b""
        if self.data.exists():
            with open(self.data, "rb") as handle:
                handle.seek(self.first_row[tile] * n_bytes)
                crops = handle.read(saved["n_crops"] * n_bytes)
        return saved["notes"] if hashlib.sha256(crops).hexdigest() == saved["sha256"] else None

    def crops(self) -> np.ndarray:
        """Return the crops, mapped from disk; those of a tile begin at its ``first_row``."""
        if not self.n_rows or not self.data.exists():
            return np.empty((0, *self.shape), np.uint16)
        with open(self.data, "r+b") as handle:
            handle.truncate(self.n_rows * int(np.prod(self.shape)) * np.uint16().itemsize)
        return np.memmap(self.data, np.uint16, "r", shape=(self.n_rows, *self.shape))

    def clear(self) -> None:
        """Delete all files, those of other settings too."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _path(self, tile: int) -> Path:
        return self.folder / f"{tile}.json"

    def _identity(self, files: pd.DataFrame, cells: pd.DataFrame) -> str:
        digest = hashlib.sha256()
        for table in (files[["path", "size_bytes"]], cells):
            digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
        return digest.hexdigest()
