"""The same work on many items, in several threads, with the same bits whatever their number."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Iterator[Result]:
    """Yield the result of each item, in their order.

    Each thread does its linear algebra alone: the sums of several threads depend on their number.

    Parameters
    ----------
    function
        Must not change what items share. Threads help where NumPy or compiled code does the work.
    items
        All are taken at once.
    threads
        How many work at a time.
    """
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        yield from pool.map(function, items)
