"""Do cells of a group differ from the controls of their own batches? By exchange of labels.

Without an effect, the cells of a guide and the controls of the same batch are interchangeable.
Each exchange draws in every batch, from the guide's cells and the controls together, as many
cells as the guide has there. The test is exact for any number of controls, and a batch effect
cannot pass for an effect of the guide (Good 2005, doi:10.1007/b138696). How many exchanges a group
has is decided in `mcvae_ops.profiles.sequential`.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mcvae_ops.embeddings.embedded_cells import Latent
from mcvae_ops.profiles.sequential import BLOCK, blocks_of, sequential_p_values, until_enough
from mcvae_ops.threads import in_threads

ROUNDING = 1e-9  # relative; an exchange this near to the observed value counts as a tie
PART = 1 << 27  # numbers of the cells of groups in memory, and of their exchanges
SUMS = 1 << 24  # numbers that the sums of shuffled controls of a batch may hold at a time


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


class Pools(Sequence):
    """Random cells and controls of each group: ``pools[group]`` is one pair of rows for each batch.

    A pair is (cells, controls) of a batch that has a control to compare with; a group of controls
    stands against the other controls.

    Parameters
    ----------
    group_of, batch_of, is_control
        As in `strata_of`.
    max_cells, max_controls
        About as many cells represent a group, and controls stand against it, spread over batches
        as the group is; at least one in a batch.
    rng
        Draws the cells and controls; those of a group do not depend on the other groups.
    """

    def __init__(
        self,
        group_of: np.ndarray,
        batch_of: np.ndarray,
        is_control: np.ndarray,
        max_cells: int,
        max_controls: int,
        rng: np.random.Generator,
    ) -> None:
        order = rng.permutation(len(batch_of))
        controls = order[is_control[order]]
        self._place = np.empty(len(order), int)
        self._place[order] = np.arange(len(order))
        self._controls = {b: controls[batch_of[controls] == b] for b in np.unique(batch_of)}
        self._groups, self._group_of = strata_of(group_of, batch_of, is_control), group_of
        self._sizes = max_cells, max_controls

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, group: int) -> list[tuple[np.ndarray, np.ndarray]]:
        strata, pools = self._groups[group], []
        n_cells = sum(len(stratum.rows) for stratum in strata)
        for stratum in strata:
            share = len(stratum.rows) / n_cells
            cells = stratum.rows[np.argsort(self._place[stratum.rows])]
            others = self._controls[stratum.batch]
            others = others[self._group_of[others] != group]
            sizes = (max(1, round(most * share)) for most in self._sizes)
            pools.append(tuple(rows[:n] for rows, n in zip((cells, others), sizes, strict=True)))
        return pools


def distance_of_means(
    latent: np.ndarray | Latent,
    batch_of: np.ndarray,
    is_control: np.ndarray,
    group_of: np.ndarray,
    permutations: int,
    seed: int,
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far the mean of each group lies from the mean of the controls of its batches.

    Parameters
    ----------
    latent
        (cell, dimension), finite; of an embedding in its file, some groups are read at a time.
    batch_of, is_control, group_of
        As in `strata_of`.
    permutations, seed, threads
        Exchanges of labels within batches, as in `mcvae_ops.profiles.sequential`; their seed; how
        many parts of the groups are tested at a time.

    Returns
    -------
    (group,) norm of the difference of means, and p as `mcvae_ops.profiles.sequential` says. The
    difference is the mean over batches, each with its `Stratum.weight`. A group without a control
    in its batches has NaN.
    """
    groups = strata_of(group_of, batch_of, is_control)
    weights = np.array([sum(stratum.weight for stratum in group) for group in groups])
    tested = weights > 0
    means = _Means(latent, batch_of, is_control, groups, seed, threads)
    p_values = sequential_p_values(means.exchange, tested, permutations, "exchange of labels")
    distance = np.full(len(groups), np.nan)
    return np.divide(means.observed, weights, out=distance, where=tested), p_values


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


