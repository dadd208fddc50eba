"""Mitotic index: the change of the mitotic fraction of a gene relative to NTC cells."""

import logging

import pandas as pd

from mcvae_ops.embeddings.embedded_cells import check_aligned, read_cells
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet
from mcvae_ops.profiles.aggregate import CELL_SETS, cell_set

COLUMNS = ["cells", "level", "name", "n_cells", "mitotic_fraction", "mitotic_index_percent"]
logger = logging.getLogger(__name__)


def mitotic_indices(cells: pd.DataFrame, split: pd.Series) -> pd.DataFrame:
    """Return the mitotic index of every gene and of every NTC guide, for each set of cells.

    A score of some cells is to be compared with the index of the same cells.

    Parameters
    ----------
    cells
        Columns guide, gene, is_ntc, cell_cycle_stage ("mitotic" or another stage).
    split
        Row-aligned; see `mcvae_ops.profiles.aggregate.cell_set`.

    Returns
    -------
    cells, level (gene | ntc_guide), name, n_cells, mitotic_fraction and mitotic_index_percent: the
    signed change of the fraction relative to all NTC cells of the set, in percent of their
    fraction. A set without a mitotic NTC cell is left out, with a warning.

    Raises
    ------
    InputError
        If no NTC cell at all is mitotic, because the change is relative to their fraction.
    """
    tables = []
    for name in CELL_SETS:
        chosen = cell_set(cells, split, name)
        mitotic = cells["cell_cycle_stage"][chosen].eq("mitotic")
        if mitotic[cells["is_ntc"][chosen]].any():
            tables.append(_of_set(cells[chosen], mitotic).assign(cells=name))
        elif name == "all":
            raise InputError.missing(
                where="shards/index.parquet",
                what=f"every mitotic cell among {int(cells['is_ntc'].sum())} NTC cells",
                why="the mitotic index is relative to the mitotic fraction of NTC cells",
                fix="check cells.columns.stage, or {stage} in cells.table, and screen.mitotic",
            )
        elif chosen.any():
            logger.warning("no mitotic NTC cell in the set %s: no mitotic index", name)
    return pd.concat(tables, ignore_index=True)[COLUMNS]


def _of_set(cells: pd.DataFrame, mitotic: pd.Series) -> pd.DataFrame:
    is_ntc = cells["is_ntc"]
    baseline = mitotic[is_ntc].mean()
    levels = {
        "gene": mitotic[~is_ntc].groupby(cells["gene"][~is_ntc], observed=True),
        "ntc_guide": mitotic[is_ntc].groupby(cells["guide"][is_ntc], observed=True),
    }
    tables = []
    for level, groups in levels.items():
        table = groups.agg(n_cells="size", mitotic_fraction="mean")
        table.index = table.index.astype(object).rename("name")
        table = table.reset_index().assign(level=level)
        table["mitotic_index_percent"] = 100 * (table["mitotic_fraction"] / baseline - 1)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def mitotic_index(index: str, splits: str, mitotic_index: str) -> None:
    """Write the mitotic index of every gene and NTC guide, for each set of cells.

    Parameters
    ----------
    index, splits
        Tables of all cells, row-aligned.
    mitotic_index
        Output.
    """
    cells = read_cells(index, ["guide", "gene", "is_ntc", "cell_cycle_stage"])
    split = read_cells(splits, ["split"])
    check_aligned(index, splits)
    write_parquet(mitotic_indices(cells, split["split"]), mitotic_index)
