"""Runs of the workflow that are killed, stopped, or find no room on the disk."""

import hashlib
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.runs import command, environment, snakemake

SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
RULE = re.compile(r"^(?:local)?rule (?!all:)(\w+):$", re.MULTILINE)
TWICE = 3  # so many rules for each that is stopped a second time
LATEST_S = 20  # after the start of a job, at the latest, it is stopped
HANG_S = 120  # so long a run may take to end after Ctrl-C
OF_ONE_RUN = ("report.html", "*metrics.parquet", "manifest/*")
"""Files that hold times, or the folder of the run, and so differ between any two runs."""


def digests(results: Path) -> dict[str, str]:
    """Digest of every result by its path, but for `OF_ONE_RUN`."""
    return {
        path.relative_to(results).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(results.rglob("*"))
        if path.is_file()
        and not any(path.match(pattern) for pattern in OF_ONE_RUN)
        and not any(part.startswith(".") for part in path.relative_to(results).parts)
    }


def changed(expected: dict[str, str], results: Path) -> list[str]:
    """Return the results that are there and not as expected."""
    found = digests(results)
    return [name for name in found.keys() & expected.keys() if found[name] != expected[name]]


def interrupt(
    folder: Path, n: int, seed: int, *arguments: str, between: int = 0
) -> Iterator[tuple[str, signal.Signals]]:
    """Stop a run `n` times, within jobs of all rules; yield rule and signal.

    A rule is stopped once, or, one in `TWICE`, at two moments. Signals go to all processes of the
    run, as from a terminal, and take turns: SIGKILL, Ctrl-C, SIGTERM. The run goes on after each;
    `between` more rules start undisturbed before each. Once no rule is left, because rules that
    start together count as one stop, rules drawn by chance run again and are stopped again.
    """
    chance, seen, again, stops = random.Random(seed), set(), [], 0
    while stops < n:
        with open(folder / "output.txt", "w") as output:
            run = subprocess.Popen(
                command(folder, *arguments, *again, "--logger-mcvae-ops-full"),
                stdout=output, stderr=subprocess.STDOUT, env=environment(), start_new_session=True,
                preexec_fn=_heeds_ctrl_c,
            )  # fmt: skip
            new = []
            while len(new) <= between and run.poll() is None:
                time.sleep(0.1)
                started = RULE.findall((folder / "output.txt").read_text())
                new = [rule for rule in started if rule not in seen]
            number = SIGNALS[stops % len(SIGNALS)]
            if stopped := len(new) > between and _stop(run, number, chance):
                run.wait(HANG_S)
            else:
                assert run.wait() == 0, (folder / "output.txt").read_text()[-3000:]
        seen.update(new if again or chance.randrange(TWICE) else new[:-1])
        if again or not stopped:
            drawn = chance.sample(sorted(seen), between + 1)
            seen.difference_update(drawn)
            again = ["--forcerun", *drawn]
        if stopped:
            stops += 1
            snakemake(folder, "--unlock")
            yield new[-1], number


def _stop(run: subprocess.Popen, number: signal.Signals, chance: random.Random) -> bool:
    """Stop a run within `LATEST_S`, and say whether it still ran."""
    try:
        run.wait(chance.uniform(0, LATEST_S) ** 2 / LATEST_S)  # most jobs are short
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, number)
        return True
    return False


def _heeds_ctrl_c() -> None:
    """Undo what a shell does to its jobs in the background, and a test runner may be one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a small disk on a folder; a test skips where this needs rights that it has not."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("this user may not mount a disk (tmpfs)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
