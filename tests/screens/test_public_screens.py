"""Twins of public screens, each served in its own way: the crops are right, bit for bit."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.archive.image_files import list_files
from mcvae_ops.shards.format import open_shard
from mcvae_ops.tiles.chunk import crop_chunk
from mcvae_ops.tiles.consensus import plate_shifts
from tests.helpers.configurations import checked, merged
from tests.helpers.object_server import serving
from tests.helpers.twins import CROP_PX, TWINS, write_twin

DEFAULTS = {
    "pixel_size_um": 0.5, "control": "nt",
    "well_grid": {"column_heights": [9], "centre_tiles": 1, "published_centre_tiles": 1},
}  # fmt: skip


def configuration(twin, folder: Path, address: str) -> dict:
    """The whole configuration, checked as `snakemake -n` checks it."""
    dataset = folder.parent / "dataset.json"
    dataset.write_text("{}")
    root = twin.root.format(folder=folder, address=address) or None
    archive = {"root": root}
    if (folder / "study.json").exists():
        archive["study"] = str(folder / "study.json")
    elif root is None:
        archive["root"] = address
    config = {
        "source": "archive", "cells": {"table": str(dataset)},
        "screen": DEFAULTS | twin.screen | {"name": "twin"},
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


def test_twins_differ_from_the_default_by_configuration_alone():
    assert set(merged("config")) >= {"screen", "archive"} and len(TWINS) == 9
