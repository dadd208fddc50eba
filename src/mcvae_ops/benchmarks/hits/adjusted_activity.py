"""Does a gene change the cells beyond what confounders explain? A test of partial regression.

Cells of a gene may lie denser than controls, or nearer to the edge of the field of view, and look
different for that reason alone. Embedding and label (gene or control) are both regressed on the
confounders, within batches; what is left of the label is exchanged within batches (the method of
Kennedy, see Winkler et al. 2014, doi:10.1016/j.neuroimage.2014.01.060). Slopes that few controls
determine poorly then do not make p too small, as they do where they are taken for known.
"""

import numpy as np

from mcvae_ops.profiles.exchange import ROUNDING, sample_pools
from mcvae_ops.progress import Progress

MAX_CELLS, MAX_CONTROLS = 1000, 2000  # of a group, and its controls; spread over its batches
BLOCK = 1 << 20  # labels that are exchanged at a time
LEAST_LEFT = 1e-6  # share of the label that confounders must leave


def adjusted_distance(
    latent: np.ndarray,
    confounders: np.ndarray,
    batch_of: np.ndarray,
    is_control: np.ndarray,
    group_of: np.ndarray,
    permutations: int,
    seed: int,
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
    permutations, seed
        Exchanges of labels within batches; a group's result does not depend on the other groups.

    Returns
    -------
    (group,) norm of the partial difference of means, and its p value. NaN for a group without a
    control in its batches, or that its confounders tell from the controls entirely. At most about
    1,000 random cells represent a group and 2,000 its controls.
    """
    draws = np.random.default_rng([seed, 8])
    pools = sample_pools(group_of, batch_of, is_control, MAX_CELLS, MAX_CONTROLS, draws)
    n_groups = group_of.max(initial=-1) + 1
    results = np.full((2, n_groups), np.nan)
    progress = Progress(n_groups, "groups", "activity beyond confounders")
    for group, pairs in enumerate(pools):
        if pairs:
            rng = np.random.default_rng([seed, group])
            results[:, group] = _partial_test(latent, confounders, pairs, permutations, rng)
        progress.step()
    return results[0], results[1]


def _partial_test(
    latent: np.ndarray,
    confounders: np.ndarray,
    pools: list[tuple[np.ndarray, np.ndarray]],
    permutations: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return norm and p of the partial difference of the cells and controls of each batch."""
    rows = np.concatenate([np.concatenate(pair) for pair in pools])
    batch_of = np.repeat(np.arange(len(pools)), [len(a) + len(b) for a, b in pools])
    label = np.concatenate([np.arange(len(a) + len(b)) < len(a) for a, b in pools]).astype(float)
    y, x, g = (
        _within(part, batch_of) for part in (latent[rows], confounders[rows], label[:, None])
    )
    y, rest = (part - x @ np.linalg.lstsq(x, part, rcond=None)[0] for part in (y, g))
    left = (rest**2).sum()
    if left <= LEAST_LEFT * (g**2).sum():
        return np.nan, np.nan
    observed = np.linalg.norm(rest[:, 0] @ y)
    # Residuals have fewer degrees of freedom than cells: their exchanges spread too little.
    freedom = len(rows) - len(pools)
    widened = np.sqrt(freedom / max(1, freedom - np.linalg.matrix_rank(x)))
    n_as_far, step = 0, max(1, BLOCK // len(rows))
    for start in range(0, permutations, step):
        n_rounds = min(step, permutations - start)
        in_batches = np.argsort(batch_of + rng.random((n_rounds, len(rows))), axis=1)
        null = widened * np.linalg.norm(rest[in_batches, 0] @ y, axis=1)
        n_as_far += (null >= observed * (1 - ROUNDING)).sum()
    return observed / left, (1 + n_as_far) / (1 + permutations)


def _within(values: np.ndarray, batch_of: np.ndarray) -> np.ndarray:
    """Return values, (row, column), minus their mean in each batch."""
    sums = np.zeros((batch_of.max() + 1, values.shape[1]))
    np.add.at(sums, batch_of, values)
    return values - (sums / np.bincount(batch_of)[:, None])[batch_of]
