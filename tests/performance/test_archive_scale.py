"""The archive at its real size: time and memory of the manifest and of the feature tables.

And what twenty kills of a fetch cost: bytes that are fetched again.
"""

import json
import os

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.helpers.archive_process import serving, write_tiffs
from tests.helpers.configurations import merged, whole
from tests.integration.test_archive_faults import BLOCK_BYTES, killed_rounds
from tests.performance.feature_tables import N_FEATURES, measured, split

N_FILES = 840_633


LIST_AND_PLAN = """
from mcvae_ops.archive import plan as plans
from mcvae_ops.archive.image_files import list_files
settings = json.loads(open("settings.json").read())
archive = settings["archive"] | {"root": "biostudies:study.json", "files": None}
list_files(archive, settings["screen"], "files", "left_out.tsv")
plans._free_bytes = lambda folder: 10**14
plans.plan("files", "left_out.tsv", "parts", settings, "results", "timings")
"""


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


FULL_SIZE = pytest.param(
    5_000_000,
    marks=pytest.mark.skipif(
        "FULL_SIZE" not in os.environ, reason="takes an hour and 25 GB: set FULL_SIZE=1"
    ),
)


@pytest.mark.parametrize("suffix", ["parquet", "csv.gz", "sqlite"])
@pytest.mark.parametrize("n_cells", [100_000, 300_000, FULL_SIZE])
def test_a_feature_table_never_sits_in_memory(n_cells, suffix, tmp_path):
    used = split(tmp_path, n_cells, suffix)
    size_gb = n_cells * N_FEATURES * 8 / 1e9
    print(f"\n{suffix}: {n_cells} cells x {N_FEATURES} features ({size_gb:.2f} GB): "
          f"{used['seconds']:.1f} s ({used['processor_s']:.1f} s of processor, "
          f"{n_cells / used['processor_s']:,.0f} cells/s), "
          f"peak {used['gigabytes']:.2f} GB")  # fmt: skip
    assert used["gigabytes"] < 1.0
    table = pq.read_metadata(tmp_path / "features/P0.parquet")
    assert (table.num_rows, table.num_columns) == (n_cells, N_FEATURES + 1)
