"""Aggregate embeddings of cells to profiles of guides and of genes."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from mcvae_ops.embeddings.embedded_cells import check_aligned
from mcvae_ops.embeddings.spaces import latent_columns, space_dimensions
from mcvae_ops.errors import InputError
from mcvae_ops.files import read_frame, read_schema, write_parquet
from mcvae_ops.screen import CONTROL

logger = logging.getLogger(__name__)

CELL_SETS = ("all", "train", "test", "held_out_guide", "held_out_gene")
HELD_OUT_SETS = ("held_out_guide", "held_out_gene")  # splits without NTC cells
GUIDE_COLUMNS = ["guide", "gene", "is_ntc"]
GUIDE_KEYS = ["gene", "guide", "is_ntc"]  # sort order of guide profiles
NOISE = "_noise"  # ends the names of columns of noise
BLOCK = 1 << 20  # cells in double precision per block: a whole screen may not fit in memory


def guide_profiles(
    cells: pd.DataFrame, latent: np.ndarray, spaces: Mapping[str, Sequence[int]] | None = None
) -> pd.DataFrame:
    """Return the mean of the cells of each guide.

    Parameters
    ----------
    cells
        Columns guide, gene, is_ntc; one row per cell.
    latent
        (cell, dimension), row-aligned. Cells with a NaN are left out with a warning.
    spaces
        Space -> its dimensions. The noise of each is returned, too.

    Returns
    -------
    guide, gene, is_ntc, n_cells, one column ``{space}_noise`` per space, then one column per
    dimension (named 0, 1, ...), sorted by gene and guide. The noise is the expected squared norm of
    the sampling error of the mean: the variance of the guide's cells, summed over dimensions, over
    their number. A guide of one cell is given the variance within all guides.
    """
    spaces = spaces or {}
    finite = np.isfinite(latent).all(axis=1)
    if not finite.all():
        logger.warning("%d cells without a finite embedding are left out", (~finite).sum())
        cells, latent = cells[finite], latent[finite]
    groups = cells.groupby(GUIDE_KEYS, sort=True)
    guide_of = groups.ngroup().to_numpy()
    guides = groups.size().rename("n_cells").reset_index()
    sums, squares = np.zeros((len(guides), latent.shape[1])), np.zeros((len(guides), len(spaces)))
    for start in range(0, len(cells), BLOCK):
        part = guide_of[start : start + BLOCK]
        belongs = sparse.csr_array(
            (np.ones(len(part)), (part, np.arange(len(part)))), shape=(len(guides), len(part))
        )
        values = latent[start : start + BLOCK].astype(np.float64)
        sums += belongs @ values
        for k, at in enumerate(spaces.values()):
            squares[:, k] += belongs @ (values[:, at] ** 2).sum(axis=1)
    n = guides["n_cells"].to_numpy()
    means = sums / n[:, None]
    noise = {
        f"{space}{NOISE}": _noise_of_means(squares[:, k] - n * (means[:, at] ** 2).sum(axis=1), n)
        for k, (space, at) in enumerate(spaces.items())
    }
    return guides[[*GUIDE_COLUMNS, "n_cells"]].assign(**noise).join(pd.DataFrame(means))


def _noise_of_means(scatter: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return the noise of means over n cells, from the squared distances to them, (guide,) each."""
    several, freedom = n > 1, n - 1
    within_all = scatter[several].sum() / freedom[several].sum() if several.any() else np.nan
    variance = np.divide(scatter, freedom, out=np.full(len(n), within_all), where=several)
    return variance.clip(0) / n  # rounding


