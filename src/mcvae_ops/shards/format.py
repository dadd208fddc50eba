"""The format of a shard: crops as .npy, and one row per crop in a parquet file beside it."""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from mcvae_ops.errors import InputError
from mcvae_ops.files import read_schema, read_table, whole_file, write_parquet

SCHEMA_VERSION = "1"
_BLOCK_CELLS = 256


@dataclass(frozen=True)
class Shard:
    """An open shard.

    Attributes
    ----------
    crops
        uint16 (cell, channel, y, x), counts; mapped from disk.
    cells
        One row per crop, in the same order.
    channels
        Names along the channel axis.
    """

    crops: np.ndarray
    cells: pa.Table
    channels: tuple[str, ...]


def index_path(path: str | Path) -> Path:
    """Return the path of the parquet file beside a shard's .npy."""
    return Path(path).with_suffix(".parquet")


def write_shard(
    crops: np.ndarray,
    order: np.ndarray,
    cells,
    channels: Sequence[str],
    path: str | Path,
    index: str | Path | None = None,
) -> None:
    """Write a shard: first the crops, then the rows; the rows prove that the crops are complete.

    Parameters
    ----------
    crops
        uint16 (cell, channel, y, x), counts; may contain more cells than are written.
    order
        Rows of `crops`, in the order in which they are written.
    cells
        pyarrow Table or pandas DataFrame, row-aligned with `order`.
    channels
        Names along the channel axis.
    path, index
        Targets: .npy, and .parquet (by default beside it).

    Raises
    ------
    ValueError
        If shape, type or number of rows do not match.
    """
    if not isinstance(cells, pa.Table):
        cells = pa.Table.from_pandas(cells, preserve_index=False)
    if crops.dtype != np.uint16 or crops.ndim != 4 or crops.shape[2] != crops.shape[3]:
        raise ValueError(f"crops are {crops.dtype} {crops.shape}, not uint16 (cell, channel, y, x)")
    if len(channels) != crops.shape[1] or cells.num_rows != len(order):
        raise ValueError(
            f"{len(channels)} channels for crops {crops.shape}, "
            f"{cells.num_rows} rows for {len(order)} crops"
        )
    with whole_file(path) as partial:
        digest = _write_in_order(crops, order, partial)
    metadata = {
        "schema_version": SCHEMA_VERSION,
        "channels": json.dumps(list(channels)),
        "crop_size_px": str(crops.shape[2]),
        "sha256": digest,
    }
    write_parquet(cells, index or index_path(path), metadata)


def open_shard(path: str | Path, verify: bool = False) -> Shard:
    """Open a shard without reading its crops.

    Parameters
    ----------
    path
        The .npy; its rows are in the .parquet beside it.
    verify
        Whether to read the whole file too, and compare its SHA-256.

    Raises
    ------
    InputError
        If the shard is damaged, has another schema version, or crops and rows do not match.
    """
    metadata = read_metadata(path)
    if verify and _sha256(path) != metadata["sha256"]:
        raise _mismatch(path, "changed crops", f"SHA-256 {metadata['sha256']}")
    try:
        crops = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, SyntaxError) as error:
        raise _mismatch(path, f"damage ({error})", "crops") from None
    cells = read_table(index_path(path))
    channels = tuple(json.loads(metadata["channels"]))
    size_px = int(metadata["crop_size_px"])
    expected = (cells.num_rows, len(channels), size_px, size_px)
    if crops.shape != expected or crops.dtype != np.uint16:
        raise _mismatch(path, f"crops {crops.dtype} {crops.shape}", f"uint16 {expected}")
    return Shard(crops, cells, channels)


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return the metadata of a shard (given by its .npy), after a check of their version.

    Raises
    ------
    InputError
        If the parquet file has no metadata, or those of another version.
    """
    encoded = read_schema(index_path(path)).metadata or {}
    metadata = {key.decode(): value.decode() for key, value in encoded.items()}
    version = metadata.get("schema_version", "none")
    if version != SCHEMA_VERSION:
        raise _mismatch(path, f"schema version {version}", f"version {SCHEMA_VERSION}")
    return metadata


def _write_in_order(crops: np.ndarray, order: np.ndarray, path: Path) -> str:
    """Write the crops; return the SHA-256 of the file."""
    header = io.BytesIO()
    shape = (len(order), *crops.shape[1:])
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<u2", "fortran_order": False, "shape": shape}
    )
    digest = hashlib.sha256(header.getvalue())
    with open(path, "wb") as handle:
        handle.write(header.getvalue())
        for first in range(0, len(order), _BLOCK_CELLS):
            block = np.take(crops, order[first : first + _BLOCK_CELLS], axis=0)
            block = block.astype("<u2", copy=False)
            handle.write(block.data)
            digest.update(block.data)
    return digest.hexdigest()


def _sha256(path: str | Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _mismatch(path: str | Path, found: str, expected: str) -> InputError:
    return InputError(
        where=f"shard {path}",
        found=found,
        expected=expected,
        fix="delete it, and Snakemake makes it again",
    )
