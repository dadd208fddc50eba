"""Crops that a screen comes with: their middle, in every format; a job that goes on; mistakes."""

import imagecodecs
import numpy as np
import pandas as pd
import pytest
import tifffile

from mcvae_ops.errors import InputError, TileError
from mcvae_ops.files import write_parquet
from mcvae_ops.shards.format import open_shard
from mcvae_ops.tiles import given_crops
from mcvae_ops.tiles.given_crops import GivenCrops, gather_crops, read_crop
from tests.helpers.configurations import checked

IMAGE = np.random.default_rng(0).integers(0, 4000, (2, 11, 12)).astype(np.uint16)
CHANNELS = [
    {"name": "b", "group": "image", "index": 1},
    {"name": "a", "group": "image", "index": 0},
]
SCREEN = {"channels": CHANNELS, "z_planes": 1, "projection": "max", "axes": "CYX",
          "counts": {"scale": 1, "offset": 0}, "tiles": "0-1"}  # fmt: skip


def write_npy(path, image):
    np.save(path, image)


def write_tiff(path, image):
    tifffile.imwrite(path, image, photometric="minisblack", compression="lzw")


def write_ome(path, image):
    names = {"axes": "CYX", "Channel": {"Name": ["a", "b"]}}
    tifffile.imwrite(path, image, ome=True, photometric="minisblack", metadata=names)


@pytest.mark.parametrize(
    ("name", "write"), [("c.npy", write_npy), ("c.TIF", write_tiff), ("c.ome.tif", write_ome)]
)
@pytest.mark.parametrize(("size_px", "y", "x"), [(8, 1, 2), (7, 2, 3), (11, 0, 1)])
def test_the_middle_of_all_channels(name, write, size_px, y, x, tmp_path):
    write(tmp_path / name, IMAGE)
    crop = read_crop(tmp_path / name, SCREEN, size_px)
    np.testing.assert_array_equal(crop, IMAGE[::-1, y : y + size_px, x : x + size_px])
    assert crop.dtype == np.uint16


def test_one_channel_floats_and_focal_planes(tmp_path):
    one = SCREEN | {"channels": [CHANNELS[1]]}
    (tmp_path / "c.png").write_bytes(imagecodecs.png_encode(IMAGE[0]))
    np.testing.assert_array_equal(read_crop(tmp_path / "c.png", one, 8)[0], IMAGE[0, 1:9, 2:10])
    np.save(tmp_path / "z.npy", IMAGE / np.float32(4))
    stack = one | {"axes": "ZYX", "z_planes": 2, "counts": {"scale": 4, "offset": 0}}
    np.testing.assert_array_equal(
        read_crop(tmp_path / "z.npy", stack, 8)[0], IMAGE.max(axis=0)[1:9, 2:10]
    )


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (IMAGE[:, :7], r"c\.npy: a crop of 7 x 12 px, smaller than crop\.size_px \(8\)"),
        (np.moveaxis(IMAGE, 0, 2), "smaller than crop.size_px"),
        (IMAGE[:1], "1 channels, none at index 1"),
        (IMAGE[0], "1 channels, none at index 1"),
        (IMAGE.astype(np.int32), "pixels are int32"),
        (IMAGE[None, None], "5 axes, expected 2 to 4"),
        (np.array([{}]), r"damaged file \(ValueError"),
    ],
)
def test_what_is_no_crop_is_said(image, message, tmp_path):
    np.save(tmp_path / "c.npy", image)
    with pytest.raises(TileError, match=message):
        read_crop(tmp_path / "c.npy", SCREEN, 8)


def gather(folder, n_lost: int = 0, **crop) -> dict:
    """Gather 12 cells of two tiles, of which some have no crop."""
    names = [f"c{k}" for k in range(12)]
    for k, name in enumerate(names):
        np.save(folder / f"{name}.npy", IMAGE + np.uint16(k))
    for name in names[:n_lost]:
        (folder / f"{name}.npy").unlink()
    cells = pd.DataFrame({
        "cell_id": names, "plate": "P", "well": "A1", "tile": np.arange(12, dtype=np.int32) // 6,
        "is_ntc": np.arange(12) % 3 == 0, "crop": [f"{name}.npy" for name in names],
    })  # fmt: skip
    cells.to_parquet(folder / "cells", index=False)
    out = {name: str(folder / f"{name}.parquet")
           for name in ("ntc_index", "perturbed_index", "alignment_table", "dropped")}  # fmt: skip
    arms = {arm: str(folder / f"{arm}.npy") for arm in ("ntc", "perturbed")}
    out |= {f"{arm}_index": str(folder / f"{arm}.parquet") for arm in arms}
    settings = {"size_px": 8, "tiles_per_chunk": 2, "max_failed_fraction": 0.2} | crop
    archive = {"root": str(folder), "streams": 2, "retries": 0, "timeout_s": 5, "keep_raw": False}
    gather_crops(cells=str(folder / "cells"), screen=SCREEN, crop=settings, archive=archive,
                 plate="P", well="A1", chunk="000", cache=str(folder / "cache"), **arms,
                 **out)  # fmt: skip
    return arms | out


