"""Many crops in one array: a row of a .npy, of a Zarr array, or of a data set in HDF5.

``crops.npy#7`` is row 7, counted from 0, of the array (crop, channel, y, x) in ``crops.npy``.
``crops.zarr/P1#7`` and ``crops.h5/P1#7`` name the array inside; ``cells.h5sc#7`` is scPortrait's
file of single cells (https://mannlabs.github.io/scPortrait), whose images lie at ``STACK_OF_H5SC``.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import zarr

from mcvae_ops.archive.addresses import is_remote, local_path
from mcvae_ops.archive.hdf5_files import opened_hdf5
from mcvae_ops.archive.ngff import open_array, open_store
from mcvae_ops.archive.patterns import is_zarr
from mcvae_ops.errors import InputError, TileError
from mcvae_ops.tiles.image_formats import ArrayImage, damage_as_tile_error

STACK_OF_H5SC = "obsm/single_cell_images"
_HDF5 = re.compile(r"\.(h5sc|h5ad|h5|hdf5)(?=/|$)", re.IGNORECASE)
_ROW = re.compile(r"(.+)#(\d{1,12})")


class InStack(NamedTuple):
    """The place of a crop: address of an array, and its row there."""

    stack: str
    row: int


def in_stack(address: str) -> InStack | None:
    """Return the place of a crop that is a row of an array; None if it is a file of its own."""
    match = _ROW.fullmatch(address)
    return match and InStack(match[1], int(match[2]))


class Stack:
    """An open array of crops.

    Attributes
    ----------
    n_crops
        Its rows.
    channel_names
        Of each channel, where the file says so (.h5sc); empty otherwise.
    """

    def __init__(self, array, channel_names: Sequence[str] = ()) -> None:
        if array.ndim < 3:
            raise TileError(f"{array.ndim} axes, expected crop, channel, y, x")
        self._array, self.n_crops = array, array.shape[0]
        self.channel_names = list(channel_names)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the crops at ascending rows, (crop, ...); each chunk of the file is read once."""
        select = self._array.oindex if isinstance(self._array, zarr.Array) else self._array
        return np.asarray(select[rows])


def read_stacked(
    places: Iterable[InStack], archive: dict
) -> dict[InStack, ArrayImage | InputError | TileError]:
    """Read crops out of the arrays in which they lie; of those that cannot be had, the error.

    Parameters
    ----------
    places
        Of the crops; arrays are paths, or addresses of Zarr.
    archive
        Section of the configuration, for remote ones.

    Raises
    ------
    TransferError
        If an archive does not answer.
    """
    rows_of: dict[str, set[int]] = {}
    for stack, row in places:
        rows_of.setdefault(stack, set()).add(row)
    crops = {}
    for stack, wanted in rows_of.items():
        rows = np.array(sorted(wanted))
        try:
            with opened_stack(stack, archive) as opened:
                there = rows[rows < opened.n_crops]
                pixels = opened.read(there) if len(there) else []
                for row, image in zip(there.tolist(), pixels, strict=True):
                    crops[InStack(stack, row)] = ArrayImage(image, opened.channel_names)
        except (InputError, TileError) as error:
            crops |= {InStack(stack, row): error for row in rows.tolist()}
            continue
        for row in rows[rows >= opened.n_crops].tolist():
            crops[InStack(stack, row)] = InputError.missing(
                where=stack, what=f"row {row}", why=f"it has {opened.n_crops} crops",
                fix="correct cells.columns.crop or the table of cells",
            )  # fmt: skip
    return crops


@contextmanager
def opened_stack(address: str, archive: dict) -> Iterator[Stack]:
    """Open an array of crops: Zarr by its name, here or remote; HDF5 by its name; else .npy.

    Raises
    ------
    InputError
        If there is no such file, or it would have to be fetched whole.
    TileError
        If it is damaged or holds no array of crops.
    TransferError
        If an archive does not answer.
    """
    name = Path(address).name
    if is_zarr(address):
        with damage_as_tile_error(name):
            store, path = open_store(address, archive)
            yield Stack(open_array(store, path))
        return
    if is_remote(address):
        raise InputError(
            where=address,
            found="crops in one file at an address",
            expected="a file on this machine, or Zarr, of which parts can be read",
            fix="fetch it, and name its path",
        )
    inside = _HDF5.search(address)
    file = local_path(address[: inside.end()] if inside else address)
    if not file.is_file():
        raise InputError.missing(
            where=str(file), what="the file", why="cells.columns.crop names it",
            fix="put it there, or correct cells.columns.crop",
        )  # fmt: skip
    with damage_as_tile_error(name):
        if not inside:
            yield Stack(np.load(file, mmap_mode="r", allow_pickle=False))
            return
        default = STACK_OF_H5SC if inside[1].lower() == "h5sc" else ""
        with opened_hdf5(file) as data:
            array = data.get(address[inside.end() :].strip("/") or default or "/")
            if not isinstance(array, h5py.Dataset):
                raise TileError("no data set there; name it behind the file, as in x.h5/crops#0")
            names = [_text(name) for name in array.attrs.get("channel_names", ())]
            yield Stack(array, names)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
