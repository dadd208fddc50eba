"""A full-size tile from files to crops on disk, against the obvious script of the same result."""

import multiprocessing
import os
import statistics
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.ndimage
import tifffile
import zarr
from ome_zarr.format import FormatV04, FormatV05
from ome_zarr.writer import write_image
from skimage.registration import phase_cross_correlation

from mcvae_ops.screen import Channel
from mcvae_ops.shards.format import write_shard
from mcvae_ops.tiles.chunk import crop_chunk
from mcvae_ops.tiles.crop import clip, crop_cells
from mcvae_ops.tiles.load import aligned_tile
from mcvae_ops.tiles.read import read_tile
from tests.helpers.tile_scenes import PAD_PX, draw_scene, record

SIZE, PLANES, N_CELLS, CROP, ROUNDS, N_TILES = 2960, 4, 600, 100, 5, 12
SHIFTS = {"foci": (11.3, -7.6), "actin": (-14.2, 18.9)}
GROUPS = {"near": ["DNA", "tubulin"], "red": ["foci"], "far": ["actin"]}
SCREEN = {
    "tile_size_px": SIZE,
    "z_planes": PLANES,
    "axes": None,
    "counts": {"scale": 1, "offset": 0},
    "cut_px": None,
    "projection": "max",
    "channels": [
        {"name": "foci", "stain": "", "group": "red", "index": 0, "colour": ""},
        {"name": "actin", "stain": "", "group": "far", "index": 0, "colour": ""},
        {"name": "DNA", "stain": "", "group": "near", "index": 0, "colour": ""},
        {"name": "tubulin", "stain": "", "group": "near", "index": 1, "colour": ""},
    ],
}
ALIGNMENT = {
    "reference": "DNA",
    "in_register": [],
    "measure": {"foci": "DNA", "actin": "tubulin"},
    "method": "bandpass",
    "binning": 4,
    "upsample_factor": 40,
    "window_fraction": 1.0,
    "max_shift_px": 40,
    "min_confidence": 0.5,
    "quality": {"max_saturated_fraction": 0.02, "max_range_ratio": 8.0, "min_focus_ratio": 0.5},
}
ARCHIVE = {"streams": 1, "retries": 0, "timeout_s": 5, "keep_raw": False}
CHUNK = {
    "size_px": CROP,
    "clip_fraction": 0.001,
    "illumination": None,
    "tiles_per_chunk": N_TILES,
    "max_failed_fraction": 0.0,
}
NAMES = [channel["name"] for channel in SCREEN["channels"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three ImageJ files; the cells are those of a quarter-size scene, magnified."""
    folder, rng = tmp_path_factory.mktemp("tile"), np.random.default_rng(0)
    inner = np.s_[PAD_PX:-PAD_PX, PAD_PX:-PAD_PX]
    scene = {
        stain: np.pad(scipy.ndimage.zoom(image[inner], 4, order=1), PAD_PX, mode="reflect")
        for stain, image in draw_scene(rng, SIZE // 4, 120).items()
    }
    tile = record(rng, scene, SHIFTS, 0.005)
    for group, stains in GROUPS.items():
        sharp = np.stack([tile[stain] for stain in stains]).squeeze()
        planes = np.stack([sharp // 2, sharp, sharp // 3 * 2, sharp // 4])
        axes = "ZCYX" if len(stains) > 1 else "ZYX"
        tifffile.imwrite(folder / f"{group}.tif", planes, imagej=True, metadata={"axes": axes})
    return folder


def centres() -> np.ndarray:
    return np.random.default_rng(1).uniform(0, SIZE, (N_CELLS, 2))


def ours(folder: Path) -> np.ndarray:
    paths = {group: folder / f"{group}.tif" for group in GROUPS}
    plate = pd.DataFrame(columns=["channel", "dy_px", "dx_px", "range_counts", "focus"])
    aligned = aligned_tile(paths, SCREEN, ALIGNMENT, plate)
    image = clip(aligned.image, 0.001)
    cut = crop_cells(image, aligned.shifts.px, centres(), CROP)
    rows = pd.DataFrame({"cell": np.flatnonzero(cut.is_inside)})
    write_shard(cut.images, np.arange(len(rows)), rows, NAMES, folder / "ours.npy")
    return cut.images


def script(folder: Path) -> np.ndarray:
    near, red, far = (tifffile.imread(folder / f"{g}.tif").max(axis=0) for g in GROUPS)
    tile = np.stack([red, far, near[0], near[1]]).astype(np.float64)
    foci, *_ = phase_cross_correlation(tile[2], tile[0], upsample_factor=10, normalization=None)
    actin, *_ = phase_cross_correlation(tile[3], tile[1], upsample_factor=10, normalization=None)
    for k in range(4):
        tile[k] = np.clip(tile[k], *np.percentile(tile[k], [0.1, 99.9]))
    for k, shift in ((0, foci), (1, actin)):
        tile[k] = scipy.ndimage.shift(tile[k], shift, order=1)
    crops = []
    for y, x in np.floor(centres() + 0.5).astype(int) - CROP // 2:
        if min(y, x) >= 25 and max(y, x) + CROP <= SIZE - 25:
            crops.append(tile[:, y : y + CROP, x : x + CROP])
    crops = np.rint(np.stack(crops)).astype(np.uint16)
    np.save(folder / "script.npy", crops)
    return crops


def plain(folder: Path) -> None:
    """Read the bytes of the files and write the bytes of the crops, as a disk would have it."""
    buffer = bytearray(1 << 24)
    for group in GROUPS:
        with open(folder / f"{group}.tif", "rb", buffering=0) as handle:
            while handle.readinto(buffer):
                pass
    with open(folder / "plain.bin", "wb") as handle:
        handle.write(bytes(N_CELLS * 4 * CROP * CROP * 2))
        handle.flush()
        os.fsync(handle.fileno())


def forget(folder: Path) -> None:
    """Drop the files from the page cache, so that the next reading is a cold one."""
    for path in folder.glob("*.tif"):
        with open(path, "rb") as handle:
            os.fsync(handle.fileno())
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def peak_bytes(work, folder: Path) -> int:
    """Peak memory of a process that does nothing else."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_bytes, (work, folder))


def _peak_bytes(work, folder: Path) -> int:
    work(folder)
    # Not getrusage: its maximum survives from the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def timed(work, folder: Path, cold: bool) -> float:
    for name in ("ours.npy", "script.npy", "plain.bin"):
        (folder / name).unlink(missing_ok=True)
    if cold:
        forget(folder)
    started_s = time.perf_counter()
    work(folder)
    return time.perf_counter() - started_s


def test_tile_stage(folder):
    works = (plain, ours, script)
    found = ours(folder)
    assert len(found) > 500 and len(script(folder)) > 500
    medians_s = {}
    for cold in (True, False):
        rounds_s = [[timed(work, folder, cold) for work in works] for _ in range(ROUNDS)]
        medians_s[cold] = [statistics.median(times) for times in zip(*rounds_s, strict=True)]
        read_s, ours_s, script_s = medians_s[cold]
        print(
            f"\n{'cold' if cold else 'warm'}: tile stage {ours_s * 1e3:.0f} ms, script "
            f"{script_s * 1e3:.0f} ms ({script_s / ours_s:.1f} x); plain reading and writing "
            f"{read_s * 1e3:.0f} ms, {read_s / ours_s:.0%} of the tile stage "
            f"(tile stage {ours_s / read_s:.1f} x)"
        )
    ours_bytes, script_bytes = (peak_bytes(work, folder) for work in (ours, script))
    print(
        f"peak memory: tile stage {ours_bytes / 1e6:.0f} MB, script {script_bytes / 1e6:.0f} MB "
        f"({script_bytes / ours_bytes:.1f} x)"
    )
    read_s, ours_s, script_s = medians_s[True]
    assert script_s >= 5 * ours_s and ours_s <= 3 * read_s
    assert script_bytes > 2 * ours_bytes


def crop_one_chunk(folder: Path, n_tiles: int) -> None:
    """Run the rule on some tiles, all of them the same three files."""
    rows = [
        (str(path.name), path.as_uri(), path.stat().st_size, "P", "A1", tile, path.stem)
        for tile in range(n_tiles)
        for path in (folder / f"{group}.tif" for group in GROUPS)
    ]
    columns = ["path", "address", "size_bytes", "plate", "well", "tile", "group"]
    pd.DataFrame(rows, columns=columns).to_parquet(folder / "files.parquet")
    cells = pd.DataFrame(np.tile(centres(), (n_tiles, 1)), columns=["y_px", "x_px"])
    cells = cells.assign(plate="P", well="A1", tile=np.repeat(np.arange(n_tiles), N_CELLS))
    cells["cell_id"] = [f"c{k}" for k in range(len(cells))]
    cells["is_ntc"] = np.arange(len(cells)) % 50 == 0
    cells.to_parquet(folder / "cells.parquet", index=False)
    consensus = pd.DataFrame(columns=["channel", "dy_px", "dx_px", "range_counts", "focus"])
    consensus.assign(well="").to_parquet(folder / "consensus.parquet")
    tables = ("files", "cells", "consensus", "ntc", "perturbed", "alignment", "dropped")
    parquet = {name: str(folder / f"{name}.parquet") for name in tables}
    crop_chunk(
        files=parquet["files"], cells=parquet["cells"], consensus=parquet["consensus"],
        illumination=None, screen=SCREEN | {"tiles": f"0-{n_tiles - 1}"}, alignment=ALIGNMENT,
        crop=CHUNK, archive=ARCHIVE, plate="P", well="A1", chunk="000",
        cache=str(folder / "cache"), ntc=str(folder / "ntc.npy"), ntc_index=parquet["ntc"],
        perturbed=str(folder / "perturbed.npy"), perturbed_index=parquet["perturbed"],
        alignment_table=parquet["alignment"], dropped=parquet["dropped"],
    )  # fmt: skip


def test_a_chunk_s_crops_do_not_sit_in_memory(folder):
    """What lies in mapped files the system can take back at any time; the rest it cannot."""
    peaks = {}
    for n_tiles in (3, N_TILES):
        child = multiprocessing.get_context("spawn").Process(
            target=crop_one_chunk, args=(folder, n_tiles)
        )
        child.start()
        peaks[n_tiles] = 0
        while child.is_alive():
            status = Path(f"/proc/{child.pid}/status").read_text()
            if "RssAnon:" in status:
                kilobytes = int(status.partition("RssAnon:")[2].split()[0])
                peaks[n_tiles] = max(peaks[n_tiles], kilobytes * 1024)
            time.sleep(0.01)
        assert child.exitcode == 0
    crops = (folder / "ntc.npy").stat().st_size + (folder / "perturbed.npy").stat().st_size
    print(f"\nchunk of {N_TILES} tiles, {crops / 1e6:.0f} MB of crops: memory "
          f"{peaks[N_TILES] / 1e6:.0f} MB; of 3 tiles {peaks[3] / 1e6:.0f} MB")  # fmt: skip
    assert peaks[N_TILES] < peaks[3] + 100e6


CONTAINERS = {
    "TIFF": {}, "TIFF, LZW": {"compression": "lzw"}, "TIFF, deflate": {"compression": "zlib"},
    "TIFF, ZSTD": {"compression": "zstd"},
}  # fmt: skip


def test_rates_of_codecs(tmp_path):
    """The two channels of one file of the paper (4 planes of 2960 px), read and projected."""
    rng = np.random.default_rng(0)
    smooth = scipy.ndimage.gaussian_filter(rng.normal(0, 6000, (2, SIZE, SIZE)), (0, 4, 4))
    sharp = rng.poisson(np.clip(800 + smooth, 100, 60_000)).astype(np.uint16)
    planes = np.stack([sharp // 2, sharp, sharp // 3 * 2, sharp // 4])
    paths = {}
    for name, options in CONTAINERS.items():
        paths[name] = tmp_path / f"{len(paths)}.tif"
        tifffile.imwrite(paths[name], planes, ome=True, metadata={"axes": "ZCYX"}, **options)
    for version, fmt in {"0.4, blosc": FormatV04(), "0.5, zstd": FormatV05()}.items():
        name = f"OME-Zarr {version}, chunks of 512 px"
        paths[name] = tmp_path / f"{len(paths)}.zarr"
        group = zarr.open_group(paths[name], mode="w", zarr_format=fmt.zarr_format)
        chunks = {"chunks": (1, 1, 512, 512)}
        image = planes.swapaxes(0, 1)
        write_image(image, group, axes="czyx", fmt=fmt, scaler=None, storage_options=chunks)
    channels = [Channel(name, "near", k) for k, name in enumerate(GROUPS["near"])]
    seconds = {name: [] for name in paths}
    for _ in range(3):
        for name, path in paths.items():
            begun = time.process_time()
            tile = read_tile({"near": path}, channels, PLANES, "max", SIZE, archive=ARCHIVE)
            seconds[name].append(time.process_time() - begun)
            np.testing.assert_array_equal(tile, sharp)
    plain = statistics.median(seconds["TIFF"])
    for name, taken in seconds.items():
        second = statistics.median(taken)
        print(f"{name}: {second:.2f} s of processor, {planes.nbytes / 1e6 / second:.0f} MB of "
              f"pixels per s, {second / plain:.1f} x", flush=True)  # fmt: skip
