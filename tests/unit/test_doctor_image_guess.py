"""What headers and a sample of pixels say, against images that are made for it."""

import math
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr
from skimage.draw import disk

from mcvae_ops.doctor.found_images import find_images
from mcvae_ops.doctor.image_guess import (
    brightness,
    dark_noise,
    nuclear_diameter_px,
    read_image,
    read_store,
    read_tiff,
)
from mcvae_ops.doctor.listing import Listing
from mcvae_ops.doctor.screen_guess import crop_finding, image_findings
from mcvae_ops.errors import InputError
from mcvae_ops.workflow.configuration import read_yaml
from tests.helpers.configurations import DEFAULTS

ARCHIVE = read_yaml(DEFAULTS)["archive"]
PLANES = np.arange(3 * 2 * 300 * 200, dtype=np.uint16).reshape(3, 2, 300, 200)
OME = {"axes": "ZCYX", "PhysicalSizeX": 325, "PhysicalSizeXUnit": "nm",
       "Channel": {"Name": ["DAPI", "actin"]}}  # fmt: skip


def facts_of(folder, **options):
    tifffile.imwrite(folder / "A1_s1_DAPI.tif", PLANES, **options)
    listing = Listing(str(folder), ARCHIVE)
    return read_tiff(listing, *listing.files[0]), listing


def test_ome_says_pixel_size_and_channels(tmp_path):
    facts, listing = facts_of(tmp_path, ome=True, metadata=OME)
    assert (facts.axes, facts.z_planes, facts.n_channels) == ("ZCYX", 3, 2)
    assert facts.pixel_size_um == pytest.approx(0.325)
    assert facts.channels == ("DAPI", "actin")
    # The middle rows of the middle plane of each channel, and of no other.
    for channel, pixels in enumerate(facts.pixels):
        np.testing.assert_array_equal(pixels, PLANES[1, channel, 86:214])
    assert listing.read_bytes() < PLANES.nbytes


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_imagej_says_pixel_size(compression, tmp_path):
    metadata = {"axes": "ZCYX", "unit": "um"}
    if compression:  # ImageJ itself compresses nothing
        facts, _ = facts_of(tmp_path, compression=compression, rowsperstrip=64)
        assert facts.codec in ("adobe_deflate", "lzw")
        assert all(np.isin(pixels, PLANES).all() and pixels.size for pixels in facts.pixels)
    else:
        facts, _ = facts_of(tmp_path, imagej=True, resolution=(4, 4), metadata=metadata)
        assert (facts.origin, facts.pixel_size_um) == ("ImageJ", 0.25)


def test_the_tags_of_a_tiff_are_not_believed_but_said(tmp_path):
    image = PLANES[0, 0]
    tifffile.imwrite(tmp_path / "A1_s1_DAPI.tif", image, resolution=(1550, 1550),
                     resolutionunit="CENTIMETER")  # fmt: skip
    images = find_images(Listing(str(tmp_path), ARCHIVE))
    findings, _ = image_findings(images, ".", "x", None, False)
    found = next(one for one in findings if one.key == "screen.pixel_size_um")
    assert found.value is None
    assert found.question
    assert "6.452 um" in found.why
    said, _ = image_findings(images, ".", "x", 0.598, False)
    assert next(one.value for one in said if one.key == "screen.pixel_size_um") == 0.598


