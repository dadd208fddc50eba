"""Which guides change the cells at all: distance of their mean, or of their cells, from NTC."""

import numpy as np
import pandas as pd

from mcvae_ops.embeddings.spaces import spaces_of
from mcvae_ops.files import write_parquet
from mcvae_ops.profiles.aggregate import (
    GUIDE_KEYS,
    TRAINING_SPLITS,
    guide_profiles,
    read_embedded_cells,
)
from mcvae_ops.profiles.energy_distance import energy_from_ntc
from mcvae_ops.progress import Progress


def distance_from_ntc(
    latent: np.ndarray, is_ntc: np.ndarray, guides: pd.DataFrame, permutations: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compare each guide's distance from NTC with that of equally many random NTC cells.

    Parameters
    ----------
    latent
        (cell, dimension), finite.
    is_ntc
        (cell,).
    guides
        Column n_cells and the mean of each dimension (integer columns), as `guide_profiles` gives.
    permutations, seed
        Random subsets of NTC cells, drawn without replacement.

    Returns
    -------
    (guide,) norm of the difference of means, and p = (1 + #(null >= norm)) / (1 + permutations).

    Notes
    -----
    One shuffle of the NTC cells serves guides of every size: the mean of its first n cells is a
    random subset of n. A guide with more cells than half of NTC is compared with subsets of half
    of NTC, since the mean of nearly all NTC cells cannot differ from theirs: p is then too large
    rather than too small.
    """
    controls = latent[is_ntc].astype(np.float64)
    centre = controls.mean(axis=0)
    statistics = np.linalg.norm(guides[range(latent.shape[1])].to_numpy() - centre, axis=1)
    sizes = np.minimum(guides["n_cells"].to_numpy(), max(1, len(controls) // 2))
    distinct, size_of = np.unique(sizes, return_inverse=True)
    rng = np.random.default_rng(seed)
    n_as_far = np.zeros(len(guides), int)
    progress = Progress(permutations, "permutations", "guide significance")
    for _ in range(permutations):
        shuffled = controls[rng.permutation(len(controls))[: distinct[-1]]] - centre
        means = np.cumsum(shuffled, axis=0)[distinct - 1] / distinct[:, None]
        n_as_far += np.linalg.norm(means, axis=1)[size_of] >= statistics
        progress.step()
    return statistics, (1 + n_as_far) / (1 + permutations)


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
    """Write the distance of every guide from NTC and its p value.

    Parameters
    ----------
    index, splits, embedding
        Cells, their split and their embedding, row-aligned.
    trained
        Whether the embedding is that of a model that was trained on the labels. It may have
        learned to tell the guides of its training cells apart: only the other cells are tested.
    statistic
        "mean" (`distance_from_ntc`) or "energy" (`energy_from_ntc`).
    permutations, seed
        Of the test.
    significance
        Output: guide, gene, n_cells, statistic, p_value.
    """
    cells, latent, columns = read_embedded_cells(index, splits, embedding)
    latent = latent[:, [columns.index(name) for name in spaces_of(columns)["combined"]]]
    tested = np.isfinite(latent).all(axis=1)
    if trained:
        tested &= ~cells["split"].isin(TRAINING_SPLITS).to_numpy()
    cells, latent = cells[tested], latent[tested]
    guides, is_ntc = guide_profiles(cells, latent), cells["is_ntc"].to_numpy()
    if statistic == "energy":
        guide_of = cells.groupby(GUIDE_KEYS, sort=True).ngroup().to_numpy()
        statistics, p_values = energy_from_ntc(latent, is_ntc, guide_of, permutations, seed)
    else:
        statistics, p_values = distance_from_ntc(latent, is_ntc, guides, permutations, seed)
    table = guides[["guide", "gene", "n_cells"]]
    write_parquet(table.assign(statistic=statistics, p_value=p_values), significance)
