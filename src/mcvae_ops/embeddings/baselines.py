"""Baseline embeddings without a network: principal components of features, and random vectors."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
import scipy.linalg

from mcvae_ops.embeddings.embedded_cells import check_aligned, is_unseen
from mcvae_ops.errors import InputError
from mcvae_ops.files import read_frame, row_groups, write_parquet

_INDEX_COLUMNS = ["cell_id", "plate", "well"]
_MAX_MISSING = 0.05


def latent_table(cell_id: pd.Series, latent: np.ndarray) -> pd.DataFrame:
    """Return an embedding with one space: cell_id, z_00, z_01, ... (float32)."""
    names = [f"z_{k:02d}" for k in range(latent.shape[1])]
    columns = pd.DataFrame(latent.astype(np.float32), columns=names)
    columns.insert(0, "cell_id", cell_id.to_numpy())
    return columns


def features_of(
    index: pd.DataFrame, paths: Sequence[str]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the features of the indexed cells, row group by row group.

    Parameters
    ----------
    index
        Columns cell_id, plate, well.
    paths
        Feature table of every plate.

    Yields
    ------
    Positions in the index (cell,), and float32 (cell, feature); missing values are NaN.
    """
    indexed = pd.Index(index["cell_id"])
    for path in paths:
        for rows in row_groups(path):
            features = rows.to_pandas()
            at = indexed.get_indexer(features.pop("cell_id"))
            yield at[at >= 0], features[at >= 0].to_numpy(np.float32)


def means_of(blocks: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray, int]:
    """Return mean and number of finite values of each feature, and the number of cells."""
    total, n_finite, n_cells = 0.0, 0, 0
    for values in blocks:
        finite = np.isfinite(values)
        total = total + np.where(finite, values, 0).sum(axis=0, dtype=np.float64)
        n_finite = n_finite + finite.sum(axis=0)
        n_cells += len(values)
    return total / np.maximum(n_finite, 1), n_finite, n_cells


def principal_axes(scatter: np.ndarray, sd: np.ndarray, components: int) -> np.ndarray:
    """Return the matrix from centred features to principal components of standardised features.

    Parameters
    ----------
    scatter
        (feature, feature), sums of products of the centred features.
    sd
        Standard deviation of each feature, (feature,).
    components
        Number of components.

    Returns
    -------
    (feature, component), by decreasing variance; the largest loading of each is positive.
    """
    n = len(scatter)
    leading = [n - components, n - 1]
    _, vectors = scipy.linalg.eigh(scatter / np.outer(sd, sd), subset_by_index=leading)
    loadings = vectors[:, ::-1]
    largest = loadings[np.abs(loadings).argmax(axis=0), np.arange(components)]
    return loadings * np.sign(largest) / sd[:, None]


def cellprofiler_pca(
    index: str, splits: str, features: list[str], components: int, seed: int, embedding: str
) -> None:
    """Rule cellprofiler_pca: write the principal components of standardised features.

    Mean, spread and components are those of the cells that models are trained on; cells that are
    held out from training are projected onto them, as a model embeds cells that it never saw. A
    feature that is missing in more than 5 % of the training cells, or does not vary, is left out;
    other missing values count as the mean. Row groups are read one at a time, three times, so that
    the features need not fit in memory.

    Parameters
    ----------
    index, splits
        The shard index and the split of each cell; the embedding is row-aligned with them.
    features
        Feature table of every plate.
    components
        Number of principal components.
    seed
        Written into the metadata; the result does not depend on it.
    embedding
        Output.

    Raises
    ------
    InputError
        If there are fewer usable features than components, or if a cell has no features.
    """
    cells = read_frame(index, columns=_INDEX_COLUMNS)
    _check_features(cells["cell_id"], features, index)
    split = read_frame(splits, columns=["cell_id", "split"])
    check_aligned(cells["cell_id"], split["cell_id"], splits)
    is_fitted = ~is_unseen(split["split"])

    def training_features() -> Iterator[np.ndarray]:
        return (values[is_fitted[at]] for at, values in features_of(cells, features))

    mean, n_finite, n_fitted = means_of(training_features())
    scatter = np.zeros((len(mean), len(mean)))
    for values in training_features():
        centred = _centred(values, mean)
        scatter += centred.T @ centred
    sd = np.sqrt(np.diag(scatter) / np.maximum(n_finite, 1))
    varies = sd > np.finfo(np.float32).eps * np.abs(mean)
    usable = np.flatnonzero((n_finite >= (1 - _MAX_MISSING) * n_fitted) & varies)
    if len(usable) < components:
        raise InputError(
            where="configuration key profiles.cellprofiler_components",
            found=str(components),
            expected=f"at most the {len(usable)} usable features",
            fix="lower it",
        )
    axes = principal_axes(scatter[np.ix_(usable, usable)], sd[usable], components)
    latent = np.empty((len(cells), components), np.float32)
    for positions, values in features_of(cells, features):
        latent[positions] = _centred(values, mean)[:, usable] @ axes
    metadata = {"model": "cellprofiler", "seed": str(seed)}
    write_parquet(latent_table(cells["cell_id"], latent), embedding, metadata)


def _check_features(cell_id: pd.Series, features: list[str], index: str) -> None:
    """Raise InputError unless the tables of features hold every cell."""
    featured = (read_frame(path, columns=["cell_id"])["cell_id"] for path in features)
    n_featured = sum(ids.isin(cell_id).sum() for ids in featured)
    if n_featured != len(cell_id):
        raise InputError(
            where=index,
            found=f"{len(cell_id)} cells, {n_featured} of them with features",
            expected="features of every cell",
            fix="make the tables of features again",
        )


def random_embedding(index: str, latent: int, seed: int, embedding: str) -> None:
    """Rule random_embedding: write a standard normal vector for every cell, as a lower bound.

    Parameters
    ----------
    index
        The shard index; the embedding is row-aligned with it.
    latent
        Number of dimensions.
    seed
        Seed of the draws.
    embedding
        Output.
    """
    cell_id = read_frame(index, columns=["cell_id"])["cell_id"]
    draws = np.random.default_rng([seed, 0]).standard_normal((len(cell_id), latent), np.float32)
    metadata = {"model": "random", "seed": str(seed)}
    write_parquet(latent_table(cell_id, draws), embedding, metadata)


def _centred(values: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values - mean, 0.0)
