"""Profiles of guides in each replicate: a batch, or a plate with all of its batches."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates.retrieval import unit_profiles
from mcvae_ops.embeddings.embedded_cells import Latent, groups_of
from mcvae_ops.profiles.aggregate import sums_of_groups


class Replicates(NamedTuple):
    """Sums of cells, from which every profile of any replicates follows.

    Attributes
    ----------
    names
        guide and gene of each targeting guide (gene alone after `of_genes`), sorted by gene.
    sums
        (guide, replicate, dimension): sum over cells of their difference from the mean of the
        controls of their batch, in standard deviations of controls within batches.
    n_cells
        (guide, replicate).
    """

    names: pd.DataFrame
    sums: np.ndarray
    n_cells: np.ndarray

    def of_genes(self) -> "Replicates":
        """Return the same for genes: all guides of a gene together."""
        genes, gene_of = np.unique(self.names["gene"].to_numpy(str), return_inverse=True)
        names = pd.DataFrame({"gene": genes})
        return Replicates(names, *(_added(part, gene_of, 0) for part in self[1:]))

    def joined(self, joined_of: np.ndarray) -> "Replicates":
        """Return the same with replicates joined: (replicate,) number of the joined one."""
        return Replicates(self.names, *(_added(part, joined_of, 1) for part in self[1:]))

    def in_space(self, dimensions: Sequence[int]) -> "Replicates":
        """Return the same in some of the dimensions."""
        return self._replace(sums=self.sums[:, :, dimensions])

    def directions(self) -> np.ndarray:
        """Return the profiles scaled to norm 1, as `sums`; 0 where there is no cell.

        The similarity of two profiles is their cosine (uncentred correlation): the controls are the
        origin, and the number of cells does not matter.
        """
        return unit_profiles(self.sums.reshape(-1, self.sums.shape[2])).reshape(self.sums.shape)


def replicate_profiles(
    cells: pd.DataFrame, latent: np.ndarray | Latent, batch_of: np.ndarray, chosen: np.ndarray
) -> tuple[Replicates, np.ndarray]:
    """Add up the cells of each guide in each batch.

    Parameters
    ----------
    cells
        guide, gene, is_ntc.
    latent
        (cell, dimension), finite where `chosen`.
    batch_of
        (cell,), numbered from 0 on.
    chosen
        (cell,): which cells count.

    Returns
    -------
    The replicates, and the number of each of their batches, ascending; batches without a chosen
    control are left out.
    """
    is_ntc = cells["is_ntc"].to_numpy()
    controls = np.flatnonzero(chosen & is_ntc)
    batches, control_batch = np.unique(batch_of[controls], return_inverse=True)
    rows = np.flatnonzero(chosen & ~is_ntc & np.isin(batch_of, batches))
    names, guide_of = groups_of(cells.iloc[rows], ["gene", "guide"])
    names = names[["guide", "gene"]]
    shape = (len(names), len(batches))
    place = guide_of * len(batches) + np.searchsorted(batches, batch_of[rows])
    n_cells = np.bincount(place, minlength=len(names) * len(batches)).reshape(shape)
    means = sums_of_groups(latent, controls, control_batch, len(batches))
    means /= np.bincount(control_batch, minlength=len(batches))[:, None]
    scale = _deviation_within(latent, controls, means[control_batch])
    sums = sums_of_groups(latent, rows, place, len(names) * len(batches)).reshape(*shape, -1)
    # In place: the sums of a large screen are a gigabyte.
    for k, mean in enumerate(means):
        sums[:, k] -= n_cells[:, k, None] * mean
    sums[:, :, scale == 0] = 0
    np.divide(sums, scale, out=sums, where=scale > 0)
    return Replicates(names, sums, n_cells), batches


def _deviation_within(
    latent: np.ndarray | Latent, rows: np.ndarray, means: np.ndarray
) -> np.ndarray:
    return np.sqrt(((latent[rows] - means) ** 2).mean(axis=0))


def _added(values: np.ndarray, group_of: np.ndarray, axis: int) -> np.ndarray:
    moved = np.moveaxis(values, axis, 0)
    total = np.zeros((group_of.max(initial=-1) + 1, *moved.shape[1:]), values.dtype)
    np.add.at(total, group_of, moved)
    return np.moveaxis(total, 0, axis)
