"""How long do tables of cells take to enter, and how much memory, by their format?

``python -m tests.performance.feature_tables parquet 250000 1000000`` writes tables of so many cells
x 1,084 features, in parts of 10,000 cells of any well and tile (a database is one file), and splits
each by the two rules that read tables, in a process of its own. Two numbers of cells give the
slope: seconds of processor for further cells. With ``--plates 20`` 20 plates have the same files
(links): ``sqlite 250000 --plates 20`` is 5 M cells, of which the disk holds 250,000, and all cuts.
"""

import argparse
import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

N_FEATURES, CELLS_PER_PART = 1_084, 10_000
WELLS = [f"A{k}" for k in range(1, 35)]
SCREEN = {
    "tiles": "0-1280", "tile_size_px": 2960, "cut_px": None,
    "control": "c", "ambiguous_labels": "refuse", "features": ["*"], "not_features": [],
    "mitotic": ["mitotic*"], "duplicates": None, "batch": ["plate"],
}  # fmt: skip
ARCHIVE = {"root": None, "files": None, "streams": 1, "retries": 1, "timeout_s": 5,
           "keep_raw": False}  # fmt: skip

# Not getrusage: its maximum survives from the process that started this one.
MEASURED = """
import json, time
begun_s = time.perf_counter()
{work}
status = open("/proc/self/status").read()
used = {{"seconds": time.perf_counter() - begun_s, "processor_s": time.process_time(),
        "gigabytes": int(status.partition("VmHWM:")[2].split()[0]) / 1e6}}
print(json.dumps(used))
"""
SPLIT = """
from mcvae_ops.cells.cell_tables import split_cells
from mcvae_ops.cells.table_parts import list_feature_parts
tables, screen, archive = json.loads(open("settings.json").read())
list_feature_parts(tables, [], screen, archive, "parts")
targets = [[f"{kind}/{plate}.parquet" for plate in screen["plates"]]
           for kind in ("cells", "features")]
split_cells("parts", tables, [], screen, archive, "cache", *targets, "features.tsv", "rows.tsv")
"""


def measured(work: str, folder) -> dict:
    """Run some code in a process of its own; return its seconds and its peak of memory in GB."""
    command = [sys.executable, "-c", MEASURED.format(work=work)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def write_parts(folder: Path, n_cells: int, suffix: str, n_plates: int) -> str:
    """Write a table of cells: parts of 10,000 cells of any well and tile, of plate P0.

    All parts hold the same features, of few values, so that the disk holds the table packed. A
    database is one file. The other plates have the same files. Returns the address of the table.
    """
    rng = np.random.default_rng(0)
    values = rng.integers(0, 4, (N_FEATURES, CELLS_PER_PART)) / 8
    features = {f"feature_{k}": column for k, column in enumerate(values)}
    for number in range(n_cells // CELLS_PER_PART):
        n = CELLS_PER_PART
        places = {"tile": rng.integers(0, 1281, n), "y": rng.random(n), "x": rng.random(n)}
        names = {"guide": ["g"] * n, "gene": ["c"] * n}
        named = names | {"well": rng.choice(WELLS, n)} | places
        rows = pa.table(named | features)
        if suffix == "parquet":
            pq.write_table(rows, folder / f"P0-{number:04d}.parquet")
        elif suffix == "csv.gz":
            path = folder / f"P0-{number:04d}.csv.gz"
            text = pa.BufferOutputStream()
            pa_csv.write_csv(rows, text)
            path.write_bytes(gzip.compress(text.getvalue(), compresslevel=1))
        else:
            with closing(sqlite3.connect(folder / "P0-0000.sqlite")) as database, database:
                # The features of every part are those of the first: it alone is written by Python.
                _insert(database, "Places", pa.table(named))
                _insert(database, "Features", pa.table(features), once=True)
                rows = ("SELECT Places.*, Features.* FROM Places "
                        "JOIN Features ON Features.rowid = Places.rowid")  # fmt: skip
                database.execute(f"CREATE TABLE IF NOT EXISTS Cells AS {rows} WHERE 0")
                database.execute(f"INSERT INTO Cells {rows}")
    for path in folder.glob("P0-*"):
        for plate in range(1, n_plates):
            os.link(path, path.with_name(path.name.replace("P0", f"P{plate}")))
    return f"{{plate}}-{{*}}.{suffix}" + ("#Cells" if suffix == "sqlite" else "")


def _insert(database: sqlite3.Connection, name: str, rows: pa.Table, once: bool = False) -> None:
    """Put rows into a table of a database, in place of those that are there (unless `once`)."""
    is_there = database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [name]).fetchone()
    if is_there and once:
        return
    columns = ", ".join(f"{column} {'REAL' if column[0] in 'fyx' else ''}"
                        for column in rows.column_names)  # fmt: skip
    database.execute(f"DROP TABLE IF EXISTS {name}")
    database.execute(f"CREATE TABLE {name} ({columns})")
    marks = ", ".join("?" * rows.num_columns)
    values = zip(*(rows[column].to_pylist() for column in rows.column_names), strict=True)
    database.executemany(f"INSERT INTO {name} VALUES ({marks})", values)


def split(folder: Path, n_cells: int, suffix: str, n_plates: int = 1) -> dict:
    """Write a table of so many cells a plate and split it; return what `measured` does."""
    table = write_parts(folder, n_cells, suffix, n_plates)
    tables = [{"table": table, "columns": {"y_px": "y", "x_px": "x"}, "parse": {}}]
    screen = SCREEN | {"plates": {f"P{k}": WELLS for k in range(n_plates)}}
    (folder / "settings.json").write_text(json.dumps([tables, screen, ARCHIVE]))
    return measured(SPLIT, folder)


def main() -> None:
    """Measure one format at the given numbers of cells."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suffix", choices=["parquet", "csv.gz", "sqlite"])
    parser.add_argument("n_cells", type=int, nargs="+")
    parser.add_argument("--plates", type=int, default=1)
    asked = parser.parse_args()
    before = None
    for n_of_plate in asked.n_cells:
        folder = Path(tempfile.mkdtemp())
        used = split(folder, n_of_plate, asked.suffix, asked.plates)
        shutil.rmtree(folder)
        n_cells = n_of_plate * asked.plates
        line = (
            f"{asked.suffix}: {n_cells:,} cells, {used['processor_s']:.1f} s of processor, "
            f"{n_cells / used['processor_s']:,.0f} cells/s, peak {used['gigabytes']:.2f} GB"
        )
        if before is not None:
            further_s = used["processor_s"] - before[1]
            line += f"; further cells: {(n_cells - before[0]) / further_s:,.0f} per s"
        print(line, flush=True)
        before = n_cells, used["processor_s"]


if __name__ == "__main__":
    main()
