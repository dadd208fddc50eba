"""Files of PyTorch, weights and checkpoints, which carry their SHA-256."""

import io
import pickle
from pathlib import Path

import torch

from mcvae_ops.files import damaged, whole_file
from mcvae_ops.weights_header import checked_archive, with_comment


def save_torch(content: dict, path: Path | str) -> None:
    """Write tensors and plain values, complete or not at all; equal content gives equal bytes.

    The file of PyTorch is a zip archive, whose comment is used for the SHA-256 of all before it.
    """
    # torch.save writes the name of the file into it, and `whole_file` writes to a random name.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with whole_file(path) as partial:
        partial.write_bytes(with_comment(buffer.getvalue()))


def load_torch(path: Path | str, device: torch.device | str) -> dict:
    """Read what `save_torch` has written, or a file of PyTorch without a comment.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    content = Path(path).read_bytes()
    try:
        archive = io.BytesIO(checked_archive(content))
        return torch.load(archive, map_location=device, weights_only=True)
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise damaged(path, str(error).partition("\n")[0]) from None
