"""Files appear whole or not at all, and what a kill leaves behind goes when the job runs again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mcvae_ops.files import whole_file, whole_folder, write_text

WRITE = """
import sys
from mcvae_ops.files import whole_file, whole_folder
kind, path = sys.argv[1:]
with (whole_file if kind == "file" else whole_folder)(path) as partial:
    (partial if kind == "file" else partial / "part").write_text("half")
    print("begun", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def begin():
    """Function that starts a process which has begun to write and waits for a line."""
    running = []

    def start(kind: str, path: Path) -> subprocess.Popen:
        command = [sys.executable, "-c", WRITE, kind, str(path)]
        running.append(subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ))  # fmt: skip
        assert running[-1].stdout.readline() == "begun\n"
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_a_killed_process_left_goes_when_the_file_is_written_again(begin, tmp_path):
    target, other = tmp_path / "a.parquet", tmp_path / "a.b.parquet"
    killed, live, elsewhere = begin("file", target), begin("file", target), begin("file", other)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert len(names(tmp_path)) == 3
    write_text("whole", target)
    assert target.read_text() == "whole"
    assert len(names(tmp_path)) == 3, "the sibling of the killed process is gone, no other"
    for process in (live, elsewhere):
        process.communicate("go on\n")
        assert process.returncode == 0
    assert names(tmp_path) == {"a.parquet", "a.b.parquet"}
    assert target.read_text() == other.read_text() == "half"


def test_a_folder_that_a_killed_process_left_goes_as_well(begin, tmp_path):
    killed = begin("folder", tmp_path / "pages")
    killed.kill()
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # dead, and not asked after yet
    assert len(names(tmp_path)) == 1
    with whole_folder(tmp_path / "pages") as partial:
        (partial / "page").write_text("whole")
    assert names(tmp_path) == {"pages"} and names(tmp_path / "pages") == {"page"}


def test_an_exception_leaves_the_file_as_it_was(tmp_path):
    write_text("before", tmp_path / "a.txt")
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "a.txt") as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a.txt").read_text() == "before" and names(tmp_path) == {"a.txt"}
