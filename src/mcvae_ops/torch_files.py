"""Files of PyTorch, weights and checkpoints, which carry their SHA-256."""

import hashlib
import io
import pickle
from pathlib import Path

import torch

from mcvae_ops.files import damaged, whole_file

_NO_COMMENT = b"\0\0"  # the length of the comment, at the end of a zip archive


def save_torch(content: dict, path: Path | str) -> None:
    """Write tensors and plain values, complete or not at all; equal content gives equal bytes.

    The file of PyTorch is a zip archive, whose comment is used for the SHA-256 of all before it.
    """
    # torch.save writes the name of the file into it, and `whole_file` writes to a random name.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    archive = buffer.getvalue()[: -len(_NO_COMMENT)]
    with whole_file(path) as partial:
        partial.write_bytes(archive + _comment_of(archive))


def load_torch(path: Path | str, device: torch.device | str) -> dict:
    """Read what `save_torch` has written, or a file of PyTorch without a comment.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    content = Path(path).read_bytes()
    if not (content.endswith(_NO_COMMENT) and content[-22:].startswith(b"PK\5\6")):
        archive, comment = content[:-66], content[-66:]
        if _comment_of(archive) != comment:
            raise damaged(path, "content that has changed")
        content = archive + _NO_COMMENT
    try:
        return torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise damaged(path, str(error).partition("\n")[0]) from None


def _comment_of(archive: bytes) -> bytes:
    """Return the length of the comment, which is the last field of a zip archive, and itself."""
    digest = hashlib.sha256(archive).hexdigest().encode()
    return len(digest).to_bytes(2, "little") + digest
