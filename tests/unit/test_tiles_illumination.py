"""Uneven light that was put into tiles is found again, and taken out of them."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile

from mcvae_ops.tiles.illumination import (
    Illumination,
    block_means,
    estimate_illumination,
    read_illumination,
    well_illumination,
)
from tests.helpers.tile_scenes import PAD_PX, draw_scene
from tests.unit.test_tiles_chunk import ARCHIVE

SIZE, N_TILES, OFFSET = 330, 24, 100
INNER = np.s_[PAD_PX:-PAD_PX, PAD_PX:-PAD_PX]
SETTINGS = {"tiles": N_TILES, "smoothing_px": 60, "offset_counts": OFFSET}
SCREEN = {
    "tile_size_px": SIZE,
    "z_planes": 1,
    "axes": None,
    "counts": {"scale": 1, "offset": 0},
    "cut_px": None,
    "projection": "max",
    "channels": [
        {"name": "DNA", "group": "both", "index": 0},
        {"name": "tubulin", "group": "both", "index": 1},
    ],
}


@pytest.fixture(scope="module")
def vignettes():
    """Light of each channel over the tile, of mean 1: one fades to the corners, one to the left."""
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    light = np.stack([1 - 0.25 * (y**2 + x**2), 1 + 0.3 * x])
    return light / light.mean(axis=(1, 2), keepdims=True)


@pytest.fixture(scope="module")
def tiles(vignettes):
    """Tiles as they would be seen in even light, and as they are recorded: counts."""
    rng, even = np.random.default_rng(0), []
    for _ in range(N_TILES):
        scene = draw_scene(rng, SIZE, 35)
        stains = np.stack([scene[name][INNER] for name in ("DNA", "tubulin")])
        even.append(200 + 3000 * np.maximum(stains, 0))
    even[3][:, 40:90, 40:90] = 40_000  # a piece of dust
    recorded = [np.rint(OFFSET + np.random.default_rng(1).poisson(one * vignettes)) for one in even]
    return np.array(even), np.array(recorded).clip(0, 65535).astype(np.uint16)


def test_the_planted_light_is_found(tiles, vignettes):
    means = [block_means(tile) for tile in tiles[1]]
    light = estimate_illumination(means, SETTINGS["smoothing_px"], OFFSET)
    assert light.shape == (2, SIZE // 16, SIZE // 16)
    np.testing.assert_allclose(light.mean(axis=(1, 2)), 1, rtol=1e-4)
    truth = block_means(vignettes)
    error = light / truth - 1
    assert np.sqrt((error**2).mean()) < 0.06
    assert np.sqrt(((1 / truth - 1) ** 2).mean()) > 0.15


def test_corrected_tiles_are_as_in_even_light(tiles):
    even, recorded = tiles
    light = estimate_illumination([block_means(tile) for tile in recorded], 60, OFFSET)
    correct = Illumination(light, OFFSET, SIZE).correct
    # Of the mean over tiles, since a tile has noise of its own.
    seen, found, truth = (
        block_means(np.mean(some, axis=0)) - OFFSET
        for some in (recorded, [correct(tile) for tile in recorded], even + OFFSET)
    )
    before, after = (np.abs(one / truth - 1).mean() for one in (seen, found))
    assert after < 0.06 < 0.12 < before


def test_even_light_leaves_counts_as_they_are():
    image = np.random.default_rng(2).integers(0, 65536, (1, 50, 50)).astype(np.uint16)
    correct = Illumination(np.ones((1, 3, 3), np.float32), 0, 50).correct
    np.testing.assert_array_equal(correct(image), image)


def test_the_rule_reads_the_tiles_of_its_well_and_passes_over_broken_ones(tiles, tmp_path):
    rows = []
    for tile, image in enumerate(tiles[1]):
        for well in ("A1", "A2"):
            path = tmp_path / f"{well}_{tile}.tif"
            shown = image if well == "A1" else image[:, ::-1, ::-1]
            tifffile.imwrite(path, shown, imagej=True, metadata={"axes": "CYX"})
            size = path.stat().st_size
            rows.append((path.name, path.as_uri(), size, "P", well, tile, "both"))
    (tmp_path / "A1_5.tif").write_bytes(b"")
    columns = ["path", "address", "size_bytes", "plate", "well", "tile", "group"]
    pd.DataFrame(rows, columns=columns).to_parquet(tmp_path / "files.parquet")
    found = {}
    for well in ("A1", "A2"):
        light = tmp_path / f"{well}.npy"
        well_illumination(str(tmp_path / "files.parquet"), SCREEN, SETTINGS, ARCHIVE, "P", well,
                          str(tmp_path / "cache"), str(light))  # fmt: skip
        found[well] = read_illumination(light, SETTINGS, SIZE)
    means = [block_means(tile) for tile in np.delete(tiles[1], 5, axis=0)]
    expected = Illumination(estimate_illumination(means, 60, OFFSET), OFFSET, SIZE)
    np.testing.assert_array_equal(found["A1"].gain, expected.gain)
    assert found["A1"].identity != found["A2"].identity
    assert json.dumps(found["A1"].identity)
