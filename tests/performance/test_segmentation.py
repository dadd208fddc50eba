"""Cells without a table: how many are found, and are their features those of the true masks?

The second simulated screen, whose true nuclei and cells are known, and the real NF1 images, against
the masks that came with them.
"""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from mcvae_ops.cells.masks import cells_of_mask
from mcvae_ops.cells.measure import measure_tile
from mcvae_ops.cells.regions import without_border
from mcvae_ops.cells.segmentation import bright_pixels, segment_watershed
from mcvae_ops.randomness import named_rng
from mcvae_ops.screen import Channel, channels_from, well_grid
from mcvae_ops.simulate.appearance import appearance_of
from mcvae_ops.simulate.imaging import assemble, draw_tile, draw_well, labels_of
from mcvae_ops.simulate.plate import _optics_of
from mcvae_ops.simulate.render import frame_of, texture_field
from mcvae_ops.tiles.crop import resample
from tests.helpers.configurations import merged, whole
from tests.helpers.simulated import draw_library

NF1_CHANNELS = [Channel(name, name, None) for name in ("DAPI", "GFP", "RFP")]


def simulated_tiles(folder: Path, n_tiles: int = 4, name: str = "compounds") -> list[dict]:
    """Draw tiles of a simulated screen: aligned image, true cells and true nuclei."""
    config = copy.deepcopy(whole(merged(name)))
    screen, simulate = config["screen"], config["simulate"]
    plate, wells = next(iter(screen["plates"].items()))
    seed, well = simulate["seed"], wells[0]
    effects = pd.read_parquet(draw_library(config, folder)["truth"])
    optics = _optics_of(plate, config["alignment"]["reference"], simulate, screen)
    drawn = draw_well(plate, well, effects, simulate, screen)
    looks = appearance_of(drawn.cells, simulate["cell"], named_rng(seed, plate, well, "looks"))
    centres = drawn.cells[["y_px", "x_px"]].to_numpy()
    edge = drawn.bodies.shape[-1]
    texture = texture_field(named_rng(seed, "texture"))
    nuclei = frame_of(looks, centres - np.round(centres).astype(int), edge, texture).nucleus
    size_px = screen["tile_size_px"]
    pitch_px = size_px - simulate["well"]["overlap_px"]
    origins = well_grid(screen["well_grid"]["column_heights"]) * pitch_px
    tiles = []
    for number in range(n_tiles):
        names = {"plate": plate, "well": well, "tile": number}
        tile = draw_tile(names, origins[number], drawn, optics, simulate, screen)
        labels = labels_of(drawn.cells, origins[number], size_px)
        empty = np.zeros((len(nuclei), 0, edge, edge), np.float32)
        corners = drawn.corners - origins[number]
        _, in_nuclei = assemble(empty, nuclei, corners, labels, size_px)
        image = resample(tile.stack[:, 0], tile.shifts[["dy_px", "dx_px"]].to_numpy())
        tiles.append({"image": image, "cells": tile.labels, "nuclei": in_nuclei,
                      "channels": channels_from(screen["channels"])})  # fmt: skip
    return tiles


def nf1_tiles(folder: Path) -> list[dict]:
    """Read the real tiles; their masks are split where nuclei touch, as the pipeline does."""
    tiles = []
    for path in sorted((folder / "masks").glob("*MaskNuclei.tiff")):
        well, _, _, tile, *_ = path.name.split("_")
        names = [f"{well}_01_{k}_{tile}_{channel.name}_001.tif"
                 for k, channel in enumerate(NF1_CHANNELS, 1)]  # fmt: skip
        image = np.stack([tifffile.imread(folder / "images" / name) for name in names])
        nuclei = cells_of_mask(tifffile.imread(path))
        tiles.append({"image": image.astype(np.float32), "nuclei": nuclei,
                      "channels": NF1_CHANNELS})  # fmt: skip
    return tiles


def pairs_of(labels: np.ndarray, truth: np.ndarray, least: float = 0.5) -> pd.DataFrame:
    """Return the pairs (label, true) of regions whose intersection over union is at least .5."""
    both = np.stack([labels.ravel(), truth.ravel()], axis=1)
    pairs, n = np.unique(both, axis=0, return_counts=True)
    areas = [np.bincount(values) for values in both.T]
    union = areas[0][pairs[:, 0]] + areas[1][pairs[:, 1]] - n
    is_pair = (pairs > 0).all(axis=1) & (n / union >= least)
    return pd.DataFrame(pairs[is_pair], columns=["label", "true"])


def compare(tiles: list[dict], truth: str, stain: int, diameter_px: float, bits: int) -> dict:
    """Compare a segmentation with the truth: whole cells alone, none at the border of a tile."""
    n_true = n_labels = n_recalled = n_right = 0
    measured = []
    for tile in tiles:
        labels = without_border(segment_watershed(tile["image"][stain], diameter_px))
        true = tile[truth].astype(np.int32)
        whole_true = without_border(true)
        pairs = pairs_of(labels, true)
        n_true += len(np.unique(whole_true)) - 1
        n_labels += len(np.unique(labels)) - 1
        n_right += len(pairs)
        n_recalled += np.isin(pairs["true"], whole_true).sum()
        pairs = pairs[pairs["true"].isin(np.unique(whole_true))]
        ours, theirs = (measure_tile(tile["image"], image, tile["channels"], bits)
                        for image in (labels, whole_true))  # fmt: skip
        measured.append((ours.loc[pairs["label"]], theirs.loc[pairs["true"]]))
    ours, theirs = (
        pd.concat(tables).reset_index(drop=True) for tables in zip(*measured, strict=True)
    )
    correlation = ours.corrwith(theirs, method="spearman").dropna()
    return {"true": n_true, "recall": n_recalled / n_true, "precision": n_right / n_labels,
            "median r": correlation.median(), "r > .9": (correlation > 0.9).mean(),
            "features": len(correlation), "lowest": correlation.nsmallest(3)}  # fmt: skip


def test_cells_of_the_simulated_screen(tmp_path):
    tiles = simulated_tiles(tmp_path)
    names = [channel.name for channel in tiles[0]["channels"]]
    for truth, stain, diameter_px in (("nuclei", "DNA", 14), ("cells", "RNA", 28)):
        result = compare(tiles, truth, names.index(stain), diameter_px, 16)
        print(truth, stain, result, flush=True)
        assert min(result["recall"], result["precision"]) > 0.95 and result["median r"] > 0.8


def test_nuclei_of_the_real_screen(shared):
    folder = shared / "data/real/nf1"
    if not folder.is_dir():
        pytest.skip("no real images on this machine")
    result = compare(nf1_tiles(folder), "nuclei", 0, 60, 16)
    print("NF1", result, flush=True)
    assert min(result["recall"], result["precision"]) > 0.95 and result["median r"] > 0.9


def test_contrast_of_planes_with_cells(shared, tmp_path):
    folder = shared / "data/real/nf1"
    if not folder.is_dir():
        pytest.skip("no real images on this machine")
    for screen, tiles in {"NF1": nf1_tiles(folder), "sim": simulated_tiles(tmp_path, 3)}.items():
        for k, channel in enumerate(tiles[0]["channels"]):
            diameter_px = 60 if screen == "NF1" else 14 if channel.name == "DNA" else 28
            found = [bright_pixels(tile["image"][k], diameter_px)[1] for tile in tiles]
            print(screen, channel.name, np.round(found, 1), flush=True)
            assert min(found) > 3.5
