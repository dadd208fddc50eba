"""The cost of a run is known before it begins."""

import copy
import os
from functools import cache

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.archive import plan as plans
from mcvae_ops.archive.image_files import list_files
from mcvae_ops.archive.image_places import Places
from mcvae_ops.archive.patterns import Pattern
from mcvae_ops.archive.plan import plan
from mcvae_ops.benchmarks.covariates.positions import well_position
from mcvae_ops.errors import InputError
from mcvae_ops.screen import tile_numbers
from tests.helpers.configurations import merged, whole
from tests.helpers.documented_tables import check_columns

ROOM = "https://host/Files"
SIZE_BYTES = {"A594": 70_093_776, "AF750": 70_093_776, "DAPI-GFP": 140_188_994}  # of S-BIAD394


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """List the images of a shipped configuration, each of the size that it has in the archive."""

    @cache
    def call(name):
        folder, config = tmp_path_factory.mktemp(name), whole(merged(name))
        screen, files = config["screen"], str(folder / "files.parquet")
        places = list(Places(screen).all())
        images = pd.DataFrame(
            {
                "path": map(Pattern(screen["images"]).fill, places),
                "size": [SIZE_BYTES[place["channel"]] for place in places],
            }
        )
        images.to_parquet(files)
        paths = {"manifest": str(folder / "manifest"), "left_out": str(folder / "left.tsv")}
        list_files(config["archive"] | {"root": ROOM, "files": files}, screen, **paths)
        return paths

    return call


@pytest.fixture
def planned(listed, tmp_path, monkeypatch):
    """Plan one of the shipped configurations."""
    monkeypatch.setattr(plans, "_free_bytes", lambda folder: 10**14)

    def call(name, change=lambda config: None, has_tables=True):
        config, paths = whole(merged(name)), listed(name)
        change(config)
        parts = pd.DataFrame({"name": ["a"], "address": ["https://x/a"], "size_bytes": [10**9]})
        parts.to_parquet(tmp_path / "parts.parquet")
        parts = str(tmp_path / "parts.parquet") if has_tables else None
        plan(paths["manifest"], paths["left_out"], parts, config,
             str(tmp_path / "results"), str(tmp_path / "timings"))  # fmt: skip
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


def test_the_pilot_shows_enough_control_cells_at_edge_and_centre():
    """Cells of a tile and share of controls as in the paper; see tests/performance/RESULTS.md."""
    config = whole(merged("funk2022_pilot"))
    grid, tiles = config["screen"]["well_grid"], tile_numbers(config["screen"]["tiles"])
    position = well_position(grid["column_heights"], grid["centre_tiles"])[tiles]
    assert {place: (position == place).sum() for place in ("edge", "centre")} == {
        "edge": 8, "centre": 9
    }  # fmt: skip
    controls_of_well = len(tiles) * 23_625_194 / 43_554 * 250 / 20_445
    in_centre = (2 * config["benchmarks"]["covariates"]["fov_centre_fraction"]) ** 2
    assert controls_of_well * in_centre > 10


def test_the_pilot_is_small(planned, capsys):
    costs = planned("funk2022_pilot")
    assert "102 files, 34 tiles, 2 wells" in capsys.readouterr().out
    assert costs.loc["total", "fetch_bytes"] <= 10e9 + 1e9  # and 1 GB of features here
    assert costs.loc[["images", "plate shifts"], "fetch_bytes"].sum() <= 10e9


def test_a_disk_that_is_too_small_is_said_after_the_plan(planned, tmp_path, monkeypatch):
    monkeypatch.setattr(plans, "_free_bytes", lambda folder: 10**9)
    with pytest.raises(InputError, match=r"1\.0 GB free, expected .* GB; free some"):
        planned("funk2022_pilot")
    check_columns("plan.tsv", [tmp_path / "results/plan.tsv"])


def test_what_is_here_is_not_fetched_and_what_is_cropped_not_planned(listed, planned, tmp_path):
    before = planned("funk2022_pilot")
    manifest = pd.read_parquet(listed("funk2022_pilot")["manifest"])
    done = tmp_path / "results/crops/20200202_6W-LaC024A/A1/000.dropped.parquet"
    done.parent.mkdir(parents=True)
    done.touch()
    one = manifest.iloc[-1]
    here = tmp_path / "results/archive/raw" / one["path"]
    here.parent.mkdir(parents=True)
    here.touch()
    after = planned("funk2022_pilot")
    assert after.loc["crops", "files"] == before.loc["crops", "files"] - 5
    assert after.loc["images", "here_bytes"] == one["size_bytes"]
    chunk = manifest[manifest["plate"] == "20200202_6W-LaC024A"].iloc[: 5 * 3]
    cut = before.loc["images", "fetch_bytes"] - after.loc["images", "fetch_bytes"]
    assert cut == one["size_bytes"] + chunk["size_bytes"].sum()


