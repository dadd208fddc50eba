"""Show progress: lines in a log, and a bar on a terminal, with rate and time left."""

import fcntl
import logging
import os
import sys
import time

logger = logging.getLogger(__name__)


class Progress:
    """Log at most one line per `interval_s`, and one at the end; show a bar on a terminal.

    Parameters
    ----------
    total
        Number of units to process.
    unit
        Name of the unit, in the plural ("tiles").
    task
        Name of the task ("crop").
    interval_s
        Least time between two lines.
    """

    def __init__(self, total: int, unit: str, task: str, interval_s: float = 10.0) -> None:
        self.total, self.unit, self.task, self.interval_s = total, unit, task, interval_s
        self.done = 0
        self.started_s = self.logged_s = time.monotonic()
        self._bar = _bar(total, unit, task)

    def step(self, n: int = 1) -> None:
        """Count `n` more units as done."""
        self.done += n
        now_s = time.monotonic()
        if self._bar is not None:
            self._bar.update(n)
        if now_s - self.logged_s >= self.interval_s or self.done == self.total:
            self.logged_s = now_s
            done = f"{self.task}: {self.done} / {self.total} {self.unit}"
            rate = self.done / max(now_s - self.started_s, 1e-9)
            if rate:
                left_s = (self.total - self.done) / rate
                logger.info("%s, %.3g %s/s, %.0f s left", done, rate, self.unit, left_s)
            else:
                logger.info("%s", done)
        if self._bar is not None and self.done == self.total:
            self._bar.close()


def _bar(total: int, unit: str, task: str):
    """Return a bar on the terminal; None without a terminal, or while another job shows its bar."""
    if not sys.stderr.isatty():
        return None
    try:
        # Parallel jobs would write over each other's line, so a job locks the terminal. It opens
        # the terminal again, because a lock belongs to an open file, and jobs share that of stderr.
        device = os.open(os.ttyname(sys.stderr.fileno()), os.O_WRONLY | os.O_NOCTTY)
        terminal = os.fdopen(device, "w")
        fcntl.flock(terminal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None
    from tqdm import tqdm  # imported here, because a GPU node without a terminal may lack it

    # When the bar is dropped, its file is closed, and the next job can lock the terminal.
    options = {"leave": False, "mininterval": 0.5, "dynamic_ncols": True}
    return tqdm(total=total, unit=f" {unit}", desc=task, file=terminal, **options)
