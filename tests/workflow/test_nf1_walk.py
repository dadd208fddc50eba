"""The walk of a user who brings a Cell Painting plate: each mistake is answered in one sentence.

On a twin of the NF1 plate: by the checks of ``snakemake -n``, or by the first job that can know.
"""

import copy
from pathlib import Path

import pytest

from mcvae_ops.archive.image_files import list_files
from mcvae_ops.errors import InputError
from mcvae_ops.tiles.consensus import plate_shifts
from tests.helpers.configurations import checked, merged
from tests.helpers.ready_tables import READY
from tests.helpers.twins import write_twin

# What the user writes, and the sentence; None where it is right and was refused once.
WALK = {
    "no section simulate": ({"simulate": None}, None),
    "no groups, and no list of them": (
        {"benchmarks": {"features": {"shifting_groups": [], "novel_groups": []}}}, None,
    ),
    "number of the channel in the name": (
        {"screen": {"images": "images/{well}_{tile}_{channel}.tif"}},
        r"found no image of the screen \(\d+ another channel\), as images/B7_01_1_1_DAPI_001\.tif",
    ),
    "shell pattern": (
        {"screen": {"images": "images/*_{tile}_{channel}_001.tif"}}, r"without \{well\}, expected",
    ),
    "name of a channel": (
        {"screen": {"channels": [{"name": "DAPI"}, {"name": "gfp"}]}},
        r"found no file of channel gfp, but \d+ files of GFP, .* write GFP in screen\.channels",
    ),
    "name of a well": (
        {"screen": {"plates": {"Plate_2": ["B7", "D6", "H11"]}}},
        r"found no file of well H11 of plate Plate_2, but \d+ files of H12",
    ),
    "channels of one camera": (
        {"alignment": {"in_register": []}}, r"name it in alignment\.in_register if one camera",
    ),
    "key of the masks": ({"cells": {"mask": "x.tif"}}, r"unknown key 'mask', .* write 'masks'"),
    "square tiles": (
        {"screen": {"tile_size_px": 96}},
        r"plate Plate_2: found 10 of 10 tiles unusable \(tile 1 of B7: .*axes YX \(96, 128\) where "
        r".* 96 x 96 px .*; correct screen\.tile_size_px",
    ),
    "size of a crop": ({"crop": {"size_px": 100}}, "expected at most the tile size"),
    "positions in a well that nobody knows": (
        {"screen": {"well_grid": {"column_heights": [2, 2], "centre_tiles": 1}}},
        r"screen\.tiles: found 4, expected tiles of the well grid \(0 to 3\); .* first_tile",
    ),
}  # fmt: skip


@pytest.fixture
def plate(tmp_path, monkeypatch) -> Path:
    READY["nf1"](write_twin("nf1", tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def first_jobs(config: dict, folder: Path) -> None:
    """Check a configuration, list its files, and read some tiles."""
    whole = checked(config)
    screen, archive = whole["screen"], whole["archive"] | {"retries": 1, "streams": 1}
    out = {name: str(folder / name) for name in ("consensus", "checks", "overlay")}
    list_files(archive, screen, str(folder / "files"), str(folder / "left_out"))
    plate_shifts(str(folder / "files"), screen, whole["alignment"], archive, "Plate_2",
                 str(folder / "cache"), **out)  # fmt: skip


@pytest.mark.parametrize("mistake", WALK)
def test_each_step_is_answered(mistake, plate):
    change, sentence = WALK[mistake]
    config = copy.deepcopy(merged("nf1"))
    config["screen"] |= {"tile_size_px": [96, 128], "plates": {"Plate_2": ["B7", "D6", "H12"]}}
    config["crop"] = {"size_px": 24}
    for section, keys in change.items():
        is_whole = section == "cells" or not isinstance(keys, dict)
        config[section] = keys if is_whole else config.get(section, {}) | keys
    if sentence is None:
        first_jobs(config, plate)
        return
    with pytest.raises(InputError, match=sentence) as caught:
        first_jobs(config, plate)
    assert "\n" not in str(caught.value)
