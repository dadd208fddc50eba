"""Progress: lines in a log, and on a terminal a bar, with done / total, rate and time left."""

import fcntl
import logging
import os
import sys
import time

logger = logging.getLogger(__name__)


class Progress:
    """Log at most one line per `interval_s`, and one at the end; show a bar where someone watches.

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
        self._bar = _bar(total, unit, what)

    def step(self, n: int = 1) -> None:
        """Count `n` more units as done."""
        self.done += n
        now_s = time.monotonic()
        if self._bar is not None:
            self._bar.update(n)
        if now_s - self.logged_s >= self.interval_s or self.done == self.total:
            self.logged_s = now_s
            rate = self.done / max(now_s - self.started_s, 1e-9)
            left_s = (self.total - self.done) / max(rate, 1e-9)
            logger.info(
                "%s: %d / %d %s, %.3g %s/s, %.0f s left",
                self.what, self.done, self.total, self.unit, rate, self.unit, left_s,
            )  # fmt: skip
        if self._bar is not None and self.done == self.total:
            self._bar.close()


def _bar(total: int, unit: str, what: str):
    """Return a bar on the terminal; None without a terminal, or while another job shows its bar."""
    if not sys.stderr.isatty():
        return None
    try:
        # Opened anew, as a lock is the file's and not the process's: jobs side by side would write
        # over each other's line.
        device = os.open(os.ttyname(sys.stderr.fileno()), os.O_WRONLY | os.O_NOCTTY)
        terminal = os.fdopen(device, "w")
        fcntl.flock(terminal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None
    from tqdm import tqdm  # needed where someone watches, so not on a bare GPU node

    # Closing the file, when the bar is dropped, lets the next job show its own.
    return tqdm(
        total=total, unit=f" {unit}", desc=what, leave=False, mininterval=0.5, dynamic_ncols=True,
        file=terminal,
    )  # fmt: skip
