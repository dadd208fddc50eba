"""Twins of public screens, each served in its own way: the crops are right, bit for bit."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from mcvae_ops.archive.image_files import list_files
from mcvae_ops.archive.patterns import wells_of
from mcvae_ops.shards.format import open_shard
from mcvae_ops.tiles.chunk import crop_chunk
from mcvae_ops.tiles.consensus import plate_shifts
from tests.conftest import ROOT
from tests.helpers.configurations import checked
from tests.helpers.object_server import serving
from tests.helpers.ready_tables import READY
from tests.helpers.runs import command, snakemake
from tests.helpers.twins import CROP_PX, TWINS, ready, write_twin
from tests.workflow.test_dry_run import measured

PLACE = ("plate", "well", "tile", "y_px", "x_px")

# How a twin differs from the screen that a ready configuration describes: sizes alone.
SMALLER = {
    "periscope": {"screen": {"tiles": "1-4", "tile_size_px": 96}},
    "jump": {"screen": {"plates": {"BR00117006": "A01-B06"}, "tiles": "1-2", "tile_size_px": 96}},
    "bbbc021": {
        "screen": {"plates": {"Week1_22123": ["B02", "C05"], "Week1_22141": ["B02", "C05"]},
                   "tile_size_px": [96, 128]},
        "cells": {"segment": {"diameter_px": 9}},
    },
    "nf1": {"screen": {"plates": {"Plate_2": ["B7", "D6", "H12"]}, "tile_size_px": [96, 128]}},
}  # fmt: skip


def configuration(twin, folder: Path, address: str) -> dict:
    """The whole configuration, checked as `snakemake -n` checks it."""
    dataset = folder.parent / "dataset.json"
    dataset.write_text("{}")
    root = twin.root.format(folder=folder, address=address) or address
    archive = {"root": root}
    config = {
        "source": "archive", "cells": {"table": str(dataset)},
        "screen": {"control": "nt"} | twin.screen | {"name": "twin"},
        "archive": archive | {"retries": 1, "timeout_s": 5, "streams": 2},
        "alignment": {"in_register": "all", "consensus_tiles": 4, "binning": 1},
        "crop": {"size_px": CROP_PX, "clip_fraction": 0.0, "max_failed_fraction": 0.9},
        "profiles": {"main_model": "mcvae"},
    }  # fmt: skip
    config["screen"]["images"] = config["screen"]["images"].replace("{address}", address)
    return checked(config)


def crops_of(config: dict, cells: pd.DataFrame, folder: Path) -> tuple[dict, pd.DataFrame]:
    """Take a screen from its archive to crops, by the functions of the rules."""
    folder.mkdir()
    screen, archive = config["screen"], config["archive"]
    path = {name: str(folder / name) for name in ("files", "left_out", "consensus", "checks",
            "overlay", "cells", "alignment", "dropped", "ntc", "perturbed")}  # fmt: skip
    list_files(archive, screen, path["files"], path["left_out"])
    crops, dropped = {}, []
    for plate, wells in screen["plates"].items():
        common = {"files": path["files"], "screen": screen, "alignment": config["alignment"],
                  "archive": archive, "plate": plate, "cache": str(folder / "cache")}  # fmt: skip
        plate_shifts(consensus=path["consensus"], checks=path["checks"], overlay=path["overlay"],
                     **common)  # fmt: skip
        for well in wells:
            of_well = cells[(cells["plate"] == plate) & (cells["well"] == well)]
            of_well.to_parquet(path["cells"], index=False)
            arms = {arm: path[arm] + ".npy" for arm in ("ntc", "perturbed")}
            crop_chunk(cells=path["cells"], consensus=path["consensus"], illumination=None,
                       crop=config["crop"], well=well, chunk="000", **arms,
                       ntc_index=path["ntc"] + ".parquet", dropped=path["dropped"],
                       perturbed_index=path["perturbed"] + ".parquet",
                       alignment_table=path["alignment"], **common)  # fmt: skip
            for arm in arms.values():
                shard = open_shard(arm)
                names = shard.cells["cell_id"].to_pylist()
                crops |= dict(zip(names, np.array(shard.crops), strict=True))
            dropped.append(pd.read_parquet(path["dropped"]))
    return crops, pd.concat(dropped)


def expected_crop(twin, row) -> np.ndarray:
    y, x = int(row.y_px) - CROP_PX // 2, int(row.x_px) - CROP_PX // 2
    image = twin.truth[row.plate, row.well, row.tile]
    return image[:, y : y + CROP_PX, x : x + CROP_PX]


@pytest.mark.parametrize("name", TWINS)
def test_crops_of_a_twin_are_right_bit_for_bit(name, tmp_path, monkeypatch, record_property):
    twin = write_twin(name, tmp_path)
    cells = twin.cells_table()
    with serving(tmp_path, can_list=name != "idr") as objects:
        monkeypatch.setenv("AWS_ENDPOINT_URL", objects.address)
        config = configuration(twin, tmp_path / name, objects.address)
        crops, dropped = crops_of(config, cells, tmp_path / "run")
        record_property("requests", len(objects.requests))
        record_property("bytes", objects.sent_bytes())
        print(f"{name}: {len(crops)} crops, {len(objects.requests)} requests, "
              f"{objects.sent_bytes() / 1e6:.2f} MB")  # fmt: skip
    lost = 0
    for row in cells.itertuples():
        if (row.plate, row.well, row.tile) in twin.lost:
            lost += 1
            assert row.cell_id not in crops
            continue
        np.testing.assert_array_equal(crops[row.cell_id], expected_crop(twin, row))
    assert dropped["n_cells"].sum() == lost and len(crops) == len(cells) - lost
    left_out = pd.read_csv(tmp_path / "run/left_out", sep="\t")
    assert dict(zip(left_out["kind"], left_out["n_files"], strict=True)) == twin.left_out


@pytest.mark.parametrize("name", READY)
def test_a_ready_configuration_runs_to_crops(name, tmp_path, monkeypatch):
    """The configuration as it stands, over a small twin in its own layout; all jobs are run."""
    twin = write_twin(name, tmp_path)
    _, root = ready(name, tmp_path / name)
    labels = READY[name](twin, root)
    crop = {"size_px": CROP_PX, "clip_fraction": 0.0, "max_failed_fraction": 0.6}
    smaller = SMALLER[name] | {"crop": crop, "archive": {"retries": 1, "timeout_s": 5}}
    (tmp_path / "smaller.yaml").write_text(yaml.safe_dump(smaller))
    files = [str(ROOT / f"config/{name}.yaml"), str(tmp_path / "smaller.yaml")]
    plates = {plate: wells_of(wells) for plate, wells in twin.screen["plates"].items()}
    targets = [f"results/{name}/crops/{plate}/{well}/000.ntc.npy"
               for plate, wells in plates.items() for well in wells]  # fmt: skip
    with serving(tmp_path) as objects:
        monkeypatch.setenv("AWS_ENDPOINT_URL", objects.address)
        done = snakemake(tmp_path, "--cores", "2", *targets, "--configfile", *files)
        assert done.returncode == 0, done.stdout[-6000:]
    crops = {}
    for path in tmp_path.glob(f"results/{name}/crops/*/*/*.npy"):
        shard = open_shard(path)
        places = shard.cells.select(["plate", "well", "tile", "y_px", "x_px", "gene"]).to_pylist()
        for place, crop in zip(places, np.array(shard.crops), strict=True):
            *where, gene = place.values()
            crops[tuple(where)] = gene, crop
    assert crops.keys() == labels.keys()
    for cell, (gene, crop) in crops.items():
        assert gene == labels[cell]
        row = SimpleNamespace(**dict(zip(PLACE, cell, strict=True)))
        np.testing.assert_array_equal(crop, expected_crop(twin, row))


@pytest.mark.parametrize("name", READY)
def test_a_ready_configuration_is_planned_in_seconds(name, tmp_path):
    (tmp_path / name).mkdir()  # the folder in which a user places what cannot be listed
    for table in ("platemap.csv", "BBBC021_v1_image.csv", "BBBC021_v1_moa.csv"):
        (tmp_path / name / table).write_text("gene,group\n")
    plan = command(tmp_path, "--dry-run", "--quiet", "rules")
    start_s, _ = measured(sys.executable, "-m", "snakemake", "--version")
    planning_s, _ = measured(*plan, "--configfile", str(ROOT / f"config/{name}.yaml"))
    print(f"{name}: {planning_s:.2f} s of processor, of which {start_s:.2f} s start Snakemake")
    assert planning_s < start_s + 5
