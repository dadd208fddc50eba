"""Progress lines in a log: done / total, rate, time left."""

import logging
import time

logger = logging.getLogger(__name__)


class Progress:
    """Log at most one line per `interval_s`, and one at the end.

    Parameters
    ----------
    total
        Number of units to do.
    unit
        What is counted, in the plural ("tiles").
    what
        What is being done ("crop").
    interval_s
        Least time between two lines.
    """

    def __init__(self, total: int, unit: str, what: str, interval_s: float = 10.0) -> None:
        self.total, self.unit, self.what, self.interval_s = total, unit, what, interval_s
        self.done = 0
        self.started_s = self.logged_s = time.monotonic()

    def step(self, n: int = 1) -> None:
        """Count `n` more units as done."""
        self.done += n
        now_s = time.monotonic()
        if now_s - self.logged_s >= self.interval_s or self.done == self.total:
            self.logged_s = now_s
            rate = self.done / max(now_s - self.started_s, 1e-9)
            left_s = (self.total - self.done) / max(rate, 1e-9)
            logger.info(
                "%s: %d / %d %s, %.3g %s/s, %.0f s left",
                self.what, self.done, self.total, self.unit, rate, self.unit, left_s,
            )  # fmt: skip
