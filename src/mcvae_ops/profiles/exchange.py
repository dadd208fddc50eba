"""Do cells of a group differ from the controls of their own batches? By exchange of labels.

Without an effect, the cells of a guide and the controls of the same batch are interchangeable.
Each permutation draws in every batch, from the guide's cells and the controls together, as many
cells as the guide has there. The test is exact for any number of controls, and a batch effect
cannot pass for an effect of the guide (Good 2005, doi:10.1007/b138696).
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mcvae_ops.embeddings.embedded_cells import Latent
from mcvae_ops.progress import Progress

ROUNDING = 1e-9  # relative; a permutation this near to the observed value counts as a tie
BLOCK = 1 << 26  # numbers that the shuffled controls of all batches, or a group, may hold at a time
PART = 1 << 28  # numbers of the cells of groups that are tested together


class Stratum(NamedTuple):
    """The cells of one group in one batch, and the pool from which permutations draw as many.

    Attributes
    ----------
    batch
        Number of the batch.
    rows
        Of the group's cells, of shape (cell,).
    n_pool
        Cells of the group and controls; controls alone where the group is one of controls.
    is_control
        Whether the group is one of controls: it is compared with the other controls.
    """

    batch: int
    rows: np.ndarray
    n_pool: int
    is_control: bool

    @property
    def weight(self) -> float:
        """n m / (n + m) for n cells of the group and m others: the precision of a difference."""
        return len(self.rows) * (self.n_pool - len(self.rows)) / self.n_pool


def strata_of(
    group_of: np.ndarray, batch_of: np.ndarray, is_control: np.ndarray
) -> list[list[Stratum]]:
    """Return the strata of each group; batches without a cell to compare with are left out.

    Parameters
    ----------
    group_of, batch_of
        (cell,), numbered from 0 on.
    is_control
        (cell,); a group holds controls alone, or none.
    """
    n_controls = np.bincount(batch_of[is_control], minlength=batch_of.max(initial=-1) + 1)
    order = np.lexsort([batch_of, group_of])
    changes = np.diff(group_of[order]).astype(bool) | np.diff(batch_of[order]).astype(bool)
    strata = [[] for _ in range(group_of.max(initial=-1) + 1)]
    for rows in np.split(order, np.flatnonzero(changes) + 1) if len(order) else []:
        batch, is_one_of_controls = batch_of[rows[0]], bool(is_control[rows[0]])
        n_pool = n_controls[batch] + (0 if is_one_of_controls else len(rows))
        if n_pool > len(rows):
            strata[group_of[rows[0]]].append(Stratum(batch, rows, n_pool, is_one_of_controls))
    return strata


def sample_pools(
    group_of: np.ndarray,
    batch_of: np.ndarray,
    is_control: np.ndarray,
    max_cells: int,
    max_controls: int,
    rng: np.random.Generator,
) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
    """Yield of each group the rows of random cells and controls, one pair for each batch.

    Parameters
    ----------
    group_of, batch_of, is_control
        As in `strata_of`.
    max_cells, max_controls
        About as many cells represent a group, and controls stand against it, spread over batches
        as the group is; at least one in a batch.
    rng
        Draws the cells and controls; those of a group do not depend on the other groups.

    Yields
    ------
    (cells, controls) of every batch that has a control to compare with; a group of controls stands
    against the other controls.
    """
    order = rng.permutation(len(batch_of))
    place = np.empty(len(order), int)
    place[order] = np.arange(len(order))
    controls = order[is_control[order]]
    of_batch = {b: controls[batch_of[controls] == b] for b in np.unique(batch_of[controls])}
    for group, strata in enumerate(strata_of(group_of, batch_of, is_control)):
        n_cells, pools = sum(len(stratum.rows) for stratum in strata), []
        for stratum in strata:
            share = len(stratum.rows) / n_cells
            cells = stratum.rows[np.argsort(place[stratum.rows])]
            others = of_batch[stratum.batch]
            others = others[group_of[others] != group]
            sizes = (max(1, round(most * share)) for most in (max_cells, max_controls))
            pools.append(tuple(rows[:n] for rows, n in zip((cells, others), sizes, strict=True)))
        yield pools


def distance_of_means(
    latent: np.ndarray | Latent,
    batch_of: np.ndarray,
    is_control: np.ndarray,
    group_of: np.ndarray,
    permutations: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far the mean of each group lies from the mean of the controls of its batches.

    Parameters
    ----------
    latent
        (cell, dimension), finite; of an embedding in its file, some groups are read at a time.
    batch_of, is_control, group_of
        As in `strata_of`.
    permutations, seed
        Random exchanges of labels within batches.

    Returns
    -------
    (group,) norm of the difference of means, and p = (1 + #(exchanged >= observed)) /
    (1 + permutations). The difference is the mean over batches, each with its `Stratum.weight`.
    A group without a control in its batches has NaN.
    """
    groups, n_dimensions = strata_of(group_of, batch_of, is_control), latent.shape[1]
    means, controls = _controls_of(latent, batch_of, is_control)
    largest = _largest_draws(groups, controls)
    most_cells = max((len(stratum.rows) for group in groups for stratum in group), default=1)
    step = max(1, BLOCK // max(1, n_dimensions * sum(largest.values()), most_cells))
    rounds = [min(step, permutations - k) for k in range(0, permutations, step)]
    observed, n_as_far = np.zeros(len(groups)), np.zeros(len(groups), int)
    progress = Progress(len(rounds) * len(groups), "groups", "exchange of labels")
    going_on = np.random.default_rng(seed).spawn(len(rounds))
    for part in _parts(groups, n_dimensions):
        centred_of = _CentredGroups(latent, means, [groups[k] for k in part])
        for k, strata in zip(part, centred_of, strict=True):
            observed[k] = _norm(_difference(strata, groups[k], n_dimensions))
        # Every part is compared with the same shuffled controls: they are drawn again.
        again = np.random.default_rng(seed).spawn(len(rounds))
        for which, n_rounds in enumerate(rounds):
            rng = going_on[which] if part.start == 0 else again[which]
            sums = {b: _first_sums(controls[b], n, n_rounds, rng) for b, n in largest.items()}
            for k, strata in zip(part, centred_of, strict=True):
                null = np.zeros((n_rounds, n_dimensions))
                for own, stratum in zip(strata, groups[k], strict=True):
                    null += _exchanged(own, stratum, sums[stratum.batch], going_on[which])
                n_as_far[k] += (_norm(null) >= observed[k] * (1 - ROUNDING)).sum()
                progress.step()
    weights = np.array([sum(stratum.weight for stratum in group) for group in groups])
    tested = weights > 0
    distance = np.divide(observed, weights, out=np.full(len(groups), np.nan), where=tested)
    return distance, np.where(tested, (1 + n_as_far) / (1 + permutations), np.nan)


def _controls_of(
    latent: np.ndarray | Latent, batch_of: np.ndarray, is_control: np.ndarray
) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """Return of each batch the mean of its controls, and these minus it; see above."""
    means, controls, rows = {}, {}, np.flatnonzero(is_control)
    values = latent[rows]
    for batch in np.unique(batch_of[rows]):
        controls[batch] = values[batch_of[rows] == batch].astype(np.float64)
        means[batch] = controls[batch].mean(axis=0)
        controls[batch] -= means[batch]
    return means, controls


def _parts(groups: list[list[Stratum]], n_dimensions: int) -> list[range]:
    """Return runs of groups whose cells hold about `PART` numbers."""
    sizes = [n_dimensions * sum(len(stratum.rows) for stratum in group) for group in groups]
    number = np.cumsum(sizes) // PART
    edges = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(groups)]
    return [range(*pair) for pair in itertools.pairwise(edges)]


