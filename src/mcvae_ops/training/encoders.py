"""Embed crops with encoders that others trained: torch.export, TorchScript, ONNX, or a function.

Nothing is fetched: weights come by path, and their SHA-256 stands in the results. A file of a model
is a program; run only those that you trust.
"""

import hashlib
import inspect
import itertools
import json
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.export.passes import move_to_device_pass
from torch.nn.functional import interpolate

from mcvae_ops.encoder_files import SUFFIXES, files_of
from mcvae_ops.errors import InputError
from mcvae_ops.shards.crops import Crops, read_in_order
from mcvae_ops.shards.training_cells import read_training_cells
from mcvae_ops.training.embed import rows_of_part, write_embedding
from mcvae_ops.training.precision import full_precision
from mcvae_ops.training.prepare import choose_device

CELLS_AT_A_TIME = 64
OF_CROP = "crop"
Encoder = Callable[[Tensor], Tensor]


def load_encoder(file: str, device: torch.device) -> tuple[Encoder, str]:
    """Return an encoder, images (image, channel, y, x) -> (image, dimension), and its SHA-256.

    Parameters
    ----------
    file
        A path that ends in .pt2 (`torch.export.save`), .ts or .pt (TorchScript) or .onnx, or
        "package:function". The checksum of a function is that of the file that defines it; that of
        an ONNX model is over its files of weights, too.
    device
        Where it runs. An ONNX model runs there if onnxruntime can, and else on the CPU.

    Raises
    ------
    InputError
        If there is no such file or function, or it cannot be read.
    """
    suffix = Path(file).suffix
    try:
        if suffix in SUFFIXES:
            digest = _sha256(files_of(file))
            return READERS[suffix](file, device), digest
        function = pkgutil.resolve_name(file)
        return function, _sha256([inspect.getsourcefile(inspect.unwrap(function))])
    except InputError:
        raise
    except FileNotFoundError as error:
        raise _unreadable(file, f"no such file ({error.filename})") from None
    except Exception as error:  # what a reader, or a module that is imported, says is its own
        raise _unreadable(file, _first_line(error)) from None


