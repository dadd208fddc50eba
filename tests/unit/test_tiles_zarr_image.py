"""OME-Zarr of every version gives the pixels of its array, window by window."""

import numpy as np
import pytest
import zarr
from ome_zarr.format import FormatV04, FormatV05
from ome_zarr.writer import write_image, write_plate_metadata, write_well_metadata

from mcvae_ops.archive.ngff import fields_of_plate
from mcvae_ops.archive.patterns import is_zarr
from mcvae_ops.archive.transfer import TransferError
from mcvae_ops.errors import InputError, TileError
from mcvae_ops.screen import Channel
from mcvae_ops.tiles.read import read_tile
from tests.helpers.object_server import serving

ARCHIVE = {"streams": 2, "retries": 0, "timeout_s": 5, "keep_raw": False}
SHAPE = (96, 128)
CHANNELS = [Channel("b", "g", 1), Channel("a", "g", 0)]
FORMATS = {"0.4": FormatV04(), "0.5": FormatV05()}


def counts(*shape):
    return np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16)


def read(address, shape=SHAPE, **options):
    options = {"z_planes": 1, "projection": "max"} | options
    return read_tile({"g": address}, CHANNELS, tile_size_px=shape, archive=ARCHIVE, **options)


def write_plate(path, fmt, image):
    """One plate of wells A/1 and B/12, with fields 0 and 3, and a well C/1 without any field."""
    plate = zarr.open_group(path, mode="w", zarr_format=fmt.zarr_format)
    write_plate_metadata(plate, ["A", "B", "C"], ["1", "12"], ["A/1", "B/12", "C/1"], fmt=fmt)
    for w, well in enumerate(["A/1", "B/12"]):
        group = plate.require_group(well)
        write_well_metadata(group, ["0", "3"], fmt=fmt)
        for f, field in enumerate(["0", "3"]):
            write_image(image[w, f], group.require_group(field), axes="tczyx", fmt=fmt, scaler=None)
    write_well_metadata(plate.require_group("C/1"), [], fmt=fmt)


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize("version", FORMATS)
def test_a_plate_of_wells_and_fields(tmp_path, version, remote):
    image = counts(2, 2, 1, 2, 3, *SHAPE)
    write_plate(tmp_path / "p 1.zarr", FORMATS[version], image)
    with serving(tmp_path) as objects:
        root = f"{objects.address}/p%201.zarr" if remote else str(tmp_path / "p 1.zarr")
        fields = list(fields_of_plate(root, ARCHIVE, lambda well: True))
        assert fields == [("A1", 0, "A/1/0"), ("A1", 3, "A/1/3"),
                          ("B12", 0, "B/12/0"), ("B12", 3, "B/12/3")]  # fmt: skip
        assert {well for well, _, _ in fields_of_plate(root, ARCHIVE, "B12".__eq__)} == {"B12"}
        for k, (_, _, path) in enumerate(fields):
            tile = read(f"{root}/{path}", z_planes=3)
            np.testing.assert_array_equal(tile, image[divmod(k, 2)][0, ::-1].max(1))


@pytest.mark.parametrize("version", FORMATS)
def test_an_image_is_no_plate_and_a_plate_no_image(tmp_path, version):
    write_plate(tmp_path / "p.zarr", FORMATS[version], counts(2, 2, 1, 2, 3, *SHAPE))
    with pytest.raises(InputError, match="no metadata of a plate"):
        list(fields_of_plate(f"{tmp_path}/p.zarr/A/1/0", ARCHIVE, lambda well: True))
    with pytest.raises(InputError, match="no group of Zarr"):
        list(fields_of_plate(f"{tmp_path}/q.zarr", ARCHIVE, lambda well: True))
    with pytest.raises(TileError, match=r"no metadata of an image"):
        read(f"{tmp_path}/p.zarr/A/1")
    with pytest.raises(TileError, match="no group of Zarr"):
        read(f"{tmp_path}/p.zarr/A/7/0")
    with pytest.raises(TileError, match="axes TCZYX"):
        read(f"{tmp_path}/p.zarr/A/1/0")


def write_stitched(path, image, shards):
    """A well as one field: float32, inner chunks of 64 px, in shards of 256 px."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    array = group.create_array("0", shape=image.shape, dtype=image.dtype, chunks=(1, 1, 1, 64, 64),
                               shards=(1, 1, 1, 256, 256) if shards else None)  # fmt: skip
    array[:] = image
    axes = [{"name": name} for name in "tczyx"]
    level = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1] * 5}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}


@pytest.mark.parametrize("shards", [False, True])
def test_a_window_fetches_the_chunks_that_hold_it(tmp_path, shards):
    image = np.random.default_rng(1).uniform(-4, 4, (1, 2, 1, 640, 700)).astype(np.float32)
    write_stitched(tmp_path / "w.zarr", image, shards)
    scaled = np.rint(image[0, ::-1, 0] * np.float32(1000) + np.float32(5000)).astype(np.uint16)
    options = {"shape": (640, 700), "counts": {"scale": 1000, "offset": 5000}}
    with serving(tmp_path) as objects:
        address = f"{objects.address}/w.zarr"
        np.testing.assert_array_equal(read(address, **options), scaled)
        whole_bytes = objects.sent_bytes("/c/")
        objects.requests.clear()
        window = (slice(200, 328), slice(60, 188))
        tile = read(address, window=window, **options)
        np.testing.assert_array_equal(tile, scaled[:, *window])
        # 3 x 3 of the 10 x 11 chunks, of both channels.
        assert objects.sent_bytes("/c/") < 1.5 * 9 / 110 * whole_bytes


def test_a_dead_archive_is_no_broken_tile(tmp_path):
    write_stitched(tmp_path / "w.zarr", np.zeros((1, 2, 1, 64, 64), np.float32), shards=False)
    with serving(tmp_path, slow_down=99) as objects, pytest.raises(TransferError):
        read(f"{objects.address}/w.zarr", shape=(64, 64))
    refused = pytest.raises(TileError, match="HTTP 403")
    with serving(tmp_path, denied="w.zarr/0/c") as objects, refused:
        read(f"{objects.address}/w.zarr", shape=(64, 64))


def test_damaged_chunks_are_broken_tiles(tmp_path):
    image = counts(1, 2, 1, *SHAPE)
    group = zarr.open_group(tmp_path / "i.zarr", mode="w", zarr_format=3)
    write_image(image, group, axes="tczyx", fmt=FORMATS["0.5"], scaler=None)
    np.testing.assert_array_equal(read(tmp_path / "i.zarr"), image[0, ::-1, 0])
    for file in (tmp_path / "i.zarr").rglob("*"):
        if file.is_file() and file.name != "zarr.json":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(TileError, match=r"damaged file"):
        read(tmp_path / "i.zarr")


def test_names_of_zarr():
    assert is_zarr("s3://b/x.zarr") and is_zarr("/a/x.ZARR/A/1/0")
    assert not is_zarr("a.zarr.tif") and not is_zarr("zarr/a.tif")


@pytest.mark.parametrize("omero", [None, {}, {"channels": None}])
def test_channels_that_the_metadata_leave_out_go_by_their_place(tmp_path, omero):
    image = counts(2, *SHAPE)
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("0", data=image)
    axes = [{"name": name} for name in "cyx"]
    group.attrs.update({"multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}],
                        "omero": omero})  # fmt: skip
    np.testing.assert_array_equal(read(tmp_path / "a.zarr"), image[::-1])
