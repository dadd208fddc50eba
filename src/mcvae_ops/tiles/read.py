"""Read one tile: axes from the metadata, focal planes projected one after the other."""

import struct
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import scipy.ndimage
import tifffile

from mcvae_ops.errors import TileError
from mcvae_ops.screen import Channel

_DAMAGED = (OSError, ValueError, LookupError, TypeError, struct.error, tifffile.TiffFileError)


def read_tile(
    paths: Mapping[str, str | Path],
    channels: Sequence[Channel],
    z_planes: int,
    projection: str,
    tile_size_px: int,
) -> np.ndarray:
    """Read the channels of one tile, projected over its focal planes.

    Parameters
    ----------
    paths
        ``{group: path}`` of the tile's TIFF files.
    channels
        Channels in the order of the result.
    z_planes
        Focal planes that each file must hold.
    projection
        ``max``, ``best_focus`` (plane of highest Laplacian variance, per channel) or ``plane:k``.
    tile_size_px
        Edge that each plane must have, px.

    Returns
    -------
    uint16 (channel, y, x), counts: 8-bit counts as they are, floats rounded.

    Raises
    ------
    TileError
        If a file is missing or damaged, or its axes, shape or type differ from what is asked.
    """
    tile = np.empty((len(channels), tile_size_px, tile_size_px), np.uint16)
    by_group = sorted(enumerate(channels), key=lambda item: item[1].group)
    for group, members in groupby(by_group, key=lambda item: item[1].group):
        if group not in paths:
            raise TileError(f"no file of {group}")
        try:
            with tifffile.TiffFile(paths[group]) as tif:
                for position, channel in members:
                    planes = _Planes(tif, channel, z_planes, tile_size_px)
                    tile[position] = as_counts(project(planes, projection))
        except _DAMAGED as error:
            reason = str(error) if isinstance(error, TileError) else f"damaged TIFF ({error})"
            raise TileError(f"{Path(paths[group]).name}: {reason}") from error
    return tile


def as_counts(image: np.ndarray) -> np.ndarray:
    """Return an image as counts that fit 16 bits; floats are rounded.

    Raises
    ------
    TileError
        If floats are not numbers, leave 0 to 65535, or all lie within 0 to 1 and are no counts.
    """
    if image.dtype.kind == "u":
        return image
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and 1 < high <= 65535):
        raise TileError(
            f"pixels from {low:g} to {high:g} where counts from 0 to 65535 are expected"
        )
    return np.rint(image)


def project(planes: Sequence[np.ndarray], projection: str) -> np.ndarray:
    """Make one image (y, x) of focal planes; ``max``, ``best_focus`` or ``plane:k``."""
    kind, _, k = projection.partition(":")
    match kind:
        case "max":
            image = np.array(planes[0])
            for k in range(1, len(planes)):
                np.maximum(image, planes[k], out=image)
            return image
        case "best_focus":
            return max(planes, key=lambda plane: scipy.ndimage.laplace(plane.astype("f4")).var())
        case "plane":
            return planes[int(k)]
        case _:
            raise ValueError(f"projection is {projection!r}, not max, best_focus or plane:k")


class _Planes(Sequence):
    """The focal planes of one channel, each read when it is asked for."""

    def __init__(
        self, tif: tifffile.TiffFile, channel: Channel, z_planes: int, tile_size_px: int
    ) -> None:
        named = (tif.imagej_metadata or {}).get("images", 1)
        if len(tif.pages) < named:
            raise TileError(f"damaged TIFF ({len(tif.pages)} of the {named} images it names)")
        self.series = tif.series[0]
        axes = dict(zip(self.series.axes, self.series.shape, strict=True))
        n_channels = axes.get("C", 1)
        expected = {"Y": tile_size_px, "X": tile_size_px, "Z": z_planes, "C": n_channels}
        wrong = {axis: n for axis, n in axes.items() if n != expected.get(axis, 1)}
        if wrong or axes.get("Z", 1) != z_planes or self.series.axes[-2:] != "YX":
            raise TileError(
                f"axes {self.series.axes} {self.series.shape} where {z_planes} focal planes (Z) "
                f"of {tile_size_px} x {tile_size_px} px (Y, X) and channels (C) are expected"
            )
        if channel.index >= n_channels:
            raise TileError(f"{n_channels} channels, none at index {channel.index}")
        kind, n_bytes = self.series.dtype.kind, self.series.dtype.itemsize
        if not ((kind == "u" and n_bytes <= 2) or kind == "f"):
            raise TileError(f"pixels are {self.series.dtype}, not uint8, uint16 or float")
        n_expected = int(np.prod(self.series.shape[:-2]))
        if len(self.series.pages) != n_expected:
            raise TileError(f"{len(self.series.pages)} images where {n_expected} are expected")
        order = np.arange(n_expected).reshape(self.series.shape[:-2])
        if "C" in axes:
            order = np.take(order, channel.index, axis=self.series.axes.index("C"))
        self.pages = order.ravel()

    def __len__(self) -> int:
        return len(self.pages)

    def __getitem__(self, k: int) -> np.ndarray:
        return self.series.pages[int(self.pages[k])].asarray()