class _CentredGroups(Sequence):
    """Of each of some groups, the cells of its strata minus the mean of their controls.

    All are read at once, in single precision; a group is centred when it is asked for.
    """

    def __init__(
        self,
        latent: np.ndarray | Latent,
        means: dict[int, np.ndarray],
        groups: list[list[Stratum]],
    ) -> None:
        every = [stratum.rows for group in groups for stratum in group]
        self._rows = np.sort(np.concatenate(every)) if every else np.zeros(0, int)
        self._values, self._means, self._groups = latent[self._rows], means, groups

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, k: int) -> list[np.ndarray]:
        return [
            self._values[np.searchsorted(self._rows, stratum.rows)].astype(np.float64)
            - self._means[stratum.batch]
            for stratum in self._groups[k]
        ]


def _norm(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1)


def _difference(strata: list[np.ndarray], group: list[Stratum], n_dimensions: int) -> np.ndarray:
    """Return the sum of the group's cells, minus what is expected of such a draw, (dimension,)."""
    total = np.zeros(n_dimensions)
    for cells, stratum in zip(strata, group, strict=True):
        own = cells.sum(axis=0)
        total += own - _expected(own, stratum)
    return total


def _expected(own: np.ndarray, stratum: Stratum) -> np.ndarray:
    """Return the mean of draws from the pool, whose controls sum to 0, (dimension,)."""
    return own * (0 if stratum.is_control else len(stratum.rows) / stratum.n_pool)


def _largest_draws(groups: list[list[Stratum]], controls: dict[int, np.ndarray]) -> dict[int, int]:
    """Return the largest number of controls of each batch that a permutation can draw."""
    largest: dict[int, int] = {}
    for stratum in (stratum for group in groups for stratum in group):
        n = min(len(stratum.rows), len(controls[stratum.batch]))
        largest[stratum.batch] = max(n, largest.get(stratum.batch, 0))
    return largest


def _first_sums(controls: np.ndarray, n: int, rounds: int, rng: np.random.Generator) -> np.ndarray:
    """Return the sums of the first 0 .. n controls in random order, (round, 1 + n, dimension).

    One random order serves every group of the batch, whatever its size.
    """
    order = rng.permuted(np.tile(np.arange(len(controls)), (rounds, 1)), axis=1)[:, :n]
    sums = np.zeros((rounds, 1 + n, controls.shape[1]))
    np.cumsum(controls[order], axis=1, out=sums[:, 1:])
    return sums


def _exchanged(
    own: np.ndarray, stratum: Stratum, sums: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the sums of draws from the pool, minus their mean, (round, dimension).

    Of the cells drawn, the number that are the group's own is hypergeometric.
    """
    n, rounds = len(own), np.arange(len(sums))
    if stratum.is_control:
        return sums[rounds, n]
    n_own = rng.hypergeometric(n, stratum.n_pool - n, n, size=len(rounds))
    drawn = rng.permuted(np.arange(n) < n_own[:, None], axis=1) @ own
    return drawn + sums[rounds, n - n_own] - _expected(own.sum(axis=0), stratum)
