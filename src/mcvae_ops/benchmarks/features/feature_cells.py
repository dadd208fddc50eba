"""Read the classical features of control cells and of groups of genes, batch by batch."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates.functional_groups import genes_of_group
from mcvae_ops.benchmarks.estimates.gene_symbols import named_in
from mcvae_ops.embeddings.baselines import Plate, features_of, plates_of
from mcvae_ops.embeddings.embedded_cells import read_cells
from mcvae_ops.errors import InputError
from mcvae_ops.files import read_schema
from mcvae_ops.progress import Progress


class BatchCells(NamedTuple):
    """Features of the control cells and of each group in one batch, (cell, feature) each."""

    controls: np.ndarray
    groups: dict[str, np.ndarray]


def read_wanted(index: str, groups: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return which cells of the shard index are control cells or belong to the groups `names`.

    Returns
    -------
    Columns batch, is_ntc and one per group (bool), by row of the index.
    """
    cells = read_cells(index, ["batch", "gene", "is_ntc"])
    library, gene, is_ntc = cells["gene"].cat.categories, cells["gene"].cat.codes, cells["is_ntc"]
    members = {name: named_in(library, genes_of_group(name, groups)) for name in names}
    wanted = pd.DataFrame(
        {"is_ntc": is_ntc} | {name: member[gene] & ~is_ntc for name, member in members.items()}
    )
    wanted.insert(0, "batch", cells["batch"])
    return wanted[wanted[["is_ntc", *names]].any(axis=1)]


def read_batches(
    index: str, features: Sequence[str], names: Sequence[str], wanted: pd.DataFrame
) -> Iterator[BatchCells]:
    """Yield the wanted cells of each batch; infinite values become NaN.

    Parameters
    ----------
    index
        Shard index.
    features
        Feature tables, one per plate and named after it; the wells of a batch follow one another.
    names
        Features.
    wanted
        As `read_wanted` returns.

    Raises
    ------
    InputError
        If the tables do not hold the same features.
    """
    for values, members in read_wanted_cells(index, features, names, wanted):
        yield BatchCells(
            values[members["is_ntc"].to_numpy()],
            {name: values[members[name].to_numpy()] for name in members.columns[2:]},
        )


def read_wanted_cells(
    index: str, features: Sequence[str], names: Sequence[str], wanted: pd.DataFrame
) -> Iterator[tuple[np.ndarray, pd.DataFrame]]:
    """Yield of each batch the features of the wanted cells, and their rows of `wanted`.

    Parameters
    ----------
    index, features
        As in `read_batches`.
    names
        Features, all or some.
    wanted
        The column batch, and others; by row of the index.

    Yields
    ------
    (cell, feature), infinite values become NaN; and the rows, (cell,).
    """
    groups = _read_groups(index, features, names, wanted)
    for _, parts in groupby(groups, lambda group: group[0]):
        _, values, members = zip(*parts, strict=True)
        yield np.concatenate(values), pd.concat(members)


def _read_groups(
    index: str, features: Sequence[str], names: Sequence[str], wanted: pd.DataFrame
) -> Iterator[tuple[str, np.ndarray, pd.DataFrame]]:
    """Yield the batch of each row group with a wanted cell, their features, rows of `wanted`."""
    progress = Progress(len(features), "plates", "features of cells")
    plate_of = {plate.features: plate for plate in plates_of(index, features)}
    expected = feature_names(features[0])
    for path in features:
        if (present := feature_names(path)) != expected:
            raise InputError(
                where=path,
                found=f"{len(present)} features",
                expected=f"the {len(expected)} features of {features[0]}",
                fix="delete the folder features, and Snakemake makes it again",
            )
        for at, values in _features_of_wanted(index, plate_of.get(path), names, wanted.index):
            members = wanted.iloc[at]
            yield members["batch"].iloc[0], values, members
        progress.step()


def _features_of_wanted(
    index: str, plate: Plate | None, names: Sequence[str], wanted: pd.Index
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield which wanted rows of the index (ascending) stand in a row group, and their features."""
    if plate is None:
        return
    first, stop = wanted.searchsorted([plate.rows.start, plate.rows.stop])
    place = np.full(len(plate.rows), -1, np.int32)
    place[wanted[first:stop] - plate.rows.start] = np.arange(first, stop)
    for at, values in features_of(index, plate, names):
        rows = place[at]
        kept = values[rows >= 0].astype(float)
        kept[~np.isfinite(kept)] = np.nan
        if len(kept):
            yield rows[rows >= 0], kept


def feature_names(path: str) -> list[str]:
    """Return the feature columns of a feature table."""
    return [name for name in read_schema(path).names if name != "cell_id"]
