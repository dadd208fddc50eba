"""How many exchanges of labels does a test need? As many as tell, and not the same for all groups.

A group without an effect shows it after a few exchanges. A group with an effect, among thousands
without one, is a discovery only if its p value lies below .05 divided by their number, which takes
many. So a group's exchanges end with the `ENOUGH`-th that is as far from the controls as its cells
are: if that is the n-th, p = `ENOUGH` / n, which is exact (Besag & Clifford 1991,
doi:10.1093/biomet/78.2.301). The groups that are left after `permutations` go on, and their number
of exchanges is doubled until each has had as many as a single discovery takes, or all together
`MEAN` for every group that is tested: many without an exchange as far are discoveries with fewer
(as Sandve et al. 2011, doi:10.1093/bioinformatics/btr568). Then p = (1 + as far) / (1 + exchanges).
It is valid, because only groups that are left are counted: when the exchanges of such a group end
depends on the other groups alone.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from mcvae_ops.progress import Progress
from mcvae_ops.threads import in_threads

ENOUGH = 20
MEAN = 200  # exchanges for every group of a family, of those that are left beyond `permutations`
MAX_Q = 0.05  # false discovery rate of a discovery
BLOCK = 250  # exchanges that are drawn at a time


class Exchange(NamedTuple):
    """The test of one group.

    Attributes
    ----------
    statistic
        Of the observed labels.
    as_far
        Number of exchanges, generator -> whether the statistic of each is as large.
    """

    statistic: float
    as_far: Callable[[int, np.random.Generator], Iterable[bool]]


def sequential_p_values(
    draw: Callable[[np.ndarray, range, np.ndarray], Iterable[tuple]],
    tested: np.ndarray,
    permutations: int,
    task: str,
) -> np.ndarray:
    """Return the p value of each group, (group,); NaN for those that are not tested.

    Parameters
    ----------
    draw
        Groups, numbers of the exchanges and how many as far are wanted of each group -> for some of
        these groups after the other: the groups, the exchanges that each had until the last that
        was wanted, and how many of them were as far.
    tested
        Which groups are tested, (group,).
    permutations
        Exchanges of a group that never has `ENOUGH`, at least.
    task
        What is tested, for the log.
    """
    done, as_far = np.zeros((2, len(tested)), int)
    left, n_tests = np.flatnonzero(tested), int(tested.sum())
    start, stop, most = 0, permutations, max(permutations, math.ceil(n_tests / MAX_Q))
    of_all = n_tests * min(permutations, MEAN)
    progress = Progress(n_tests, "groups", task)
    while len(left):
        for groups, n_done, n_as_far in draw(left, range(start, stop), ENOUGH - as_far[left]):
            done[groups] += n_done
            as_far[groups] += n_as_far
            progress.step(int((as_far[groups] == ENOUGH).sum()))
        left = left[as_far[left] < ENOUGH]
        if stop == most or 2 * stop * len(left) > of_all:
            break
        start, stop = stop, min(2 * stop, most)
    progress.step(len(left))
    is_left = as_far < ENOUGH
    p_values = (as_far + is_left) / np.maximum(done + is_left, 1)
    return np.where(tested, p_values, np.nan)


def until_enough(is_as_far: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many exchanges each group had until the last that was wanted, and how many as far.

    Parameters
    ----------
    is_as_far
        (group, exchange).
    wanted
        (group,).
    """
    count = np.cumsum(is_as_far, axis=1)
    done = np.minimum((count < wanted[:, None]).sum(axis=1) + 1, count.shape[1])
    return done, np.minimum(count[:, -1], wanted)


def blocks_of(rounds: range) -> Iterator[range]:
    """Yield the numbers of exchanges, `BLOCK` at a time."""
    for start in range(rounds.start, rounds.stop, BLOCK):
        yield range(start, min(start + BLOCK, rounds.stop))


def exchange_one_by_one(
    prepare: Callable[[int], Exchange | None],
    tested: np.ndarray,
    permutations: int,
    seed: int,
    task: str,
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Return statistic and p value of each group, where groups share no exchanges.

    Parameters
    ----------
    prepare
        Group -> its test; None if it has none after all.
    tested, permutations, task
        As in `sequential_p_values`.
    seed
        Of the exchanges. Those of a group do not depend on the other groups; their number does.
    threads
        So many groups are tested at a time.

    Returns
    -------
    (group,) each; NaN for a group without a test.
    """
    statistics = np.full(len(tested), np.nan)

    def draw(groups: np.ndarray, rounds: range, wanted: np.ndarray) -> Iterator[tuple]:
        def of_group(group_and_wanted: tuple[int, int]) -> tuple[int, int, int]:
            group, n_wanted = group_and_wanted
            found = prepare(group)
            if found is None:
                return group, 1, n_wanted
            statistics[group] = found.statistic
            n_done = n_as_far = 0
            for is_as_far in _exchanges(found, rounds, [seed, int(group)]):
                n_done, n_as_far = n_done + 1, n_as_far + bool(is_as_far)
                if n_as_far == n_wanted:
                    break
            return group, n_done, n_as_far

        yield from in_threads(of_group, zip(groups, wanted, strict=True), threads)

    p_values = sequential_p_values(draw, tested, permutations, task)
    return statistics, np.where(np.isfinite(statistics), p_values, np.nan)


def _exchanges(found: Exchange, rounds: range, seed: list[int]) -> Iterator[bool]:
    for block in blocks_of(rounds):
        yield from found.as_far(len(block), np.random.default_rng([*seed, block.start]))
