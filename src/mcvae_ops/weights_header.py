"""What a file of weights says of its model, read without torch, as checks of a run need it."""

import hashlib
import io
import json
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

from mcvae_ops.errors import InputError

KEYS = (
    "model", "seed", "channels", "labels", "batches", "crop", "settings", "family",
    "preprocessing", "origin",
)  # fmt: skip
SAFETENSORS = ".safetensors"
HEADER = "mcvae_ops"
"""Key of the metadata of a safetensors file that holds all but the tensors, as JSON."""
DIGEST, NO_DIGEST = "sha256", b"0" * 64
"""Key of that JSON for the SHA-256 of the file, and what stands there while it is calculated."""
SAME_EDGE = 0.02
"""Relative difference of the edges of crops that still count as equal."""
_NO_COMMENT = b"\0\0"  # the length of the comment, at the end of a zip archive
_NO_FILE = "weights.pt, or weights.safetensors, of a training by this version"


def read_header(path: str | Path) -> dict:
    """Return what a file of weights holds beside the network's own tensors, and its checksum.

    Parameters
    ----------
    path
        ``weights.pt`` or ``weights.safetensors``.

    Returns
    -------
    `KEYS`, as `mcvae_ops.training.train.train_model` writes them, with None in place of tensors;
    and ``sha256`` of the file.

    Raises
    ------
    InputError
        If the file is not there, damaged, or not one of weights.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError.missing(
            where=str(path), what="the file", why=f"it should be {_NO_FILE}", fix="correct the path"
        )
    content = path.read_bytes()
    try:
        is_export = path.suffix == SAFETENSORS
        header = json_header(content) if is_export else _unpickled(checked_archive(content))
        return {key: header[key] for key in KEYS} | {"sha256": hashlib.sha256(content).hexdigest()}
    except (
        ValueError, LookupError, TypeError, AttributeError, EOFError, StopIteration,
        pickle.UnpicklingError, zipfile.BadZipFile,
    ) as error:  # fmt: skip
        raise unreadable(path, error) from None


def check_fit(where: str, header: dict, channels: list[str], crop: dict) -> None:
    """Refuse stored weights that cannot be used on a screen.

    Parameters
    ----------
    where
        The file, or the key that names it.
    header
        See `read_header`.
    channels
        Of the screen.
    crop
        ``size_px`` and ``pixel_size_um`` of its crops.

    Raises
    ------
    InputError
        If channels are missing or unknown, if the crops show more or less of the sample than those
        of the training, or if the decoder depends on the batches of its training.
    """
    trained = header["channels"]
    if absent := [name for name in trained if name not in channels]:
        raise InputError.missing(
            where=where,
            what=f"channel {absent[0]}",
            why=f"the model was trained with {', '.join(trained)}",
            fix=f"name the channels of the screen alike (now {', '.join(channels)}), or train a "
            "model on it",
        )
    if unknown := [name for name in channels if name not in trained]:
        raise InputError(
            where=where,
            found=f"a model without channel {unknown[0]}",
            expected=f"one that was trained with {', '.join(channels)}",
            fix="leave the channel out of screen.channels, or train a model on it",
        )
    of_model, of_screen = _edges(header["crop"], crop)
    if abs(of_screen[0] / of_model[0] - 1) > SAME_EDGE:
        raise InputError(
            where=where,
            found=f"a model of crops of {of_model[1]}",
            expected=f"one of {of_screen[1]}, as on this screen",
            fix="set crop.size_px (and screen.pixel_size_um) so that crops show as much of the "
            "sample, or train a model on them",
        )
    if header["family"]["condition_on_batch"]:
        raise InputError(
            where=where,
            found="a decoder that is conditioned on the batches of its training",
            expected="a decoder without batches",
            fix="train the model with training.condition_on_batch: false",
        )


def _edges(*crops: dict) -> list[tuple[float, str]]:
    """Return the edge of each crop, as number and text: in um where all pixel sizes are known."""
    sizes = [crop["pixel_size_um"] for crop in crops]
    if None in sizes:
        return [(crop["size_px"], f"{crop['size_px']} px") for crop in crops]
    edges = [crop["size_px"] * crop["pixel_size_um"] for crop in crops]
    return [(edge, f"{edge:.4g} um") for edge in edges]


def unreadable(path: str | Path, error: Exception) -> InputError:
    """Return the error for a file that holds no weights."""
    return InputError(
        where=str(path),
        found=f"no weights that can be read ({type(error).__name__}: {error})",
        expected=_NO_FILE,
        fix="name another file, or train the model again",
    )


def json_header(content: bytes) -> dict:
    """Return the header of a safetensors file: its length in 8 bytes, then JSON.

    Raises
    ------
    ValueError
        If it holds the SHA-256 of other bytes, or what no version has written.
    LookupError
        If the file is not one of weights.
    """
    size = int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][HEADER])
    digest = header.pop(DIGEST, "")
    if not digest and header.keys() <= set(KEYS):
        return header  # of a version that wrote no digest
    whole = content.replace(digest.encode(), NO_DIGEST, 1)
    if hashlib.sha256(whole).hexdigest() != digest:
        raise ValueError("content that has changed")
    return header


def with_digest(content: bytes) -> bytes:
    """Return the bytes of a safetensors file with their SHA-256 in place of `NO_DIGEST`."""
    return content.replace(NO_DIGEST, hashlib.sha256(content).hexdigest().encode(), 1)


def checked_archive(content: bytes) -> bytes:
    """Return the bytes of a file of PyTorch without its comment, which is the SHA-256 of the rest.

    Raises
    ------
    ValueError
        If the comment belongs to other bytes.
    """
    if content.endswith(_NO_COMMENT) and content[-22:].startswith(b"PK\5\6"):
        return content
    archive, comment = content[:-66], content[-66:]
    if _comment_of(archive) != comment:
        raise ValueError("content that has changed")
    return archive + _NO_COMMENT


def with_comment(content: bytes) -> bytes:
    """Return the bytes of a file of PyTorch with the SHA-256 of the rest as its comment."""
    archive = content[: -len(_NO_COMMENT)]
    return archive + _comment_of(archive)


def _comment_of(archive: bytes) -> bytes:
    """Return the length of the comment, which is the last field of a zip archive, and itself."""
    digest = hashlib.sha256(archive).hexdigest().encode()
    return len(digest).to_bytes(2, "little") + digest


def _unpickled(archive: bytes) -> dict:
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        name = next(name for name in files.namelist() if name.endswith("/data.pkl"))
        return _WithoutTensors(io.BytesIO(files.read(name))).load()


class _WithoutTensors(pickle.Unpickler):
    """Reads plain values; None stands for each tensor, and nothing else is made or called."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module.partition(".")[0] == "torch":
            return _no_tensor
        raise pickle.UnpicklingError(f"found {module}.{name}, which is no value of weights")

    def persistent_load(self, pid: object) -> None:
        return None


def _no_tensor(*_arguments: object) -> None:
    return None
