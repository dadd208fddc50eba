"""Crops of finished tiles, kept until their chunk is written: a killed job goes on from there."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

from mcvae_ops.files import whole_file


class FinishedTiles:
    """One file per finished tile in a folder; files of other settings or cells do not count.

    Parameters
    ----------
    folder
        Outside the job's outputs, since those are deleted when it fails.
    settings
        Whatever the crops depend on, beside the files and cells of the tile; JSON.
    """

    def __init__(self, folder: str | Path, settings: dict) -> None:
        self.folder = Path(folder)
        self.settings = json.dumps(settings, sort_keys=True, default=str)

    def save(
        self, tile: int, files: pd.DataFrame, cells: pd.DataFrame, crops: np.ndarray, notes: dict
    ) -> None:
        """Keep what came of a tile.

        Parameters
        ----------
        tile, files, cells
            The tile, and its rows of the files and the cells table.
        crops
            uint16 (cell, channel, y, x), of the kept cells.
        notes
            JSON: what else is to be known of the tile.
        """
        with whole_file(self._path(tile)) as partial:
            np.savez(
                partial,
                identity=np.array(self._identity(files, cells)),
                crops=crops,
                notes=np.array(json.dumps(notes, default=float)),
            )

    def holds(self, tile: int, files: pd.DataFrame, cells: pd.DataFrame) -> bool:
        """Tell whether a tile was finished, with the same settings, files and cells."""
        path = self._path(tile)
        if not path.exists():
            return False
        with np.load(path, allow_pickle=False) as saved:
            return str(saved["identity"]) == self._identity(files, cells)

    def load(self, tile: int) -> tuple[np.ndarray, dict]:
        """Return crops and notes of a tile that is held."""
        with np.load(self._path(tile), allow_pickle=False) as saved:
            return saved["crops"], json.loads(str(saved["notes"]))

    def _path(self, tile: int) -> Path:
        return self.folder / f"{tile}.npz"

    def _identity(self, files: pd.DataFrame, cells: pd.DataFrame) -> str:
        digest = hashlib.sha256(self.settings.encode())
        for table in (files[["path", "size_bytes"]], cells):
            digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
        return digest.hexdigest()