def gene_profiles(guides: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return the unweighted mean of the guides of each gene, minus that of NTC.

    Parameters
    ----------
    guides
        Columns gene, is_ntc, n_cells and the latent `columns`; with columns ``{space}_noise``, the
        noise of genes is returned, too.
    columns
        Latent columns.

    Returns
    -------
    gene, is_ntc, n_guides, n_cells, noise and `columns`, sorted by gene. The NTC row is kept; it is
    0. The noise is that of the difference: of the gene's guides and of the NTC guides.

    Raises
    ------
    InputError
        If there is no NTC guide to subtract.
    """
    groups = guides.groupby(["gene", "is_ntc"], sort=True)
    genes = groups[columns].mean().reset_index()
    genes.insert(2, "n_guides", groups.size().to_numpy())
    genes.insert(3, "n_cells", groups["n_cells"].sum().to_numpy())
    if not genes["is_ntc"].any():
        raise InputError.missing(
            where="guide profiles",
            what="an NTC guide",
            why=f"gene profiles are differences from {CONTROL} in every set of cells",
            fix="check screen.control and the split",
        )
    genes[columns] -= genes.loc[genes["is_ntc"], columns].to_numpy()
    for position, name in enumerate((n for n in guides if str(n).endswith(NOISE)), start=4):
        of_mean = groups[name].sum().to_numpy() / genes["n_guides"] ** 2
        of_difference = (of_mean + of_mean[genes["is_ntc"]].item()).mask(genes["is_ntc"], 0.0)
        genes.insert(position, name, of_difference)
    return genes


def cell_set(cells: pd.DataFrame, split: pd.Series, name: str) -> np.ndarray:
    """Return which cells belong to a set of cells.

    Parameters
    ----------
    cells
        Column is_ntc.
    split
        Split of each cell, row-aligned: train, validation, test, held_out_guide, held_out_gene, ...
    name
        all; train; test (held-out cells of training guides and NTC); held_out_guide or
        held_out_gene (cells of guides or genes that no model was trained on, with the NTC cells of
        test as controls).
    """
    if name == "all":
        return np.ones(len(cells), bool)
    chosen = (split == name).to_numpy()
    if name in HELD_OUT_SETS and chosen.any():
        chosen |= cells["is_ntc"].to_numpy() & (split == "test").to_numpy()
    return chosen


def read_embedded_cells(
    index: str, splits: str, embedding: str
) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """Read the cells, the values and the latent column names of an embedding.

    Returns
    -------
    Table with cell_id, plate, well, batch, guide, gene, is_ntc, split; values (cell, dimension),
    float32; names of the latent columns.

    Raises
    ------
    InputError
        If the embedding or the splits are not row-aligned with the index.
    """
    cells = read_frame(index, columns=["cell_id", "plate", "well", "batch", *GUIDE_COLUMNS])
    columns = latent_columns(read_schema(embedding).names)
    table = read_frame(embedding, columns=["cell_id", *columns])
    check_aligned(cells["cell_id"], table["cell_id"], embedding)
    split = read_frame(splits, columns=["cell_id", "split"])
    check_aligned(cells["cell_id"], split["cell_id"], splits)
    return cells.assign(split=split["split"]), table[columns].to_numpy(np.float32), columns


def model_and_seed(embedding: str) -> dict:
    """Return model and seed of an embedding from its metadata."""
    metadata = read_schema(embedding).metadata
    return {"model": metadata[b"model"].decode(), "seed": int(metadata[b"seed"])}


def profile_tables(
    cells: pd.DataFrame, split: pd.Series, latent: np.ndarray, columns: list[str], identity: dict
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return guide and gene profiles of each set of cells that is not empty.

    Parameters
    ----------
    cells, split, latent
        Row-aligned; as for `guide_profiles` and `cell_set`.
    columns
        Names of the latent dimensions.
    identity
        Columns that name the profiles (model, seed), the first columns of both tables.

    Returns
    -------
    Tables of guides and of genes, with a column cells after those of `identity`.
    """
    guide_tables, gene_tables = [], []
    spaces = space_dimensions(columns)
    for name in CELL_SETS:
        chosen = cell_set(cells, split, name)
        if not chosen.any():
            logger.warning("no cells in the set %s", name)
            continue
        table = guide_profiles(cells[chosen], latent[chosen], spaces)
        table = table.rename(columns=dict(enumerate(columns)))
        guide_tables.append(_prepend(table, identity | {"cells": name}))
        gene_tables.append(_prepend(gene_profiles(table, columns), identity | {"cells": name}))
    return tuple(pd.concat(tables, ignore_index=True) for tables in (guide_tables, gene_tables))


def aggregate_profiles(index: str, splits: str, embedding: str, guides: str, genes: str) -> None:
    """Write guide and gene profiles of one embedding, for each set of cells.

    Parameters
    ----------
    index, splits, embedding
        Tables of cells, row-aligned; the embedding's metadata names model and seed.
    guides, genes
        Outputs.
    """
    cells, latent, columns = read_embedded_cells(index, splits, embedding)
    tables = profile_tables(cells, cells["split"], latent, columns, model_and_seed(embedding))
    for table, path in zip(tables, (guides, genes), strict=True):
        write_parquet(table, path)


def _prepend(table: pd.DataFrame, values: dict) -> pd.DataFrame:
    labelled = table.copy()
    for position, (column, value) in enumerate(values.items()):
        labelled.insert(position, column, value)
    return labelled
