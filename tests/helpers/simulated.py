"""A simulated screen that is drawn in a second: the default one with fewer and smaller tiles."""

import copy
from pathlib import Path

from mcvae_ops.screen import plain_columns
from mcvae_ops.simulate.library import simulate_library
from mcvae_ops.simulate.plate import simulate_plate
from tests.helpers.configurations import merged, whole

PLATE, WELLS, TILE_SIZE_PX = "P1", ["A1", "B2"], 320
DEFAULT = whole(merged("config"))


def small_screen() -> dict:
    """Return the default configuration with one plate of two wells of three tiles."""
    config = copy.deepcopy(DEFAULT)
    config["screen"] |= {
        "plates": {PLATE: WELLS},
        "tiles": "0-2",
        "tile_size_px": TILE_SIZE_PX,
        "well_grid": {
            "first_tile": 0,
            "column_heights": [1, 2],
            "centre_tiles": 1,
            "published_centre_tiles": 1,
        },
    }
    config["screen"]["columns"] = plain_columns([config["cells"]])
    config["simulate"]["well"] |= {"cells_per_tile": 30, "overlap_px": 48}
    return config


def draw_library(config: dict, folder: Path) -> dict[str, Path]:
    """Write the library of a screen; returns its files by name."""
    names = (
        "library.csv",
        "gene_ids.tsv",
        "corum.txt",
        "functional_groups.tsv",
        "mitotic_factors.tsv",
    )
    paths = {name.partition(".")[0]: folder / "study" / name for name in names}
    paths["truth"] = folder / "truth" / "effects.parquet"
    simulate_library(
        simulate=config["simulate"],
        screen=config["screen"],
        **{name: str(path) for name, path in paths.items()},
    )
    return paths


def draw_plate(config: dict, folder: Path) -> dict[str, Path]:
    """Write library and images of the plate; returns images, truth_cells and truth_tiles."""
    paths = {
        "images": folder / "study/Files/screenA" / PLATE,
        "truth_cells": folder / "truth/cells.parquet",
        "truth_tiles": folder / "truth/tiles.parquet",
    }
    simulate_plate(
        simulate=config["simulate"],
        screen=config["screen"],
        reference=config["alignment"]["reference"],
        plate=PLATE,
        truth=str(draw_library(config, folder)["truth"]),
        **{name: str(path) for name, path in paths.items()},
    )
    return paths
