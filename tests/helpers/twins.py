"""Twins of public screens: small, in the layout, format and codec of each, and with its defect.

A twin is entered by the configuration of its screen, laid over by its sizes. The first pixels of
every image say its plate, well, tile and channel, and every cell has counts of its own: a wrong
file, channel, axis or place shows at once. Written with the libraries of others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tifffile
import zarr
from ome_zarr.format import FormatV04, FormatV05
from ome_zarr.writer import write_image, write_plate_metadata, write_well_metadata
from scipy.ndimage import gaussian_filter
from snakemake.utils import update_config

from mcvae_ops.workflow.configuration import read_yaml
from tests.conftest import ROOT

CROP_PX, PITCH_PX, MARGIN_PX, N_CELLS = 24, 24, 12, 10
UUID = "CE6A8B2E-9C50-4D1A-B0F1-0123456789AB"
FUNK_PLATE, FUNK_SHIFTS = "20200202_6W-LaC024A", {"A594": (3, -5), "AF750": (-4, 2)}

# How a twin differs from its screen: plates, tiles, sizes, no clipping, more failed tiles allowed.
# Shifts are whole pixels.
SMALLER = {
    "funk2022": {
        "screen": {
            "plates": {FUNK_PLATE: ["A1", "B3"]}
            | dict.fromkeys(("20200202_6W-LaC024D", "20200202_6W-LaC024E", "20200202_6W-LaC024F",
                             "20200206_6W-LaC025A", "20200206_6W-LaC025B")),
            "tiles": "0-3", "tile_size_px": 96,
            "well_grid": {"column_heights": [2, 2], "centre_tiles": 1, "published_centre_tiles": 1},
        },
        "alignment": {"binning": 1, "upsample_factor": 1, "consensus_tiles": 4},
    },
    "aconcagua": {
        "screen": {"plates": {"1": ["A1", "A2"], "2": ["A1", "A2"]}
                   | dict.fromkeys("345678"), "tiles": "0-1", "tile_size_px": 96},
    },
    "periscope": {"screen": {"tiles": "1-4", "tile_size_px": 96}},
    "jump": {"screen": {"plates": {"BR00117006": "A01-B06"}, "tiles": "1-2", "tile_size_px": 96}},
    "bbbc021": {
        "screen": {"plates": {"Week1_22123": ["B02", "C05"], "Week1_22141": ["B02", "C05"]},
                   "tile_size_px": [96, 128]},
        "cells": {"segment": {"diameter_px": 9}},
    },
    "nf1": {"screen": {"plates": {"Plate_2": ["B7", "D6", "H12"]}, "tile_size_px": [96, 128]}},
    "cp_posh": {"screen": {"plates": {"P1": ["A1", "A2", "B1"]}}},
    "idr": {
        "screen": {"plates": {"JL_120731_S6A": ["A1", "A2", "A3"]}, "z_planes": 3,
                   "tile_size_px": [96, 128]},
        "cells": {"segment": {"diameter_um": 0.97}},
    },
    "plain": {
        "screen": {"plates": {"plate1": "A1-B3"}, "tile_size_px": [96, 128]},
        "cells": {"segment": {"diameter_px": 9}},
    },
    "leonetti": {"screen": {"tile_size_px": [320, 360], "cut_px": 128}},
}  # fmt: skip


def described(name: str) -> dict:
    """Return the configuration of a screen, with the sizes of its twin laid over it."""
    ready = ROOT / f"config/{name}.yaml"
    config = read_yaml(
        ready if ready.exists() else ROOT / f"tests/screens/configurations/{name}.yaml"
    )
    crop = {"size_px": CROP_PX, "clip_fraction": 0.0, "max_failed_fraction": 0.6}
    for layer in (SMALLER[name], {"crop": crop}):
        update_config(config, layer)
    config["screen"]["plates"] = {
        plate: wells for plate, wells in config["screen"]["plates"].items() if wells is not None
    }
    return config


@dataclass
class Twin:
    """A screen on disk, and what must come of it.

    Attributes
    ----------
    screen
        Section of the configuration.
    root
        Folder in which ``archive.root`` lies.
    truth
        Counts uint16 (channel, y, x) of each (plate, well, tile), or of each given crop.
    cells
        plate, well, tile, y_px, x_px of each cell, in the frame of its image; or plate, well, tile
        and crop.
    left_out
        Files that are no images of the screen, by kind.
    lost
        Tiles that are broken or absent, by (plate, well, tile).
    """

    screen: dict
    root: Path
    truth: dict[tuple, np.ndarray] = field(default_factory=dict)
    cells: list[tuple] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    lost: set[tuple] = field(default_factory=set)

    def image(self, plate: int, well: int, key: tuple, n_channels: int, shape, top=40_000):
        """Draw the counts of a tile, and note its cells; `key` is (plate, well, tile)."""
        step = (shape[1] - 2 * MARGIN_PX) // PITCH_PX + 1
        counts = np.empty((n_channels, *shape), np.uint16)
        for c in range(n_channels):
            counts[c] = 100 + 50 * c if top > 255 else 10 + 5 * c
            counts[c, 0, :4] = plate, well, key[2], c
        for k in range(N_CELLS):
            y, x = MARGIN_PX + k // step * PITCH_PX, MARGIN_PX + k % step * PITCH_PX
            for c in range(n_channels):
                level = 120 + 9 * k + 3 * c if top > 255 else 60 + 9 * k + c
                counts[c, y - 4 : y + 5, x - 3 : x + 4] = level * (10 if top > 255 else 1)
                counts[c, y, x] += plate + 2 * well + 3 * key[2]
            self.cells.append((*key, float(y), float(x)))
        self.truth[key] = counts
        return counts


def write_tiff(path: Path, image: np.ndarray, axes: str, **options) -> None:
    """Write a TIFF and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, image, photometric="minisblack", metadata={"axes": axes}, **options)


