"""Masks of cells that a screen comes with: label images, or images of a few values."""

from pathlib import Path

import numpy as np

from mcvae_ops.cells.regions import (
    check_separate,
    connected_regions,
    share_in_one_piece,
    split_touching,
    typical_diameter,
)
from mcvae_ops.errors import TileError
from mcvae_ops.tiles.image_formats import Window, opened_image

_IN_ONE_PIECE = 0.75
"""Share of a label image that lies in the largest piece of its label; of two cells with one, .5."""


def read_mask(
    path: str | Path,
    shape: tuple[int, int],
    window: Window | None = None,
    archive: dict | None = None,
) -> np.ndarray:
    """Read the mask of a tile.

    Parameters
    ----------
    path
        File, or image in OME-Zarr, with one plane.
    shape
        Lengths (y, x) of the image that it belongs to, px.
    window
        Slices (y, x) that are wanted; None wants all.
    archive
        Section of the configuration; only images at an address need it.

    Returns
    -------
    Whole numbers (y, x), as they are in the file.

    Raises
    ------
    TileError
        If the mask cannot be read, has another size than the tile or several planes, or holds
        values that are no labels.
    """
    with opened_image(path, archive) as image:
        if image.shape[-2:] != shape or np.prod(image.shape[:-2], dtype=int) != 1:
            raise TileError(
                f"a mask with axes {image.axes} {image.shape}, but the tile has {shape[0]} x "
                f"{shape[1]} px (Y, X)"
            )
        window = window or (slice(0, shape[0]), slice(0, shape[1]))
        mask = image.plane((0,) * (len(image.shape) - 2), window)
        if mask.min() < 0 or not np.array_equal(mask, np.rint(mask)):
            raise TileError(f"values from {mask.min():g} to {mask.max():g}, which are no labels")
    return mask


def cells_of_mask(mask: np.ndarray) -> np.ndarray:
    """Return the cells of a mask, int32 (y, x), 0 outside.

    A label image has a value per cell. A mask whose values stand for no single cell (0 / 255, also
    with grey borders, or classes such as inside and border) is split into regions whose pixels
    share an edge, and those into cells that touch; see `split_touching`, with the diameter of the
    median region.

    Raises
    ------
    TileError
        If the mask does not separate cells.
    """
    values = np.unique(mask)
    values = values[values > 0]
    labels = np.searchsorted(values, mask, side="left").astype(np.int32) + 1
    labels[mask == 0] = 0
    if len(values) > 1 and share_in_one_piece(labels) >= _IN_ONE_PIECE:
        check_separate(labels, "this mask")
        return labels
    labels = connected_regions(mask > 0)
    check_separate(labels, "this mask")
    return split_touching(labels, typical_diameter(labels))
