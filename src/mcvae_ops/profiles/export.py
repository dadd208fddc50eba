"""Export guides, genes and cells as AnnData files, the format of scanpy."""

import anndata
import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_object_dtype, is_string_dtype

from mcvae_ops.embeddings.embedded_cells import check_aligned, read_cells
from mcvae_ops.embeddings.spaces import latent_columns, spaces_of
from mcvae_ops.errors import InputError
from mcvae_ops.files import opened_parquet, read_frame, read_schema, whole_file
from mcvae_ops.versions import versions

SPACE = {"s": "salient", "z": "background", "t": "technical"}


def to_anndata(table: pd.DataFrame, names: pd.Series, provenance: dict) -> anndata.AnnData:
    """Return a table of cells, guides or genes with latent columns as AnnData.

    Parameters
    ----------
    table
        Latent columns, and columns that describe the rows.
    names
        Names of the rows.
    provenance
        Origin of the table (screen, model, seed); the version of this package is added.

    Returns
    -------
    X: latent dimensions, float32; obs: all other columns; var: the space of each dimension; obsm:
    ``X_salient`` and ``X_background`` if the model has both; uns: ``provenance``.
    """
    columns = latent_columns(table.columns)
    observations = table.drop(columns=columns)
    for column in observations:
        if is_text(observations[column]) and observations[column].nunique() < len(observations):
            observations[column] = observations[column].astype("category")
    observations.index = names.astype(str)
    space_of = pd.Categorical([SPACE[column[0]] for column in columns])
    variables = pd.DataFrame({"space": space_of}, index=columns)
    adata = anndata.AnnData(table[columns].to_numpy(np.float32), observations, variables)
    spaces = spaces_of(columns)
    for space in ("salient", "background"):
        if space in spaces:
            adata.obsm[f"X_{space}"] = table[spaces[space]].to_numpy(np.float32)
    adata.uns["provenance"] = provenance | {"mcvae_ops": versions()["mcvae-ops"]}
    return adata


def add_hits(table: pd.DataFrame, hits: pd.DataFrame, level: str) -> pd.DataFrame:
    """Add what the table of hits knows of each guide or gene; empty for those that it lacks.

    Parameters
    ----------
    table
        Profiles of one level, with its name (gene or guide) as a column.
    hits
        The table of hits: one row per gene, or per guide where the column guide is not empty.
    level
        "gene" or "guide". Hits of the other level are not added.
    """
    if (level == "guide") != (hits["guide"] != "").any():
        return table
    known = hits.set_index(level).drop(columns=["gene", "guide", *table], errors="ignore")
    known = known.reindex(table[level]).reset_index(drop=True)
    for column, kind in hits[known.columns].dtypes.items():
        if is_bool_dtype(kind):
            known[column] = known[column].astype("boolean")
        elif is_text(hits[column]):
            known[column] = known[column].fillna("")
    return pd.concat([table, known], axis=1)


def is_text(values: pd.Series) -> bool:
    """Say whether values are texts, whatever type this version of pandas gives them."""
    return is_object_dtype(values.dtype) or is_string_dtype(values.dtype)


def add_map(adata: anndata.AnnData, maps: pd.DataFrame) -> None:
    """Add the UMAPs of the profiles of all cells.

    Parameters
    ----------
    adata
        obs names are those of the map; gets obsm ``X_umap`` (of X), ``X_umap_salient``, ...
    maps
        name, space, x, y.
    """
    for space, places in maps.groupby("space", sort=False):
        places = places.set_index("name")[["x", "y"]].reindex(adata.obs_names)
        suffix = "" if space == "combined" else f"_{space}"
        adata.obsm[f"X_umap{suffix}"] = places.to_numpy(np.float32)


def export_anndata(
    profiles: str,
    screen: str,
    level: str,
    cells: str,
    h5ad: str,
    maps: str | None = None,
    hits: str | None = None,
) -> None:
    """Write the guide or gene profiles of one embedding as .h5ad, one row per guide or gene.

    Parameters
    ----------
    profiles
        Table of profiles.
    screen
        Name of the screen.
    level
        "guides" or "genes".
    cells
        The set of cells whose profiles are written (see `mcvae_ops.profiles.aggregate`).
    h5ad
        Output; see `to_anndata`, `add_hits` and `add_map`.
    maps
        UMAPs of the profiles of all cells: level, name, space, x, y.
    hits
        The table of hits, if it is of this embedding.

    Raises
    ------
    InputError
        If the screen has no profile of this set of cells.
    """
    item = level.removesuffix("s")
    table = read_frame(profiles)
    first = table.iloc[0]
    table = table[table["cells"] == cells].drop(columns=["model", "seed", "cells"])
    if table.empty:
        raise InputError.missing(
            where=profiles,
            what=f"every profile of the cells {cells}",
            why="a file holds the profiles of one set of cells",
            fix="ask for another set, or hold out such guides or genes (section split)",
        )
    table = table.reset_index(drop=True)
    if hits is not None:
        table = add_hits(table, read_frame(hits), item)
    provenance = {"screen": screen, "model": first["model"], "seed": int(first["seed"])}
    adata = to_anndata(table, table[item], provenance | {"cells": cells})
    if maps is not None:
        placed = read_frame(maps)
        add_map(adata, placed[placed["level"] == item])
    with whole_file(h5ad) as partial:
        adata.write_h5ad(partial)


def read_rows(path: str, first: int, stop: int) -> pd.DataFrame:
    """Read the rows from `first` to `stop` (exclusive) of a table that is larger than memory."""
    row, groups = 0, []
    with opened_parquet(path) as table:
        for group in range(table.num_row_groups):
            n = table.metadata.row_group(group).num_rows
            if row < stop and row + n > first:
                groups.append((group, row))
            row += n
        read = table.read_row_groups([group for group, _ in groups])
    return read.slice(first - groups[0][1], stop - first).to_pandas()


def export_cells(
    index: str, splits: str, embedding: str, screen: str, plate: str, well: str, h5ad: str
) -> None:
    """Write the embedded cells of one well as .h5ad.

    Parameters
    ----------
    index, splits, embedding
        Tables of cells, row-aligned; the index is sorted by plate and well.
    screen
        Name of the screen.
    plate, well
        The well to export.
    h5ad
        Output; see `to_anndata`. obs: the columns of the index, and split.
    """
    wells = read_cells(index, ["plate", "well"])
    rows = np.flatnonzero((wells["plate"] == plate) & (wells["well"] == well))
    if len(rows) == 0:
        raise InputError.missing(
            where=index,
            what=f"every cell of plate {plate}, well {well}",
            why="only wells with cells can be exported",
            fix="name a well of screen.plates; qc/dropped.parquet lists the cells that were lost",
        )
    check_aligned(index, splits)
    check_aligned(index, embedding)
    span = int(rows[0]), int(rows[-1]) + 1
    cells = read_rows(index, *span).drop(columns=["shard", "row"])
    split, latent = read_rows(splits, *span), read_rows(embedding, *span)
    metadata = {k.decode(): v.decode() for k, v in read_schema(embedding).metadata.items()}
    provenance = {"screen": screen, "model": metadata["model"], "seed": int(metadata["seed"])}
    table = pd.concat(
        [cells, split[["split"]], latent[latent_columns(latent.columns)]], axis=1
    ).drop(columns="cell_id")
    with whole_file(h5ad) as partial:
        to_anndata(table, cells["cell_id"], provenance).write_h5ad(partial)
