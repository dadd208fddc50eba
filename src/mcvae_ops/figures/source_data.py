"""Read estimates from benchmark tables for panels, and collect the source data of panels."""

from collections.abc import Sequence

import pandas as pd

from mcvae_ops.benchmarks.estimates.table import OVER_SEEDS
from mcvae_ops.errors import InputError

RUN, PAPER = "this run", "paper"


def choose(table: pd.DataFrame, **wanted: str | Sequence) -> pd.DataFrame:
    """Return the rows whose columns hold the wanted value, or one of the wanted values."""
    keep = pd.Series(True, index=table.index)
    for column, values in wanted.items():
        values = [values] if isinstance(values, str) else list(values)
        keep &= table[column].isin(values)
    return table[keep]


def shown_models(settings: dict) -> list[str]:
    """Return the models that figures show: the main model, then the models compared with it."""
    profiles = settings["profiles"]
    return [profiles["main_model"], *profiles["compared_models"]]


def drop_single_model(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table, without its column ``model`` if it holds only one model."""
    return table if table["model"].nunique() > 1 else table.drop(columns="model")


def needed(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the table if it has rows to draw.

    Raises
    ------
    InputError
        If it has no row.
    """
    if table.empty:
        raise InputError.missing(
            where=where,
            what="every row to draw",
            why="the figure draws estimates of the models of the configuration",
            fix="add the model to `models`, or leave the panel out of figures.panels",
        )
    return table


def average_seeds(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return mean value, bounds and n over training seeds, and the number of seeds.

    If the table has rows over all seeds, bounds come from them, because they include the spread
    between seeds.

    Parameters
    ----------
    table
        Rows of a benchmark table.
    keys
        Columns that distinguish estimates.

    Returns
    -------
    value, low, high, n, n_seeds: one row per combination of keys, in order of first appearance.
    """
    is_folded = table["seed"] == OVER_SEEDS
    groups = table[~is_folded].groupby(list(keys), sort=False, dropna=False)
    folded = table[is_folded].groupby(list(keys), sort=False, dropna=False)[["low", "high"]].mean()
    means = groups.agg(
        value=("value", "mean"),
        low=("low", "mean"),
        high=("high", "mean"),
        n=("n", "max"),
        n_seeds=("seed", "nunique"),
    )
    means.update(folded)
    return means.reset_index()


def drawn(*parts: tuple[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the source data of a panel: its drawn tables, concatenated.

    Parameters
    ----------
    parts
        (source, table) of each drawn table; source is `RUN` or `PAPER`.
    """
    tables = [table.assign(source=source) for source, table in parts if len(table)]
    joined = pd.concat(tables, ignore_index=True)
    return joined[["source", *[column for column in joined if column != "source"]]]
