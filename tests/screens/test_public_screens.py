"""Ten twins of public screens, each served in its own way and entered by its configuration.

Only sizes lie over the configuration (and the address of the server, where the screen names one).
Crops are right, bit for bit, labels are equal, and what is planted wrong is counted.
"""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from snakemake.utils import update_config

from mcvae_ops.archive.image_files import list_files, list_masks
from mcvae_ops.cells.cell_tables import split_cells
from mcvae_ops.cells.image_cells import segment_cells
from mcvae_ops.cells.table_parts import list_feature_parts
from mcvae_ops.screen import crops_are_given, tile_numbers
from mcvae_ops.shards.format import Shard, open_shard
from mcvae_ops.tiles.chunk import crop_chunk
from mcvae_ops.tiles.consensus import plate_shifts
from mcvae_ops.tiles.given_crops import gather_crops
from mcvae_ops.workflow.snakefile import cell_tables, cells_on_images
from tests.conftest import ROOT
from tests.helpers import archive_process, object_server
from tests.helpers.configurations import checked, merged, whole
from tests.helpers.ready_tables import READY
from tests.helpers.runs import command, jobs, write_configuration
from tests.helpers.twins import CROP_PX, TWINS, Twin, described, write_twin
from tests.workflow.test_dry_run import measured

# What is wrong in a twin, as the log or the table of dropped cells counts it.
PLANTED = {
    "funk2022": r"tile failed 10",
    "aconcagua": r"labels: no row for 1 of 80 cells \(guide 'unknown'\)",
    "periscope": r"1 cells dropped: without a position",
    "jump": r"BR00117006/B05: images, but no cell",
    "bbbc021": r"labels: no row for \d+ of \d+ cells \(plate well 'Week1_22141 C05'\)",
    "nf1": r"2 of 12 tiles have no file",
    "cp_posh": r"no crop 1",
    "idr": r"1 files left out: another well",
    "plain": r"12 tiles",
    "leonetti": r"Biohub_OPS0001/A3: 6 cells; dropped: none",
}


@contextmanager
def served(name: str, twin: Twin, folder: Path, monkeypatch) -> Iterator[tuple[dict, dict]]:
    """Serve a twin; yield what of the configuration names the server, and what it has sent."""
    sent = {}
    if name == "funk2022":
        with archive_process.serving(twin.root) as server:
            write_study(twin, server.address)
            doi = f"{server.address}/fine/api/datasets/:persistentId/?persistentId=doi:10.7910/DVN"
            yield (
                {
                    "archive": {"root": f"biostudies:{server.address}/fine/S-BIAD394"},
                    "cells": {"table": f"{doi}/VYKTI5/{{stage}}-{{*}}"},
                },
                sent,
            )
            stats = server.stats()
            sent |= {"requests": len(stats["log"]), "bytes": sum(stats["sent_bytes"].values())}
        return
    with object_server.serving(folder, can_list=name != "idr") as objects:
        monkeypatch.setenv("AWS_ENDPOINT_URL", objects.address)
        yield ({"archive": {"root": f"{objects.address}/idr"}} if name == "idr" else {}), sent
        sent |= {"requests": len(objects.requests), "bytes": objects.sent_bytes()}


def write_study(twin: Twin, address: str) -> None:
    """Write what BioStudies and a Dataverse say of the files of a twin."""
    images = twin.root / "Files"
    files = [{"path": file.relative_to(images).as_posix(), "size": file.stat().st_size}
             for file in images.rglob("*.tif")]  # fmt: skip
    study = twin.root / "S-BIAD394"
    study.mkdir()
    (study / "info").write_text(json.dumps({"httpLink": f"{address}/fine"}))
    (study / "files.json").write_text(json.dumps(files))
    (study / "index").write_text('{"accno": "S-BIAD394", "section": {"files": []}}')
    parts = [{"label": path.name, "dataFile": {"id": k, "filesize": path.stat().st_size}}
             for k, path in enumerate(sorted(twin.root.glob("*.zip")))]  # fmt: skip
    content = {"status": "OK", "data": {"latestVersion": {"files": parts}}}
    (twin.root / "dataset.json").write_text(json.dumps(content))
    names = {str(part["dataFile"]["id"]): part["label"] for part in parts}
    (twin.root / "datafiles.json").write_text(json.dumps(names))


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
            masks = {"address": on_images["masks"], "key": "cells.masks"}
            list_masks(archive, screen, masks, path["masks"], path["masks_left_out"])
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
                paths["cells"], paths["features"], path["features.tsv"],
                str(folder / "rows.tsv"))  # fmt: skip
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
    if not crops_are_given(config["cells"]):
        list_files(archive, screen, path["files"], path["left_out.tsv"])
    wells = [(plate, well) for plate, names in screen["plates"].items() for well in names]
    for plate, well in wells:
        arms = {arm: str(folder / f"{plate}_{well}.{arm}.npy") for arm in ("ntc", "perturbed")}
        index = {f"{arm}_index": file.replace(".npy", ".parquet") for arm, file in arms.items()}
        chunk = {"cells": cells[plate], "screen": screen, "crop": config["crop"], "plate": plate,
                 "archive": archive, "well": well, "chunk": "000", "cache": str(folder / "cache"),
                 "alignment_table": path["alignment"],
                 "dropped": str(folder / f"{plate}_{well}.dropped")}  # fmt: skip
        if crops_are_given(config["cells"]):
            gather_crops(**chunk, **arms, **index)
        else:
            consensus = consensus_of(config, plate, path["files"], folder)
            crop_chunk(files=path["files"], consensus=consensus, illumination=None,
                       alignment=config["alignment"], **chunk, **arms, **index)  # fmt: skip
        yield from map(open_shard, arms.values())


