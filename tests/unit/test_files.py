"""Files appear whole or not at all, and what a kill leaves behind goes when the job runs again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mcvae_ops.files import (
    map_arrow,
    parquet_writer,
    read_rows,
    whole_file,
    whole_folder,
    write_arrow,
    write_text,
)

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


@pytest.mark.parametrize("rows", [[], [0], [3, 59, 60, 61, 239], range(240)])
def test_some_rows_come_from_their_row_groups(tmp_path, rows):
    names, path = [f"c{k}" for k in range(240)], tmp_path / "a.parquet"
    with parquet_writer(path, pa.schema({"a": pa.int64(), "b": pa.string()})) as writer:
        for first in range(0, 240, 60):
            part = range(first, first + 60)
            writer.write_table(pa.table({"a": list(part), "b": names[first : first + 60]}))
    table = read_rows(path, ["b"], np.array(rows, int))
    assert table.column_names == ["b"] and table["b"].to_pylist() == [names[k] for k in rows]


def test_a_mapped_table_is_that_which_was_written_and_no_copy(tmp_path):
    numbers = np.arange(1000, dtype=np.int32)
    table = pa.table({"a": pa.chunked_array([numbers[:10], numbers[10:]])}, metadata={"b": "c"})
    write_arrow(table, tmp_path / "a.arrow")
    mapped = map_arrow(tmp_path / "a.arrow")
    assert mapped.equals(table) and mapped.schema.metadata == {b"b": b"c"}
    found = mapped["a"].chunk(0).to_numpy()
    assert np.array_equal(found, numbers) and not found.flags.writeable
    allocated = pa.total_allocated_bytes()
    again = map_arrow(tmp_path / "a.arrow")
    assert pa.total_allocated_bytes() - allocated < numbers.nbytes and len(again) == 1000
