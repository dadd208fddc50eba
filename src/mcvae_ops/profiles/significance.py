"""Guide significance: the distance from NTC of the mean, or the cells, of each guide."""

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from mcvae_ops.embeddings.embedded_cells import TRAINING_SPLITS
from mcvae_ops.embeddings.spaces import spaces_of
from mcvae_ops.files import write_parquet
from mcvae_ops.profiles.aggregate import GUIDE_KEYS, read_embedded_cells
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


def batch_numbers(cells: pd.DataFrame) -> np.ndarray:
    """Return the batch (plate, well) of each cell, numbered from 0 on."""
    return cells.groupby(["plate", "well"], sort=True).ngroup().to_numpy()


def guide_significance(
    index: str,
    splits: str,
    embedding: str,
    trained: bool,
    statistic: str,
    permutations: int,
    seed: int,
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
    permutations, seed
        Number of permutations of the test, and its seed.
    significance
        Output: guide, gene, n_cells, statistic, p_value, q_value (of targeting guides).
    """
    cells, latent, columns = read_embedded_cells(index, splits, embedding)
    latent = latent[:, [columns.index(name) for name in spaces_of(columns)["combined"]]]
    tested = np.isfinite(latent).all(axis=1)
    if trained:
        tested &= ~cells["split"].isin(TRAINING_SPLITS).to_numpy()
    cells, latent = cells[tested], latent[tested]
    groups, is_ntc = cells.groupby(GUIDE_KEYS, sort=True), cells["is_ntc"].to_numpy()
    table = groups.size().rename("n_cells").reset_index()
    statistics, p_values = STATISTICS[statistic](
        latent, batch_numbers(cells), is_ntc, groups.ngroup().to_numpy(), permutations, seed
    )
    q = q_values(p_values, ~table["is_ntc"].to_numpy())
    table = table[["guide", "gene", "n_cells"]]
    write_parquet(table.assign(statistic=statistics, p_value=p_values, q_value=q), significance)
