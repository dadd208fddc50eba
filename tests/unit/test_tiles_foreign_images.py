"""Images of other people: the right pixels, or one sentence that says why not."""

import struct

import imagecodecs
import numpy as np
import pytest
import tifffile

from mcvae_ops.archive.content import fault_of
from mcvae_ops.errors import TileError
from mcvae_ops.screen import Channel
from mcvae_ops.tiles.read import as_counts, read_tile

SIZE = 64
OME = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{uuid}">{rest}</OME>'


def counts(*shape, high=4000):
    return np.random.default_rng(0).integers(100, high, shape).astype(np.uint16)


def read(path, n_channels=1, z_planes=1, size=SIZE, **options):
    channels = [Channel(f"c{k}", "g", k) for k in range(n_channels)]
    return read_tile({"g": path}, channels, z_planes, "max", size, **options)


def pixels(planes, n_channels, order="XYCZT", name="0"):
    """Return an OME image; `planes` are (attributes of TiffData, file name, UUID)."""
    data = "".join(
        f'<TiffData {place}><UUID FileName="{file}">{uuid}</UUID></TiffData>'
        for place, file, uuid in planes
    )
    sizes = f'SizeX="{SIZE}" SizeY="{SIZE}" SizeC="{n_channels}" SizeZ="1" SizeT="1"'
    return (
        f'<Image ID="Image:{name}"><Pixels ID="Pixels:{name}" DimensionOrder="{order}" '
        f'Type="uint16" {sizes}>{data}</Pixels></Image>'
    )


def write_ome(path, image, uuid, rest):
    description = OME.format(uuid=uuid, rest=rest)
    tifffile.imwrite(path, image, description=description, metadata=None, photometric="minisblack")


@pytest.fixture
def one_file_per_site(tmp_path):
    """Three files, one per site, each with the description of all (Micro-Manager, Bio-Formats)."""
    data = counts(3, 2, SIZE, SIZE)
    names = [f"MMStack_Site-{k}.ome.tif" for k in range(3)]
    images = "".join(
        pixels([(f'FirstC="{c}" IFD="{c}" PlaneCount="1"', name, f"urn:{k}") for c in (0, 1)], 2,
               name=str(k))
        for k, name in enumerate(names)
    )  # fmt: skip
    for k, name in enumerate(names):
        write_ome(tmp_path / name, data[k], f"urn:{k}", images)
    return [tmp_path / name for name in names], data


@pytest.mark.parametrize("alone", [False, True])
def test_a_file_of_a_set_of_sites_gives_its_own_site(one_file_per_site, alone):
    paths, data = one_file_per_site
    for k, path in enumerate(paths):
        np.testing.assert_array_equal(read(path, 2), data[k])
        if alone:  # as in the cache of a run, which deletes what was read
            path.unlink()


@pytest.mark.parametrize("alone", [False, True])
def test_a_file_of_a_set_of_channels_gives_its_own_channel(tmp_path, alone):
    data, names = counts(2, SIZE, SIZE), ["t_w1.ome.tif", "t_w2.ome.tif"]
    image = pixels([(f'FirstC="{c}" IFD="0"', names[c], f"urn:{c}") for c in (0, 1)], 2)
    for c, name in enumerate(names):
        write_ome(tmp_path / name, data[c], f"urn:{c}", image)
    for c, name in enumerate(names):
        np.testing.assert_array_equal(read(tmp_path / name)[0], data[c])
        with pytest.raises(TileError, match="1 channels, none at index 1"):
            read(tmp_path / name, 2)
        if alone:
            (tmp_path / name).unlink()


def test_a_set_without_uuid_is_known_by_the_name_of_the_file(tmp_path):
    data = counts(SIZE, SIZE)
    image = pixels(
        [('FirstC="0" IFD="0"', "a.ome.tif", ""), ('FirstC="1" IFD="0"', "b.ome.tif", "")], 2
    )
    description = OME.format(uuid="", rest=image).replace(' UUID=""', "")
    tifffile.imwrite(tmp_path / "b.ome.tif", data, description=description, metadata=None)
    np.testing.assert_array_equal(read(tmp_path / "b.ome.tif")[0], data)
    (tmp_path / "b.ome.tif").rename(tmp_path / "c.ome.tif")
    with pytest.raises(TileError, match="planes of 0 images"):
        read(tmp_path / "c.ome.tif")


def test_planes_of_a_set_follow_the_order_of_dimensions(tmp_path):
    """PlaneCount 4 from C 1: with XYCZT the next plane is the next channel."""
    data = counts(2, 2, SIZE, SIZE)  # (z, c)
    rest = pixels([('FirstC="1" IFD="0" PlaneCount="2"', "a.ome.tif", "urn:a"),
                   ('FirstC="0" IFD="0" PlaneCount="1"', "b.ome.tif", "urn:b")], 3)  # fmt: skip
    write_ome(tmp_path / "a.ome.tif", data[0], "urn:a", rest)
    np.testing.assert_array_equal(read(tmp_path / "a.ome.tif", 2), data[0])


