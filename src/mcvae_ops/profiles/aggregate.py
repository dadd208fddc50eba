"""Aggregate embeddings of cells to profiles of guides and of genes."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from mcvae_ops.embeddings.embedded_cells import (
    Latent,
    check_aligned,
    groups_of,
    is_unseen,
    read_cells,
    read_latent,
)
from mcvae_ops.embeddings.spaces import space_dimensions
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet
from mcvae_ops.screen import CONTROL

logger = logging.getLogger(__name__)

CELL_SETS = ("all", "train", "test", "held_out_guide", "held_out_gene")
HELD_OUT_SETS = ("held_out_guide", "held_out_gene")  # splits without NTC cells
GUIDE_COLUMNS = ["guide", "gene", "is_ntc"]
GUIDE_KEYS = ["gene", "guide", "is_ntc"]  # sort order of guide profiles
NOISE = "_noise"  # ends the names of columns of noise
BLOCK = 1 << 18  # cells in double precision at a time
ACTIVE_VARIANCE = 0.01  # of a dimension over cells; as for the monitors of a training


class GuideSums:
    """Sums over the cells of each guide, block by block: a whole screen may not fit in memory.

    Parameters
    ----------
    groups
        Guides, and the guide of each cell: see `groups_of`, by `GUIDE_KEYS`.
    spaces
        Space -> its dimensions.
    n_dimensions
        Of the vectors of cells.
    """

    def __init__(
        self,
        groups: tuple[pd.DataFrame, np.ndarray],
        spaces: Mapping[str, Sequence[int]],
        n_dimensions: int,
    ) -> None:
        self.guides, self._guide_of = groups
        self._spaces, n = spaces, len(self.guides)
        self._n_cells = np.zeros(n, int)
        self._sums, self._squares = np.zeros((n, n_dimensions)), np.zeros((n, len(spaces)))

    def add(self, rows: np.ndarray, latent: np.ndarray) -> None:
        """Add the cells `rows`, with their finite vectors (row, dimension)."""
        guide_of = self._guide_of[rows]
        n, values = len(self.guides), latent.astype(np.float64)
        belongs = sparse.csr_array(
            (np.ones(len(rows)), (guide_of, np.arange(len(rows)))), shape=(n, len(rows))
        )
        self._n_cells += np.bincount(guide_of, minlength=n)
        self._sums += belongs @ values
        for k, at in enumerate(self._spaces.values()):
            self._squares[:, k] += belongs @ (values[:, at] ** 2).sum(axis=1)

    def profiles(self) -> pd.DataFrame:
        """Return the means of all guides that have cells; see `guide_profiles`."""
        present = self._n_cells > 0
        n, squares = self._n_cells[present], self._squares[present]
        means = self._sums[present] / n[:, None]
        noise = {
            f"{space}{NOISE}": _noise_of_means(
                squares[:, k] - n * (means[:, at] ** 2).sum(axis=1), n
            )
            for k, (space, at) in enumerate(self._spaces.items())
        }
        names = self.guides.loc[present, GUIDE_COLUMNS].reset_index(drop=True)
        return names.assign(n_cells=n, **noise).join(pd.DataFrame(means))


def sums_of_groups(
    latent: np.ndarray | Latent, rows: np.ndarray, group_of: np.ndarray, n: int
) -> np.ndarray:
    """Return the sum of the rows of each group in double precision, (group, dimension).

    Parameters
    ----------
    latent
        (cell, dimension), or what stands for such an array; some rows are in memory at a time.
    rows, group_of
        Rows that count, ascending, and the group of each, (row,).
    n
        Number of groups.
    """
    sums = np.zeros((n, latent.shape[1]))
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        # A block has few of the guides in batches of a large screen.
        groups, place = np.unique(group_of[start : start + BLOCK], return_inverse=True)
        belongs = sparse.csr_array(
            (np.ones(len(part)), (place, np.arange(len(part)))), shape=(len(groups), len(part))
        )
        sums[groups] += belongs @ latent[part].astype(np.float64)
    return sums


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
    sums = GuideSums(groups_of(cells, GUIDE_KEYS), spaces or {}, latent.shape[1])
    rows = finite_rows(latent)
    sums.add(rows, latent[rows])
    return sums.profiles()


def finite_rows(latent: np.ndarray) -> np.ndarray:
    """Return the rows of cells with a finite vector; the others are counted in a warning."""
    finite = np.isfinite(latent).all(axis=1)
    if not finite.all():
        logger.warning("%d cells without a finite embedding are left out", (~finite).sum())
    return np.flatnonzero(finite)


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
        return chosen | cells["is_ntc"].to_numpy() & (split == "test").to_numpy()
    return chosen


def cell_sets(cells: pd.DataFrame, split: pd.Series) -> dict[str, np.ndarray]:
    """Return the sets of cells that are not empty; see `cell_set`."""
    sets = {name: cell_set(cells, split, name) for name in CELL_SETS}
    for name in (name for name, chosen in sets.items() if not chosen.any()):
        # A configuration need not hold genes or guides out.
        level = logging.INFO if name in HELD_OUT_SETS else logging.WARNING
        logger.log(level, "no cells in the set %s", name)
    return {name: chosen for name, chosen in sets.items() if chosen.any()}


def read_embedded_cells(index: str, splits: str, embedding: str) -> tuple[pd.DataFrame, Latent]:
    """Read the cells of a screen, with their split, and open their embedding.

    Returns
    -------
    Table with plate, well, batch, guide, gene, is_ntc, split; and the vectors of its rows.

    Raises
    ------
    InputError
        If the embedding or the splits are not row-aligned with the index.
    """
    cells = read_cells(index, ["plate", "well", "batch", *GUIDE_COLUMNS])
    check_aligned(index, splits)
    return cells.join(read_cells(splits, ["split"])), read_latent(index, embedding)


def unseen_cells(cells: pd.DataFrame, latent: Latent) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the cells that no model was trained on, numbered anew, and their finite vectors."""
    rows = np.flatnonzero(is_unseen(cells["split"]) & latent.finite())
    return cells.iloc[rows].reset_index(drop=True), latent[rows]


