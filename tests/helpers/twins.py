"""Twins of public screens: small, in the layout, format and codec of each, and with its defect.

The first pixels of every image say its plate, well, tile and channel, and every cell has counts of
its own: a wrong file, channel, axis or place shows at once. Written with the libraries of others.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
import zarr
from ome_zarr.format import FormatV04, FormatV05
from ome_zarr.writer import write_image, write_plate_metadata, write_well_metadata
from scipy.ndimage import gaussian_filter

from mcvae_ops.workflow.configuration import read_yaml
from tests.conftest import ROOT

CROP_PX, PITCH_PX, MARGIN_PX, N_CELLS = 24, 24, 12, 10
UUID = "CE6A8B2E-9C50-4D1A-B0F1-0123456789AB"


@dataclass
class Twin:
    """A screen on disk, how it is configured, and what must come of it.

    Attributes
    ----------
    screen
        Section of the configuration, as a user writes it.
    root
        Value of ``archive.root``; ``{address}`` is that of a server of the folder above the twin.
    truth
        Counts uint16 (channel, y, x) of each (plate, well, tile).
    cells
        plate, well, tile, y_px, x_px of each cell, in the frame of its image.
    left_out
        Files that are no images of the screen, by kind.
    lost
        Tiles that are broken or absent, by (plate, well, tile).
    """

    screen: dict
    root: str
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
                level = 60 + 15 * k + 3 * c if top > 255 else 20 + 9 * k + c
                counts[c, y - 4 : y + 5, x - 3 : x + 4] = level * (10 if top > 255 else 1)
                counts[c, y, x] += plate + 2 * well + 3 * key[2]
            self.cells.append((*key, float(y), float(x)))
        self.truth[key] = counts
        return counts

    def cells_table(self) -> pd.DataFrame:
        """Return the cells as the pipeline's own table has them."""
        table = pd.DataFrame(self.cells, columns=["plate", "well", "tile", "y_px", "x_px"])
        table.insert(0, "cell_id", [f"cell{k}" for k in range(len(table))])
        table["guide"] = np.where(np.arange(len(table)) % 3 == 0, "nt", "g")
        table["is_ntc"] = table["guide"] == "nt"
        return table.astype({"tile": "int32", "y_px": "float32", "x_px": "float32"})