def test_a_file_whose_description_lies_elsewhere_needs_the_axes(tmp_path):
    data, path = counts(2, SIZE, SIZE), tmp_path / "b.ome.tif"
    write_ome(path, data, "urn:b", '<BinaryOnly MetadataFile="a.ome.tif" UUID="urn:a"/>')
    with pytest.raises(TileError, match=r"axes IYX .*; set screen\.axes"):
        read(path, 2)
    np.testing.assert_array_equal(read(path, 2, axes="CYX"), data)


@pytest.mark.parametrize("metadata", [{}, None])
def test_axes_of_the_configuration_name_those_that_a_file_does_not(tmp_path, metadata):
    data, path = counts(3, SIZE, SIZE), tmp_path / "a.tif"
    tifffile.imwrite(path, data, photometric="minisblack", metadata=metadata)
    with pytest.raises(TileError, match=r"set screen\.axes"):
        read(path, 3)
    np.testing.assert_array_equal(read(path, 3, axes="CYX"), data)
    np.testing.assert_array_equal(read(path, 1, z_planes=3, axes="ZYX")[0], data.max(0))
    with pytest.raises(TileError, match=r"3 axes .* but screen\.axes is CZYX"):
        read(path, 3, axes="CZYX")
    tifffile.imwrite(path, data, imagej=True, metadata={"axes": "CYX"})
    np.testing.assert_array_equal(read(path, 3, axes="ZYX"), data)  # the file's own word counts


def test_a_second_image_is_refused_but_not_a_thumbnail(tmp_path):
    data, path = counts(2, SIZE, SIZE), tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(data[0], photometric="minisblack")
        tif.write(data[1], photometric="minisblack")
    with pytest.raises(TileError, match="2 images of one size, expected 1"):
        read(path)
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(data[0], photometric="minisblack")
        tif.write(data[1, ::4, ::4], photometric="minisblack")
    np.testing.assert_array_equal(read(path)[0], data[0])


def test_inverted_and_turned_images_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, counts(SIZE, SIZE), photometric="miniswhite")
    with pytest.raises(TileError, match="MINISWHITE"):
        read(path)
    tifffile.imwrite(path, counts(SIZE, SIZE), extratags=[(274, "H", 1, 6, True)])
    with pytest.raises(TileError, match="orientation 6"):
        read(path)
    tifffile.imwrite(path, counts(SIZE, SIZE), extratags=[(274, "H", 1, 1, True)])
    assert read(path).any()


@pytest.mark.parametrize("codec", ["lzw", "zstd", "deflate", "packbits", "jpeg2000", "jpegxl"])
@pytest.mark.parametrize("predictor", [False, True])
def test_every_lossless_codec_gives_the_same_counts(tmp_path, codec, predictor):
    if predictor and codec in ("packbits", "jpeg2000", "jpegxl"):
        pytest.skip("these codecs have no predictor")
    data, path = counts(SIZE, SIZE), tmp_path / "a.tif"
    options = {"compressionargs": {"reversible": True}} if codec == "jpeg2000" else {}
    tifffile.imwrite(path, data, compression=codec, predictor=predictor, **options)
    np.testing.assert_array_equal(read(path)[0], data)


def test_jpeg_is_read_as_an_independent_library_reads_it(tmp_path):
    data, path = counts(SIZE, SIZE, high=250).astype(np.uint8), tmp_path / "a.tif"
    tifffile.imwrite(path, data, compression="jpeg", compressionargs={"level": 90})
    from PIL import Image

    with Image.open(path) as image:
        np.testing.assert_array_equal(read(path)[0], np.asarray(image))


def test_packed_12_bits(tmp_path):
    """Two pixels in three bytes, most significant bits first: written here by hand."""
    data, path = counts(SIZE, SIZE), tmp_path / "a.tif"
    first, second = data[:, ::2].astype(int), data[:, 1::2].astype(int)
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=-1)
    tags = {256: SIZE, 257: SIZE, 258: 12, 259: 1, 262: 1, 273: 256, 277: 1, 278: SIZE,
            279: packed.size}  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)
    path.write_bytes(head.ljust(256, b"\0") + packed.astype(np.uint8).tobytes())
    np.testing.assert_array_equal(read(path)[0], data)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png(tmp_path, dtype):
    data, path = counts(SIZE, SIZE, high=250).astype(dtype), tmp_path / "a.PNG"
    path.write_bytes(imagecodecs.png_encode(data))
    np.testing.assert_array_equal(read(path)[0], data)
    assert fault_of(path, "a.png") == ""
    path.write_bytes(imagecodecs.png_encode(np.stack([data] * 3, axis=-1)))
    with pytest.raises(TileError, match="axes YXS"):
        read(path)
    path.write_bytes(path.read_bytes()[:-20])
    assert fault_of(path, "a.png") == "a PNG that breaks off"


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.TIFF"])
@pytest.mark.parametrize("kind", ["tiff", "bigtiff", "png", "npy"])
def test_the_first_bytes_of_a_file_say_its_format(tmp_path, name, kind):
    data, path = counts(SIZE, SIZE), tmp_path / name
    if kind == "png":
        path.write_bytes(imagecodecs.png_encode(data))
    elif kind == "npy":
        with path.open("wb") as file:
            np.save(file, data)
    else:
        tifffile.imwrite(path, data, bigtiff=kind == "bigtiff", byteorder=">")
    np.testing.assert_array_equal(read(path)[0], data)
    assert fault_of(path, name) == ""


