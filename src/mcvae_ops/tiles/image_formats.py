"""Image files of every format as axes and planes; what a library raises is a `TileError`."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import imagecodecs
import numpy as np

from mcvae_ops.archive.http import TransferError
from mcvae_ops.errors import TileError
from mcvae_ops.tiles.tiff import TiffImage


class Image(Protocol):
    """An image of which one plane after the other is read.

    Attributes
    ----------
    axes, shape, dtype
        A letter and a length per axis, Y and X the last ones; type of the pixels.
    """

    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def plane(self, index: tuple[int, ...]) -> np.ndarray:
        """Return the plane (y, x) at a place on the axes before Y and X."""

    def close(self) -> None:
        """Close the file."""


class PngImage:
    """A PNG file: one plane; see `Image`."""

    def __init__(self, path: str | Path) -> None:
        self._pixels = imagecodecs.png_decode(Path(path).read_bytes())
        self.axes = "YXS"[: self._pixels.ndim]
        self.shape, self.dtype = self._pixels.shape, self._pixels.dtype

    def plane(self, index: tuple[int, ...]) -> np.ndarray:
        """Return the pixels (y, x)."""
        return self._pixels

    def close(self) -> None:
        """Nothing is open."""


@contextmanager
def opened_image(path: str | Path) -> Iterator[Image]:
    """Open an image file; its suffix says the format.

    Raises
    ------
    TileError
        Whatever the library of the format raises, while the file is opened or read: the file is
        damaged, or of a kind that cannot be read. The message begins with the file's name.
    TransferError
        If an archive that is read in windows does not answer.
    """
    kind = PngImage if str(path).lower().endswith(".png") else TiffImage
    try:
        with closing(kind(path)) as image:
            yield image
    except TransferError:
        raise
    # Readers of damaged files raise nearly every kind of error: none of them may end a run.
    except Exception as error:
        raise TileError(f"{Path(path).name}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    match error:
        case TileError():
            return str(error)
        case ImportError():
            return f"a compression that cannot be read here ({error})"
        case MemoryError():
            return "an image that does not fit into memory"
        case OSError() if error.errno is not None:
            return f"a file that cannot be read ({error.strerror})"
        case _:
            return f"damaged file ({type(error).__name__}: {error})"
