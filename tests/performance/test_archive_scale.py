"""The archive at its real size: time and memory of the manifest and of the feature tables.

And what twenty kills of a fetch cost: bytes that are fetched again.
"""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from tests.helpers.archive_process import serving, write_tiffs
from tests.helpers.configurations import merged, whole
from tests.integration.test_archive_faults import BLOCK_BYTES, killed_rounds

N_FILES, N_FEATURES, CELLS_PER_PART = 840_633, 1_084, 10_000
WELLS = [f"A{k}" for k in range(1, 35)]

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
LIST_AND_PLAN = """
from mcvae_ops.archive import plan as plans
from mcvae_ops.archive.image_files import list_files
settings = json.loads(open("settings.json").read())
archive = settings["archive"] | {"root": "biostudies:study.json", "files": None}
list_files(archive, settings["screen"], "files", "left_out")
plans._free_bytes = lambda folder: 10**14
plans.plan("files", "left_out", "parts", settings, "results", "timings")
"""
SPLIT = """
from mcvae_ops.cells.cell_tables import split_cells
from mcvae_ops.cells.table_parts import list_feature_parts
tables, screen, archive = json.loads(open("settings.json").read())
list_feature_parts(tables, [], screen, archive, "parts")
targets = [[f"{kind}/P.parquet"] for kind in ("cells", "features")]
split_cells("parts", tables, [], screen, archive, "cache", *targets, "features.tsv")
"""


def measured(work: str, folder) -> dict:
    """Run some code in a process of its own; return its seconds and its peak of memory in GB."""
    command = [sys.executable, "-c", MEASURED.format(work=work)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def write_study(folder, known: pd.DataFrame) -> int:
    """Write a study of N_FILES files, the known ones among them; return the bytes of its list."""
    (folder / "Files").mkdir()
    notes = [{"name": "Site", "value": "1"}, {"name": "Comment", "value": "y" * 200}]
    paths, sizes = known["path"].tolist(), known["size"].tolist()
    with open(folder / "Files/list.json", "w") as handle:
        for k in range(N_FILES):
            here = k < len(paths)
            path = paths[k] if here else f"screenA/plate/genotype/images/cycle/Site-{k}.tif"
            size = int(sizes[k]) if here else 23_000_000
            entry = {"path": path, "size": size, "attributes": notes, "type": "file"}
            handle.write(("," if k else "[") + json.dumps(entry))
        handle.write("]")
    attributes = [{"name": "File List", "value": "list.tsv"}]
    (folder / "study.json").write_text(json.dumps({"section": {"attributes": attributes}}))
    return (folder / "Files/list.json").stat().st_size


def test_manifest_and_plan_of_the_whole_study(shared, tmp_path):
    known = pd.read_parquet(shared / "data/archive/s-biad394_six_plates.parquet")
    list_bytes = write_study(tmp_path, known)
    settings = whole(merged("funk2022"))
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    parts = {"name": ["a"], "address": ["https://x/a"], "size_bytes": [1]}
    pd.DataFrame(parts).to_parquet(tmp_path / "parts")
    used = measured(LIST_AND_PLAN, tmp_path)
    print(f"\nmanifest + plan of {N_FILES} files (a list of {list_bytes / 1e6:.0f} MB): "
          f"{used['seconds']:.1f} s, peak {used['gigabytes']:.2f} GB")  # fmt: skip
    assert used["seconds"] < 60 and used["gigabytes"] < 1.5


def test_twenty_kills(tmp_path):
    write_tiffs(tmp_path / "archive/Files", 12, 2000)
    (tmp_path / "target").mkdir()
    with serving(tmp_path / "archive") as server:
        worst, sent, needed = killed_rounds(server, tmp_path / "target", 20, 12)
    print(f"\n20 kills -9: at most {worst} bytes of a file fetched again (a block: {BLOCK_BYTES}), "
          f"{sent / needed:.3f} x")  # fmt: skip
    assert worst <= BLOCK_BYTES


def write_parts(folder, n_cells: int, suffix: str) -> str:
    """Write a table of cells: parts of 10,000 cells of any well and tile; return its address.

    All parts hold the same features, of few values, so that the disk holds the table packed. A
    database is one file.
    """
    rng = np.random.default_rng(0)
    values = rng.integers(0, 4, (N_FEATURES, CELLS_PER_PART)) / 8
    features = {f"feature_{k}": column for k, column in enumerate(values)}
    for number in range(n_cells // CELLS_PER_PART):
        n = CELLS_PER_PART
        places = {"tile": rng.integers(0, 1281, n), "y": rng.random(n), "x": rng.random(n)}
        names = {"plate": ["P"] * n, "guide": ["g"] * n, "gene": ["c"] * n}
        rows = pa.table(names | {"well": rng.choice(WELLS, n)} | places | features)
        if suffix == "parquet":
            pq.write_table(rows, folder / f"part-{number:04d}.parquet")
        elif suffix == "csv.gz":
            path = folder / f"part-{number:04d}.csv.gz"
            with pa.CompressedOutputStream(str(path), "gzip") as stream:
                pa_csv.write_csv(rows, stream)
        else:
            marks = ", ".join("?" * rows.num_columns)
            with closing(sqlite3.connect(folder / "cells.sqlite")) as database, database:
                quoted = ", ".join(f"{name} {'REAL' if name[0] in 'fyx' else ''}"
                                   for name in rows.column_names)  # fmt: skip
                database.execute(f"CREATE TABLE IF NOT EXISTS Cells ({quoted})")
                values_of = (rows[name].to_pylist() for name in rows.column_names)
                database.executemany(f"INSERT INTO Cells VALUES ({marks})",
                                     zip(*values_of, strict=True))  # fmt: skip
    return "cells.sqlite#Cells" if suffix == "sqlite" else f"part-{{*}}.{suffix}"


FULL_SIZE = pytest.param(
    5_000_000,
    marks=pytest.mark.skipif(
        "FULL_SIZE" not in os.environ, reason="takes an hour and 25 GB: set FULL_SIZE=1"
    ),
)


@pytest.mark.parametrize("suffix", ["parquet", "csv.gz", "sqlite"])
@pytest.mark.parametrize("n_cells", [100_000, 200_000, FULL_SIZE])
def test_a_feature_table_never_sits_in_memory(n_cells, suffix, tmp_path):
    screen = {"plates": {"P": WELLS}, "tiles": "0-1280", "tile_size_px": 2960, "cut_px": None,
              "control": "c", "ambiguous_labels": "refuse", "features": ["*"],
              "not_features": [], "mitotic": ["mitotic*"], "duplicates": None,
              "batch": ["plate"]}  # fmt: skip
    archive = {"root": None, "files": None, "streams": 1, "retries": 1, "timeout_s": 5,
               "keep_raw": False}  # fmt: skip
    address = write_parts(tmp_path, n_cells, suffix)
    tables = [{"table": address, "columns": {"y_px": "y", "x_px": "x"}, "parse": {}}]
    (tmp_path / "settings.json").write_text(json.dumps([tables, screen, archive]))
    used = measured(SPLIT, tmp_path)
    size_gb = n_cells * N_FEATURES * 8 / 1e9
    print(f"\n{suffix}: {n_cells} cells x {N_FEATURES} features ({size_gb:.2f} GB): "
          f"{used['seconds']:.1f} s ({used['processor_s']:.1f} s of processor), peak "
          f"{used['gigabytes']:.2f} GB")  # fmt: skip
    assert used["gigabytes"] < 1.0
    table = pq.read_metadata(tmp_path / "features/P.parquet")
    assert (table.num_rows, table.num_columns) == (n_cells, N_FEATURES + 1)
