"""The files of an encoder that others trained, found without torch and without onnx."""

import re
from pathlib import Path

SUFFIXES = (".pt2", ".ts", ".pt", ".onnx")  # torch.export, TorchScript twice, ONNX
# An entry "location" of a tensor whose numbers lie in another file, and the length of its name:
# TensorProto.external_data of onnx.proto, in the bytes of protocol buffers.
_LOCATION = re.compile(rb"\x0a\x08location\x12([\x80-\xff]*)([\x00-\x7f])")


def files_of(file: str) -> list[str]:
    """Return the files of an encoder: its own, and those of its weights; none of a function.

    `torch.onnx.export` writes the weights of an ONNX model to a file beside it.
    """
    path = Path(file)
    if path.suffix not in SUFFIXES:
        return []
    weights = _external(path) if path.suffix == ".onnx" and path.exists() else []
    return [file, *weights]


def _external(path: Path) -> list[str]:
    content, names = path.read_bytes(), set()
    for found in _LOCATION.finditer(content):
        length = sum((byte & 0x7F) << 7 * k for k, byte in enumerate(b"".join(found.groups())))
        names.add(content[found.end() : found.end() + length].decode(errors="replace"))
    return [str(path.parent / name) for name in sorted(names)]
