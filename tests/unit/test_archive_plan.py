"""The cost of a run is known before it begins."""

import copy

import pandas as pd
import pytest
import yaml

from mcvae_ops.archive import plan as plans
from mcvae_ops.archive.biostudies import list_files
from mcvae_ops.archive.plan import plan
from mcvae_ops.errors import InputError
from tests.conftest import ROOT

ROOM = "https://host/Files"


@pytest.fixture
def planned(shared, tmp_path, monkeypatch):
    """Plan one of the shipped configurations from the real list of files."""
    monkeypatch.setattr(plans, "_free_bytes", lambda folder: 10**14)

    def call(name, change=lambda config: None):
        config = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())
        change(config)
        paths = {key: str(tmp_path / key) for key in ("manifest", "left_out")}
        table = shared / "data/archive/s-biad394_six_plates.parquet"
        list_files(None, ROOM, str(table), config["screen"], config["archive"], **paths)
        parts = pd.DataFrame({"name": ["a"], "address": ["https://x/a"], "size_bytes": [10**9]})
        parts.to_parquet(tmp_path / "parts.parquet")
        plan(paths["manifest"], paths["left_out"], str(tmp_path / "parts.parquet"), config,
             str(tmp_path / "results"))  # fmt: skip
        return pd.read_csv(tmp_path / "results/plan.tsv", sep="\t").set_index("stage")

    return call


def test_the_screen_of_the_paper(planned, capsys):
    costs = planned("funk2022")
    said = capsys.readouterr().out
    for words in ("130,662 files", "43,554 tiles", "34 wells", "12.21 TB"):
        assert words in said
    assert costs.loc["images", "files"] == 130_662
    assert costs.loc["images", "fetch_bytes"] == pytest.approx(12.2e12, rel=0.01)
    # 712 cells of a tile, 4 channels of 100 x 100 px, 2 bytes each.
    assert costs.loc["crops", "write_bytes"] == 43_554 * 712 * 80_000
    assert costs.loc["images", "hours"] == pytest.approx(12.21e12 / 50e6 / 3600, rel=0.01)
    # Five models, two epochs, half of what is seen are control cells.
    assert costs.loc["training", "gpu_hours"] == pytest.approx(
        5 * 2 * 2 * 43_554 * 712 / 20_000 / 3600
    )
    assert costs.loc["images", "temporary_bytes"] < 100e9


def test_the_pilot_is_small_and_holds_edge_and_centre(planned, capsys):
    costs = planned("funk2022_pilot")
    assert "96 files, 32 tiles, 8 wells" in capsys.readouterr().out
    assert costs.loc["total", "fetch_bytes"] <= 10e9 + 1e9  # and 1 GB of features here
    assert costs.loc[["images", "plate shifts"], "fetch_bytes"].sum() <= 10e9


def test_a_disk_that_is_too_small_is_said_after_the_plan(planned, tmp_path, monkeypatch):
    monkeypatch.setattr(plans, "_free_bytes", lambda folder: 10**9)
    with pytest.raises(InputError, match=r"1\.0 GB free, expected .* GB; free some"):
        planned("funk2022_pilot")
    assert (tmp_path / "results/plan.tsv").exists()


def test_what_is_here_is_not_fetched_and_what_is_cropped_not_planned(planned, tmp_path):
    before = planned("funk2022_pilot")
    manifest = pd.read_parquet(tmp_path / "manifest")
    done = tmp_path / "results/crops/20200202_6W-LaC024A/A1/000.dropped.parquet"
    done.parent.mkdir(parents=True)
    done.touch()
    one = manifest[manifest["well"] == "B2"].iloc[0]
    here = tmp_path / "results/archive/raw" / one["path"]
    here.parent.mkdir(parents=True)
    here.touch()
    after = planned("funk2022_pilot")
    assert after.loc["crops", "files"] == before.loc["crops", "files"] - 4
    assert after.loc["images", "here_bytes"] == one["size_bytes"]
    chunk = manifest[(manifest["plate"] == one["plate"]) & (manifest["well"] == "A1")]
    cut = before.loc["images", "fetch_bytes"] - after.loc["images", "fetch_bytes"]
    assert cut == one["size_bytes"] + chunk["size_bytes"].sum()


def test_a_measured_rate_takes_the_place_of_the_configured_one(planned, tmp_path):
    folder = tmp_path / "results/models/mcvae/0"
    folder.mkdir(parents=True)
    pd.DataFrame({"cells_per_s": [1.0, 40_000.0, 40_000.0]}).to_parquet(folder / "metrics.parquet")
    costs = planned("funk2022")
    assert costs.loc["training", "gpu_hours"] == pytest.approx(
        5 * 2 * 2 * 43_554 * 712 / 40_000 / 3600
    )


def test_a_mirror_is_written_once_and_fetched_once(planned):
    def mirror(config):
        config["archive"] = copy.deepcopy(config["archive"]) | {"keep_raw": True}

    costs = planned("funk2022", mirror)
    assert costs.loc["plate shifts", "fetch_bytes"] == 0
    assert costs.loc["images", "write_bytes"] == costs.loc["images", "fetch_bytes"]
