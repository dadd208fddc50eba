"""Other screens, by configuration alone: one file of two channels, six files of one, 8 bit."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from mcvae_ops.shards.format import open_shard
from mcvae_ops.tiles.chunk import crop_chunk
from mcvae_ops.tiles.consensus import plate_shifts
from tests.helpers.tile_scenes import STAINS, draw_scene, record

SIZE, N_TILES, CROP_PX = 320, 4, 24
QUALITY = {"max_saturated_fraction": 0.02, "max_range_ratio": 8.0, "min_focus_ratio": 0.5}
ALIGNMENT = {
    "method": "bandpass",
    "binning": 2,
    "upsample_factor": 20,
    "window_fraction": 1.0,
    "max_shift_px": 25,
    "min_confidence": 0.5,
    "consensus_tiles": 4,
    "consensus_of": "plate",
    "quality": QUALITY,
}
ARCHIVE = {"streams": 2, "retries": 1, "timeout_s": 5, "keep_raw": False}
CROP = {
    "size_px": CROP_PX,
    "clip_fraction": 0.001,
    "illumination": None,
    "tiles_per_chunk": N_TILES,
    "max_failed_fraction": 0.0,
}
# Six stains: the four of the scene, and two of them again at half the light.
SIX = {"DNA": 1.0, "foci": 1.0, "tubulin": 1.0, "actin": 1.0, "DNA2": 0.5, "tubulin2": 0.5}
SIX_SHIFTS = {"foci": (5, -3), "actin": (-7, 11), "DNA2": (2, 2), "tubulin2": (-4, 1)}
SCREENS = {
    "two channels, one CYX file": (
        {"both": ["DNA", "foci"]},
        {"reference": "DNA", "measure": {}, "in_register": []},
        {},
        np.uint16,
    ),
    "six channels, six YX files, 8 bit": (
        {name: [name] for name in SIX},
        {
            "reference": "DNA",
            "in_register": [],
            "measure": {
                "foci": "DNA", "tubulin": "DNA", "actin": "tubulin", "DNA2": "DNA",
                "tubulin2": "tubulin",
            },
        },
        SIX_SHIFTS,
        np.uint8,
    ),
}  # fmt: skip


def picture(rng, shifts, kind):
    """Stains of one tile; tubulin takes half of DNA's light, so that it can be measured on it."""
    scene = draw_scene(rng, SIZE, 35)
    scene["tubulin"] = scene["tubulin"] / 2 + scene["DNA"]
    scene |= {"DNA2": scene["DNA"], "tubulin2": scene["tubulin"]}
    counts = {}
    for name, light in SIX.items():
        stain = name.removesuffix("2")
        shift = {stain: shifts[name]} if name in shifts else {}
        tile = record(rng, {stain: scene[name]}, shift, 0.005, light)[stain]
        counts[name] = (tile // 20).clip(max=255).astype(kind) if kind == np.uint8 else tile
    assert set(STAINS) < set(counts)
    return counts


@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen_runs_by_configuration_alone(screen, tmp_path):
    groups, chain, shifts, kind = SCREENS[screen]
    rng, files = np.random.default_rng(0), []
    for tile in range(N_TILES):
        stains = picture(rng, shifts, kind)
        for group, names in groups.items():
            image = np.stack([stains[name] for name in names])
            path, axes = tmp_path / f"{group}_{tile}.tif", "CYX" if len(names) > 1 else "YX"
            tifffile.imwrite(path, image.squeeze(), imagej=True, metadata={"axes": axes})
            files.append((path.name, path.as_uri(), path.stat().st_size, "P", "A1", tile, group))
    columns = ["path", "address", "size_bytes", "plate", "well", "tile", "group"]
    pd.DataFrame(files, columns=columns).to_parquet(tmp_path / "files.parquet")
    cells = pd.DataFrame(rng.uniform(40, SIZE - 40, (40, 2)), columns=["y_px", "x_px"])
    cells["tile"], cells["is_ntc"] = np.arange(40) % N_TILES, np.arange(40) % 5 == 0
    cells["cell_id"] = [f"c{k}" for k in range(40)]
    cells["plate"], cells["well"] = "P", "A1"
    cells.to_parquet(tmp_path / "cells.parquet", index=False)
    channels = [
        {"name": name, "stain": "", "group": group, "index": k, "colour": ""}
        for group, names in groups.items()
        for k, name in enumerate(names)
    ]
    settings = {
        "files": str(tmp_path / "files.parquet"),
        "screen": {
            "channels": channels,
            "tiles": f"0-{N_TILES - 1}",
            "tile_size_px": SIZE,
            "z_planes": 1,
            "axes": None,
            "counts": {"scale": 1, "offset": 0},
            "cut_px": None,
            "projection": "max",
        },
        "alignment": ALIGNMENT | chain,
        "archive": ARCHIVE,
        "plate": "P",
        "cache": str(tmp_path / "cache"),
    }
    out = {
        name: str(tmp_path / f"{name}.parquet")
        for name in ("consensus", "checks", "overlay", "ntc_index", "perturbed_index")
    }
    out |= {name: str(tmp_path / f"{name}.parquet") for name in ("alignment_table", "dropped")}
    out["ntc_index"], out["perturbed_index"] = (
        str(tmp_path / f"{arm}.parquet") for arm in ("ntc", "perturbed")
    )
    plate_shifts(
        consensus=out["consensus"], checks=out["checks"], overlay=out["overlay"], **settings
    )
    crop_chunk(
        cells=str(tmp_path / "cells.parquet"),
        consensus=out["consensus"],
        illumination=None,
        crop=CROP,
        well="A1",
        chunk="000",
        ntc=str(tmp_path / "ntc.npy"),
        perturbed=str(tmp_path / "perturbed.npy"),
        **{
            name: out[name]
            for name in ("ntc_index", "perturbed_index", "alignment_table", "dropped")
        },
        **settings,
    )
    shards = [open_shard(tmp_path / f"{arm}.npy", verify=True) for arm in ("ntc", "perturbed")]
    assert [len(shard.crops) for shard in shards] == [8, 32]
    assert shards[0].crops.shape[1:] == (len(channels), CROP_PX, CROP_PX)
    assert shards[0].channels == tuple(channel["name"] for channel in channels)
    found = pd.read_parquet(out["alignment_table"])
    assert found["passed"].all()
    planted = np.array([shifts.get(name, (0, 0)) for name in found["channel"]])
    error_px = np.hypot(*(found[["dy_px", "dx_px"]].to_numpy() - planted).T)
    assert error_px.max() < 0.7
