"""Tiles are read by their own axes; what is broken is said."""

import numpy as np
import pytest
import tifffile

from mcvae_ops.errors import TileError
from mcvae_ops.screen import Channel
from mcvae_ops.tiles.read import project, read_tile

SIZE = 48
CHANNELS = [
    Channel("actin", "far", 0),
    Channel("DNA", "near", 0),
    Channel("tubulin", "near", 1),
]


@pytest.fixture
def tile(tmp_path):
    rng = np.random.default_rng(0)
    near = rng.integers(0, 65536, (4, 2, SIZE, SIZE), dtype=np.uint16)
    far = rng.integers(0, 65536, (4, SIZE, SIZE), dtype=np.uint16)
    paths = {"near": tmp_path / "near.tif", "far": tmp_path / "far.tif"}
    tifffile.imwrite(paths["near"], near, imagej=True, metadata={"axes": "ZCYX"})
    tifffile.imwrite(paths["far"], far, imagej=True, metadata={"axes": "ZYX"})
    return paths, near, far


def read(paths, projection="max", z_planes=4, size=SIZE, channels=CHANNELS):
    return read_tile(paths, channels, z_planes, projection, size)


def test_maximum_over_planes_in_the_order_of_the_channels(tile):
    paths, near, far = tile
    expected = np.stack([far.max(0), near[:, 0].max(0), near[:, 1].max(0)])
    np.testing.assert_array_equal(read(paths), expected)


def test_one_plane(tile):
    paths, near, far = tile
    expected = np.stack([far[2], near[2, 0], near[2, 1]])
    np.testing.assert_array_equal(read(paths, "plane:2"), expected)


def test_best_focus_takes_the_sharpest_plane():
    sharp = np.zeros((32, 32), np.uint16)
    sharp[::4] = 1000
    flat = np.full((32, 32), 500, np.uint16)
    np.testing.assert_array_equal(project([flat, sharp, flat], "best_focus"), sharp)


def test_a_file_without_z_is_one_plane(tmp_path):
    image = np.random.default_rng(1).integers(0, 99, (2, SIZE, SIZE)).astype(np.uint16)
    path = tmp_path / "flat.tif"
    tifffile.imwrite(path, image, imagej=True, metadata={"axes": "CYX"})
    channels = [Channel("b", "g", 1), Channel("a", "g", 0)]
    read_back = read({"g": path}, z_planes=1, channels=channels)
    np.testing.assert_array_equal(read_back, image[::-1])


@pytest.mark.parametrize("share", [0.0005, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_a_broken_tile(tile, share):
    paths, _, _ = tile
    data = paths["near"].read_bytes()
    paths["near"].write_bytes(data[: int(len(data) * share)])
    with pytest.raises(TileError, match=r"near\.tif"):
        read(paths)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"z_planes": 3}, "3 focal planes"),
        ({"size": 64}, "64 x 64 px"),
        ({"channels": [Channel("x", "near", 2)]}, "none at index 2"),
        ({"channels": [Channel("x", "gone", 0)]}, "no file of channel group gone"),
    ],
)
def test_what_differs_is_said(tile, change, said):
    with pytest.raises(TileError, match=said):
        read(tile[0], **change)


def test_time_axis_and_signed_counts_are_refused(tile, tmp_path):
    paths, _, far = tile
    tifffile.imwrite(paths["far"], far, imagej=True, metadata={"axes": "TYX"})
    with pytest.raises(TileError, match="axes TYX"):
        read(paths)
    tifffile.imwrite(
        paths["far"], far.astype(np.int16), photometric="minisblack", metadata={"axes": "ZYX"}
    )
    with pytest.raises(TileError, match="int16"):
        read(paths)
    paths["far"].write_text("<html>404</html>")
    with pytest.raises(TileError, match=r"far\.tif"):
        read(paths)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("axes", ["ZCYX", "CZYX", "CYX", "ZYX", "YX"])
@pytest.mark.parametrize("form", ["imagej", "imagej big-endian", "ome", "compressed"])
def test_every_layout_gives_the_same_counts(tmp_path, kind, axes, form):
    """The order of the axes stands in the file: ImageJ allows only its own."""
    sizes = {"Z": 3, "C": 2, "Y": SIZE, "X": SIZE}
    image = np.random.default_rng(2).integers(0, 256, [sizes[axis] for axis in axes])
    path, options = tmp_path / "a.tif", {"metadata": {"axes": axes}}
    if form.startswith("imagej"):
        if axes == "CZYX" or kind is np.float64:
            pytest.skip("ImageJ knows neither")
        options |= {"imagej": True, "byteorder": ">" if "big" in form else "<"}
    else:
        options |= {"ome": True, "compression": "zlib" if form == "compressed" else None}
    tifffile.imwrite(path, image.astype(kind), **options)
    n_channels = sizes["C"] if "C" in axes else 1
    channels = [Channel(f"c{k}", "g", k) for k in range(n_channels)]
    found = read({"g": path}, z_planes=sizes["Z"] if "Z" in axes else 1, channels=channels)
    expected = image.max(axes.index("Z")) if "Z" in axes else image
    np.testing.assert_array_equal(found, expected.reshape(n_channels, SIZE, SIZE))


def test_floats_are_rounded_and_fractions_refused(tmp_path):
    image = np.random.default_rng(3).uniform(0, 900, (SIZE, SIZE)).astype(np.float32)
    path, channel = tmp_path / "a.tif", [Channel("a", "g", 0)]
    tifffile.imwrite(path, image)
    found = read({"g": path}, z_planes=1, channels=channel)
    np.testing.assert_array_equal(found[0], np.rint(image))
    for wrong in (image / 900, image - 500, image * 100, np.where(image > 5, image, np.nan)):
        tifffile.imwrite(path, wrong)
        with pytest.raises(TileError, match="counts from 0 to 65535 are expected"):
            read({"g": path}, z_planes=1, channels=channel)
