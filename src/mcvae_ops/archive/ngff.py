"""OME-Zarr (NGFF 0.4 and 0.5; Zarr 2 and 3): groups and arrays, wells and fields of plates."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import zarr
from zarr.abc.store import Store
from zarr.storage import LocalStore

from mcvae_ops.archive.addresses import is_remote, local_path
from mcvae_ops.archive.patterns import ZARR
from mcvae_ops.archive.remote_zarr import RemoteStore
from mcvae_ops.archive.zarr_chunks import UNPACKERS  # chunks are bounded from here on
from mcvae_ops.errors import InputError, TransferError

_LONGEST_NUMBER = 9  # digits of a field
_MOST_CHUNK_BYTES = 1 << 30  # unpacked
_MOST_CHUNKS_OF_SHARD = 1_000_000  # each has 16 bytes in its index, which is read at once


def open_store(address: str | Path, archive: dict) -> tuple[Store, str]:
    """Return the store that an address of OME-Zarr lies in, and the path inside it.

    Parameters
    ----------
    address
        ``….zarr`` or a group in it; a path, or an address with ``file://`` or ``https://``.
    archive
        Section of the configuration.
    """
    end = ZARR.search(str(address)).end()
    root, path = str(address)[:end], str(address)[end:].strip("/")
    if is_remote(root):
        return RemoteStore(root, archive), path
    return LocalStore(local_path(root), read_only=True), path


def attributes(store: Store, path: str) -> dict:
    """Return the NGFF metadata of a group: with 0.5 they stand below ``ome``.

    Raises
    ------
    InputError
        If there is no such group.
    """
    try:
        attributes = zarr.open_group(store, path=path, mode="r").attrs.asdict()
        attributes = dict(attributes.get("ome", attributes))
    except (InputError, TransferError):
        raise
    # Zarr raises nearly every kind of error, depending on what is damaged.
    except Exception as error:
        raise InputError(
            where=f"{store}/{path}",
            found=f"no group of Zarr ({error})",
            expected="OME-Zarr",
            fix="correct the address in images",
        ) from None
    return attributes


def open_array(store: Store, path: str) -> zarr.Array:
    """Open an array to read it; its chunks fit the memory, whatever its metadata say.

    Raises
    ------
    InputError
        If a chunk has no pixel, or more than can be held, or a shard too many chunks; or if codecs
        make an unpacked chunk longer or shorter than its pixels.
    """
    array = zarr.open_array(store, path=path, mode="r")
    n_pixels, n_of_shard = math.prod(array.chunks), math.prod(array.shards or array.chunks)
    is_whole = 0 < n_pixels * array.dtype.itemsize <= _MOST_CHUNK_BYTES
    if not is_whole or n_of_shard > n_pixels * _MOST_CHUNKS_OF_SHARD:
        shards = f" in shards of {array.shards}" if array.shards else ""
        raise InputError(
            where=f"{store}/{path}",
            found=f"chunks of {array.chunks} {array.dtype}{shards}",
            expected=f"chunks of at most {_MOST_CHUNK_BYTES >> 20} MB, and at most "
            f"{_MOST_CHUNKS_OF_SHARD:,} of them in a shard",
            fix="write the array in smaller chunks",
        )
    if codecs := array.async_array.codec_pipeline.unbounded:
        raise InputError(
            where=f"{store}/{path}",
            found=f"chunks that are written by {codecs.replace(' ', ', ')}",
            expected=f"at most one of {', '.join(UNPACKERS)}, and no filters",
            fix="write the array again",
        )
    return array


def fields_of_plate(
    address: str, archive: dict, is_wanted: Callable[[str], bool]
) -> Iterator[tuple[str, int, str]]:
    """Yield (well, field, path) of the fields of a plate, as its metadata list them.

    The number of a field is its name where that is a number (``A/1/7`` is field 7), otherwise its
    position among the fields of its well.

    Parameters
    ----------
    address
        Group of the plate.
    archive
        Section of the configuration.
    is_wanted
        Says of the name of a well (row and column, joined) whether its fields are listed: each well
        costs requests of its own.

    Raises
    ------
    InputError
        If the group is no plate.
    """
    store, path = open_store(address, archive)
    plate = attributes(store, path).get("plate")
    if not isinstance(plate, dict) or not isinstance(plate.get("wells"), list):
        raise InputError(
            where=address,
            found="no metadata of a plate",
            expected="OME-Zarr with plate metadata (HCS)",
            fix="name the wells and tiles in the address: {plate}.zarr/{row}/{column}/{tile}",
        )
    for well in _paths(plate["wells"], address):
        name = well.replace("/", "")
        if not is_wanted(name):
            continue
        below = f"{path}/{well}".strip("/")
        listed = attributes(store, below).get("well", {})
        images = listed.get("images", []) if isinstance(listed, dict) else None
        for position, field in enumerate(_paths(images, f"{address}/{well}")):
            is_number = field.isascii() and field.isdigit() and len(field) <= _LONGEST_NUMBER
            yield name, int(field) if is_number else position, f"{well}/{field}"


def _paths(listed: object, where: str) -> list[str]:
    """Return the paths of the wells, or fields, that metadata list; none leads out of its group."""
    items = listed if isinstance(listed, list) else [None]
    paths = [str(item.get("path", "")) if isinstance(item, dict) else "" for item in items]
    for path in paths:
        if {"", ".", ".."} & set(path.split("/")):
            raise InputError(
                where=where,
                found=f"the path {path[:80]!r} in its metadata",
                expected="the paths of wells and fields in the plate",
                fix="correct the metadata, or name wells and tiles in the address",
            )
    return paths
