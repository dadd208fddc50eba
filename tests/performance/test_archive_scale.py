"""The archive at its real size: time and memory of the manifest and of the feature tables."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.conftest import ROOT
from tests.integration.archive_process import serving, write_tiffs
from tests.integration.test_archive_faults import killed_rounds

N_FILES, N_FEATURES = 840_633, 1_084

MEASURED = """
import json, resource, sys, time
begun_s = time.perf_counter()
{work}
used = {{"seconds": time.perf_counter() - begun_s,
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}}
print(json.dumps(used))
"""
LIST_AND_PLAN = """
from mcvae_ops.archive import plan as plans
from mcvae_ops.archive.biostudies import list_files
settings = json.loads(open("settings.json").read())
list_files("study.json", None, None, settings["screen"], settings["archive"], "files", "left_out")
plans._free_bytes = lambda folder: 10**14
plans.plan("files", "left_out", "parts", settings, "results")
"""
SPLIT = """
from mcvae_ops.archive.cells import split_cells
screen, archive = json.loads(open("settings.json").read())
split_cells("parts", screen, archive, "cache", ["cells/P/A1.parquet"], ["features/P/A1.parquet"])
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
    settings = yaml.safe_load((ROOT / "config/funk2022.yaml").read_text())
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
    print(f"\n20 kills -9: at most {worst} bytes of a file fetched again, {sent / needed:.3f} x")
    # What lay in the buffers of the sockets is lost too, more of it on a busy machine.
    assert worst <= 1 << 20


def write_part(path, n_cells: int) -> None:
    """Write a feature table of one well in random order of its 1,281 tiles, as float64."""
    rng = np.random.default_rng(0)
    names = [f"feature_{k}" for k in range(N_FEATURES)]
    writer = None
    for start in range(0, n_cells, 10_000):
        n = min(10_000, n_cells - start)
        places = {"tile": rng.integers(0, 1281, n), "y": rng.random(n), "x": rng.random(n)}
        values = rng.random((N_FEATURES, n)).round(3)
        rows = pa.table(
            {
                "plate": ["P"] * n,
                "well": ["A1"] * n,
                **places,
                "guide": ["g"] * n,
                "gene": ["c"] * n,
            }
            | dict(zip(names, values, strict=True))
        )
        writer = writer or pq.ParquetWriter(path, rows.schema, compression="snappy")
        writer.write_table(rows)
    writer.close()


@pytest.mark.parametrize("n_cells", [50_000, 150_000])
def test_a_feature_table_never_sits_in_memory(n_cells, tmp_path):
    columns = {"plate": "plate", "well": "well", "tile": "tile", "y_px": "y", "x_px": "x",
               "guide": "guide", "gene": "gene"}  # fmt: skip
    screen = {"plates": {"P": ["A1"]}, "tiles": "0-1280", "columns": columns, "not_features": [],
              "control": "c", "duplicates": None}  # fmt: skip
    archive = {"streams": 1, "retries": 1, "timeout_s": 5, "keep_raw": False}
    (tmp_path / "settings.json").write_text(json.dumps([screen, archive]))
    write_part(tmp_path / "a.parquet", n_cells)
    part = {"name": "a.parquet", "directory": "interphase", "md5": None,
            "address": str(tmp_path / "a.parquet"),
            "size_bytes": (tmp_path / "a.parquet").stat().st_size}  # fmt: skip
    pd.DataFrame([part]).to_parquet(tmp_path / "parts")
    used = measured(SPLIT, tmp_path)
    print(f"\n{n_cells} cells x {N_FEATURES} features ({n_cells * N_FEATURES * 8 / 1e9:.2f} GB): "
          f"{used['seconds']:.1f} s, peak {used['gigabytes']:.2f} GB")  # fmt: skip
    assert used["gigabytes"] < 2.5
    features = pq.ParquetFile(tmp_path / "features/P/A1.parquet").metadata
    assert features.num_rows > 0.999 * n_cells and features.num_columns == N_FEATURES + 1