@pytest.mark.parametrize("start", [b"<html>", b"\xff\xd8\xff\xe0", b"\x1f\x8b\x08\0"])
def test_a_file_of_another_format_is_not_called_damaged(tmp_path, start):
    (tmp_path / "a.tif").write_bytes(start)
    with pytest.raises(
        TileError, match=r"^a\.tif: neither TIFF nor PNG nor \.npy \(begins with b'"
    ):
        read(tmp_path / "a.tif")


def test_an_empty_file_is_called_so(tmp_path):
    (tmp_path / "a.tif").touch()
    with pytest.raises(TileError, match=r"^a\.tif: damaged file: it is empty$"):
        read(tmp_path / "a.tif")


def test_rectangular_tiles(tmp_path):
    data, path = counts(48, 80), tmp_path / "a.tif"
    tifffile.imwrite(path, data)
    np.testing.assert_array_equal(read(path, size=[48, 80])[0], data)
    with pytest.raises(TileError, match="80 x 48 px"):
        read(path, size=[80, 48])


def test_imagej_above_4_gb_has_one_directory(tmp_path):
    """A sparse file: planes of 32 MB behind one directory, the last one beyond 4 GB."""
    edge, n_planes, path = 4096, 131, tmp_path / "a.tif"
    description = (
        f"ImageJ=1.11a\nimages={n_planes}\nslices={n_planes}\nhyperstack=true\nmode=grayscale\n"
    )
    last = counts(edge, edge)
    tifffile.imwrite(path, last, description=description, metadata=None, byteorder=">")
    with tifffile.TiffFile(path) as tif:
        offset = tif.pages.first.dataoffsets[0]
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(bytes(2 * edge * edge))
        file.seek(offset + (n_planes - 1) * 2 * edge * edge)
        file.write(last.astype(">u2").tobytes())
    assert path.stat().st_size > 4 << 30 and fault_of(path, "a.tif") == ""
    channel = [Channel("a", "g", 0)]
    tile = read_tile({"g": path}, channel, n_planes, f"plane:{n_planes - 1}", edge)
    np.testing.assert_array_equal(tile[0], last)
    assert not read_tile({"g": path}, channel, n_planes, "plane:0", edge).any()
    with open(path, "r+b") as file:
        file.truncate(offset + (n_planes - 1) * 2 * edge * edge + 9)
    with pytest.raises(TileError, match=r"a\.tif"):
        read_tile({"g": path}, channel, n_planes, f"plane:{n_planes - 1}", edge)


def test_fractions_with_one_bright_pixel_are_no_counts(tmp_path):
    image, path = (
        np.random.default_rng(1).random((SIZE, SIZE)).astype(np.float32),
        tmp_path / "a.tif",
    )
    image[3, 3] = 1.5
    tifffile.imwrite(path, image)
    with pytest.raises(TileError, match=r"100\.0% of them at most 1, .*screen\.counts"):
        read(path)
    scaled = read(path, counts={"scale": 40000, "offset": 10})[0]
    np.testing.assert_array_equal(scaled, np.rint(image * np.float32(40000) + np.float32(10)))


def test_negative_floats_need_an_offset():
    image = np.linspace(-4, 4, 81, dtype=np.float32).reshape(9, 9)
    with pytest.raises(TileError, match=r"at most 1|set screen\.counts"):
        as_counts(image)
    assert as_counts(image, 1000, 5000).ravel()[[0, 40, 80]].tolist() == [1000, 5000, 9000]
    with pytest.raises(TileError, match="from -3000 to 5000"):
        as_counts(image, 1000, 1000)


def test_a_page_of_another_size_is_no_plane(tmp_path):
    """ImageJ names two images; the directory of the second one is of one row."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(counts(SIZE, SIZE), metadata=None,
                  description="ImageJ=1.11a\nimages=2\nslices=2\n")  # fmt: skip
        tif.write(counts(1, SIZE), metadata=None)
    with pytest.raises(TileError, match=r"a\.tif"):
        read(path, z_planes=2)
