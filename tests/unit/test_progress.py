"""Progress: lines in a log, and one bar on a terminal."""

import os
import pty
import subprocess
import sys
import termios

from mcvae_ops.progress import Progress

# Two jobs side by side on one terminal, of which the first began first.
JOBS = """
import time
from mcvae_ops.progress import Progress
first, second = Progress(4, "tiles", "crop"), Progress(4, "cells", "train")
for _ in range(4):
    time.sleep(0.6)
    first.step()
    second.step()
del first
third = Progress(2, "wells", "join")
time.sleep(0.6)
third.step(1)
"""


def seen_on_a_terminal(code: str) -> str:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    run = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=os.environ)
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, 4096):
            parts.append(part)
    except OSError:  # the other end is closed
        pass
    assert run.wait() == 0
    return b"".join(parts).decode()


def test_a_terminal_shows_one_bar_with_rate_and_time_left():
    seen = seen_on_a_terminal(JOBS)
    assert "crop:" in seen and "3/4" in seen
    assert "tiles/s" in seen or "s/ tiles" in seen
    assert "<00:0" in seen, "no time left"
    assert "train" not in seen
    assert "join:" in seen, "the bar of a job that is over keeps others from showing theirs"


def test_a_log_gets_few_lines(caplog):
    caplog.set_level("INFO")
    progress = Progress(1000, "tiles", "crop")
    for _ in range(1000):
        progress.step()
    (line,) = caplog.messages
    assert line.startswith("crop: 1000 / 1000 tiles, ")
    assert line.endswith("tiles/s, 0 s left")


def test_before_the_first_unit_no_time_is_told(caplog):
    caplog.set_level("INFO")
    progress = Progress(4, "groups", "exchange", interval_s=0.0)
    progress.step(0)
    progress.step()
    assert caplog.messages[0] == "exchange: 0 / 4 groups"
    assert caplog.messages[1].startswith("exchange: 1 / 4 groups, ")
    assert caplog.messages[1].endswith(" s left")
