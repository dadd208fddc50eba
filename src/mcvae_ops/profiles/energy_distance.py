"""Energy distance between the cells of a guide and NTC cells, with a permutation test.

Energy distance detects any difference between two distributions, not only of their means (Székely &
Rizzo 2013, doi:10.1016/j.jspi.2013.03.018; for single-cell screens Peidli et al. 2024,
doi:10.1038/s41592-023-02144-y). Cells are compared, and labels permuted, only within batches.
"""

import numpy as np
from scipy.spatial.distance import cdist

from mcvae_ops.profiles.exchange import sample_pools
from mcvae_ops.progress import Progress

MAX_CELLS, MAX_CONTROLS = 1000, 2000  # per group, and its controls: pairs grow squared
ROUNDING = 1e-5  # relative; permutations this near to the observed value count as ties


def energy_test(
    samples: list[tuple[np.ndarray, np.ndarray]], permutations: int, seed: int | list[int]
) -> tuple[float, float]:
    """Return the squared energy distance between cells and controls, and its permutation p value.

    Parameters
    ----------
    samples
        One pair for each batch: cells and controls, (cell, dimension) each, finite; at least one
        cell each.
    permutations, seed
        Number and seed of the permutations of labels within batches.

    Returns
    -------
    2 E|X - Y| - E|X - X'| - E|Y - Y'| over all pairs of cells of a batch, including each cell with
    itself, as the mean over batches weighted by n m / (n + m) for n cells and m controls; and
    p = (1 + #(permuted >= observed)) / (1 + permutations).
    """
    rng = np.random.default_rng(seed)
    total, weight, slack = np.zeros(1 + permutations), 0.0, 0.0
    for group, controls in samples:
        n, m = len(group), len(controls)
        energy, scale = _exchanged_energies(np.concatenate([group, controls]), n, permutations, rng)
        of_batch = n * m / (n + m)
        total, weight, slack = (
            total + of_batch * energy,
            weight + of_batch,
            slack + of_batch * scale,
        )
    p_value = (1 + (total[1:] >= total[0] - ROUNDING * slack).sum()) / (1 + permutations)
    return float(total[0] / weight), float(p_value)


def _exchanged_energies(
    pooled: np.ndarray, n: int, permutations: int, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Return the distance of the first n cells from the others, then those of random n of them.

    Returns
    -------
    (1 + permutation,) squared energy distances, and the mean distance of two cells.
    """
    distances, n_pooled = cdist(pooled, pooled).astype(np.float32), len(pooled)
    member = np.zeros((1 + permutations, n_pooled), np.float32)
    member[:, :n] = 1
    member[1:] = rng.permuted(member[1:], axis=1)
    to_member = member @ distances
    within = np.einsum("pc,pc->p", to_member, member, dtype=np.float64)
    from_member = to_member.sum(axis=1, dtype=np.float64)
    total, m = distances.sum(dtype=np.float64), n_pooled - n
    across, rest = from_member - within, total - 2 * from_member + within
    return 2 * across / (n * m) - within / n**2 - rest / m**2, float(total) / n_pooled**2


def energy_from_controls(
    latent: np.ndarray,
    batch_of: np.ndarray,
    is_control: np.ndarray,
    group_of: np.ndarray,
    permutations: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the energy distance of each group from the controls of its batches, and its p value.

    Parameters
    ----------
    latent
        (cell, dimension), finite.
    batch_of, is_control, group_of
        As in `mcvae_ops.profiles.exchange.strata_of`.
    permutations, seed
        As in `energy_test`; the result of a group does not depend on the other groups.

    Returns
    -------
    Squared energy distance and p value, (group,) each. At most about 1,000 random cells represent a
    group and 2,000 its controls, spread over batches as the group is. A group of controls is
    compared with the other controls. Without controls in its batches, both values are NaN.
    """
    latent, rng = np.asarray(latent), np.random.default_rng([seed, 6])
    pools = sample_pools(group_of, batch_of, is_control, MAX_CELLS, MAX_CONTROLS, rng)
    n_groups = group_of.max(initial=-1) + 1
    results = np.full((2, n_groups), np.nan)
    progress = Progress(n_groups, "groups", "energy distance")
    for group, pairs in enumerate(pools):
        if pairs:
            samples = [(latent[cells], latent[controls]) for cells, controls in pairs]
            results[:, group] = energy_test(samples, permutations, [seed, group])
        progress.step()
    return results[0], results[1]
