"""Image files of every format as axes and planes; what a library raises is a `TileError`."""

import struct
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import imagecodecs
import numpy as np

from mcvae_ops.archive.content import NUMPY_START, PNG_START, TIFF_STARTS
from mcvae_ops.archive.patterns import is_zarr
from mcvae_ops.errors import InputError, TileError, TransferError
from mcvae_ops.tiles.tiff import TiffImage
from mcvae_ops.tiles.zarr_image import ZarrImage

Window = tuple[slice, slice]

_SAMPLES_OF_PNG = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # of a pixel, by the type of its colours


class Image(Protocol):
    """An image of which one plane after the other is read.

    Attributes
    ----------
    axes, shape, dtype
        A letter and a length per axis, Y and X the last ones; type of the pixels.
    channel_names
        Along the axis C; empty where the file names none.
    """

    channel_names: Sequence[str]
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def plane(self, index: tuple[int, ...], window: Window) -> np.ndarray:
        """Return a window (y, x) of the plane at a place on the axes before Y and X."""

    def close(self) -> None:
        """Close the file."""


class PngImage:
    """A PNG file: one plane; see `Image`."""

    channel_names = ()

    def __init__(self, path: str | Path) -> None:
        self._content = Path(path).read_bytes()
        if self._content[12:16] != b"IHDR":
            raise TileError("damaged file: a PNG without its header (IHDR)")
        # Pixels are decoded when their number is known to be right: 2 MB may hold 2 GB of them.
        width, height, bits, colours = struct.unpack(">IIBB", self._content[16:26])
        samples = _SAMPLES_OF_PNG[colours]
        self.axes = "YX" if samples == 1 else "YXS"
        self.shape = (height, width, samples)[: len(self.axes)]
        self.dtype = np.dtype(np.uint16 if bits == 16 else np.uint8)

    def plane(self, index: tuple[int, ...], window: Window) -> np.ndarray:
        """Return a window (y, x) of the pixels."""
        return imagecodecs.png_decode(self._content)[window]

    def close(self) -> None:
        """Nothing is open."""


class ArrayImage:
    """Pixels in memory, whose axes before Y and X have no names; see `Image`."""

    def __init__(self, pixels: np.ndarray, channel_names: Sequence[str] = ()) -> None:
        if not 2 <= pixels.ndim <= 4:
            raise TileError(f"{pixels.ndim} axes, expected 2 to 4")
        self._pixels, self.channel_names = pixels, channel_names
        self.axes = "IQYX"[-pixels.ndim :]
        self.shape, self.dtype = pixels.shape, pixels.dtype

    def plane(self, index: tuple[int, ...], window: Window) -> np.ndarray:
        """Return a window (y, x) of the plane at a place on the axes before Y and X."""
        return self._pixels[index][window]

    def close(self) -> None:
        """Nothing is open."""


class NpyImage(ArrayImage):
    """An array of NumPy; see `ArrayImage`."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(np.load(path, allow_pickle=False))


FORMATS = {
    PNG_START[:4]: PngImage,
    NUMPY_START[:4]: NpyImage,
    **dict.fromkeys(TIFF_STARTS, TiffImage),
}
"""Formats by the first four bytes of a file; the last two are BigTIFF."""


@contextmanager
def opened_image(path: str | Path, archive: dict | None = None) -> Iterator[Image]:
    """Open an image: OME-Zarr by its name, TIFF, PNG and NumPy (.npy) by their first bytes.

    Parameters
    ----------
    path
        A file, or the group of an image in OME-Zarr, which may be an address.
    archive
        Section of the configuration; only images at an address need it.

    Raises
    ------
    TileError
        Whatever the library of the format raises, while the file is opened or read: the file is
        damaged, or of a kind that cannot be read. The message begins with the file's name.
    TransferError
        If an archive that is read in windows does not answer.
    """
    with damage_as_tile_error(Path(path).name), closing(_open(path, archive)) as image:
        yield image


@contextmanager
def damage_as_tile_error(name: str) -> Iterator[None]:
    """Raise whatever a library raises as a `TileError` that begins with a name.

    A `TransferError` stays what it is: the file may be whole.
    """
    try:
        yield
    except TransferError:
        raise
    # Readers of damaged files raise nearly every kind of error: none of them may end a run.
    except Exception as error:
        raise TileError(f"{name}: {_reason(error)}") from error


def _open(path: str | Path, archive: dict | None) -> Image:
    if is_zarr(path):
        return ZarrImage(path, archive)
    with open(path, "rb") as file:
        start = file.read(4)
    if not start:
        raise TileError("damaged file: it is empty")
    if start not in FORMATS:
        raise TileError(f"neither TIFF nor PNG nor .npy (begins with {start!r})")
    return FORMATS[start](path)


def _reason(error: Exception) -> str:
    match error:
        case TileError() | InputError():
            return str(error)
        case ImportError():
            return f"a compression that cannot be read here ({error})"
        case MemoryError():
            return "an image that does not fit into memory"
        case OSError() if error.errno is not None:
            return f"a file that cannot be read ({error.strerror})"
        case _:
            return f"damaged file ({type(error).__name__}: {error})"
