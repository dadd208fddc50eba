"""What panels take from the benchmark tables, and the table of what they draw."""

from collections.abc import Sequence

import pandas as pd

from mcvae_ops.benchmarks.estimates.table import OVER_SEEDS
from mcvae_ops.errors import InputError

RUN, PAPER = "this run", "paper"


def choose(table: pd.DataFrame, **wanted: str | Sequence) -> pd.DataFrame:
    """Return the rows whose columns hold the wanted values (one, or one of several)."""
    keep = pd.Series(True, index=table.index)
    for column, values in wanted.items():
        values = [values] if isinstance(values, str) else list(values)
        keep &= table[column].isin(values)
    return table[keep]


def shown_models(settings: dict) -> list[str]:
    """Return the models that are drawn: the main one, then those that are compared with it."""
    profiles = settings["profiles"]
    return [profiles["main_model"], *profiles["compared_models"]]


def drop_single_model(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table without its column ``model`` where there is but one model."""
    return table if table["model"].nunique() > 1 else table.drop(columns="model")


def needed(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the table, or say that there is nothing to draw.

    Raises
    ------
    InputError
        If it has no row.
    """
    if table.empty:
        raise InputError(
            where=where,
            found="no row to draw",
            expected="at least one estimate of the models that the figure draws",
            fix="add the model to `models`, or leave the panel out of figures.panels",
        )
    return table


def average_seeds(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return mean value, bounds and n over training seeds, with the count of seeds.

    Where the table has rows over all seeds, bounds are theirs: they hold the spread between seeds.

    Parameters
    ----------
    table
        Rows of a benchmark table.
    keys
        Columns that tell estimates apart.

    Returns
    -------
    One row per combination of keys, in order of first appearance: value, low, high, n, n_seeds.
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
    """Return the source data of a panel: the drawn tables below each other.

    Parameters
    ----------
    parts
        (source, table) each; source is `RUN` or `PAPER`.
    """
    tables = [table.assign(source=source) for source, table in parts if len(table)]
    joined = pd.concat(tables, ignore_index=True)
    return joined[["source", *[column for column in joined if column != "source"]]]
