"""Baseline embeddings without a network: principal components of features, and random vectors."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.linalg

from mcvae_ops.embeddings.embedded_cells import check_aligned, is_unseen, read_cells
from mcvae_ops.errors import InputError
from mcvae_ops.files import (
    in_order,
    parquet_writer,
    read_blocks,
    read_codes,
    read_frame,
    read_rows,
    row_groups,
)

_MAX_MISSING = 0.05
_ROW_GROUP = 1 << 16  # rows of the embedding


def latent_names(n: int) -> list[str]:
    """Return the columns of an embedding with one space: z_00, z_01, ..."""
    return [f"z_{k:02d}" for k in range(n)]


class Plate(NamedTuple):
    """A plate of the screen: its cells follow one another in the index.

    Attributes
    ----------
    rows
        Of its cells in the index.
    features
        Its table of features; None if there is none.
    """

    rows: range
    features: str | None


def plates_of(index: str, features: Sequence[str]) -> list[Plate]:
    """Return the plates of a screen in the order of the index."""
    names, plate = in_order(read_codes(index, ["plate"])["plate"])
    path_of = {Path(path).stem: path for path in features}
    starts = np.flatnonzero(np.diff(plate, prepend=-1)).tolist()
    return [
        Plate(range(start, stop), path_of.get(names[plate[start]]))
        for start, stop in pairwise([*starts, len(plate)])
    ]


def features_of(
    index: str, plate: Plate, names: Sequence[str] | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the features of the indexed cells of a plate, row group by row group.

    `names` are the features that are read; all, where they are not given.

    Yields
    ------
    Positions among the cells of the plate (cell,), and float32 (cell, feature); missing values are
    NaN.
    """
    indexed = pd.Index(_names_of(index, plate))
    for rows in row_groups(plate.features, names and ["cell_id", *names]):
        features = rows.to_pandas()
        at = indexed.get_indexer(features.pop("cell_id"))
        yield at[at >= 0], features[at >= 0].to_numpy(np.float32)


def _names_of(index: str, plate: Plate) -> pd.Series:
    rows = np.arange(plate.rows.start, plate.rows.stop)
    return read_rows(index, ["cell_id"], rows)["cell_id"].to_pandas()


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
    other missing values count as the mean. Row groups are read one at a time, three times, and the
    embedding is written plate by plate, so that neither need fit in memory.

    Parameters
    ----------
    index, splits
        The shard index and the split of each cell; the embedding is row-aligned with them.
    features
        Feature table of every plate, named after it.
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
    check_aligned(index, splits)
    plates = plates_of(index, features)
    is_fitted = ~is_unseen(read_cells(splits, ["split"])["split"])
    _check_features(plates, index)

    def training_features() -> Iterator[np.ndarray]:
        for plate in plates:
            for at, values in features_of(index, plate):
                yield values[is_fitted[plate.rows.start + at]]

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
    with parquet_writer(embedding, _schema("cellprofiler", seed, components)) as writer:
        for plate in plates:
            latent = np.empty((components, len(plate.rows)), np.float32)
            for at, values in features_of(index, plate):
                latent[:, at] = (_centred(values, mean)[:, usable] @ axes).T
            table = pa.table([_names_of(index, plate), *latent], schema=writer.schema)
            writer.write_table(table, row_group_size=_ROW_GROUP)


def _check_features(plates: Sequence[Plate], index: str) -> None:
    """Raise InputError unless the tables of features hold every cell."""
    n_cells, n_featured = sum(len(plate.rows) for plate in plates), 0
    for plate in plates:
        if plate.features:
            ids = read_frame(plate.features, columns=["cell_id"])["cell_id"]
            n_featured += ids.isin(_names_of(index, plate)).sum()
    if n_featured != n_cells:
        raise InputError(
            where=index,
            found=f"{n_cells} cells, {n_featured} of them with features",
            expected="features of every cell",
            fix="delete the folder features, and Snakemake makes it again",
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
    rng = np.random.default_rng([seed, 0])
    with parquet_writer(embedding, _schema("random", seed, latent)) as writer:
        for cells in read_blocks(index, ["cell_id"]):
            draws = rng.standard_normal((cells.num_rows, latent), np.float32)
            columns = [cells["cell_id"], *(np.ascontiguousarray(draws.T))]
            writer.write_table(pa.table(columns, schema=writer.schema))


def _schema(model: str, seed: int, n: int) -> pa.Schema:
    columns = [("cell_id", pa.string()), *((name, pa.float32()) for name in latent_names(n))]
    return pa.schema(columns, {"model": model, "seed": str(seed)})


def _centred(values: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values - mean, 0.0)
