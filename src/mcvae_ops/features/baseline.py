"""Embeddings that no network made: principal components of classical features, and chance."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import scipy.linalg
from sklearn.preprocessing import StandardScaler

from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet

_INDEX_COLUMNS = ["cell_id", "plate", "well"]


def latent_table(cell_id: pd.Series, latent: np.ndarray) -> pd.DataFrame:
    """Return an embedding with one space: cell_id, z_00, z_01, ... (float32)."""
    names = [f"z_{k:02d}" for k in range(latent.shape[1])]
    columns = pd.DataFrame(latent.astype(np.float32), columns=names)
    columns.insert(0, "cell_id", cell_id.to_numpy())
    return columns


def features_of(
    index: pd.DataFrame, paths: Sequence[str]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, well by well, the features of the indexed cells.

    Parameters
    ----------
    index
        Columns cell_id, plate, well.
    paths
        Feature table of every well.

    Yields
    ------
    Positions in the index (cell,), and float32 (cell, feature); missing values are NaN.
    """
    position = pd.Series(np.arange(len(index)), index=index["cell_id"])
    for path in paths:
        features = pd.read_parquet(path).set_index("cell_id")
        features = features[features.index.isin(position.index)]
        yield position.loc[features.index].to_numpy(), features.to_numpy(np.float32)


def principal_axes(scatter: np.ndarray, components: int) -> np.ndarray:
    """Return the leading eigenvectors, (feature, component), of a scatter matrix.

    The largest entry of each is positive, as in scikit-learn.
    """
    last = len(scatter) - 1
    _, vectors = scipy.linalg.eigh(scatter, subset_by_index=[last + 1 - components, last])
    axes = vectors[:, ::-1]
    return axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(components)])


def cellprofiler_pca(
    index: str, features: list[str], components: int, seed: int, embedding: str
) -> None:
    """Rule cellprofiler_pca: standardise the features over all cells, keep principal components.

    A feature that is missing in more than 5 % of the cells, or does not vary, is left out; other
    missing values count as the mean. Wells are read one at a time, three times over, so that the
    feature table never sits in memory.

    Parameters
    ----------
    index
        The shard index; the embedding is row-aligned with it.
    features
        Feature table of every well.
    components
        Number of principal components.
    seed
        Kept in the metadata; the result does not depend on it.
    embedding
        Output.

    Raises
    ------
    InputError
        If there are fewer usable features than components, or cells without features.
    """
    cells = pd.read_parquet(index, columns=_INDEX_COLUMNS)
    scaler, n_seen, n_missing = StandardScaler(), 0, 0
    for _, values in features_of(cells, features):
        finite = np.where(np.isfinite(values), values, np.nan)
        scaler.partial_fit(finite)
        n_seen += len(values)
        n_missing = n_missing + np.isnan(finite).sum(axis=0)
    if n_seen != len(cells):
        raise InputError(
            index, f"{len(cells)} cells, {n_seen} of them with features", "features of every cell",
            "make the tables of features again",
        )  # fmt: skip
    kept = (n_missing <= 0.05 * n_seen) & (scaler.var_ > 0)
    if kept.sum() < components:
        raise InputError(
            "configuration key profiles.cellprofiler_components",
            str(components),
            f"at most the {kept.sum()} usable features",
            "lower it",
        )
    scatter = np.zeros((kept.sum(), kept.sum()))
    for _, values in features_of(cells, features):
        standardised = _standardised(values, scaler, kept)
        scatter += standardised.T @ standardised
    axes = principal_axes(scatter, components)
    latent = np.empty((len(cells), components), np.float32)
    for positions, values in features_of(cells, features):
        latent[positions] = _standardised(values, scaler, kept) @ axes
    metadata = {"model": "cellprofiler", "seed": str(seed)}
    write_parquet(latent_table(cells["cell_id"], latent), embedding, metadata)


def random_embedding(index: str, latent: int, seed: int, embedding: str) -> None:
    """Rule random_embedding: a standard normal vector for every cell, whatever it shows."""
    cell_id = pd.read_parquet(index, columns=["cell_id"])["cell_id"]
    draws = np.random.default_rng([seed, 0]).standard_normal((len(cell_id), latent), np.float32)
    metadata = {"model": "random", "seed": str(seed)}
    write_parquet(latent_table(cell_id, draws), embedding, metadata)


def _standardised(values: np.ndarray, scaler: StandardScaler, kept: np.ndarray) -> np.ndarray:
    finite = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    return np.nan_to_num(scaler.transform(finite)[:, kept], nan=0.0)
