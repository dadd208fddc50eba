"""Damaged image files of every kind give a tile or a `TileError`, and nothing else."""

import gzip
import json
import logging
import os
import random
import tempfile
import time
import tracemalloc
from pathlib import Path

import google_crc32c
import imagecodecs
import numcodecs
import numpy as np
import pyarrow as pa
import pytest
import tifffile
import zarr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from zarr.codecs import BloscCodec

from mcvae_ops.archive.zarr_chunks import UNPACKERS
from mcvae_ops.errors import TileError
from mcvae_ops.screen import Channel
from mcvae_ops.tiles.read import read_tile

SIZE = 48
N_FILES = int(os.environ.get("MUTATED_FILES", "600"))
LONGEST_S = 5.0
FORMS = {
    "imagej": {"imagej": True, "metadata": {"axes": "ZCYX"}},
    "ome": {"ome": True, "metadata": {"axes": "ZCYX"}},
    "lzw": {"ome": True, "metadata": {"axes": "ZCYX"}, "compression": "lzw"},
    "zstd": {"ome": True, "metadata": {"axes": "ZCYX"}, "compression": "zstd"},
    "predictor": {"ome": True, "metadata": {"axes": "ZCYX"}, "compression": "zlib", "predictor": 2},
    "jpeg2000": {"ome": True, "metadata": {"axes": "ZCYX"}, "compression": "jpeg2000"},
    "jpegxl": {"ome": True, "metadata": {"axes": "ZCYX"}, "compression": "jpegxl"},
    "tiled": {"ome": True, "metadata": {"axes": "ZCYX"}, "tile": (16, 16)},
    "big": {"bigtiff": True, "byteorder": ">", "metadata": {"axes": "ZCYX"}},
}