def test_png_is_read(tmp_path):
    image = PLANES[0, 0].astype(np.uint8)
    (tmp_path / "A1_s1_DAPI.png").write_bytes(imagecodecs.png_encode(image))
    listing = Listing(str(tmp_path), ARCHIVE)
    facts = read_image(listing, *listing.files[0])
    assert (facts.axes, facts.shape, facts.codec) == ("YX", image.shape, "png")
    np.testing.assert_array_equal(facts.pixels[0], image)
    (tmp_path / "A1_s1_DAPI.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="no PNG"):
        read_image(listing, "A1_s1_DAPI.png", 8)


def test_a_damaged_file_is_one_sentence(tmp_path):
    (tmp_path / "A1.tif").write_bytes(b"II*\0" + b"\xff" * 100)
    listing = Listing(str(tmp_path), ARCHIVE)
    with pytest.raises(InputError, match=r"A1\.tif: found no TIFF that can be read"):
        read_tiff(listing, *listing.files[0])


def test_noise_of_dark_pixels_is_found_under_cells_and_a_slope():
    rng = np.random.default_rng(0)
    image = 500 + rng.normal(0, 20, (400, 400)) + np.linspace(0, 300, 400)
    image[100:150, 100:150] += 8000
    assert dark_noise(image) == pytest.approx(20, rel=0.1)


@pytest.mark.parametrize("diameter", [12, 30, 61])
def test_the_diameter_of_nuclei_is_that_of_the_median_disc(diameter):
    rng, image = np.random.default_rng(1), np.zeros((600, 600))
    for row, column in np.ndindex(6, 6):
        image[disk((50 + 100 * row, 50 + 100 * column), diameter / 2)] = 3000
    assert nuclear_diameter_px(image + rng.normal(500, 30, image.shape)) == pytest.approx(
        diameter, abs=2
    )


def test_the_arcsinh_brings_a_sample_into_the_range_of_the_network():
    rng = np.random.default_rng(2)
    image = np.clip(rng.gamma(2, 800, (200, 200)) + 300, 0, 65_535).astype(np.uint16)
    bright = brightness([image])
    scaled = (np.arcsinh(image / bright.cofactor) - bright.offset) / bright.scale
    low, high = np.quantile(scaled, [0.001, 0.999])
    assert (low, high) == pytest.approx((-0.9, 0.7), abs=0.01)
    assert bright.counts is None
    assert brightness([]) is None


def test_floats_become_counts_between_the_bounds():
    values = np.random.default_rng(3).uniform(-4, 4, (100, 100)).astype(np.float32)
    bright = brightness([values])
    counts = values * bright.counts["scale"] + bright.counts["offset"]
    assert 0 <= counts.min() < counts.max() <= 65_535
    assert np.ptp(counts) > 1000


def test_a_crop_is_30_um_or_three_nuclei_and_no_larger_than_a_tile():
    assert crop_finding(2960, 0.303571, 40).value == 2 * round(15 / 0.303571)
    assert crop_finding([904, 1224], None, 33).question is not None
    assert crop_finding(64, 0.1, 40).value == 64
    assert not math.isnan(crop_finding(96, None, 9).value)


def store_of(folder, shape, **multiscales):
    group = zarr.open_group(folder / "A1_s1.zarr", mode="w", zarr_format=2)
    group.create_array("0", shape=shape, chunks=(1, 64, 64), dtype="u2")
    axes = [{"name": name} for name in "cyx"]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}]} | multiscales]
    return Listing(str(folder), ARCHIVE)


@pytest.mark.parametrize(
    ("shape", "multiscales"),
    [((10**9, 300, 200), {}), ((2, 300, 200), {"datasets": []}), ((2, 300, 200), {"axes": [5]}),
     ((2, 300, 200), {"datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale"}]}],
                      "axes": [{"name": n, "unit": "um"} for n in "cyx"]})],
)  # fmt: skip
def test_a_store_that_cannot_be_read_is_one_sentence(tmp_path, shape, multiscales):
    with pytest.raises(InputError, match=r"A1_s1\.zarr: found no OME-Zarr that can be read"):
        read_store(store_of(tmp_path, shape, **multiscales), "A1_s1.zarr")


def test_a_png_of_too_many_pixels_is_not_decoded(tmp_path):
    content = bytearray(imagecodecs.png_encode(PLANES[0, 0]))
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    (tmp_path / "A1.png").write_bytes(content)
    with pytest.raises(InputError, match="60000 x 60000 px"):
        read_image(Listing(str(tmp_path), ARCHIVE), "A1.png", len(content))
