"""Energy distance between the cells of a guide and NTC cells, with a permutation test.

Energy distance detects any difference between two distributions, not only of their means (Székely &
Rizzo 2013, doi:10.1016/j.jspi.2013.03.018; for single-cell screens Peidli et al. 2024,
doi:10.1038/s41592-023-02144-y). Cells are compared, and labels permuted, only within batches.
"""

import numpy as np
from scipy.spatial.distance import cdist

from mcvae_ops.profiles.exchange import Pools
from mcvae_ops.profiles.sequential import Exchange, exchange_one_by_one

MAX_CELLS, MAX_CONTROLS = 1000, 2000  # per group, and its controls: pairs grow squared
ROUNDING = 1e-5  # relative; permutations this near to the observed value count as ties


def energy_exchange(samples: list[tuple[np.ndarray, np.ndarray]]) -> Exchange:
    """Return the squared energy distance between cells and controls, and its exchange of labels.

    Parameters
    ----------
    samples
        One pair for each batch: cells and controls, (cell, dimension) each, finite; at least one
        cell each.

    Returns
    -------
    2 E|X - Y| - E|X - X'| - E|Y - Y'| over all pairs of cells of a batch, including each cell with
    itself, as the mean over batches weighted by n m / (n + m) for n cells and m controls.
    """
    distances = [_distances(np.concatenate(pair)) for pair in samples]
    sizes = np.array([(len(cells), len(controls)) for cells, controls in samples])
    weights = sizes.prod(axis=1) / sizes.sum(axis=1)
    weights /= weights.sum()
    labels = [np.arange(n + m)[None] < n for n, m in sizes]

    def energies(is_member: list[np.ndarray]) -> np.ndarray:
        of_batches = map(_energies, distances, is_member)
        return sum(weight * each for weight, each in zip(weights, of_batches, strict=True))

    observed = float(energies(labels)[0])
    scale = sum(weight * each.mean() for weight, each in zip(weights, distances, strict=True))

    def as_far(n: int, rng: np.random.Generator) -> np.ndarray:
        exchanged = [rng.permuted(np.repeat(each, n, axis=0), axis=1) for each in labels]
        return energies(exchanged) >= observed - ROUNDING * scale

    return Exchange(observed, as_far)


def _distances(cells: np.ndarray) -> np.ndarray:
    return cdist(cells, cells).astype(np.float32)


def _energies(distances: np.ndarray, is_member: np.ndarray) -> np.ndarray:
    """Return the squared energy distance of the members from the other cells, (round,).

    Parameters
    ----------
    distances
        (cell, cell).
    is_member
        (round, cell); as many members in each round.
    """
    member = is_member.astype(np.float32)
    n = int(is_member[0].sum())
    m = is_member.shape[1] - n
    to_member = member @ distances
    within = np.einsum("pc,pc->p", to_member, member, dtype=np.float64)
    from_member = to_member.sum(axis=1, dtype=np.float64)
    across, rest = from_member - within, distances.sum(dtype=np.float64) - 2 * from_member + within
    return 2 * across / (n * m) - within / n**2 - rest / m**2


def energy_from_controls(
    latent: np.ndarray,
    batch_of: np.ndarray,
    is_control: np.ndarray,
    group_of: np.ndarray,
    permutations: int,
    seed: int,
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the energy distance of each group from the controls of its batches, and its p value.

    Parameters
    ----------
    latent
        (cell, dimension), finite.
    batch_of, is_control, group_of
        As in `mcvae_ops.profiles.exchange.strata_of`.
    permutations, seed, threads
        Exchanges of labels within batches, as in `mcvae_ops.profiles.sequential`; their seed; how
        many groups are tested at a time.

    Returns
    -------
    Squared energy distance and p value, (group,) each. At most about 1,000 random cells represent a
    group and 2,000 its controls, spread over batches as the group is. A group of controls is
    compared with the other controls. Without controls in its batches, both values are NaN.
    """
    latent, rng = np.asarray(latent), np.random.default_rng([seed, 6])
    pools = Pools(group_of, batch_of, is_control, MAX_CELLS, MAX_CONTROLS, rng)

    def prepare(group: int) -> Exchange:
        return energy_exchange([(latent[cells], latent[others]) for cells, others in pools[group]])

    tested = np.array([len(pairs) > 0 for pairs in pools])
    return exchange_one_by_one(prepare, tested, permutations, seed, "energy distance", threads)