def test_measured_rates_take_the_place_of_the_configured_ones(planned, tmp_path, capsys):
    results, timings = tmp_path / "results", tmp_path / "timings"
    chunk = "20200202_6W-LaC024A/A1/000"
    written = {
        "models/mcvae/0/metrics": {"cells_per_s": [1.0, 40_000.0, 40_000.0, np.nan]},
        "embeddings/mcvae/0": {"cell_id": ["a"] * 5_000},
        f"alignment/{chunk}": {"tile": [0, 0, 1, 1, 2, 2, 3, 3]},
    }
    for name, columns in written.items():
        (results / name).parent.mkdir(parents=True)
        pd.DataFrame(columns).to_parquet(results / f"{name}.parquet")
    for name, values in (("embed_cells/mcvae/0/0", "0.5\t9"), (f"crop_chunk/{chunk}", "9\t12")):
        (timings / name).parent.mkdir(parents=True)
        (timings / f"{name}.tsv").write_text(f"s\tcpu_time\n{values}\n")
    costs, n_cells = planned("funk2022"), 43_554 * 712
    hours = costs["gpu_hours"]
    assert hours["training"] == pytest.approx(5 * 2 * 2 * n_cells / 40_000 / 3600, rel=1e-5)
    # Of five embeddings one is there: 5,000 cells in half a second.
    assert hours["embeddings"] == pytest.approx(4 * n_cells / 10_000 / 3600, rel=1e-5)
    jobs = os.cpu_count()
    assert costs.loc["crops", "hours"] == pytest.approx(43_554 * 3 / 3600 / jobs, rel=1e-3)
    assert "measured 4e+04 for plan.cells_per_s" in capsys.readouterr().out
    # Of five models one is trained.
    (results / "models/mcvae/0/weights.pt").touch()
    assert planned("funk2022").loc["training", "gpu_hours"] == pytest.approx(
        hours["training"] * 4 / 5, rel=1e-5
    )


def test_tiles_that_show_the_light_are_fetched_once_more(planned):
    def lit(config):
        settings = {"tiles": 32, "smoothing_px": 200, "offset_counts": 100}
        config["crop"] = config["crop"] | {"illumination": settings}

    before, after = (planned("funk2022", change) for change in (lambda config: None, lit))
    more = after.loc["plate shifts", "fetch_bytes"] - before.loc["plate shifts", "fetch_bytes"]
    assert more == pytest.approx(34 * 32 * 280.4e6, rel=0.01)


def test_a_mirror_is_written_once_and_fetched_once(planned):
    def mirror(config):
        config["archive"] = copy.deepcopy(config["archive"]) | {"keep_raw": True}

    costs = planned("funk2022", mirror)
    assert costs.loc["plate shifts", "fetch_bytes"] == 0
    assert costs.loc["images", "write_bytes"] == costs.loc["images", "fetch_bytes"]


def test_cells_on_images_are_found_and_fetched_once_more(planned, tmp_path):
    cells = tmp_path / "results/segmented/20200202_6W-LaC024A"
    cells.mkdir(parents=True)
    (cells / "A1.parquet").touch()  # one of 34 wells is done
    costs = planned("funk2022", has_tables=False).loc["features"]
    assert costs["fetch_bytes"] == pytest.approx(12.21e12 * 33 / 34, rel=0.01)
    assert "fetched again for crops (archive.keep_raw)" in costs["from"]
    fetch_hours = costs["fetch_bytes"] / 50e6 / 3600
    jobs = min(os.cpu_count(), 33)
    cells_hours = 43_554 * 712 * 33 / 34 * 0.1 / 3600 / jobs
    assert costs["hours"] == pytest.approx(fetch_hours + cells_hours, rel=0.01)


def test_a_mirror_keeps_images_between_cells_and_crops(planned):
    def mirror(config):
        config["archive"] = copy.deepcopy(config["archive"]) | {"keep_raw": True}

    costs = planned("funk2022", mirror, has_tables=False).loc["features"]
    assert costs["fetch_bytes"] == 0 and "keep_raw" not in costs["from"]