def write_tiff(path: Path, image: np.ndarray, axes: str, **options) -> None:
    """Write a TIFF and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, image, photometric="minisblack", metadata={"axes": axes}, **options)


def channels(*names: str, **files: str) -> list[dict]:
    """Return channels; `files` are the groups of those that are called otherwise in paths."""
    return [{"name": name} | ({"group": files[name]} if name in files else {}) for name in names]


def wells_of(screen: dict, spelling: Callable[[str], str] = str) -> Iterator[tuple]:
    """Yield (number of the plate, plate, number of the well, well, its spelling in paths)."""
    for p, (plate, wells) in enumerate(screen["plates"].items(), 1):
        for w, well in enumerate(wells, 1):
            yield p, plate, w, well, spelling(well)


def funk2022(folder: Path) -> Twin:
    """ImageJ TIFF, four focal planes, two channels in one file, one truncated file; BioStudies."""
    pattern = "screenA/{plate}/input/20X_DAPI-GFP-A594-AF750_{well}_{channel}_Site-{tile}.tif"
    screen = {
        "plates": {"20200202_6W-LaC024A": ["A1", "B3"]}, "tiles": "0-3", "tile_size_px": 96,
        "z_planes": 4, "images": pattern,
        "channels": [{"name": "A594"}, {"name": "AF750"},
                     {"name": "DAPI", "group": "DAPI-GFP", "index": 0},
                     {"name": "GFP", "group": "DAPI-GFP", "index": 1}],
    }  # fmt: skip
    twin = Twin(screen, "biostudies:{folder}/study.json")
    places = {"A594": [0], "AF750": [1], "DAPI-GFP": [2, 3]}
    for p, plate, w, well, name in wells_of(screen):
        for tile in range(4):
            counts = twin.image(p, w, (plate, well, tile), 4, (96, 96))
            planes = np.stack([counts // 2, counts, counts // 3, counts // 4])
            for file, at in places.items():
                path = folder / "Files" / pattern.format(
                    plate=plate, well=name, channel=file, tile=tile
                )  # fmt: skip
                axes = "ZCYX" if len(at) > 1 else "ZYX"
                write_tiff(path, planes[:, at].squeeze(), axes, imagej=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    twin.lost = {(plate, "B3", 3)}
    entries = [{"path": file.relative_to(folder / "Files").as_posix(), "size": file.stat().st_size}
               for file in (folder / "Files").rglob("*.tif")]  # fmt: skip
    (folder / "Files/list.json").write_text(json.dumps(entries))
    lists = {"attributes": [{"name": "File List", "value": "list.json"}]}
    (folder / "study.json").write_text(json.dumps({"accno": "S", "section": lists}))
    return twin


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


def aconcagua(folder: Path) -> Twin:
    """Zarr 3, NGFF 0.5, two plates; the channels of the file are in another order; a bucket."""
    screen = {
        "plates": {"1": ["A1", "A2"], "2": ["A1", "A2"]}, "tiles": "0-1", "tile_size_px": 96,
        "images": "aconcagua_{plate}.zarr",
        "channels": channels("DAPI", "TUBULIN", "GH2AX", "PHALLOIDIN"),
    }  # fmt: skip
    twin = Twin(screen, "s3://aconcagua")
    names = [channel["name"] for channel in screen["channels"]]
    for p in range(2):
        write_plate(folder / f"aconcagua_{p + 1}.zarr", twin, 1, FormatV05(), p, names[::-1])
    twin.truth = {key: counts[::-1] for key, counts in twin.truth.items()}
    return twin


def idr(folder: Path) -> Twin:
    """Zarr 2, NGFF 0.4, three focal planes, rectangular tiles; https, without a listing."""
    screen = {
        "plates": {"JL_120731_S6A": ["A1", "A2", "A3"]}, "tiles": "0-5", "z_planes": 3,
        "tile_size_px": [96, 128], "images": "{address}/idr/2551.zarr",
        "channels": channels("GFP", "Cascade blue"),
    }  # fmt: skip
    twin = Twin(screen, "")
    write_plate(folder / "2551.zarr", twin, 3, FormatV04(), 0, ["GFP", "Cascade blue"])
    group = zarr.open_group(folder / "2551.zarr", mode="r+")
    plate = dict(group.attrs["plate"])
    plate["columns"].append({"name": "4"})
    plate["wells"].append({"path": "A/4", "rowIndex": 0, "columnIndex": 3})
    group.attrs["plate"] = plate
    write_well_metadata(group.require_group("A/4"), [], fmt=FormatV04())
    twin.left_out = {"another well": 1}
    return twin


def ready(name: str, folder: Path, **smaller) -> tuple[Twin, Path]:
    """Return the twin of a configuration that is ready, made smaller, and where its root lies."""
    config = read_yaml(ROOT / f"config/{name}.yaml")
    root = config["archive"]["root"]
    bucket = root.removeprefix("s3://")
    return (
        Twin(config["screen"] | smaller, "{folder}" if bucket == root else root),
        folder if bucket == root else folder.parent / bucket,
    )


def periscope(folder: Path) -> Twin:
    """TIFF deflate, one file per channel, more than a page of keys, other cycles beside them."""
    twin, root = ready("periscope", folder, tiles="1-4", tile_size_px=96)
    screen = twin.screen
    base = root / "images/20200805_A549_WG_Screen/images_corrected_cropped/CP186A_Well1"
    for tile in range(1, 5):
        counts = twin.image(1, 1, ("CP186A", "Well1", tile), 5, (96, 96))
        for c, channel in enumerate(screen["channels"]):
            path = base / f"Corr{channel['name']}/Corr{channel['name']}_Site_{tile}.tiff"
            write_tiff(path, counts[c], "YX", compression="zlib")
        for cycle in range(300):
            (base / f"Cycle{cycle:03d}_A").mkdir(exist_ok=True)
            (base / f"Cycle{cycle:03d}_A/Site_{tile}.tiff").write_bytes(b"")
    twin.left_out = {"path does not match": 1200}
    return twin


def jump(folder: Path) -> Twin:
    """Phenix: LZW, rows and columns as numbers, a time stamp, three channels that nobody uses."""
    plate = "BR00117006"
    twin, root = ready("jump", folder, plates={plate: "A01-B06"}, tiles="1-2", tile_size_px=96)
    images = root / "images/2020_11_04_CPJUMP1/images"
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
    return twin


def bbbc021(folder: Path) -> Twin:
    """ImageXpress: plate as folder, a date that looks like a well, UUID, Thumbs.db; a folder."""
    plates = {plate: ["B02", "C05"] for plate in ("Week1_22123", "Week1_22141")}
    twin, _ = ready("bbbc021", folder, plates=plates, tile_size_px=[96, 128])
    screen = twin.screen
    for p, plate, w, well, name in wells_of(screen):
        for tile in range(1, 5):
            counts = twin.image(p, w, (plate, well, tile), 3, (96, 128))
            for c, file in enumerate("124"):
                path = folder / plate / f"Week1_150607_{name}_s{tile}_w{file}{UUID}.tif"
                write_tiff(path, counts[c], "YX")
        (folder / plate / "Thumbs.db").write_bytes(b"x")
    twin.left_out = {"path does not match": 2}
    return twin


def nf1(folder: Path) -> Twin:
    """File names of the real NF1 plate, deflate, wells that lack sites; a folder."""
    plates = {"Plate_2": ["B7", "D6", "H12"]}
    twin, _ = ready("nf1", folder, plates=plates, tile_size_px=[96, 128])
    screen = twin.screen
    for p, plate, w, well, name in wells_of(screen):
        for tile in (1, 2) if well == "H12" else (1, 2, 3, 4):
            counts = twin.image(p, w, (plate, well, tile), 3, (96, 128))
            for c, file in enumerate(("DAPI", "GFP", "RFP")):
                path = folder / f"images/{name}_01_{c + 1}_{tile}_{file}_001.tif"
                write_tiff(path, counts[c], "YX", compression="zlib")
    twin.cells += [("Plate_2", "H12", tile, 40.0, 40.0) for tile in (3, 4)]
    twin.lost = {("Plate_2", "H12", 3), ("Plate_2", "H12", 4)}
    return twin


def plain(folder: Path) -> Twin:
    """One folder of 8-bit TIFFs, a suffix in capitals, a well in small letters; a folder."""
    screen = {
        "plates": {"plate1": "A1-B3"}, "tiles": "1-2", "tile_size_px": [96, 128],
        "images": "{well}_{tile}_{channel}.tif", "channels": channels("dna", "actin"),
    }  # fmt: skip
    twin = Twin(screen, "{folder}")
    for w in range(6):
        well = f"{'AB'[w // 3]}{w % 3 + 1}"
        for tile in (1, 2):
            counts = twin.image(1, w + 1, ("plate1", well, tile), 2, (96, 128), top=255)
            for c, file in enumerate(("dna", "actin")):
                name = "a01" if well == "A1" else well
                suffix = "TIF" if (well, tile, file) == ("B3", 2, "actin") else "tif"
                write_tiff(folder / f"{name}_{tile}_{file}.{suffix}", counts[c].astype("u1"), "YX")
    return twin


def leonetti(folder: Path) -> Twin:
    """A stitched float32 image per well, sharded; cells on both sides of a cut; a bucket."""
    wells, shape, scale, offset = ["A1", "A2", "A3"], (320, 360), 1000, 5000
    screen = {
        "plates": {"Biohub_OPS0001": wells}, "tile_size_px": list(shape), "cut_px": 128,
        "counts": {"scale": scale, "offset": offset}, "images": "{plate}.zarr",
        "channels": [{"name": "phase", "index": 0}, {"name": "marker", "index": 1}],
    }  # fmt: skip
    twin, fmt = Twin(screen, "s3://leonetti"), FormatV05()
    group = zarr.open_group(folder / "Biohub_OPS0001.zarr", mode="w", zarr_format=3)
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
    return twin


TWINS = {twin.__name__: twin for twin in (funk2022, aconcagua, periscope, jump, bbbc021, nf1, idr,
                                          plain, leonetti)}  # fmt: skip


def write_twin(name: str, folder: Path) -> Twin:
    """Write a twin of a public screen into a new folder that bears its name."""
    place = folder / name
    place.mkdir()
    return TWINS[name](place)