def wells_of(screen: dict, spelling: Callable[[str], str] = str) -> Iterator[tuple]:
    """Yield (number of the plate, plate, number of the well, well, its spelling in paths)."""
    for p, (plate, wells) in enumerate(screen["plates"].items(), 1):
        for w, well in enumerate(wells, 1):
            yield p, plate, w, well, spelling(well)


def funk2022(twin: Twin) -> None:
    """ImageJ TIFF, four focal planes, two channels in one file, shifts, one truncated file."""
    places = {"A594": [0], "AF750": [1], "DAPI-GFP": [2, 3]}
    for p, plate, w, well, name in wells_of(twin.screen):
        for tile in range(4):
            counts = twin.image(p, w, (plate, well, tile), 4, (96, 96))
            # A texture that the stains share: by few squares alone no shift would be believed.
            noise = np.random.default_rng([w, tile]).normal(0, 4000, (96, 96))
            texture = 1000 + gaussian_filter(noise, 2, mode="wrap")
            counts[:, 1:] += np.clip(texture, 0, 2000).astype(np.uint16)[1:]
            planes = np.stack([counts // 2, counts, counts // 3, counts // 4])
            for file, at in places.items():
                path = twin.root / "Files" / twin.screen["images"].format(
                    plate=plate, well=name, channel=file, tile=tile
                )  # fmt: skip
                axes = "ZCYX" if len(at) > 1 else "ZYX"
                away = np.negative(FUNK_SHIFTS.get(file, (0, 0)))
                recorded = np.roll(planes[:, at], away, axis=(2, 3))
                write_tiff(path, recorded.squeeze(), axes, imagej=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    twin.lost = {(plate, "B3", 3)}


def write_plate(path: Path, twin: Twin, n_z: int, fmt, p: int, names: list[str]) -> None:
    """Write a plate of OME-Zarr with the metadata of HCS and the names of the channels."""
    (plate, wells), shape = list(twin.screen["plates"].items())[p], twin.screen["tile_size_px"]
    shape = (shape, shape) if isinstance(shape, int) else tuple(shape)
    group = zarr.open_group(path, mode="w", zarr_format=fmt.zarr_format)
    rows, columns = sorted({w[0] for w in wells}), sorted({w[1:] for w in wells}, key=int)
    write_plate_metadata(group, rows, columns, [f"{w[0]}/{w[1:]}" for w in wells], fmt=fmt)
    omero = {"channels": [{"label": name, "color": "ffffff"} for name in names]}
    for w, well in enumerate(wells, 1):
        in_well = group.require_group(f"{well[0]}/{well[1:]}")
        write_well_metadata(in_well, ["0", "1"], fmt=fmt)
        for tile in (0, 1):
            counts = twin.image(p + 1, w, (plate, well, tile), len(names), shape)
            planes = np.stack([counts // (2 + z) for z in range(n_z - 1)] + [counts], axis=1)
            in_file = {"metadata": {"omero": omero}} if fmt.version == "0.4" else {}
            target = in_well.require_group(str(tile))
            write_image(planes[None], target, axes="tczyx", fmt=fmt, scaler=None, **in_file)
            image = in_well[str(tile)]
            if fmt.version != "0.4":
                image.attrs["ome"] = image.attrs["ome"] | {"omero": omero}


def aconcagua(twin: Twin) -> None:
    """Zarr 3, NGFF 0.5, two plates; the channels of the file are in another order; a bucket."""
    names = [channel["name"] for channel in twin.screen["channels"]]
    for p in range(2):
        path = twin.root / f"aconcagua_{p + 1}.zarr"
        write_plate(path, twin, 1, FormatV05(), p, names[::-1])
    twin.truth = {key: counts[::-1] for key, counts in twin.truth.items()}


def idr(twin: Twin) -> None:
    """Zarr 2, NGFF 0.4, three focal planes, rectangular tiles; https, without a listing."""
    path = twin.root / "2551.zarr"
    write_plate(path, twin, 3, FormatV04(), 0, ["GFP", "Cascade blue"])
    group = zarr.open_group(path, mode="r+")
    plate = dict(group.attrs["plate"])
    plate["columns"].append({"name": "4"})
    plate["wells"].append({"path": "A/4", "rowIndex": 0, "columnIndex": 3})
    group.attrs["plate"] = plate
    write_well_metadata(group.require_group("A/4"), [], fmt=FormatV04())
    twin.left_out = {"another well": 1}


def cp_posh(twin: Twin) -> None:
    """Crops of cells as arrays, of which one is missing; a bucket."""
    folder = "single_cell_tile_images/moa_300/crops"
    (twin.root / folder).mkdir(parents=True)
    for p, plate, w, well, name in wells_of(twin.screen):
        for k in range(40):
            crop = f"{folder}/{plate}_{name}_7_{k}.npy"
            counts = np.random.default_rng([p, w, k]).integers(0, 4000, (5, 32, 32), np.uint16)
            twin.cells.append((plate, well, 0, crop))
            twin.truth[plate, well, 0, crop] = counts
            np.save(twin.root / crop, counts)
    lost = ("P1", "B1", 0, f"{folder}/P1_B1_7_7.npy")
    (twin.root / lost[3]).unlink()
    twin.lost = {lost}


def periscope(twin: Twin) -> None:
    """TIFF deflate, one file per channel, more than a page of keys, other cycles beside them."""
    base = twin.root / "images/20200805_A549_WG_Screen/images_corrected_cropped/CP186A_Well1"
    for tile in range(1, 5):
        counts = twin.image(1, 1, ("CP186A", "Well1", tile), 5, (96, 96))
        for c, channel in enumerate(twin.screen["channels"]):
            path = base / f"Corr{channel['name']}/Corr{channel['name']}_Site_{tile}.tiff"
            write_tiff(path, counts[c], "YX", compression="zlib")
        for cycle in range(300):
            (base / f"Cycle{cycle:03d}_A").mkdir(exist_ok=True)
            (base / f"Cycle{cycle:03d}_A/Site_{tile}.tiff").write_bytes(b"")
    twin.left_out = {"path does not match": 1200}


def jump(twin: Twin) -> None:
    """Phenix: LZW, rows and columns as numbers, a time stamp, three channels that nobody uses."""
    plate = "BR00117006"
    images = twin.root / "images/2020_11_04_CPJUMP1/images"
    images /= f"{plate}__2020-11-02T19_54_45-Measurement1/Images"
    for w in range(12):
        row, column = divmod(w, 6)
        well = f"{'AB'[row]}{column + 1:02d}"
        for tile in (1, 2):
            counts = twin.image(1, w + 1, (plate, well, tile), 5, (96, 96))
            for channel in range(1, 9):
                name = f"r{row + 1:02d}c{column + 1:02d}f{tile:02d}p01-ch{channel}sk1fk1fl1.tiff"
                pixels = counts[5 - channel] if channel <= 5 else counts[0] + 7
                write_tiff(images / name, pixels, "YX", compression="lzw")
    twin.left_out = {"another channel": 3 * 2 * 12}


def bbbc021(twin: Twin) -> None:
    """ImageXpress: plate as folder, a date that looks like a well, UUID, Thumbs.db; a folder."""
    for p, plate, w, well, name in wells_of(twin.screen):
        for tile in range(1, 5):
            counts = twin.image(p, w, (plate, well, tile), 3, (96, 128))
            for c, file in enumerate("124"):
                path = twin.root / plate / f"Week1_150607_{name}_s{tile}_w{file}{UUID}.tif"
                write_tiff(path, counts[c], "YX")
        (twin.root / plate / "Thumbs.db").write_bytes(b"x")
    twin.left_out = {"path does not match": 2}


def nf1(twin: Twin) -> None:
    """File names of the real NF1 plate, deflate, wells that lack sites; a folder."""
    for p, plate, w, well, name in wells_of(twin.screen):
        for tile in (1, 2) if well == "H12" else (1, 2, 3, 4):
            counts = twin.image(p, w, (plate, well, tile), 3, (96, 128))
            for c, file in enumerate(("DAPI", "GFP", "RFP")):
                path = twin.root / f"images/{name}_01_{c + 1}_{tile}_{file}_001.tif"
                write_tiff(path, counts[c], "YX", compression="zlib")


def plain(twin: Twin) -> None:
    """One folder of 8-bit TIFFs, a suffix in capitals, a well in small letters; a folder."""
    for w in range(6):
        well = f"{'AB'[w // 3]}{w % 3 + 1}"
        for tile in (1, 2):
            counts = twin.image(1, w + 1, ("plate1", well, tile), 2, (96, 128), top=255)
            for c, file in enumerate(("dna", "actin")):
                name = "a01" if well == "A1" else well
                suffix = "TIF" if (well, tile, file) == ("B3", 2, "actin") else "tif"
                path = twin.root / f"{name}_{tile}_{file}.{suffix}"
                write_tiff(path, counts[c].astype("u1"), "YX")


def leonetti(twin: Twin) -> None:
    """A stitched float32 image per well, sharded; cells on both sides of a cut; a bucket."""
    wells, shape, fmt = ["A1", "A2", "A3"], (320, 360), FormatV05()
    scale, offset = twin.screen["counts"].values()
    group = zarr.open_group(twin.root / "Biohub_OPS0001.zarr", mode="w", zarr_format=3)
    write_plate_metadata(group, ["A"], ["1", "2", "3"], ["A/1", "A/2", "A/3"], fmt=fmt)
    rng = np.random.default_rng(0)
    for well in wells:
        smooth = gaussian_filter(rng.normal(0, 12, (1, 2, 1, *shape)), (0, 0, 0, 2, 2))
        values = np.clip(smooth, -4, 4).astype(np.float32)
        counts = np.rint(values[0, :, 0] * np.float32(scale) + np.float32(offset))
        in_well = group.require_group(f"A/{well[1:]}")
        write_well_metadata(in_well, ["0"], fmt=fmt)
        image = in_well.require_group("0")
        blocks = {"chunks": (1, 1, 1, 64, 64), "shards": (1, 1, 1, 256, 256)}
        array = image.create_array("0", shape=values.shape, dtype="float32", **blocks)
        array[:] = values
        level = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1] * 5}]}
        axes = [{"name": name} for name in "tczyx"]
        scales = [{"axes": axes, "datasets": [level]}]
        image.attrs["ome"] = {"version": "0.5", "multiscales": scales}
        for y, x in [(40, 40), (128, 200), (127, 126), (300, 340), (200, 256), (60, 130)]:
            tile = y // 128 * 3 + x // 128
            twin.cells.append(("Biohub_OPS0001", well, tile, float(y), float(x)))
            twin.truth["Biohub_OPS0001", well, tile] = counts.astype(np.uint16)


TWINS = {twin.__name__: twin for twin in (funk2022, aconcagua, periscope, jump, bbbc021, nf1,
                                          cp_posh, idr, plain, leonetti)}  # fmt: skip


def write_twin(name: str, folder: Path) -> Twin:
    """Write a twin of a public screen into a folder that bears its name, or its bucket's."""
    config = described(name)
    bucket = config["archive"]["root"].removeprefix("s3://")
    root = folder / (name if bucket == config["archive"]["root"] else bucket)
    root.mkdir(parents=True)
    twin = Twin(config["screen"], root)
    TWINS[name](twin)
    return twin
