"""An image of OME-Zarr as axes and planes, of which only the chunks in a window are read."""

import math
from pathlib import Path

import numpy as np

from mcvae_ops.archive.ngff import attributes, open_array, open_store
from mcvae_ops.errors import InputError, TileError

_MOST_CHUNKS = 100_000  # of a window: each is a request of its own


class ZarrImage:
    """The finest level of an image; see `Image`.

    Parameters
    ----------
    address
        Group of the image (with the metadata ``multiscales``), local or remote.
    archive
        Section of the configuration, for remote ones.

    Attributes
    ----------
    channel_names
        Labels of the channels, where the metadata give them.
    """

    def __init__(self, address: str | Path, archive: dict) -> None:
        store, path = open_store(address, archive)
        try:
            metadata = attributes(store, path)
        except InputError as error:
            raise TileError(str(error)) from None
        if not (images := metadata.get("multiscales")):
            raise TileError("no metadata of an image (multiscales)")
        axes, level = images[0].get("axes"), images[0]["datasets"][0]["path"]
        self._array = open_array(store, f"{path}/{level}".strip("/"))
        self.shape, self.dtype = self._array.shape, self._array.dtype
        self.axes = _letters(axes, len(self.shape))
        labels = (metadata.get("omero") or {}).get("channels") or []
        self.channel_names = [str(channel.get("label", "")) for channel in labels]

    def close(self) -> None:
        """Nothing is open between two reads."""

    def plane(self, index: tuple[int, ...], window: tuple[slice, slice]) -> np.ndarray:
        """Return a window (y, x) of the plane at a place on the axes before Y and X."""
        edges = zip(window, self._array.chunks[-2:], strict=True)
        n_chunks = math.prod((part.stop - part.start) // edge + 1 for part, edge in edges)
        if n_chunks > _MOST_CHUNKS:
            raise TileError(f"{n_chunks:,} chunks of {self._array.chunks} in one window")
        return np.asarray(self._array[(*index, *window)])


def _letters(axes: list | None, n_axes: int) -> str:
    """Return the axes as letters; before NGFF 0.3 they always are the last ones of TCZYX."""
    if axes is None:
        return "TCZYX"[-n_axes:]
    names = [axis["name"] if isinstance(axis, dict) else axis for axis in axes]
    if len(names) != n_axes or any(len(name) != 1 for name in names):
        raise TileError(f"metadata name the axes {', '.join(names)}, but the array has {n_axes}")
    return "".join(names).upper()
