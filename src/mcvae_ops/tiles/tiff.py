"""A TIFF file as axes and planes: its own planes, as counts, or a reason why not."""

import math
from pathlib import Path

import numpy as np
import tifffile

from mcvae_ops.errors import TileError
from mcvae_ops.tiles.ome_xml import grid_of, own_planes

_COUNTS = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.PALETTE, tifffile.PHOTOMETRIC.RGB)
_ORIENTATION = 274  # the tag; 1 is the first row on top, the first column on the left


class TiffImage:
    """One image of a TIFF file; the planes are read when they are asked for.

    Attributes
    ----------
    axes, shape, dtype
        Letters as in tifffile (T, C, Z, Y, X; Q and I are unknown), lengths, and type of pixels.

    Raises
    ------
    TileError
        If the file holds several images, planes of other files, or pixels that are no counts.
    """

    channel_names = ()

    def __init__(self, path: str | Path) -> None:
        self._tif = tifffile.TiffFile(path)
        try:
            planes = None
            if self._tif.ome_metadata:
                planes = own_planes(self._tif.ome_metadata, Path(path).name)
            if planes is None:
                self._take_series()
            else:
                self._take_planes(planes)
            self._check_counts()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._tif.close()

    def plane(self, index: tuple[int, ...], window: tuple[slice, slice]) -> np.ndarray:
        """Return a window (y, x) of the plane at a place on the axes before Y and X."""
        position = int(np.ravel_multi_index(index, self.shape[:-2])) if index else 0
        if self._offset is None:
            pixels = self._pages[position].asarray()
            # A page of another size than its series would be cut to the window.
            if pixels.shape != self.shape[-2:]:
                raise TileError(f"a plane {pixels.shape}, expected {self.shape[-2:]}")
            return pixels[window]
        size_y, size_x = self.shape[-2:]
        offset = self._offset + position * size_y * size_x * self.dtype.itemsize
        file = self._tif.filehandle
        dtype = self.dtype.newbyteorder(self._tif.byteorder)
        return file.read_array(dtype, size_y * size_x, offset).reshape(size_y, size_x)[window]

    def _take_series(self) -> None:
        """Take the first series; a later one may only be a thumbnail."""
        series, *others = self._tif.series
        if same := [other for other in others if other.shape[-2:] == series.shape[-2:]]:
            raise TileError(f"{1 + len(same)} images of one size, expected 1")
        self.axes, self.shape, self.dtype = series.axes, series.shape, series.dtype
        self._offset, self._pages = None, list(series.pages)
        if self._is_one_directory(series):
            self._offset = series.dataoffset
            return
        if "S" not in self.axes and len(self._pages) != math.prod(self.shape[:-2]):
            raise TileError(
                f"{len(self._pages)} planes, expected {math.prod(self.shape[:-2])} "
                f"(axes {self.axes} {self.shape})"
            )
        if any(page is None or page.parent is not self._tif for page in self._pages):
            raise TileError("planes of the image are missing or lie in other files")

    def _is_one_directory(self, series: tifffile.TiffPageSeries) -> bool:
        """Say whether ImageJ wrote one directory for many planes, as it does above 4 GB."""
        n_images = (self._tif.imagej_metadata or {}).get("images", 1)
        if len(self._tif.pages) >= n_images:
            return False
        n_planes = math.prod(series.shape[:-2])
        if len(self._tif.pages) > 1 or series.dataoffset is None or n_planes != n_images:
            raise TileError(
                f"damaged file ({len(self._tif.pages)} of the {n_images} images it names)"
            )
        return True

    def _take_planes(self, planes: dict[tuple[int, int, int], int]) -> None:
        lengths, pages = grid_of(planes)
        first = self._tif.pages.first
        self._offset, self._pages = None, [self._tif.pages[page] for page in pages]
        if any(page.shape != first.shape or page.dtype != first.dtype for page in self._pages):
            raise TileError("planes of different sizes or types in one image")
        self.axes, self.shape = "TCZ" + first.axes, (*lengths, *first.shape)
        self.dtype = first.dtype

    def _check_counts(self) -> None:
        page = self._tif.pages.first
        if page.photometric not in _COUNTS:
            name = getattr(page.photometric, "name", page.photometric)
            raise TileError(f"photometric interpretation {name}, expected MINISBLACK (0 is black)")
        orientation = page.tags.valueof(_ORIENTATION, 1)
        if orientation not in (0, 1):
            raise TileError(f"orientation {orientation}, expected 1 (first row on top)")
