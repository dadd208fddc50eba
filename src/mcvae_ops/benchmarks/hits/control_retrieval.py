"""Mean average precision (mAP) of a gene's cells against the controls of the same batch.

Every cell of the gene ranks the gene's other cells, of all of its batches, and the controls of its
own batch by cosine; positive are the former, negative the latter (Kalinin et al. 2025,
doi:10.1038/s41467-025-60306-2, phenotypic activity; the values are those of the package copairs).
The p value is not that of random rankings, which takes the rankings of a gene's cells for
independent: labels are exchanged within batches (see `mcvae_ops.profiles.exchange`).
"""

import functools
from collections.abc import Callable, Iterator

import numpy as np

from mcvae_ops.benchmarks.estimates.retrieval import unit_profiles
from mcvae_ops.profiles.exchange import Pools
from mcvae_ops.profiles.sequential import Exchange, exchange_one_by_one

MAX_CELLS, MAX_CONTROLS = 60, 240  # of a gene, and its controls: one cell more is one ranking more
BLOCK = 50  # exchanges that are drawn at a time: without an effect, some 40 are enough


def retrieval_from_controls(
    latent: np.ndarray,
    batch_of: np.ndarray,
    is_control: np.ndarray,
    group_of: np.ndarray,
    permutations: int,
    seed: int,
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mAP of each group against the controls of its batches, and its p value.

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
    (group,) each; NaN for a group of one cell, or without a control in its batches. At most about
    60 random cells represent a group and 240 its controls, spread over batches as the group is.
    """
    rng = np.random.default_rng([seed, 7])
    pools = Pools(group_of, batch_of, is_control, MAX_CELLS, MAX_CONTROLS, rng)

    def prepare(group: int) -> Exchange:
        return retrieval_exchange([(latent[a], latent[b]) for a, b in pools[group]])

    tested = np.array([sum(len(cells) for cells, _ in pairs) > 1 for pairs in pools])
    task = "retrieval against controls"
    return exchange_one_by_one(prepare, tested, permutations, seed, task, threads)


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
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :-1].astype(np.int16)
    is_member = np.concatenate([np.arange(len(a) + len(b)) < len(a) for a, b in samples])
    is_own, score = batch_of[nearest] == batch_of[:, None], _compiled_scores()
    observed = float(score(nearest, is_member[None], is_own)[0])

    def as_good(n: int, rng: np.random.Generator) -> Iterator[bool]:
        for start in range(0, n, BLOCK):
            drawn = rng.random((min(BLOCK, n - start), len(batch_of)))
            exchanged = is_member[np.argsort(batch_of + drawn, axis=1)]
            yield from score(nearest, exchanged, is_own) >= observed

    return Exchange(observed, as_good)


@functools.cache
def _compiled_scores() -> Callable:
    """Return `_scores` as machine code, 8 times as fast as NumPy."""
    from numba import njit  # imported here, because it takes a second

    return njit(nogil=True, error_model="numpy")(_scores)


def _scores(nearest: np.ndarray, is_member: np.ndarray, is_own: np.ndarray) -> np.ndarray:
    """Return the mAP of the members under each labelling, (labelling,).

    Parameters
    ----------
    nearest
        (cell, place): all other cells, as each cell ranks them.
    is_member
        (labelling, cell); two members at least.
    is_own
        Whether that cell belongs to the batch of the one that ranks it, (cell, place).
    """
    scores, ranks = np.zeros(len(is_member)), np.zeros(nearest.shape[1] + 1, np.int32)
    for k in range(len(is_member)):
        n_members, total = 0, 0.0
        for cell in range(len(nearest)):
            if not is_member[k, cell]:
                continue
            n_members += 1
            n_ranked = n_positive = 0
            for place in range(nearest.shape[1]):  # no branch in it: twice as fast
                is_positive = is_member[k, nearest[cell, place]]
                n_ranked += is_positive | is_own[cell, place]
                ranks[n_positive] = n_ranked
                n_positive += is_positive
            for n in range(n_positive):
                total += (n + 1) / ranks[n]
        scores[k] = total / (n_members * (n_members - 1))
    return scores
