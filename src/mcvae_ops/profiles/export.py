"""Export guides, genes and cells as AnnData files, the format of scanpy."""

import anndata
import numpy as np
import pandas as pd

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
    for column in observations.select_dtypes(object):
        if observations[column].nunique() < len(observations):
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


def add_map(adata: anndata.AnnData, maps: pd.DataFrame) -> None:
    """Add the UMAPs of the profiles of all cells; profiles of other sets of cells get NaN.

    Parameters
    ----------
    adata
        obs names are ``name/cells``; gets obsm ``X_umap`` (of X), ``X_umap_salient``, ...
    maps
        name, space, x, y.
    """
    for space, places in maps.groupby("space", sort=False):
        places = places.set_index(places["name"] + "/all")[["x", "y"]].reindex(adata.obs_names)
        suffix = "" if space == "combined" else f"_{space}"
        adata.obsm[f"X_umap{suffix}"] = places.to_numpy(np.float32)


def export_anndata(
    guides: str, genes: str, maps: str, screen: str, guides_h5ad: str, genes_h5ad: str
) -> None:
    """Write the guide and gene profiles of one embedding as .h5ad.

    Parameters
    ----------
    guides, genes
        Tables of profiles.
    maps
        UMAPs of these profiles: level, name, space, x, y.
    screen
        Name of the screen.
    guides_h5ad, genes_h5ad
        Outputs; see `to_anndata` and `add_map`.
    """
    placed = read_frame(maps)
    for level, path, target in (("guide", guides, guides_h5ad), ("gene", genes, genes_h5ad)):
        table = read_frame(path)
        first = table.iloc[0]
        provenance = {"screen": screen, "model": first["model"], "seed": int(first["seed"])}
        adata = to_anndata(table, table[level] + "/" + table["cells"], provenance)
        add_map(adata, placed[placed["level"] == level])
        with whole_file(target) as partial:
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
