"""Read one tile: axes from the metadata, focal planes projected one after the other."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import scipy.ndimage

from mcvae_ops.errors import TileError
from mcvae_ops.screen import Channel, tile_shape
from mcvae_ops.tiles.image_formats import Image, Window, opened_image

_MOST_FRACTIONS = 0.99  # of the pixels of a float image may be at most 1


def read_tile(
    paths: Mapping[str, str | Path],
    channels: Sequence[Channel],
    z_planes: int,
    projection: str,
    tile_size_px: int | Sequence[int],
    axes: str | None = None,
    counts: Mapping[str, float] | None = None,
    window: Window | None = None,
    archive: dict | None = None,
) -> np.ndarray:
    """Read the channels of one tile, projected over its focal planes.

    Parameters
    ----------
    paths
        ``{group: path}`` of the tile's image files, or of its images in OME-Zarr.
    channels
        Channels in the order of the result.
    z_planes
        Focal planes that each file must hold.
    projection
        ``max``, ``best_focus`` (plane of highest Laplacian variance, per channel) or ``plane:k``.
    tile_size_px
        Lengths (y, x) that each plane must have, or one number for both, px.
    axes
        Letters of the axes (``CYX``) of files that do not name them.
    counts
        scale and offset that make counts of the values in the files.
    window
        Slices (y, x) of the planes that are wanted; None wants all.
    archive
        Section of the configuration; only images at an address need it.

    Returns
    -------
    uint16 (channel, y, x), counts: 8-bit counts as they are, floats rounded.

    Raises
    ------
    TileError
        If a file is missing or damaged, or its axes, shape or type differ from what is asked.
    """
    shape = tile_shape(tile_size_px)
    window = window or (slice(0, shape[0]), slice(0, shape[1]))
    tile = np.empty((len(channels), *(part.stop - part.start for part in window)), np.uint16)
    by_group = sorted(enumerate(channels), key=lambda item: item[1].group)
    for group, members in groupby(by_group, key=lambda item: item[1].group):
        if group not in paths:
            raise TileError(f"no file of channel group {group}")
        positions, of_group = zip(*members, strict=True)
        with opened_image(paths[group], archive) as image:
            planes = projected_planes(
                image, of_group, z_planes, projection, shape, axes, counts, window
            )
            for position, plane in zip(positions, planes, strict=True):
                tile[position] = plane
    return tile


def projected_planes(
    image: Image,
    channels: Sequence[Channel],
    z_planes: int,
    projection: str,
    shape: tuple[int, int],
    axes: str | None,
    counts: Mapping[str, float] | None,
    window: Window,
) -> Iterator[np.ndarray]:
    """Yield the plane (y, x) of each channel of an open image, projected, as counts.

    Parameters
    ----------
    image, channels
        The image, and those of its channels that are wanted.
    shape
        Lengths (y, x) that its planes must have.
    z_planes, projection, axes, counts, window
        See `read_tile`.
    """
    for channel in channels:
        planes = _Planes(image, axes, channel, z_planes, shape, window)
        yield as_counts(project(planes, projection), **(counts or {}))


def as_counts(image: np.ndarray, scale: float = 1.0, offset: float = 0.0) -> np.ndarray:
    """Return an image as counts that fit 16 bits: value x scale + offset, rounded.

    Raises
    ------
    TileError
        If values are not numbers, leave 0 to 65535, or are fractions of 1 and no counts.
    """
    if (scale, offset) == (1, 0):
        if image.dtype.kind == "u":
            return image
        _check_scale(image)
    else:
        image = image.astype(np.float32) * np.float32(scale) + np.float32(offset)
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 65535):
        raise TileError(
            f"pixels from {low:g} to {high:g} where counts from 0 to 65535 are expected; "
            "set screen.counts"
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


def _check_scale(image: np.ndarray) -> None:
    """Refuse floats of which nearly all would become 0 or 1; a bright pixel may exceed 1."""
    fractions = np.count_nonzero(image <= 1) / image.size
    if fractions >= _MOST_FRACTIONS:
        raise TileError(
            f"pixels from {image.min():g} to {image.max():g}, {fractions:.1%} of them at most 1, "
            "where counts from 0 to 65535 are expected; set screen.counts"
        )


class _Planes(Sequence):
    """The focal planes of one channel, each read when it is asked for."""

    def __init__(
        self,
        image: Image,
        axes: str | None,
        channel: Channel,
        z_planes: int,
        shape: tuple[int, int],
        window: Window,
    ) -> None:
        self.image = image
        self.axes = _named_axes(image, axes)
        lengths = dict(zip(self.axes, image.shape, strict=True))
        expected = dict(zip("YXZ", (*shape, z_planes), strict=True)) | {"C": lengths.get("C", 1)}
        wrong = {axis: n for axis, n in lengths.items() if n != expected.get(axis, 1)}
        if wrong or lengths.get("Z", 1) != z_planes or self.axes[-2:] != "YX":
            unnamed = set(self.axes) & set("QI") and "; set screen.axes, which names the axes"
            raise TileError(
                f"axes {self.axes} {image.shape} where {z_planes} focal planes (Z) "
                f"of {shape[0]} x {shape[1]} px (Y, X) and channels (C) are expected"
                f"{unnamed or ''}"
            )
        self.index = _index_of(channel, image, expected["C"])
        kind, n_bytes = image.dtype.kind, image.dtype.itemsize
        if not ((kind == "u" and n_bytes <= 2) or kind == "f"):
            raise TileError(f"pixels are {image.dtype}, not uint8, uint16 or float")
        self.z_planes, self.window = z_planes, window

    def __len__(self) -> int:
        return self.z_planes

    def __getitem__(self, k: int) -> np.ndarray:
        if not 0 <= k < self.z_planes:
            raise IndexError(k)
        place = {"C": self.index, "Z": k}
        index = tuple(place.get(axis, 0) for axis in self.axes[:-2])
        plane = self.image.plane(index, self.window)
        expected = tuple(part.stop - part.start for part in self.window)
        if plane.shape != expected or plane.dtype != self.image.dtype:
            raise TileError(f"a plane {plane.dtype} {plane.shape}, expected {expected}")
        return plane


def _index_of(channel: Channel, image: Image, n_channels: int) -> int:
    """Return the place of a channel on the axis C: as configured, or by its name in the file."""
    index, names = channel.index, image.channel_names
    if index is None and names:
        if names.count(channel.name) != 1:
            raise TileError(f"channels {', '.join(names)}, expected one named {channel.name}")
        index = names.index(channel.name)
    if index is None and n_channels > 1:
        raise TileError(f"{n_channels} channels without names; set index of {channel.name}")
    if (index or 0) >= n_channels:
        raise TileError(f"{n_channels} channels, none at index {index}")
    return index or 0


def _named_axes(image: Image, axes: str | None) -> str:
    """Return the axes of the file, or those of the configuration where the file names none."""
    if axes is None or not set(image.axes) & set("QI"):
        return image.axes
    if len(axes) != len(image.shape):
        raise TileError(f"{len(image.shape)} axes {image.shape}, but screen.axes is {axes}")
    return axes
