"""Encoders that others trained: a small random ViT, exported three ways, gives equal embeddings."""

import json
import sys
import warnings

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from mcvae_ops.encoder_files import files_of
from mcvae_ops.errors import InputError
from mcvae_ops.training.embed import join_embeddings
from mcvae_ops.training.encoders import encode_cells, load_encoder, scaled
from mcvae_ops.training.random_vit import WIDTH as WIDTH_OF_RANDOM
from mcvae_ops.training.random_vit import _network
from tests.helpers.fake_shards import write_fake_screen

SIZE_PX, PATCH_PX, WIDTH, DIMENSIONS = 16, 8, 24, 6
INPUT = {
    "size_px": SIZE_PX, "channels": "per_channel", "repeat": 3, "join": "concatenate",
    "range": "crop", "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3],
}  # fmt: skip
CPU = torch.device("cpu")
FUNCTION = """
import torch

@torch.no_grad()
def brightness(images):
    return images.mean(dim=(2, 3))

def flat(images):
    return images.mean()

def endless(images):
    return images.mean(dim=(2, 3)) / 0

def failing(images):
    raise KeyError("weights of another network")
"""


class ViT(nn.Module):
    """A vision transformer of one block: patches, a class token, attention, its vector."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        n_patches = (SIZE_PX // PATCH_PX) ** 2
        self.patches = nn.Conv2d(n_channels, WIDTH, PATCH_PX, PATCH_PX)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.place = nn.Parameter(torch.randn(1, n_patches + 1, WIDTH))
        self.first, self.last = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.head = nn.Linear(WIDTH, DIMENSIONS)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = self.patches(images).flatten(2).transpose(1, 2)
        token = self.token.expand(patches.shape[0], -1, -1)
        x = self.first(torch.cat([token, patches], dim=1) + self.place)
        weights = (self.query(x) @ self.key(x).transpose(1, 2) / WIDTH**0.5).softmax(dim=2)
        return self.head(self.last(x + weights @ self.value(x))[:, 0])


def exported(folder, n_channels: int) -> dict[str, str]:
    """Export one random ViT as .pt2, .ts and .onnx; batches may have any size."""
    torch.manual_seed(0)
    model, images = ViT(n_channels).eval(), torch.randn(2, n_channels, SIZE_PX, SIZE_PX)
    files = {kind: str(folder / f"vit.{kind}") for kind in ("pt2", "ts", "onnx")}
    shapes = ({0: torch.export.Dim("n", min=1, max=4096)},)
    program = torch.export.export(model, (images,), dynamic_shapes=shapes)
    torch.export.save(program, files["pt2"])
    with warnings.catch_warnings():  # of a format that is old, and that others still send
        warnings.simplefilter("ignore")
        torch.jit.trace(model, images).save(files["ts"])
    if all(map(is_installed, ("onnx", "onnxscript", "onnxruntime"))):
        torch.onnx.export(
            model, (images,), files["onnx"], dynamic_shapes=shapes, dynamo=True, verbose=False
        )
    return files


class Grid(nn.Module):
    """A network that makes a tensor of its own, which an export ties to a device."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3)) + torch.arange(images.shape[1], device=images.device)


def is_installed(package: str) -> bool:
    try:
        __import__(package)
    except ImportError:
        return False
    return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("encoders")
    write_fake_screen(folder / "results", n_cells=150)
    return folder


@pytest.fixture(scope="module")
def files(folder) -> dict[str, str]:
    return exported(folder, 3)


def encode(folder, file: str, name: str = "z", part: int = 0, parts: int = 1, **settings) -> str:
    """Encode the cells of the fake screen; return the path of the embedding."""
    shards, out = folder / "results/shards", str(folder / f"{name}.{part}.parquet")
    entry = {"file": file, "input": INPUT | settings}
    cells = [str(shards / file) for file in ("index.parquet", "cells.arrow")]
    encode_cells(*cells, [], "vit", entry, "cpu", part, parts, out)
    return out


