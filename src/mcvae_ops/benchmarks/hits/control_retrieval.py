"""Mean average precision (mAP) of a gene's cells against the controls of the same batch.

Every cell of the gene ranks the gene's other cells, of all of its batches, and the controls of its
own batch by cosine; positive are the former, negative the latter (Kalinin et al. 2025,
doi:10.1038/s41467-025-60306-2, phenotypic activity; the values are those of the package copairs).
The p value is not that of random rankings, which takes the rankings of a gene's cells for
independent: labels are exchanged within batches (see `mcvae_ops.profiles.exchange`).
"""

from collections.abc import Iterator

import numpy as np

from mcvae_ops.benchmarks.estimates.retrieval import unit_profiles
from mcvae_ops.profiles.exchange import Pools
from mcvae_ops.profiles.sequential import Exchange, exchange_one_by_one

MAX_CELLS, MAX_CONTROLS = 60, 240  # of a gene, and its controls: one cell more is one ranking more


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
        Exchanges of labels within batches, as in `mcvae_ops.profiles.sequential`; their seed.

    Returns
    -------
    (group,) each; NaN for a group of one cell, or without a control in its batches. At most about
    60 random cells represent a group and 240 its controls, spread over batches as the group is.
    """
    rng = np.random.default_rng([seed, 7])
    pools = Pools(group_of, batch_of, is_control, MAX_CELLS, MAX_CONTROLS, rng)

    def prepare(group: int) -> Exchange:
        return retrieval_exchange([(latent[a], latent[b]) for a, b in pools[group]])

    tested = np.array([sum(len(cells) for cells, _ in pairs) > 1 for pairs in pools])
    return exchange_one_by_one(prepare, tested, permutations, seed, "retrieval against controls")


def retrieval_exchange(samples: list[tuple[np.ndarray, np.ndarray]]) -> Exchange:
    """Return the mAP of cells against the controls of their batch, and its exchange of labels.

    Parameters
    ----------
    samples
        One pair for each batch: cells and controls, (cell, dimension) each, finite; at least one
        control each, and two cells in all.

    Returns
    -------
    The mean over cells of their average precision. Cells count from the mean of their batch, cells
    and controls together: an exchange of labels does not move it.
    """
    pools = [np.concatenate(pair) for pair in samples]
    unit = unit_profiles(np.concatenate([pool - pool.mean(axis=0) for pool in pools]))
    batch_of = np.repeat(np.arange(len(pools)), [len(pool) for pool in pools])
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :-1]
    is_member = np.concatenate([np.arange(len(a) + len(b)) < len(a) for a, b in samples])
    observed = _score(nearest, is_member, batch_of)

    def as_good(n: int, rng: np.random.Generator) -> Iterator[bool]:
        for _ in range(n):
            exchanged = is_member[np.argsort(batch_of + rng.random(len(batch_of)))]
            yield _score(nearest, exchanged, batch_of) >= observed

    return Exchange(observed, as_good)


def _score(nearest: np.ndarray, is_member: np.ndarray, batch_of: np.ndarray) -> float:
    """Return the mAP of the members, from all cells in the order in which each cell ranks them."""
    members = np.flatnonzero(is_member)
    ranked = nearest[members]
    is_positive = is_member[ranked]
    is_ranked = is_positive | (batch_of[ranked] == batch_of[members][:, None])
    # Only places of positives count: the n-th of them has n positives up to it.
    rank = np.cumsum(is_ranked, axis=1, dtype=np.int32)[is_positive].reshape(len(members), -1)
    return float((np.arange(1, len(members)) / rank).mean())