def test_crops_of_a_chunk_and_what_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(given_crops, "BATCH", 4)
    out = gather(tmp_path, n_lost=2)
    found = {}
    for arm in ("ntc", "perturbed"):
        shard = open_shard(out[arm], verify=True)
        found |= dict(zip(shard.cells["cell_id"].to_pylist(), np.array(shard.crops), strict=True))
    assert sorted(found) == sorted(f"c{k}" for k in range(2, 12))
    for k in range(2, 12):
        np.testing.assert_array_equal(found[f"c{k}"], IMAGE[::-1, 1:9, 2:10] + k)
    dropped = pd.read_parquet(out["dropped"])
    assert dropped[["tile", "reason", "n_cells"]].to_numpy().tolist() == [[0, "no crop", 2]]
    alignment = pd.read_parquet(out["alignment_table"])
    assert set(alignment["method"]) == {"given"} and len(alignment) == 4
    assert not (tmp_path / "cache/finished/P/A1/000").exists()


def test_a_job_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr(given_crops, "BATCH", 4)
    read = []

    def interrupted(path, *settings):
        read.append(path.name)
        if len(read) == 7:
            raise KeyboardInterrupt
        return read_crop(path, *settings)

    monkeypatch.setattr(given_crops, "read_crop", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gather(tmp_path)
    gather(tmp_path)
    assert read[7:] == [f"c{k}.npy" for k in range(6, 12)]


@pytest.mark.parametrize("where", ["files", "stack"])
def test_crops_for_pictures_are_read_where_they_lie(tmp_path, where):
    crops = np.stack([IMAGE + np.uint16(k) for k in range(6)])
    for k, crop in enumerate(crops):
        np.save(tmp_path / f"{k}.npy", crop)
    np.save(tmp_path / "all.npy", crops)
    names = [f"{k}.npy" if where == "files" else f"all.npy#{k}" for k in range(6)]
    names[4] = "gone.npy"
    table = pd.DataFrame({"cell_id": [f"c{k}" for k in range(6)], "tile": 0, "crop": names})
    write_parquet(table, tmp_path / "index.parquet")
    archive = {"root": str(tmp_path), "streams": 2, "retries": 0, "timeout_s": 5, "keep_raw": False}
    place = (str(tmp_path / "index.parquet"), None, SCREEN, 8, archive, str(tmp_path / "cache"))
    read = GivenCrops(*place).read(np.array([5, 0, 4, 2]))
    expected = crops[[5, 0, 4, 2], ::-1, 1:9, 2:10]
    expected[2] = 0
    np.testing.assert_array_equal(read, expected)
    with pytest.raises(InputError, match=r"any of 1 crops \(cell c4: .*gone\.npy"):
        GivenCrops(*place).read(np.array([4]))


def test_too_many_lost_crops_end_the_job(tmp_path):
    with pytest.raises(InputError, match=r"3 of 12 crops unusable \(crop c0: .*c0\.npy: found no"):
        gather(tmp_path, n_lost=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, None),
        ({"screen": {"images": "{well}.tif"}}, "key screen.images: found a value where source is"),
        ({"crop": {"illumination": {"tiles": 1, "smoothing_px": 1, "offset_counts": 1}}},
         "key crop.illumination: found a value where"),
        ({"cells": {"columns": {}}}, "key cells.columns.crop: a value is missing; source is crops"),
        ({"source": "archive"}, "key cells.columns.crop: found crops where source is archive"),
        ({"screen": {"duplicates": {"overlap_px": 1, "max_distance_px": 1}}}, "screen.duplicates"),
    ],
)  # fmt: skip
def test_what_is_said_of_images_beside_crops(change, message, tmp_path):
    config = {
        "source": "crops", "archive": {"root": str(tmp_path)}, "crop": {"size_px": 24},
        "screen": {"name": "p", "plates": {"P": "A1-A2"}, "control": "nt",
                   "channels": [{"name": "a", "index": 0}, {"name": "b", "index": 1}]},
        "cells": {"table": str(tmp_path / "cells.csv"), "columns": {"crop": "path"}},
        "profiles": {"main_model": "mcvae"},
    }  # fmt: skip
    (tmp_path / "cells.csv").touch()
    config = {key: value | change.get(key, {}) if isinstance(value, dict) else
              change.get(key, value) for key, value in config.items()}  # fmt: skip
    if message is None:
        screen = checked(config)["screen"]
        assert (screen["axes"], screen["tile_size_px"]) == ("CYX", None)
        return
    with pytest.raises(InputError, match=message):
        checked(config)