def files_of(folder):
    image = np.random.default_rng(0).integers(0, 4000, (2, 2, SIZE, SIZE)).astype(np.uint16)
    for form, options in FORMS.items():
        path = folder / f"{form}.tif"
        tifffile.imwrite(path, image, photometric="minisblack", **options)
        yield form, ".tif", path.read_bytes(), 2
    yield "png", ".png", imagecodecs.png_encode(image[0, 0]), 1
    np.save(folder / "array.npy", image[0, 0])
    yield "npy", ".npy", (folder / "array.npy").read_bytes(), 1


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Change some bytes, most of them in the directories; or cut the file, or repeat a part."""
    data, ends = bytearray(content), min(len(content), 1200)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        start = chance.choice([0, 0, max(0, len(data) - ends), chance.randrange(len(data))])
        at = min(start + chance.randrange(ends), len(data) - 1)
        data[at] = chance.choice(
            [0, 255, chance.randrange(256), data[at] ^ 1 << chance.randrange(8)]
        )
    if chance.random() < 0.1:
        del data[chance.randrange(1, len(data)) :]
    if chance.random() < 0.05:
        at = chance.randrange(len(data))
        data[at:at] = data[at : at + 64]
    return bytes(data)


def outcome(path, channels, z_planes) -> str:
    """Read an image: a tile of the right kind, or a `TileError`, and that soon."""
    begun_s = time.monotonic()
    try:
        tile = read_tile({"g": path}, channels, z_planes, "max", SIZE)
        assert tile.shape == (len(channels), SIZE, SIZE) and tile.dtype == np.uint16
        return "tile"
    except TileError as error:
        assert str(error).startswith(path.name)
        return "broken"
    finally:
        assert time.monotonic() - begun_s < LONGEST_S


@pytest.mark.parametrize("form", [*FORMS, "png", "npy"])
def test_a_mutated_file_is_a_tile_or_a_broken_tile(form, tmp_path):
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    _, suffix, content, z_planes = next(f for f in files_of(tmp_path) if f[0] == form)
    channels = [Channel(f"c{k}", "g", k) for k in range(z_planes)]
    path, chance, outcomes = tmp_path / f"mutated{suffix}", random.Random(form), []
    for _ in range(N_FILES // len(FORMS)):
        path.write_bytes(mutated(content, chance))
        outcomes.append(outcome(path, channels, z_planes))
    assert set(outcomes) == {"tile", "broken"}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(("byte", "value"), [(15, 70), (12, 0), (11, 255)])
def test_a_chunk_whose_header_does_not_fit_it_is_a_broken_tile(zarr_format, byte, value, tmp_path):
    """Blosc would read beyond its end, and the process die of it."""
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=zarr_format)
    pixels = np.random.default_rng(0).integers(0, 4000, (1, SIZE, SIZE)).astype(np.uint16)
    blosc = numcodecs.Blosc() if zarr_format == 2 else BloscCodec()
    group.create_array("0", data=pixels, chunks=pixels.shape, compressors=blosc)
    image = {"axes": [{"name": name} for name in "cyx"], "datasets": [{"path": "0"}]}
    group.attrs["multiscales"] = [image]
    channels = [Channel("c0", "g", 0)]
    assert outcome(tmp_path / "a.zarr", channels, 1) == "tile"
    files = [file for file in (tmp_path / "a.zarr/0").rglob("*") if file.is_file()]
    (chunk,) = (file for file in files if not file.name.startswith((".z", "zarr")))
    content = bytearray(chunk.read_bytes())
    content[byte] = value
    chunk.write_bytes(content)
    with pytest.raises(TileError, match="blosc does not unpack"):
        read_tile({"g": tmp_path / "a.zarr"}, channels, 1, "max", SIZE)
    chunk.write_bytes(content[:10])
    with pytest.raises(TileError, match="a chunk of 10 bytes that blosc does not"):
        read_tile({"g": tmp_path / "a.zarr"}, channels, 1, "max", SIZE)


RAW = {"name": "bytes", "configuration": {"endian": "little"}}
CHUNK = np.full((1, SIZE, SIZE), 7, "<u2").tobytes()


def array_of(
    folder, zarr_format: int, shape, chunks, inner=None, chunk=CHUNK, codecs=(RAW,), **further
) -> None:
    """Write an OME-Zarr whose array claims a shape and chunks, with one chunk of 48 x 48 px."""
    folder.mkdir()
    image = {"axes": [{"name": name} for name in "cyx"], "datasets": [{"path": "0"}]}
    if zarr_format == 2:
        files = {
            ".zgroup": {"zarr_format": 2}, ".zattrs": {"multiscales": [image]},
            "0/.zarray": {
                "zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": "<u2",
                "compressor": None, "fill_value": 0, "order": "C", "filters": None, **further,
            },
        }  # fmt: skip
    else:
        if inner is not None:
            chunk += np.array([0, len(chunk)], "<u8").tobytes()  # the index of the shard
            codecs = [sharded(inner, codecs)]
        files = {
            "zarr.json": {
                "zarr_format": 3, "node_type": "group",
                "attributes": {"ome": {"version": "0.5", "multiscales": [image]}},
            },
            "0/zarr.json": {
                "zarr_format": 3, "node_type": "array", "shape": shape, "data_type": "uint16",
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
                "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
                "fill_value": 0, "codecs": codecs, "attributes": {},
            },
        }  # fmt: skip
    place = folder / ("0/0.0.0" if zarr_format == 2 else "0/c/0/0/0")
    place.parent.mkdir(parents=True)
    place.write_bytes(chunk)
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))


def sharded(inner, codecs) -> dict:
    shard = {
        "chunk_shape": inner, "codecs": codecs, "index_codecs": [RAW], "index_location": "end",
    }  # fmt: skip
    return {"name": "sharding_indexed", "configuration": shard}


ODD_LENGTHS = st.sampled_from([1, 2, SIZE, 0, -1, 10**5, 10**9, 10**30, 48.0, 1.5, "48", None, [1]])
ODD_SHAPES = st.one_of(
    st.sampled_from([[1, SIZE, SIZE], [], None, "abc", {}, 10**9, [1] * 200]),
    st.lists(ODD_LENGTHS, min_size=3, max_size=3),
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from([2, 3]), ODD_SHAPES, ODD_SHAPES, st.none() | ODD_SHAPES)
@example(2, [1, SIZE, SIZE], [1, SIZE, SIZE], None)
def test_metadata_of_an_array_that_claim_anything(zarr_format, shape, chunks, inner):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.zarr")
        array_of(path, zarr_format, shape, chunks, inner)
        tracemalloc.start()
        try:
            found = outcome(path, [Channel("c0", "g", 0)], 1)
            assert tracemalloc.get_traced_memory()[1] < 50e6
        finally:
            tracemalloc.stop()
        if repr((shape, chunks, inner)) == repr(([1, SIZE, SIZE], [1, SIZE, SIZE], None)):
            assert found == "tile"  # repr, because 48.0 == 48


@pytest.mark.parametrize(
    ("zarr_format", "chunks", "inner"),
    [(2, [1, 10**9, 10**9], None), (3, [1, 10**5, 10**5], None), (2, [1, 0, SIZE], None),
     (3, [0, SIZE, SIZE], None), (3, [1, 10**5, 10**5], [1, 1, 1])],
)  # fmt: skip
def test_chunks_without_pixels_or_too_large_ones_are_said(tmp_path, zarr_format, chunks, inner):
    array_of(tmp_path / "a.zarr", zarr_format, [1, SIZE, SIZE], chunks, inner)
    with pytest.raises(TileError, match=r"a\.zarr.* expected chunks of at most 1024 MB"):
        read_tile({"g": tmp_path / "a.zarr"}, [Channel("c0", "g", 0)], 1, "max", SIZE)


def packed_array(folder, form: str, codec: str, chunk: bytes) -> None:
    """Write an OME-Zarr of Zarr 2 or 3, or of one shard, whose only chunk is packed."""
    packer = {"id": codec} if form == "2" else {"name": IN_ZARR_3[codec], "configuration": {}}
    packing = {"compressor": packer} if form == "2" else {"codecs": [RAW, packer]}
    whole = [1, SIZE, SIZE]
    inner = whole if form == "shard" else None
    array_of(folder, 2 if form == "2" else 3, whole, whole, inner, chunk=chunk, **packing)


def streamed(content: bytes) -> bytes:
    """Pack with zstd as programs do that do not know how much will come."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


