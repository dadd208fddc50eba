"""Mitotic index: the change of the mitotic fraction of a gene relative to NTC cells."""

import pandas as pd

from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet

COLUMNS = ["level", "name", "n_cells", "mitotic_fraction", "mitotic_index_percent"]


def mitotic_indices(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the mitotic index of every gene and of every NTC guide.

    Parameters
    ----------
    cells
        Columns guide, gene, is_ntc, cell_cycle_stage ("mitotic" or another stage).

    Returns
    -------
    level (gene | ntc_guide), name, n_cells, mitotic_fraction and mitotic_index_percent: the
    signed change of the fraction relative to all NTC cells, in percent of their fraction.

    Raises
    ------
    InputError
        If no NTC cell is mitotic, because the change is relative to their fraction.
    """
    mitotic = cells["cell_cycle_stage"].eq("mitotic")
    is_ntc = cells["is_ntc"]
    baseline = mitotic[is_ntc].mean()
    if not baseline > 0:
        raise InputError.missing(
            where="shards/index.parquet",
            what=f"a mitotic cell among {int(is_ntc.sum())} NTC cells",
            why="the mitotic index is relative to the mitotic fraction of NTC cells",
            fix="check that the mitotic feature table is part of archive.dataset",
        )
    levels = {
        "gene": mitotic[~is_ntc].groupby(cells["gene"][~is_ntc]),
        "ntc_guide": mitotic[is_ntc].groupby(cells["guide"][is_ntc]),
    }
    tables = []
    for level, groups in levels.items():
        table = groups.agg(n_cells="size", mitotic_fraction="mean")
        table = table.rename_axis("name").reset_index().assign(level=level)
        table["mitotic_index_percent"] = 100 * (table["mitotic_fraction"] / baseline - 1)
        tables.append(table[COLUMNS])
    return pd.concat(tables, ignore_index=True)


def mitotic_index(index: str, mitotic_index: str) -> None:
    """Write the mitotic index of every gene and NTC guide.

    Parameters
    ----------
    index
        Table of all cells.
    mitotic_index
        Output.
    """
    cells = pd.read_parquet(index, columns=["guide", "gene", "is_ntc", "cell_cycle_stage"])
    write_parquet(mitotic_indices(cells), mitotic_index)
