"""Read the classical features of control cells and of groups of genes, batch by batch."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates.functional_groups import genes_of_group
from mcvae_ops.benchmarks.estimates.gene_symbols import named_in
from mcvae_ops.embeddings.embedded_cells import read_cells
from mcvae_ops.errors import InputError
from mcvae_ops.files import read_rows, read_schema, row_groups
from mcvae_ops.progress import Progress


class BatchCells(NamedTuple):
    """Features of the control cells and of each group in one batch, (cell, feature) each."""

    controls: np.ndarray
    groups: dict[str, np.ndarray]


def read_wanted(index: str, groups: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return which cells of the shard index are control cells or belong to the groups `names`.

    Returns
    -------
    Columns batch, is_ntc and one per group (bool), indexed by cell_id.
    """
    cells = read_cells(index, ["gene", "is_ntc"])
    library, gene, is_ntc = cells["gene"].cat.categories, cells["gene"].cat.codes, cells["is_ntc"]
    members = {name: named_in(library, genes_of_group(name, groups)) for name in names}
    wanted = pd.DataFrame(
        {"is_ntc": is_ntc} | {name: member[gene] & ~is_ntc for name, member in members.items()}
    )
    rows = np.flatnonzero(wanted.any(axis=1))
    of_rows = read_rows(index, ["cell_id", "batch"], rows).to_pandas()
    wanted = wanted.iloc[rows].set_axis(of_rows["cell_id"])
    wanted.insert(0, "batch", of_rows["batch"].to_numpy())
    return wanted


def read_batches(
    features: Sequence[str], names: Sequence[str], wanted: pd.DataFrame
) -> Iterator[BatchCells]:
    """Yield the wanted cells of each batch; infinite values become NaN.

    Parameters
    ----------
    features
        Feature tables, one per plate; the wells of a batch follow one another.
    names
        Features.
    wanted
        As `read_wanted` returns.

    Raises
    ------
    InputError
        If the tables do not hold the same features.
    """
    for values, members in read_wanted_cells(features, names, wanted):
        yield BatchCells(
            values[members["is_ntc"].to_numpy()],
            {name: values[members[name].to_numpy()] for name in members.columns[2:]},
        )


def read_wanted_cells(
    features: Sequence[str], names: Sequence[str], wanted: pd.DataFrame
) -> Iterator[tuple[np.ndarray, pd.DataFrame]]:
    """Yield of each batch the features of the wanted cells, and their rows of `wanted`.

    Parameters
    ----------
    features, names
        As in `read_batches`.
    wanted
        The column batch, and others; indexed by cell_id.

    Yields
    ------
    (cell, feature), infinite values become NaN; and the rows, (cell,).
    """
    for _, groups in groupby(_read_groups(features, names, wanted), lambda group: group[0]):
        _, values, members = zip(*groups, strict=True)
        yield np.concatenate(values), pd.concat(members)


def _read_groups(
    features: Sequence[str], names: Sequence[str], wanted: pd.DataFrame
) -> Iterator[tuple[str, np.ndarray, pd.DataFrame]]:
    """Yield the batch of each row group with a wanted cell, their features, rows of `wanted`."""
    progress = Progress(len(features), "plates", "feature ranking")
    for path in features:
        present = feature_names(path)
        if present != list(names):
            raise InputError(
                where=path,
                found=f"{len(present)} features",
                expected=f"the {len(names)} features of {features[0]}",
                fix="measure the features of all plates again",
            )
        for rows in row_groups(path):
            part = rows.to_pandas()
            at = wanted.index.get_indexer(part.pop("cell_id"))
            values, members = part[at >= 0].to_numpy(float, copy=True), wanted.iloc[at[at >= 0]]
            values[~np.isfinite(values)] = np.nan
            if len(members):
                yield members["batch"].iloc[0], values, members
        progress.step()


def feature_names(path: str) -> list[str]:
    """Return the feature columns of a feature table."""
    return [name for name in read_schema(path).names if name != "cell_id"]