IN_ZARR_3 = {codec: codec if codec in ("blosc", "gzip", "zstd") else f"numcodecs.{codec}"
             for codec in UNPACKERS}  # fmt: skip
PACKERS = {codec: (codec, numcodecs.get_codec({"id": codec}).encode) for codec in UNPACKERS}


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")
@pytest.mark.parametrize("form", ["2", "3", "shard"])
@pytest.mark.parametrize(
    ("codec", "pack"), [*PACKERS.values(), ("zstd", streamed)], ids=[*PACKERS, "zstd streamed"]
)
def test_a_chunk_is_unpacked_to_no_more_than_its_array_says(codec, pack, form, tmp_path):
    channels, pixels = [Channel("c0", "g", 0)], np.arange(SIZE * SIZE, dtype="<u2")
    packed_array(tmp_path / "right.zarr", form, codec, pack(pixels.tobytes()))
    tile = read_tile({"g": tmp_path / "right.zarr"}, channels, 1, "max", SIZE)
    np.testing.assert_array_equal(tile.ravel(), pixels)
    packed_array(tmp_path / "bomb.zarr", form, codec, pack(bytes(40_000_000)))
    tracemalloc.start()
    said = rf"^bomb\.zarr: damaged file: found a chunk of [\d,]+ bytes that {codec} does not unpack"
    with pytest.raises(TileError, match=said + r" to .*, expected 4,608 bytes in it; write the"):
        read_tile({"g": tmp_path / "bomb.zarr"}, channels, 1, "max", SIZE)
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