def vectors(path: str) -> np.ndarray:
    return pd.read_parquet(path).filter(regex="^z_").to_numpy()


@pytest.mark.parametrize("kind", ["ts", "onnx"])
def test_three_ways_of_export_give_equal_embeddings(folder, files, kind):
    if kind == "onnx":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package)
    expected, found = (vectors(encode(folder, files[way], way)) for way in ("pt2", kind))
    assert expected.shape == (150, 4 * DIMENSIONS)  # four channels, one after another
    assert np.std(expected, axis=0).min() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_encoder_sees_what_its_entry_says(folder, files):
    found = vectors(encode(folder, files["ts"], "seen"))
    counts = np.load(folder / "results/crops/P/A1/000.ntc.npy")[:5].astype(float)
    shares = counts - counts.min((2, 3), keepdims=True)
    shares /= shares.max((2, 3), keepdims=True)
    images = torch.nn.functional.interpolate(
        torch.from_numpy(shares).float(), (SIZE_PX, SIZE_PX), mode="bilinear", antialias=True
    )
    model, per_channel = torch.jit.load(files["ts"]), []
    for k in range(4):
        gray = images[:, k : k + 1].repeat(1, 3, 1, 1)
        mean, std = (torch.tensor(INPUT[name]).reshape(1, 3, 1, 1) for name in ("mean", "std"))
        per_channel.append(model((gray - mean) / std).detach().numpy())
    np.testing.assert_allclose(found[:5], np.hstack(per_channel), atol=1e-5)
    averaged = vectors(encode(folder, files["ts"], "averaged", join="average"))
    np.testing.assert_allclose(averaged[:5], np.mean(per_channel, axis=0), atol=1e-5)


def test_all_channels_may_go_together(folder, tmp_path):
    file = exported(tmp_path, 4)["pt2"]
    settings = {"channels": "all", "mean": 0.5, "std": 0.5}
    assert vectors(encode(folder, file, "all", **settings)).shape == (150, DIMENSIONS)


def test_parts_are_those_of_the_whole_and_say_where_they_come_from(folder, files):
    whole = encode(folder, files["pt2"], "whole")
    parts = [encode(folder, files["pt2"], "part", k, 2) for k in range(2)]
    joined = str(folder / "joined.parquet")
    join_embeddings(str(folder / "results/shards/index.parquet"), parts, joined)
    np.testing.assert_allclose(vectors(joined), vectors(whole), atol=1e-5)
    metadata = pq.read_schema(joined).metadata
    known = json.loads(metadata[b"encoder"])
    assert (metadata[b"model"], known["file"]) == (b"vit", "vit.pt2")
    assert known["sha256"] == load_encoder(files["pt2"], CPU)[1]
    assert known["sha256"] != load_encoder(files["ts"], CPU)[1]


def test_the_file_of_weights_of_onnx_is_part_of_the_checksum(tmp_path):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    file = exported(tmp_path, 3)["onnx"]
    assert files_of(file) == [file, f"{file}.data"]
    first = load_encoder(file, CPU)[1]
    content = bytearray((tmp_path / "vit.onnx.data").read_bytes())
    content[0] ^= 1
    (tmp_path / "vit.onnx.data").write_bytes(content)
    assert load_encoder(file, CPU)[1] != first
    (tmp_path / "vit.onnx.data").unlink()
    with pytest.raises(InputError, match=r"vit\.onnx.*vit\.onnx\.data"):
        load_encoder(file, CPU)


def test_long_names_of_weights_are_found(tmp_path):
    name = "w" * 200 + ".data"
    content = b"\n\x08location\x12\xcd\x01" + name.encode() + b"\n\x06length\x12\x012"
    (tmp_path / "vit.onnx").write_bytes(content)
    assert files_of(str(tmp_path / "vit.onnx"))[1:] == [str(tmp_path / name)]


def test_an_exported_program_moves_to_its_device_as_a_whole(tmp_path):
    images, file = torch.zeros(2, 3, 4, 4), str(tmp_path / "grid.pt2")
    torch.export.save(torch.export.export(Grid(), (images,)), file)
    device = torch.device("meta")  # the only other device of any machine
    assert load_encoder(file, device)[0](images.to(device)).device == device