def _sha256(files: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _exported(file: str, device: torch.device) -> Encoder:
    # A device also stands in the steps of a program, not in its weights alone.
    return move_to_device_pass(torch.export.load(file), device).module()


def _scripted(file: str, device: torch.device) -> Encoder:
    return torch.jit.load(file, map_location=device).eval()


def _onnx(file: str, device: torch.device) -> Encoder:
    try:
        import onnxruntime
    except ImportError:
        raise InputError.missing(
            where=f"encoder {file}",
            what="the package onnxruntime",
            why="it runs ONNX models",
            fix='install it: pip install "mcvae-ops[onnx]"',
        ) from None
    wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    known = onnxruntime.get_available_providers()
    providers = [name for name in (*wanted, "CPUExecutionProvider") if name in known]
    session = onnxruntime.InferenceSession(file, providers=providers)
    name = session.get_inputs()[0].name
    return lambda images: torch.from_numpy(session.run(None, {name: images.cpu().numpy()})[0])


def checked(encoder: Encoder, file: str, model_name: str) -> Encoder:
    """Return an encoder that ends with one sentence where it cannot take the images.

    Raises
    ------
    InputError
        From each call that fails: the model, its file, the shape given and what it says.
    """

    def call(images: Tensor) -> Tensor:
        try:
            return encoder(images)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # each runtime has its own, and so may a function
            raise InputError(
                where=f"encoder {file} of model {model_name}",
                found=f"{_first_line(error)!r} for images of shape {tuple(images.shape)}",
                expected="an encoder that takes so many channels, any number of images, float32",
                fix="correct input.channels, repeat or size_px, or export it so",
            ) from error

    return call


READERS = {".pt2": _exported, ".ts": _scripted, ".pt": _scripted, ".onnx": _onnx}


def scaled(counts: np.ndarray, settings: Mapping, device: torch.device) -> Tensor:
    """Return crops from 0 to 1 at the size of the encoder's input, float32 (cell, channel, y, x).

    Parameters
    ----------
    counts
        uint16 (cell, channel, y, x).
    settings
        ``range``: two counts that become 0 and 1, or `OF_CROP`, the least and the largest count of
        each channel of a crop; ``size_px`` of the edge.
    device
        Of the result.
    """
    images = torch.from_numpy(counts.astype(np.float32)).to(device)
    if settings["range"] == OF_CROP:
        low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    else:
        low, high = settings["range"]
    images = (images - low) / torch.as_tensor(high - low, device=device).clamp(min=1e-6)
    size_px = (settings["size_px"],) * 2
    if images.shape[-2:] != size_px:
        images = interpolate(images, size_px, mode="bilinear", antialias=True)
    return images


def encode(encoder: Encoder, images: Tensor, settings: Mapping) -> np.ndarray:
    """Return the vectors of cells, (cell, dimension).

    Parameters
    ----------
    encoder
        As `load_encoder` returns.
    images
        As `scaled` returns.
    settings
        ``channels``: "all" hands all channels over together, "per_channel" one by one, each of
        them ``repeat`` times; ``mean`` and ``std`` of the channels of what is handed over, or of
        all of them; ``join``: "concatenate" or "average" the vectors of the channels.

    Raises
    ------
    InputError
        If the encoder returns something else than a finite vector of each image, or mean and std
        are of another number of channels.
    """
    if settings["channels"] == "all":
        return _vectors(encoder, _normalised(images, settings))
    of_channels = [
        _vectors(
            encoder,
            _normalised(images[:, k : k + 1].repeat(1, settings["repeat"], 1, 1), settings),
        )
        for k in range(images.shape[1])
    ]
    if settings["join"] == "average":
        return np.mean(of_channels, axis=0)
    return np.concatenate(of_channels, axis=1)


def _normalised(images: Tensor, settings: Mapping) -> Tensor:
    mean, std = (
        torch.as_tensor(settings[name], dtype=torch.float32, device=images.device).reshape(-1, 1, 1)
        for name in ("mean", "std")
    )
    for name, numbers in (("mean", mean), ("std", std)):
        if len(numbers) not in (1, images.shape[1]):
            raise InputError(
                where=f"configuration key input.{name} of the encoder",
                found=f"{len(numbers)} numbers",
                expected=f"one, or {images.shape[1]}: one for each channel that it sees at a time",
                fix="correct it, or input.repeat",
            )
    return (images - mean) / std


def _vectors(encoder: Encoder, images: Tensor) -> np.ndarray:
    found = encoder(images)
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(images):
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InputError(
            where="output of the encoder",
            found=f"{shape} for {len(images)} images",
            expected=f"a tensor of shape ({len(images)}, dimensions)",
            fix="export it with a last layer that gives one vector per image",
        )
    vectors = found.detach().float().cpu().numpy()
    if not np.isfinite(vectors).all():
        raise InputError(
            where="output of the encoder",
            found="a vector that is not finite",
            expected="finite numbers",
            fix="check input.range, mean and std of the encoder",
        )
    return vectors


@torch.no_grad()
def encoded(
    encoder: Encoder, crops: Crops, cells: range, settings: Mapping, device: torch.device
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions and vectors (cell, dimension) of `cells`, rows of the index."""
    for positions, counts in read_in_order(crops, cells, CELLS_AT_A_TIME):
        yield positions, encode(encoder, scaled(counts, settings, device), settings)


def encode_cells(
    index: str,
    cells: str,
    weights: Sequence[str],
    model_name: str,
    encoder: dict,
    device: str,
    part: int,
    parts: int,
    embedding: str,
) -> None:
    """Rule encode_cells: write the vectors that an encoder gives all cells, or one part of them.

    Parameters
    ----------
    index, cells
        The shard index, and its numbers (rule training_cells).
    weights
        The files of the encoder; none of a function. They only say when to run again.
    model_name, encoder
        Name of the model, and ``file`` and ``input`` of its entry in section ``encoders``.
    device
        "auto", "cpu" or "cuda".
    part, parts
        As for `embed_cells`.
    embedding
        Output: cell_id and ``z_00``..; the metadata ``encoder`` holds file and SHA-256.

    Raises
    ------
    InputError
        See `load_encoder`, `checked` and `encode`.
    """
    place = choose_device(device)
    function, digest = load_encoder(encoder["file"], place)
    function = checked(function, encoder["file"], model_name)
    every = read_training_cells(cells)
    rows = rows_of_part(len(every), part, parts)
    crops = Crops(Path(index).parent.parent, every)
    with full_precision():
        blocks = encoded(function, crops, rows, encoder["input"], place)
        first = next(blocks, (np.zeros(0, int), np.zeros((0, 1), np.float32)))
        names = [f"z_{k:02d}" for k in range(first[1].shape[1])]
        known = {"file": Path(encoder["file"]).name, "sha256": digest}
        write_embedding(
            index,
            rows,
            itertools.chain([first], blocks),
            names,
            (model_name, 0),
            embedding,
            {"encoder": json.dumps(known)},
        )


def _unreadable(file: str, found: str) -> InputError:
    return InputError(
        where=f"encoder {file}",
        found=found,
        expected="a model of torch.export (.pt2), TorchScript (.ts, .pt) or ONNX (.onnx), or "
        '"package:function"',
        fix="correct encoder.file of the model",
    )
