"""Batch correction of embeddings of cells, fitted on the control cells (NTC) of each batch.

Each correction transforms a batch so that its NTC cells have:

| name | NTC cells after correction |
|---|---|
| centre | mean 0 |
| robust_z | median 0 and MAD 1 / 1.4826 in each dimension |
| tvn | mean 0 and covariance 1 (typical variation normalisation) |

Spaces are corrected separately, so that the correction does not mix salient and background. The
transforms are fitted on the NTC cells that models are trained on, and applied to all cells; a batch
that is held out from training is fitted on its own NTC cells.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.stats import median_abs_deviation
from sklearn.covariance import LedoitWolf

from mcvae_ops.embeddings.embedded_cells import groups_of, is_unseen
from mcvae_ops.embeddings.spaces import WHITENED, space_dimensions
from mcvae_ops.errors import InputError
from mcvae_ops.files import parquet_writer, read_blocks, read_schema, write_parquet
from mcvae_ops.profiles.aggregate import (
    GUIDE_KEYS,
    ProfileSums,
    cell_sets,
    read_embedded_cells,
)

FEWEST_CONTROLS = 2  # NTC cells per batch
CONSTANT = 1e-12  # relative variance below which a direction counts as constant


class AffineTransform(NamedTuple):
    """Corrected = (latent - offset) @ weights, of shapes (dimension,), (dimension, dimension)."""

    offset: np.ndarray
    weights: np.ndarray


def centre(controls: list[np.ndarray]) -> list[AffineTransform]:
    """Return the transforms that move the mean of the NTC cells of each batch to 0."""
    return [AffineTransform(batch.mean(axis=0), np.eye(batch.shape[1])) for batch in controls]


def robust_z(controls: list[np.ndarray]) -> list[AffineTransform]:
    """Return the transforms (x - median) / (1.4826 MAD), with the NTC cells of each batch.

    A dimension with a MAD of 0 has no scale and becomes 0.
    """
    transforms = []
    for batch in controls:
        scale = median_abs_deviation(batch, axis=0, scale="normal")
        inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
        transforms.append(AffineTransform(np.median(batch, axis=0), np.diag(inverse)))
    return transforms


def tvn(controls: list[np.ndarray]) -> list[AffineTransform]:
    """Return the transforms that whiten the NTC cells of each batch.

    The NTC cells of all batches, each batch centred, are first whitened together. The symmetric
    inverse root of the remaining covariance then whitens each batch, so that axes mean the same in
    all batches. Covariances are shrunk (Ledoit & Wolf 2004, doi:10.1016/S0047-259X(03)00096-4),
    because a batch may hold few NTC cells.

    References
    ----------
    Ando et al. 2017, doi:10.1101/161422; Sun et al. 2016, arXiv:1511.05547.
    """
    means = [batch.mean(axis=0) for batch in controls]
    centred = [batch - mean for batch, mean in zip(controls, means, strict=True)]
    common = _inverse_root(np.concatenate(centred))
    return [
        AffineTransform(mean, common @ _inverse_root(batch @ common))
        for batch, mean in zip(centred, means, strict=True)
    ]


CORRECTIONS: dict[str, Callable[[list[np.ndarray]], list[AffineTransform]]] = {
    "centre": centre,
    "robust_z": robust_z,
    "tvn": tvn,
}


class Correction:
    """A correction, fitted on control cells.

    Parameters
    ----------
    name
        A key of `CORRECTIONS`.
    batches
        Names of the batches.
    batch_of, split
        Number of the batch, and split, of each control cell, (cell,).
    latent
        (cell, dimension), of the control cells. Transforms are fitted on the finite cells of the
        training splits, or on those of all splits in a batch with fewer than two of them.
    columns
        Names of the dimensions.

    Raises
    ------
    InputError
        If a batch has fewer than two control cells.
    """

    def __init__(
        self,
        name: str,
        batches: Sequence[str],
        batch_of: np.ndarray,
        split: pd.Series,
        latent: np.ndarray,
        columns: Iterable[str],
    ) -> None:
        usable = np.isfinite(latent).all(axis=1)
        controls = _controls_of(batches, batch_of, usable, usable & ~is_unseen(split))
        spaces = space_dimensions(list(columns))
        # Combined holds salient and background again: correct it only where it is the only one.
        parts = [spaces[s] for s in spaces if s != "combined" or "salient" not in spaces]
        self._of_part = []
        for at in parts:
            known = [latent[np.ix_(rows, at)].astype(np.float64) for rows in controls]
            self._of_part.append((at, CORRECTIONS[name](known)))

    def __call__(self, latent: np.ndarray, batch_of: np.ndarray) -> np.ndarray:
        """Return cells corrected, float32 (cell, dimension), from their vectors and batches."""
        result = np.empty(latent.shape, np.float32)
        for batch in np.unique(batch_of):
            rows = np.flatnonzero(batch_of == batch)
            for at, transforms in self._of_part:
                offset, weights = transforms[batch]
                result[np.ix_(rows, at)] = (latent[np.ix_(rows, at)] - offset) @ weights
        return result


def _controls_of(
    batches: Sequence[str], batch_of: np.ndarray, usable: np.ndarray, trained: np.ndarray
) -> list[np.ndarray]:
    """Return the rows on which each batch is fitted."""
    controls = []
    for number, batch in enumerate(batches):
        rows = np.flatnonzero(batch_of == number)
        rows = rows[(trained if trained[rows].sum() >= FEWEST_CONTROLS else usable)[rows]]
        if len(rows) < FEWEST_CONTROLS:
            raise InputError(
                where="configuration key profiles.corrections",
                found=f"{len(rows)} NTC cells in batch {batch}",
                expected=f"{FEWEST_CONTROLS} or more in every batch, to correct it",
                fix="leave out the corrections or the batch",
            )
        controls.append(rows)
    return controls


def correct_batches(
    cells: pd.DataFrame, latent: np.ndarray, columns: Iterable[str], name: str
) -> np.ndarray:
    """Return an embedding with each batch corrected; see `Correction`.

    Parameters
    ----------
    cells
        batch, is_ntc, split.
    latent
        (cell, dimension), row-aligned.
    columns, name
        As for `Correction`.

    Returns
    -------
    (cell, dimension) float32.
    """
    batches, batch_of = groups_of(cells, ["batch"])
    rows = np.flatnonzero(cells["is_ntc"].to_numpy())
    split = cells["split"].iloc[rows]
    fitted = Correction(name, batches["batch"], batch_of[rows], split, latent[rows], columns)
    return fitted(latent, batch_of)


def correct_profiles(
    index: str,
    splits: str,
    embedding: str,
    corrections: list[str],
    corrected_guides: str,
    corrected_genes: str,
) -> None:
    """Write guide and gene profiles of one embedding after batch correction of its cells.

    Parameters
    ----------
    index, splits, embedding
        Tables of cells, row-aligned; the embedding's metadata names model and seed.
    corrections
        Keys of `CORRECTIONS`.
    corrected_guides, corrected_genes
        Outputs, as in `aggregate_profiles`, with one more column, correction.
    """
    if not corrections:
        raise InputError(
            where="configuration key profiles.corrections",
            found="an empty list",
            expected=f"one or more of {', '.join(CORRECTIONS)}",
            fix="name a correction, or use the profiles without correction",
        )
    cells, latent = read_embedded_cells(index, splits, embedding)
    batches, batch_of = groups_of(cells, ["batch"])
    rows = np.flatnonzero(cells["is_ntc"].to_numpy())
    controls = batch_of[rows], cells["split"].iloc[rows], latent[rows], latent.columns
    groups, sets = groups_of(cells, GUIDE_KEYS), cell_sets(cells, cells["split"])
    fitted = {name: Correction(name, batches["batch"], *controls) for name in corrections}
    sums = {name: ProfileSums(groups, sets, latent.columns) for name in corrections}
    for block_rows, block in latent.blocks():
        for name in corrections:
            sums[name].add(block_rows, fitted[name](block, batch_of[block_rows]))
    identity = {"model": latent.model, "seed": latent.seed}
    tables_of = [sums[name].tables(identity | {"correction": name}) for name in corrections]
    for tables, path in zip(
        zip(*tables_of, strict=True), (corrected_guides, corrected_genes), strict=True
    ):
        write_parquet(pd.concat(tables, ignore_index=True), path)


def whitened_cellprofiler(index: str, splits: str, embedding: str, whitened: str) -> None:
    """Rule whitened_cellprofiler: write an embedding with its cells whitened by `tvn`.

    Parameters
    ----------
    index, splits, embedding
        Tables of cells, row-aligned; the embedding is CellProfiler's.
    whitened
        Output, with the columns of the embedding.
    """
    cells, latent = read_embedded_cells(index, splits, embedding)
    batches, batch_of = groups_of(cells, ["batch"])
    rows = np.flatnonzero(cells["is_ntc"].to_numpy())
    controls = batch_of[rows], cells["split"].iloc[rows], latent[rows], latent.columns
    fitted = Correction("tvn", batches["batch"], *controls)
    schema, start = read_schema(embedding), 0
    schema = schema.with_metadata({"model": WHITENED, "seed": "0"})
    with parquet_writer(whitened, schema) as writer:
        for block in read_blocks(embedding):
            values = np.stack([block[name].to_numpy() for name in latent.columns], axis=1)
            values = fitted(values, batch_of[start : start + len(values)])
            columns = [block["cell_id"], *np.ascontiguousarray(values.T)]
            writer.write_table(pa.table(columns, schema=schema))
            start += len(values)


def _inverse_root(centred: np.ndarray) -> np.ndarray:
    """Return the symmetric inverse root of the covariance; constant directions become 0."""
    covariance = LedoitWolf(assume_centered=True).fit(centred).covariance_
    variances, axes = np.linalg.eigh(covariance)
    varying = variances > CONSTANT * max(variances.max(), np.finfo(float).tiny)
    scale = np.divide(1, np.sqrt(variances.clip(0)), out=np.zeros_like(variances), where=varying)
    return (axes * scale) @ axes.T
