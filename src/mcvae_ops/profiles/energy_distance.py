"""Which guides change the cells at all: energy distance from NTC, by exchange of labels.

It sees any difference of two distributions, not of their means alone (Székely & Rizzo 2013,
doi:10.1016/j.jspi.2013.03.018; for screens of single cells Peidli et al. 2024,
doi:10.1038/s41592-023-02144-y).
"""

import numpy as np
from scipy.spatial.distance import cdist

from mcvae_ops.progress import Progress

MAX_CELLS = 1000  # of a guide, and of the NTC cells that it is compared with
ROUNDING = 1e-5  # relative; a permutation this near to the observed value counts as a tie


def energy_test(
    group: np.ndarray, controls: np.ndarray, permutations: int, seed: int | list[int]
) -> tuple[float, float]:
    """Return the squared energy distance of two samples and its permutation p value.

    Parameters
    ----------
    group, controls
        (cell, dimension), finite; one cell each is enough for a distance.
    permutations, seed
        Random exchanges of the labels of all cells.

    Returns
    -------
    2 E|X - Y| - E|X - X'| - E|Y - Y'| over all pairs of cells, a cell with itself included, and
    p = (1 + #(exchanged >= observed)) / (1 + permutations).
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
    """Compare the cells of each guide with NTC cells.

    Parameters
    ----------
    latent
        (cell, dimension), finite.
    is_ntc, guide_of
        (cell,); guides are numbered from 0 on, each has a cell.
    permutations, seed
        As in `energy_test`; a guide's result does not depend on the other guides.

    Returns
    -------
    (guide,) squared energy distance and p value. At most 1,000 random cells stand for a guide
    and for NTC each. An NTC guide is compared with the cells of the other NTC guides; where there
    is none, both are NaN.
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