def expected_crop(twin: Twin, cell: tuple) -> np.ndarray:
    """The planted counts of a cell, by (plate, well, tile, y, x) or (plate, well, tile, crop)."""
    image = twin.truth[cell[:3] if len(cell) == 5 else cell]
    centre = cell[3:] if len(cell) == 5 else np.array(image.shape[1:]) // 2
    y, x = (int(middle) - CROP_PX // 2 for middle in centre)
    return image[:, y : y + CROP_PX, x : x + CROP_PX]


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_enters_by_its_configuration(name, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    twin = write_twin(name, tmp_path)
    labels = READY[name](twin)
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    with served(name, twin, tmp_path, monkeypatch) as (addresses, sent):
        config = described(name)
        for layer in (addresses, {"archive": {"retries": 1, "timeout_s": 5}}):
            update_config(config, layer)
        config = checked(config)
        shards = list(shards_of(config, cells_of(config, run), run))
    crops = {}
    for shard in shards:
        is_given = "crop" in shard.cells.column_names
        where = ["plate", "well", "tile", *(["crop"] if is_given else ["y_px", "x_px"])]
        places = shard.cells.select([*where, "gene"]).to_pylist()
        for place, crop in zip(places, np.array(shard.crops), strict=True):
            *cell, gene = place.values()
            crops[tuple(cell)] = gene, crop
    assert sorted(crops) == sorted(labels)
    for cell, (gene, crop) in crops.items():
        assert gene == labels[cell]
        np.testing.assert_array_equal(crop, expected_crop(twin, cell))
    dropped = pd.concat(map(pd.read_parquet, run.glob("*.dropped")))
    counted = [f"{row.reason} {row.n_cells}" for row in dropped.itertuples()]
    said = "\n".join([*caplog.messages, *counted])
    assert re.search(PLANTED[name], said), said
    if not crops_are_given(config["cells"]):
        left_out = pd.read_csv(run / "left_out.tsv", sep="\t")
        assert dict(zip(left_out["kind"], left_out["n_files"], strict=True)) == twin.left_out
    print(f"{name}: {len(crops)} crops, {sent['requests']} requests, {sent['bytes'] / 1e6:.2f} MB")


def test_the_pilot_of_a_collection_is_planned_from_its_tables(tmp_path):
    """Two wells of one of the OPS Data Standard; its table and library are there."""
    twin = write_twin("aconcagua", tmp_path)
    READY["aconcagua"](twin)
    config = merged("aconcagua", "aconcagua_pilot")
    assert sum(wells is not None for wells in config["screen"]["plates"].values()) == 2
    assert len(tile_numbers(config["screen"]["tiles"])) == 17
    lists = dict.fromkeys(config["archive"]["annotations"])
    config["archive"] = {"root": str(twin.root), "annotations": lists}
    write_configuration(whole(config), tmp_path)
    planned = jobs(tmp_path)
    assert planned["crop_chunk"] == 2 * 4 and planned["split_cells"] == 1
    assert jobs(tmp_path, "ops_standard")["ops_images"] == 2


@pytest.mark.parametrize("name", ["periscope", "jump", "bbbc021", "nf1"])
def test_a_ready_configuration_is_planned_in_seconds(name, tmp_path):
    # The tables of a folder are there, as a user places them: their columns are checked.
    READY[name](write_twin(name, tmp_path))
    plan = command(tmp_path, "--dry-run", "--quiet", "rules")
    start_s, _ = measured(sys.executable, "-m", "snakemake", "--version")
    planning_s, _ = measured(*plan, "--configfile", str(ROOT / f"config/{name}.yaml"))
    print(f"{name}: {planning_s:.2f} s of processor, of which {start_s:.2f} s start Snakemake")
    assert planning_s < start_s + 5