GZIP = {"name": "gzip", "configuration": {"level": 1}}
TRANSPOSED = {"name": "transpose", "configuration": {"order": [2, 1, 0]}}
AS_TYPE = {"encode_dtype": "<u2", "decode_dtype": "<u2"}
WHOLE = [1, SIZE, SIZE]


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")
@pytest.mark.filterwarnings("ignore:Combining a `sharding_indexed` codec")
@pytest.mark.parametrize(
    ("zarr_format", "codecs", "named"),
    [(2, {"filters": [{"id": "delta", "dtype": "<u2"}]}, "delta, bytes"),
     (3, {"codecs": [RAW, GZIP, GZIP]}, "bytes, gzip, gzip"),
     (3, {"codecs": [{"name": "numcodecs.astype", "configuration": AS_TYPE}, RAW]}, "astype, b"),
     (3, {"codecs": [sharded(WHOLE, [RAW]), GZIP]}, "sharding_indexed, gzip"),
     (3, {"codecs": [sharded(WHOLE, [RAW])], "inner": WHOLE}, "sharding_indexed")],
    ids=["filter", "twice", "types", "packed shard", "shards in shards"],
)  # fmt: skip
def test_codecs_of_unknown_length_are_said(tmp_path, zarr_format, codecs, named):
    array_of(tmp_path / "a.zarr", zarr_format, WHOLE, WHOLE, **codecs)
    with pytest.raises(TileError, match=rf"a\.zarr.* found chunks that are written by {named}"):
        read_tile({"g": tmp_path / "a.zarr"}, [Channel("c0", "g", 0)], 1, "max", SIZE)


def test_turned_chunks_with_checksums_are_read(tmp_path):
    pixels = np.arange(SIZE * SIZE, dtype="<u2").reshape(WHOLE)
    chunk = gzip.compress(pixels.T.tobytes())
    chunk += google_crc32c.value(chunk).to_bytes(4, "little")
    codecs = [TRANSPOSED, RAW, GZIP, {"name": "crc32c"}]
    array_of(tmp_path / "a.zarr", 3, WHOLE, WHOLE, chunk=chunk, codecs=codecs)
    tile = read_tile({"g": tmp_path / "a.zarr"}, [Channel("c0", "g", 0)], 1, "max", SIZE)
    np.testing.assert_array_equal(tile, pixels)


def test_a_window_of_a_million_chunks_is_not_read(tmp_path):
    array_of(tmp_path / "a.zarr", 2, [1, 1000, 1000], [1, 1, 1])
    with pytest.raises(TileError, match="1,002,001 chunks"):
        read_tile({"g": tmp_path / "a.zarr"}, [Channel("c0", "g", 0)], 1, "max", 1000)


@pytest.mark.parametrize("compressor", ["blosc", "zstd", "shards"])
def test_a_mutated_ome_zarr_is_a_tile_or_a_broken_tile(compressor, tmp_path):
    """One of its files is mutated: metadata of group or array, or a chunk."""
    path, chance, outcomes = tmp_path / "a.zarr", random.Random(compressor), []
    group = zarr.open_group(path, mode="w", zarr_format=2 if compressor == "blosc" else 3)
    shards = {"shards": (1, SIZE, SIZE)} if compressor == "shards" else {}
    group.create_array(
        "0", data=np.full((2, SIZE, SIZE), 300, np.uint16), chunks=(1, 16, 16), **shards
    )
    image = {"axes": [{"name": name} for name in "cyx"], "datasets": [{"path": "0"}]}
    group.attrs["multiscales"] = [image]
    files = sorted(file for file in path.rglob("*") if file.is_file())
    channels = [Channel(f"c{k}", "g", k) for k in range(2)]
    for _ in range(N_FILES // len(FORMS)):
        file = chance.choice(files)
        content = file.read_bytes()
        file.write_bytes(mutated(content, chance))
        outcomes.append(outcome(path, channels, 1))
        file.write_bytes(content)
    assert set(outcomes) == {"tile", "broken"}
