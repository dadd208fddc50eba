"""Does a gene change the cells beyond what confounders explain? A test of partial regression.

Cells of a gene may lie denser than controls, or nearer to the edge of the field of view, and look
different for that reason alone. Embedding and label (gene or control) are both regressed on the
confounders, within batches; what is left of the label is exchanged within batches (the method of
Kennedy, see Winkler et al. 2014, doi:10.1016/j.neuroimage.2014.01.060). Slopes that few controls
determine poorly then do not make p too small, as they do where they are taken for known.
"""

import numpy as np

from mcvae_ops.profiles.exchange import ROUNDING, Pools
from mcvae_ops.profiles.sequential import Exchange, exchange_one_by_one

MAX_CELLS, MAX_CONTROLS = 1000, 2000  # of a group, and its controls; spread over its batches
LEAST_LEFT = 1e-6  # share of the label that confounders must leave


def adjusted_distance(
    latent: np.ndarray,
    confounders: np.ndarray,
    batch_of: np.ndarray,
    is_control: np.ndarray,
    group_of: np.ndarray,
    permutations: int,
    seed: int,
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each group lies from the controls of its batches beyond its confounders.

    Parameters
    ----------
    latent
        (cell, dimension), finite.
    confounders
        (cell, confounder).
    batch_of, is_control, group_of
        As in `mcvae_ops.profiles.exchange.strata_of`.
    permutations, seed, threads
        Exchanges of labels within batches, as in `mcvae_ops.profiles.sequential`; their seed; how
        many groups are tested at a time.

    Returns
    -------
    (group,) norm of the partial difference of means, and its p value. NaN for a group without a
    control in its batches, or that its confounders tell from the controls entirely. At most about
    1,000 random cells represent a group and 2,000 its controls.
    """
    draws = np.random.default_rng([seed, 8])
    pools = Pools(group_of, batch_of, is_control, MAX_CELLS, MAX_CONTROLS, draws)

    def prepare(group: int) -> Exchange | None:
        return _partial_exchange(latent, confounders, pools[group])

    tested = np.array([len(pairs) > 0 for pairs in pools])
    task = "activity beyond confounders"
    return exchange_one_by_one(prepare, tested, permutations, seed, task, threads)


def _partial_exchange(
    latent: np.ndarray, confounders: np.ndarray, pools: list[tuple[np.ndarray, np.ndarray]]
) -> Exchange | None:
    """Return the norm of the partial difference of cells and controls, and its exchange of labels.

    None where confounders tell the group from the controls entirely.
    """
    rows = np.concatenate([np.concatenate(pair) for pair in pools])
    batch_of = np.repeat(np.arange(len(pools)), [len(a) + len(b) for a, b in pools])
    label = np.concatenate([np.arange(len(a) + len(b)) < len(a) for a, b in pools]).astype(float)
    y, x, g = (
        _within(part, batch_of) for part in (latent[rows], confounders[rows], label[:, None])
    )
    y, rest = (part - x @ np.linalg.lstsq(x, part, rcond=None)[0] for part in (y, g))
    left = (rest**2).sum()
    if left <= LEAST_LEFT * (g**2).sum():
        return None
    observed = np.linalg.norm(rest[:, 0] @ y)
    # Residuals have fewer degrees of freedom than cells: their exchanges spread too little.
    freedom = len(rows) - len(pools)
    widened = np.sqrt(freedom / max(1, freedom - np.linalg.matrix_rank(x)))

    def as_far(n: int, rng: np.random.Generator) -> np.ndarray:
        in_batches = np.argsort(batch_of + rng.random((n, len(rows))), axis=1)
        null = widened * np.linalg.norm(rest[in_batches, 0] @ y, axis=1)
        return null >= observed * (1 - ROUNDING)

    return Exchange(observed / left, as_far)


def _within(values: np.ndarray, batch_of: np.ndarray) -> np.ndarray:
    """Return values, (row, column), minus their mean in each batch."""
    sums = np.zeros((batch_of.max() + 1, values.shape[1]))
    np.add.at(sums, batch_of, values)
    return values - (sums / np.bincount(batch_of)[:, None])[batch_of]
