"""Mean average precision (mAP) of a gene's cells against the controls of the same batch.

Every cell of the gene ranks the gene's other cells, of all of its batches, and the controls of its
own batch by cosine; positive are the former, negative the latter (Kalinin et al. 2025,
doi:10.1038/s41467-025-60306-2, phenotypic activity; the values are those of the package copairs).
The p value is not that of random rankings, which takes the rankings of a gene's cells for
independent: labels are exchanged within batches (see `mcvae_ops.profiles.exchange`).
"""

import numpy as np

from mcvae_ops.benchmarks.estimates.retrieval import unit_profiles
from mcvae_ops.profiles.exchange import sample_pools
from mcvae_ops.progress import Progress

MAX_CELLS, MAX_CONTROLS = 60, 240  # of a gene, and its controls: one cell more is one ranking more
ENOUGH = 20  # exchanges as good as the observed labels: no more are drawn


def retrieval_from_controls(
    latent: np.ndarray,
    batch_of: np.ndarray,
    is_control: np.ndarray,
    group_of: np.ndarray,
    permutations: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mAP of each group against the controls of its batches, and its p value.

    Parameters
    ----------
    latent
        (cell, dimension), finite.
    batch_of, is_control, group_of
        As in `mcvae_ops.profiles.exchange.strata_of`.
    permutations, seed
        Exchanges of labels, and their seed; a group's result does not depend on the other groups.

    Returns
    -------
    (group,) each; NaN for a group of one cell, or without a control in its batches. At most about
    60 random cells represent a group and 240 its controls, spread over batches as the group is.
    """
    rng = np.random.default_rng([seed, 7])
    pools = sample_pools(group_of, batch_of, is_control, MAX_CELLS, MAX_CONTROLS, rng)
    n_groups = group_of.max(initial=-1) + 1
    results = np.full((2, n_groups), np.nan)
    progress = Progress(n_groups, "groups", "retrieval against controls")
    for group, pairs in enumerate(pools):
        if sum(len(cells) for cells, _ in pairs) > 1:
            samples = [(latent[cells], latent[controls]) for cells, controls in pairs]
            results[:, group] = retrieval_test(samples, permutations, [seed, group])
        progress.step()
    return results[0], results[1]


def retrieval_test(
    samples: list[tuple[np.ndarray, np.ndarray]], permutations: int, seed: int | list[int]
) -> tuple[float, float]:
    """Return the mAP of cells against the controls of their batch, and its p value.

    Parameters
    ----------
    samples
        One pair for each batch: cells and controls, (cell, dimension) each, finite; at least one
        control each, and two cells in all.
    permutations, seed
        Number and seed of the exchanges of labels within batches.

    Returns
    -------
    The mean over cells of their average precision, and p = (1 + #(exchanged >= observed)) /
    (1 + permutations); or 20 / n if the n-th exchange is the 20th that is as good, which is exact
    as well and spares most of the work (Besag & Clifford 1991, doi:10.1093/biomet/78.2.301). Cells
    count from the mean of their batch, cells and controls together: an exchange of labels does not
    move it.
    """
    rng = np.random.default_rng(seed)
    pools = [np.concatenate(pair) for pair in samples]
    unit = unit_profiles(np.concatenate([pool - pool.mean(axis=0) for pool in pools]))
    batch_of = np.repeat(np.arange(len(pools)), [len(pool) for pool in pools])
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :-1]
    is_member = np.concatenate([np.arange(len(a) + len(b)) < len(a) for a, b in samples])
    observed = _score(nearest, is_member, batch_of)
    n_as_good = 0
    for n_done in range(1, permutations + 1):
        exchanged = is_member[np.argsort(batch_of + rng.random(len(batch_of)))]
        n_as_good += _score(nearest, exchanged, batch_of) >= observed
        if n_as_good == ENOUGH:
            return observed, n_as_good / n_done
    return observed, (1 + n_as_good) / (1 + permutations)


def _score(nearest: np.ndarray, is_member: np.ndarray, batch_of: np.ndarray) -> float:
    """Return the mAP of the members, from all cells in the order in which each cell ranks them."""
    members = np.flatnonzero(is_member)
    ranked = nearest[members]
    is_positive = is_member[ranked]
    is_ranked = is_positive | (batch_of[ranked] == batch_of[members][:, None])
    # Only places of positives count: the n-th of them has n positives up to it.
    rank = np.cumsum(is_ranked, axis=1, dtype=np.int32)[is_positive].reshape(len(members), -1)
    return float((np.arange(1, len(members)) / rank).mean())