class _Means:
    """The differences of the means of groups and controls, observed and after exchanges of labels.

    Parameters are those of `distance_of_means`, and the strata of its groups. Random numbers are
    drawn for each block of exchanges, batch and group anew, so that parts give the same as a whole.

    Attributes
    ----------
    observed
        (group,): norm of the sum of the cells of each group minus what is expected of such a draw,
        once it has been exchanged.
    """

    def __init__(
        self,
        latent: np.ndarray | Latent,
        batch_of: np.ndarray,
        is_control: np.ndarray,
        groups: list[list[Stratum]],
        seed: int,
        threads: int,
    ) -> None:
        self._latent, self._groups, self._seed, self._threads = latent, groups, seed, threads
        self._means, self._controls = _controls_of(latent, batch_of, is_control)
        self.observed = np.zeros(len(groups))

    def exchange(self, groups: np.ndarray, rounds: range, wanted: np.ndarray) -> Iterator[tuple]:
        """Draw exchanges of some groups, as `sequential_p_values` asks for."""
        n_dimensions = self._latent.shape[1]

        def of_part(part: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            numbers, n_wanted = groups[part], wanted[part]
            strata = [self._groups[group] for group in numbers]
            cells = _CentredGroups(self._latent, self._means, strata)
            both = zip(cells, strata, strict=True)
            differences = [_difference(own, group, n_dimensions) for own, group in both]
            self.observed[numbers] = _norm(np.stack(differences))
            least = self.observed[numbers, None] * (1 - ROUNDING)
            done, as_far = np.zeros((2, len(strata)), int)
            for block in blocks_of(rounds):
                left = np.flatnonzero(as_far < n_wanted)
                if not len(left):
                    break
                is_as_far = _norm(self._exchanged(numbers, cells, left, block)) >= least[left]
                found = until_enough(is_as_far, (n_wanted - as_far)[left])
                done[left] += found[0]
                as_far[left] += found[1]
            return numbers, done, as_far

        parts = _parts([self._groups[group] for group in groups], n_dimensions, self._threads)
        yield from in_threads(of_part, parts, self._threads)

    def _exchanged(
        self, numbers: np.ndarray, cells: "_CentredGroups", left: np.ndarray, block: range
    ) -> np.ndarray:
        """Return sums of draws from the pools minus their mean, (group, exchange, dimension).

        One random order of the controls of a batch serves every group, whatever its size.

        Parameters
        ----------
        numbers, cells
            Of the groups of a part.
        left
            Which of them are exchanged.
        block
            Numbers of the exchanges.
        """
        null = np.zeros((len(left), len(block), self._latent.shape[1]))
        in_batch: dict[int, list] = {}
        for k, which in enumerate(left):
            group = numbers[which]
            for stratum, own in zip(self._groups[group], cells[which], strict=True):
                # 1 + group, because to a generator a last 0 is the same as none
                rng = np.random.default_rng([self._seed, block.start, stratum.batch, 1 + group])
                drawn, n_controls = _own_draws(own, stratum, len(block), rng)
                null[k] += drawn
                in_batch.setdefault(stratum.batch, []).append((k, n_controls))
        for batch, drawn in in_batch.items():
            controls = self._controls[batch]
            rng = np.random.default_rng([self._seed, block.start, batch])
            most = max(int(n_controls.max()) for _, n_controls in drawn)
            order = _first_in_random_order(len(controls), most, len(block), rng)
            step = max(1, SUMS // max(1, most * controls.shape[1]))
            for start in range(0, len(block), step):
                sums = _first_sums(controls, order[start : start + step])
                rounds, here = np.arange(len(sums)), slice(start, start + len(sums))
                for k, n_controls in drawn:
                    null[k, here] += sums[rounds, n_controls[here]]
        return null


def _parts(groups: list[list[Stratum]], n_dimensions: int, threads: int) -> list[slice]:
    """Return runs of groups: as many hold `PART` numbers as there are threads.

    What counts are their cells, and a block of exchanges of each. There are as many runs, at least,
    as threads.
    """
    cells = [sum(len(stratum.rows) for stratum in group) for group in groups]
    total = n_dimensions * np.cumsum(np.array(cells, int) + 2 * BLOCK)
    number = total // (min(PART, total[-1] + 1) // threads + 1)
    edges = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(groups)]
    return [slice(*pair) for pair in itertools.pairwise(edges)]


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


def _own_draws(
    own: np.ndarray, stratum: Stratum, n_rounds: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of a group's own cells in draws from its pool, and how many controls to add.

    Of the cells drawn, the number that are the group's own is hypergeometric.

    Returns
    -------
    (round, dimension), minus the mean of the whole draw; and (round,).
    """
    n = len(own)
    if stratum.is_control:
        return np.zeros((n_rounds, own.shape[1])), np.full(n_rounds, n)
    n_own = rng.hypergeometric(n, stratum.n_pool - n, n, size=n_rounds)
    drawn = rng.permuted(np.arange(n) < n_own[:, None], axis=1) @ own
    return drawn - _expected(own.sum(axis=0), stratum), n - n_own


def _first_in_random_order(
    n: int, n_first: int, n_rounds: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the first numbers of random orders of 0 .. n - 1, (round, first): Fisher and Yates.

    To shuffle all of 10,000 controls for 100 that are needed would take 20 times as long.
    """
    order = np.tile(np.arange(n, dtype=np.int32)[:, None], (1, n_rounds))
    rounds = np.arange(n_rounds)
    for place in range(n_first):
        drawn = rng.integers(place, n, size=n_rounds)
        number = order[drawn, rounds]
        order[drawn, rounds] = order[place]
        order[place] = number
    return order[:n_first].T


def _first_sums(controls: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the sums of the first 0 .. n controls of each order, (round, 1 + n, dimension)."""
    sums = np.zeros((len(order), 1 + order.shape[1], controls.shape[1]))
    np.cumsum(controls[order], axis=1, out=sums[:, 1:])
    return sums
