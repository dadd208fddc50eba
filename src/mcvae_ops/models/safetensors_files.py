"""Weights as safetensors: tensors and JSON, which any language reads, and no code."""

import json
from pathlib import Path

import torch

from mcvae_ops.files import whole_file
from mcvae_ops.torch_files import load_torch
from mcvae_ops.weights_header import DIGEST, HEADER, NO_DIGEST, json_header, with_digest

_STATE, _PREPROCESSING = "network.", "preprocessing."


def export_weights(weights: str, export: str) -> None:
    """Rule export_weights: write the weights of a training as safetensors.

    Parameters
    ----------
    weights
        ``weights.pt``.
    export
        Output: tensors ``network.*`` and ``preprocessing.*``, and in the metadata all other values
        as JSON, with the SHA-256 of the file.
    """
    from safetensors.torch import save

    content = load_torch(weights, "cpu")
    tensors = {_STATE + name: value.contiguous() for name, value in content.pop("state").items()}
    scales = {k: v for k, v in content["preprocessing"].items() if isinstance(v, torch.Tensor)}
    tensors |= {_PREPROCESSING + name: value.contiguous() for name, value in scales.items()}
    content["preprocessing"] = content["preprocessing"] | dict.fromkeys(scales)
    header = json.dumps(content | {DIGEST: NO_DIGEST.decode()})
    with whole_file(export) as partial:
        partial.write_bytes(with_digest(save(tensors, {HEADER: header})))


def read_safetensors(path: str | Path, device: str) -> dict:
    """Read what `export_weights` has written, in the form of ``weights.pt``.

    Raises
    ------
    ValueError, LookupError
        If the file is not one of weights, incomplete, or other than it was written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = Path(path).read_bytes()
    header = json_header(content)
    try:
        tensors = {name: value.to(device) for name, value in load(content).items()}
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    return header | {
        "state": _below(_STATE, tensors),
        "preprocessing": header["preprocessing"] | _below(_PREPROCESSING, tensors),
    }


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
