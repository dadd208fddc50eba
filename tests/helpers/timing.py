"""Two ways of doing one thing, timed in turn, so that a noisy machine is noisy for both."""

import statistics
import time
from collections.abc import Callable


def interleaved_ratio(slow: Callable[[], object], fast: Callable[[], object], rounds: int) -> float:
    """Return the median over rounds of the time of `slow` over that of `fast`."""
    slow(), fast()
    ratios = []
    for _ in range(rounds):
        seconds = []
        for work in (slow, fast):
            started_s = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started_s)
        ratios.append(seconds[0] / seconds[1])
    return statistics.median(ratios)
