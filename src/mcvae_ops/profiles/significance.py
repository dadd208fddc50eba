"""Guide significance: the distance from NTC of the mean, or the cells, of each guide."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from mcvae_ops.embeddings.embedded_cells import (
    Latent,
    batch_numbers,
    groups_of,
    is_unseen,
    some_cells,
)
from mcvae_ops.files import write_parquet
from mcvae_ops.profiles.aggregate import GUIDE_KEYS, read_embedded_cells, sums_of_groups
from mcvae_ops.profiles.energy_distance import energy_from_controls
from mcvae_ops.profiles.exchange import distance_of_means

STATISTICS = {"mean": distance_of_means, "energy": energy_from_controls}


def q_values(p_values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return the false discovery rate at which each test is a discovery (Benjamini & Hochberg).

    Parameters
    ----------
    p_values
        (test,); NaN is not a test.
    counted
        (test,): whether the test belongs to the family. The others (controls) get no q: NaN.
    """
    counted = counted & np.isfinite(p_values)
    q = np.full(len(p_values), np.nan)
    q[counted] = false_discovery_control(p_values[counted])
    return q


class Units(NamedTuple):
    """What an exchange of labels exchanges: embedding, batch, group of each unit.

    Attributes
    ----------
    latent
        (unit, dimension).
    batch_of, group_of
        (unit,), numbered from 0 on.
    is_control
        (unit,).
    """

    latent: np.ndarray | Latent
    batch_of: np.ndarray
    is_control: np.ndarray
    group_of: np.ndarray


def exchanged_units(
    cells: pd.DataFrame, latent: np.ndarray | Latent, group_of: np.ndarray
) -> Units:
    """Return the cells; or, where a batch holds several wells, the mean of each group in each well.

    Wells differ without any effect, so cells of different wells cannot be exchanged: there, whole
    wells are.

    Parameters
    ----------
    cells
        plate, well, batch, is_ntc.
    latent
        (cell, dimension), finite.
    group_of
        (cell,): guide or gene, numbered from 0 on.
    """
    batch_of, is_control = batch_numbers(cells), cells["is_ntc"].to_numpy()
    _, well_of = groups_of(cells, ["plate", "well"])
    if well_of.max(initial=-1) == batch_of.max(initial=-1):
        return Units(latent, batch_of, is_control, group_of)
    keys = np.column_stack([well_of, group_of])
    _, first, unit_of, n_cells = np.unique(
        keys, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    sums = sums_of_groups(latent, np.arange(len(cells)), unit_of.ravel(), len(first))
    return Units(sums / n_cells[:, None], batch_of[first], is_control[first], group_of[first])


def guide_significance(
    index: str,
    splits: str,
    embedding: str,
    trained: bool,
    statistic: str,
    permutations: int,
    seed: int,
    threads: int,
    significance: str,
) -> None:
    """Write the distance of every guide from NTC, with p and q.

    Parameters
    ----------
    index, splits, embedding
        Tables of cells, row-aligned.
    trained
        Whether the embedding comes from a model that was trained on the labels. Only held-out cells
        are then tested, because the model may have learnt to distinguish its training cells.
    statistic
        A key of `STATISTICS`.
    permutations, seed, threads
        Number of permutations of the test, its seed, and how much of it runs at a time.
    significance
        Output: guide, gene, n_cells, statistic, p_value, q_value (of targeting guides).
    """
    cells, latent = read_embedded_cells(index, splits, embedding)
    latent = latent.combined()
    tested = latent.finite()
    if trained:
        tested &= is_unseen(cells["split"])
    cells, latent = cells[tested], some_cells(latent, tested)
    table, guide_of = groups_of(cells, GUIDE_KEYS)
    units = exchanged_units(cells, latent, guide_of)
    statistics, p_values = STATISTICS[statistic](*units, permutations, seed, threads)
    q = q_values(p_values, ~table["is_ntc"].to_numpy())
    table = table[["guide", "gene", "n_cells"]]
    write_parquet(table.assign(statistic=statistics, p_value=p_values, q_value=q), significance)