@pytest.mark.parametrize("kind", ["pt2", "ts", "onnx"])
def test_an_encoder_that_cannot_take_the_images_is_told(folder, files, kind):
    if kind == "onnx":
        pytest.importorskip("onnxruntime")
    with pytest.raises(InputError) as caught:
        encode(folder, files[kind], "wrong", repeat=2, mean=0, std=1)
    for words in (f"encoder {files[kind]} of model vit", "images of shape (64, 2, 16, 16)"):
        assert words in str(caught.value)


def test_half_precision_is_told(folder, tmp_path):
    file = str(tmp_path / "half.ts")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        half = nn.Sequential(nn.Conv2d(3, 4, SIZE_PX), nn.Flatten()).half().eval()
        torch.jit.trace(half, torch.zeros(1, 3, SIZE_PX, SIZE_PX).half()).save(file)
    with pytest.raises(InputError, match="float32"):
        encode(folder, file, "half")


def test_counts_may_have_a_fixed_range():
    counts = np.arange(32, dtype=np.uint16).reshape(2, 1, 4, 4)
    settings = {"range": [0, 310], "size_px": 4}
    np.testing.assert_allclose(scaled(counts, settings, CPU).numpy(), counts / 310, rtol=1e-6)
    even = np.full((1, 2, 4, 4), 7, np.uint16)
    assert not scaled(even, settings | {"range": "crop"}, CPU).any()


@pytest.fixture
def module(tmp_path, monkeypatch) -> str:
    (tmp_path / "encoders_of_a_test.py").write_text(FUNCTION)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "encoders_of_a_test"
    sys.modules.pop("encoders_of_a_test", None)


def test_a_function_is_an_encoder(folder, module):
    settings = {"range": [0, 1], "repeat": 1, "mean": 0, "std": 1}
    found = vectors(encode(folder, f"{module}:brightness", "function", size_px=20, **settings))
    counts = np.load(folder / "results/crops/P/A1/000.ntc.npy")
    np.testing.assert_allclose(found[: len(counts)], counts.mean((2, 3)), rtol=1e-5)


def test_a_random_transformer_is_the_same_in_every_run(folder):
    settings = {"size_px": 16, "mean": 0, "std": 1, "channels": "all", "repeat": 1}
    file = "mcvae_ops.training.random_vit:random_vit"
    first = vectors(encode(folder, file, "random", **settings))
    _network.cache_clear()
    again = vectors(encode(folder, file, "again", 1, 2, **settings))
    assert first.shape == (150, WIDTH_OF_RANDOM) and first.std(axis=0).min() > 0
    np.testing.assert_allclose(again, first[75:], atol=1e-5)


def test_means_of_another_number_of_channels_are_told(folder, module):
    with pytest.raises(InputError, match="found 3 numbers, expected one, or 1"):
        encode(folder, f"{module}:brightness", "wrong", repeat=1)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("nowhere.pt2", "no such file"),
        ("nowhere:encode", "No module named 'nowhere'"),
        ("{module}:nothing", "nothing"),
        ("{module}:flat", "() for"),
        ("{module}:endless", "not finite"),
        ("{module}:failing", "weights of another network"),
        ("{damaged}.ts", "expected a model of torch.export"),
        ("{damaged}.onnx", "expected a model of torch.export"),
    ],
)  # fmt: skip
def test_what_is_no_encoder_is_told(folder, module, tmp_path, file, words):
    if file.endswith(".onnx"):
        pytest.importorskip("onnxruntime")
    for kind in ("ts", "onnx"):
        (tmp_path / f"damaged.{kind}").write_bytes(b"PK")
    file = file.format(module=module, damaged=tmp_path / "damaged")
    with pytest.raises(InputError) as caught:
        encode(folder, file, "wrong", mean=0, std=1)
    assert words in str(caught.value)