class ProfileSums:
    """Guide and gene profiles of sets of cells, block by block of cells.

    Parameters
    ----------
    groups
        As for `GuideSums`.
    sets
        As `cell_sets` returns.
    columns
        Names of the latent dimensions.
    """

    def __init__(
        self,
        groups: tuple[pd.DataFrame, np.ndarray],
        sets: Mapping[str, np.ndarray],
        columns: list[str],
    ) -> None:
        spaces, self._columns = space_dimensions(columns), columns
        self._n, self._sum, self._squares = 0, np.zeros(len(columns)), np.zeros(len(columns))
        self._of_set = {
            name: (chosen, GuideSums(groups, spaces, len(columns))) for name, chosen in sets.items()
        }

    def add(self, rows: slice, latent: np.ndarray) -> None:
        """Add the cells `rows`, with their vectors (row, dimension)."""
        finite = finite_rows(latent)
        vectors = latent[finite].astype(np.float64)
        self._n += len(vectors)
        self._sum += vectors.sum(axis=0)
        self._squares += (vectors**2).sum(axis=0)
        for chosen, sums in self._of_set.values():
            kept = finite[chosen[rows][finite]]
            sums.add(kept + rows.start, latent[kept])

    def active(self) -> list[str]:
        """Return the dimensions whose variance over all cells is above `ACTIVE_VARIANCE`.

        The others hold nothing but noise of the encoder: a model has given them up.

        References
        ----------
        Active units: Burda et al. 2016, arXiv:1509.00519.
        """
        variance = self._squares / self._n - (self._sum / self._n) ** 2
        return [
            name for name, v in zip(self._columns, variance, strict=True) if v > ACTIVE_VARIANCE
        ]

    def tables(self, identity: dict) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the tables of guides and of genes.

        Parameters
        ----------
        identity
            Columns that name the profiles (model, seed), the first columns of both tables; a column
            cells follows.
        """
        guide_tables, gene_tables = [], []
        for name, (_, sums) in self._of_set.items():
            table = sums.profiles().rename(columns=dict(enumerate(self._columns)))
            labels = identity | {"cells": name}
            guide_tables.append(_prepend(table, labels))
            gene_tables.append(_prepend(gene_profiles(table, self._columns), labels))
        return tuple(pd.concat(tables, ignore_index=True) for tables in (guide_tables, gene_tables))


def aggregate_profiles(index: str, splits: str, embedding: str, guides: str, genes: str) -> None:
    """Write guide and gene profiles of one embedding, for each set of cells.

    Parameters
    ----------
    index, splits, embedding
        Tables of cells, row-aligned; the embedding's metadata names model and seed.
    guides, genes
        Outputs; their metadata names the dimensions that are active, see `ProfileSums.active`.
    """
    cells, latent = read_embedded_cells(index, splits, embedding)
    groups, sets = groups_of(cells, GUIDE_KEYS), cell_sets(cells, cells["split"])
    sums = ProfileSums(groups, sets, latent.columns)
    for rows, block in latent.blocks():
        sums.add(rows, block)
    tables = sums.tables({"model": latent.model, "seed": latent.seed})
    for table, path in zip(tables, (guides, genes), strict=True):
        write_parquet(table, path, {"active_dimensions": " ".join(sums.active())})


def _prepend(table: pd.DataFrame, values: dict) -> pd.DataFrame:
    labelled = table.copy()
    for position, (column, value) in enumerate(values.items()):
        labelled.insert(position, column, value)
    return labelled
