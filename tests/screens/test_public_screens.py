"""Twins of public screens, each served in its own way: the crops are right, bit for bit."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from snakemake.utils import update_config

from mcvae_ops.archive.image_files import list_files, list_masks
from mcvae_ops.cells.cell_tables import split_cells
from mcvae_ops.cells.image_cells import segment_cells
from mcvae_ops.cells.table_parts import list_feature_parts
from mcvae_ops.shards.format import Shard, open_shard
from mcvae_ops.tiles.chunk import crop_chunk
from mcvae_ops.tiles.consensus import plate_shifts
from mcvae_ops.workflow.snakefile import cell_tables, cells_on_images
from tests.conftest import ROOT
from tests.helpers.configurations import checked, merged
from tests.helpers.object_server import serving
from tests.helpers.ready_tables import READY
from tests.helpers.runs import command
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


def cells_of(config: dict, folder: Path) -> dict[str, str]:
    """Take tables, or masks and images, to a table of cells per plate, by the rules."""
    screen, archive, on_images = config["screen"], config["archive"], cells_on_images(config)
    names = ("files", "left_out.tsv", "masks", "masks_left_out", "parts", "features.tsv")
    path = {name: str(folder / name) for name in names}
    wells = [(plate, well) for plate, names in screen["plates"].items() for well in names]
    tables = cell_tables(config)
    if on_images is not None:
        list_files(archive, screen, path["files"], path["left_out.tsv"])
        if on_images["masks"]:
            list_masks(archive, screen, on_images, path["masks"], path["masks_left_out"])
        masks = path["masks"] if on_images["masks"] else None
        for plate, well in wells:
            consensus = consensus_of(config, plate, path["files"], folder)
            table = Path(tables[0]["table"].format(plate=plate, well=well))
            table.parent.mkdir(parents=True, exist_ok=True)
            segment_cells(path["files"], masks, consensus, None, screen, on_images,
                          config["alignment"], config["crop"], archive, plate, well,
                          str(folder / "cache"), str(table))  # fmt: skip
    list_feature_parts(tables, config["labels"], screen, archive, path["parts"])
    paths = {kind: [str(folder / kind / f"{plate}.parquet") for plate in screen["plates"]]
             for kind in ("cells", "features")}  # fmt: skip
    split_cells(path["parts"], tables, config["labels"], screen, archive, str(folder / "split"),
                paths["cells"], paths["features"], path["features.tsv"])  # fmt: skip
    return dict(zip(screen["plates"], paths["cells"], strict=True))


def consensus_of(config: dict, plate: str, files: str, folder: Path) -> str:
    path = {name: str(folder / f"{plate}.{name}") for name in ("consensus", "checks", "overlay")}
    if not Path(path["consensus"]).exists():
        plate_shifts(files, config["screen"], config["alignment"], config["archive"], plate,
                     str(folder / "cache"), **path)  # fmt: skip
    return path["consensus"]


def shards_of(config: dict, cells: dict[str, str], folder: Path) -> Iterator[Shard]:
    """Take a screen from its archive to shards, by the functions of the rules."""
    screen, archive = config["screen"], config["archive"]
    path = {name: str(folder / name) for name in ("files", "left_out.tsv", "alignment")}
    list_files(archive, screen, path["files"], path["left_out.tsv"])
    wells = [(plate, well) for plate, names in screen["plates"].items() for well in names]
    for plate, well in wells:
        arms = {arm: str(folder / f"{plate}_{well}.{arm}.npy") for arm in ("ntc", "perturbed")}
        index = {f"{arm}_index": file.replace(".npy", ".parquet") for arm, file in arms.items()}
        crop_chunk(files=path["files"], cells=cells[plate], illumination=None, screen=screen,
                   consensus=consensus_of(config, plate, path["files"], folder),
                   alignment=config["alignment"], crop=config["crop"], archive=archive, plate=plate,
                   well=well, chunk="000", cache=str(folder / "cache"), **arms, **index,
                   alignment_table=path["alignment"],
                   dropped=str(folder / f"{plate}_{well}.dropped"))  # fmt: skip
        yield from map(open_shard, arms.values())


def crops_of(config: dict, cells: pd.DataFrame, folder: Path) -> tuple[dict, pd.DataFrame]:
    """Take cells whose places are known to crops; and the cells that were dropped."""
    folder.mkdir()
    paths = {}
    for plate in config["screen"]["plates"]:
        paths[plate] = str(folder / f"{plate}.cells")
        cells[cells["plate"] == plate].to_parquet(paths[plate], index=False)
    crops = {}
    for shard in shards_of(config, paths, folder):
        names = shard.cells["cell_id"].to_pylist()
        crops |= dict(zip(names, np.array(shard.crops), strict=True))
    return crops, pd.concat(map(pd.read_parquet, folder.glob("*.dropped")))


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
    left_out = pd.read_csv(tmp_path / "run/left_out.tsv", sep="\t")
    assert dict(zip(left_out["kind"], left_out["n_files"], strict=True)) == twin.left_out


@pytest.mark.parametrize("name", READY)
def test_a_ready_configuration_runs_to_crops(name, tmp_path, monkeypatch):
    """The configuration as it stands, over a small twin in its own layout, by its rules."""
    twin = write_twin(name, tmp_path)
    _, root = ready(name, tmp_path / name)
    labels = READY[name](twin, root)
    crop = {"size_px": CROP_PX, "clip_fraction": 0.0, "max_failed_fraction": 0.6}
    smaller = SMALLER[name] | {"crop": crop, "archive": {"retries": 1, "timeout_s": 5}}
    config = merged(name)
    update_config(config, smaller)
    monkeypatch.chdir(tmp_path)
    config = checked(config)
    with serving(tmp_path) as objects:
        monkeypatch.setenv("AWS_ENDPOINT_URL", objects.address)
        run = tmp_path / "run"
        run.mkdir()
        shards = list(shards_of(config, cells_of(config, run), run))
        print(f"{name}: {len(objects.requests)} requests, {objects.sent_bytes() / 1e6:.2f} MB")
    crops = {}
    for shard in shards:
        places = shard.cells.select([*PLACE, "gene"]).to_pylist()
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
    # The tables of a folder are there, as a user places them: their columns are checked.
    _, root = ready(name, tmp_path / name)
    READY[name](write_twin(name, tmp_path), root)
    plan = command(tmp_path, "--dry-run", "--quiet", "rules")
    start_s, _ = measured(sys.executable, "-m", "snakemake", "--version")
    planning_s, _ = measured(*plan, "--configfile", str(ROOT / f"config/{name}.yaml"))
    print(f"{name}: {planning_s:.2f} s of processor, of which {start_s:.2f} s start Snakemake")
    assert planning_s < start_s + 5
