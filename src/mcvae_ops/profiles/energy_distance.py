"""Energy distance between the cells of a guide and NTC cells, with a permutation test.

Energy distance detects any difference between two distributions, not only of their means (Székely &
Rizzo 2013, doi:10.1016/j.jspi.2013.03.018; for single-cell screens Peidli et al. 2024,
doi:10.1038/s41592-023-02144-y).
"""

import numpy as np
from scipy.spatial.distance import cdist

from mcvae_ops.progress import Progress

MAX_CELLS = 1000  # cells per guide, and NTC cells that it is compared with: pairs grow squared
ROUNDING = 1e-5  # relative; permutations this near to the observed value count as ties


def energy_test(
    group: np.ndarray, controls: np.ndarray, permutations: int, seed: int | list[int]
) -> tuple[float, float]:
    """Return the squared energy distance between two samples and its permutation p value.

    Parameters
    ----------
    group, controls
        (cell, dimension), finite; at least one cell each.
    permutations, seed
        Number and seed of the permutations of the labels of all cells.

    Returns
    -------
    2 E|X - Y| - E|X - X'| - E|Y - Y'| over all pairs of cells, including each cell with itself, and
    p = (1 + #(permuted >= observed)) / (1 + permutations).
    """
    pooled = np.concatenate([group, controls])
    distances = cdist(pooled, pooled).astype(np.float32)
    n, m = len(group), len(controls)
    member = np.zeros((1 + permutations, n + m), np.float32)
    member[:, :n] = 1
    member[1:] = np.random.default_rng(seed).permuted(member[1:], axis=1)
    to_member = member @ distances
    within = np.einsum("pc,pc->p", to_member, member, dtype=np.float64)
    from_member = to_member.sum(axis=1, dtype=np.float64)
    total = distances.sum(dtype=np.float64)
    across, rest = from_member - within, total - 2 * from_member + within
    energy = 2 * across / (n * m) - within / n**2 - rest / m**2
    slack = ROUNDING * total / (n + m) ** 2
    p_value = (1 + (energy[1:] >= energy[0] - slack).sum()) / (1 + permutations)
    return float(energy[0]), float(p_value)


def energy_from_ntc(
    latent: np.ndarray, is_ntc: np.ndarray, guide_of: np.ndarray, permutations: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the energy distance of each guide from NTC, and its p value.

    Parameters
    ----------
    latent
        (cell, dimension), finite.
    is_ntc, guide_of
        (cell,); guides are numbered 0, 1, ..., and each has a cell.
    permutations, seed
        As in `energy_test`; the result of a guide does not depend on the other guides.

    Returns
    -------
    Squared energy distance and p value, (guide,) each. At most 1,000 random cells represent a guide
    and at most 1,000 NTC. An NTC guide is compared with the cells of the other NTC
    guides; without other NTC guides, both values are NaN.
    """
    order = np.random.default_rng([seed, 6]).permutation(len(latent))
    controls = order[is_ntc[order]]
    n_guides = guide_of.max(initial=-1) + 1
    results = np.full((2, n_guides), np.nan)
    members = np.split(
        order[np.argsort(guide_of[order], kind="stable")],
        np.cumsum(np.bincount(guide_of, minlength=n_guides))[:-1],
    )
    progress = Progress(n_guides, "guides", "guide significance")
    for guide, cells in enumerate(members):
        others = controls[guide_of[controls] != guide][:MAX_CELLS]
        if len(others):
            mine = latent[cells[:MAX_CELLS]]
            results[:, guide] = energy_test(mine, latent[others], permutations, [seed, guide])
        progress.step()
    return results[0], results[1]
