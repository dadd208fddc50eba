"""Cells as differences from the controls of their batch, computed for the cells that are asked for.

A copy of all cells in double precision would take twice the memory of their embedding.
"""

import numpy as np

from mcvae_ops.embeddings.embedded_cells import Latent


class CentredCells:
    """Cells minus the mean of the controls of their batch, in double precision.

    It stands for an array (cell, dimension): ``centred[rows]`` computes rows, which are numbers or
    a mask. Cells of a batch without controls stay where they are.

    Parameters
    ----------
    latent
        (cell, dimension), finite.
    batch_of
        (cell,), numbered from 0 on.
    is_control
        (cell,).

    Attributes
    ----------
    controls
        Of each batch with controls, its centred controls, (control, dimension).
    """

    def __init__(
        self, latent: np.ndarray | Latent, batch_of: np.ndarray, is_control: np.ndarray
    ) -> None:
        self.shape, self.controls = latent.shape, {}
        self._latent, self._batch_of = latent, batch_of
        self._means = np.zeros((batch_of.max(initial=-1) + 1, latent.shape[1]))
        rows = np.flatnonzero(is_control)
        values = latent[rows]
        for batch in np.unique(batch_of[rows]):
            own = values[batch_of[rows] == batch].astype(np.float64)
            self._means[batch] = own.mean(axis=0)
            self.controls[batch] = own - self._means[batch]

    def hold(self) -> None:
        """Read all cells of an embedding in its file, for those who ask for cells many times."""
        self._latent = np.asarray(self._latent)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self._latent[rows].astype(np.float64) - self._means[self._batch_of[rows]]
