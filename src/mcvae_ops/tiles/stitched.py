"""Stitched wells: one image of a whole well is cut into tiles, which exist only as windows.

Tiles are squares of ``screen.cut_px``, counted row by row; those at the lower and right border may
be smaller. Positions of cells are px of the image.
"""

import numpy as np

from mcvae_ops.screen import tile_shape
from mcvae_ops.tiles.image_formats import Window


def window_of(tile: int, screen: dict) -> Window | None:
    """Return the window (y, x) of a tile in its image; None where tiles are images of their own."""
    cut_px = screen["cut_px"]
    if cut_px is None:
        return None
    height, width = tile_shape(screen["tile_size_px"])
    row, column = divmod(tile, -(-width // cut_px))
    return _part(row * cut_px, cut_px, height), _part(column * cut_px, cut_px, width)


def window_of_cells(tile: int, screen: dict, centres: np.ndarray, size_px: int) -> Window | None:
    """Return a tile's window, extended by what the crops of its cells need of the next tiles.

    Where no cell reaches over the border of the tile, no pixel of the next one is read.

    Parameters
    ----------
    tile
        Number of the tile.
    screen
        tile_size_px (of the image) and cut_px.
    centres
        (cell, 2), y and x in px of the image.
    size_px
        Edge of a crop.

    Returns
    -------
    Slices (y, x); None where tiles are images of their own.
    """
    window = window_of(tile, screen)
    centres = centres[np.isfinite(centres).all(axis=1)]
    if window is None or not len(centres):
        return window
    # As in `crop_cells`: the pixel of a cell is size // 2 of its crop.
    first = np.floor(centres + 0.5).astype(int) - size_px // 2
    low, high = first.min(axis=0), first.max(axis=0) + size_px
    lengths = tile_shape(screen["tile_size_px"])
    y, x = (
        slice(max(0, min(part.start, int(start))), min(length, max(part.stop, int(stop))))
        for part, start, stop, length in zip(window, low, high, lengths, strict=True)
    )
    return y, x


def window_around(tile: int, screen: dict, margin_px: int) -> Window | None:
    """Return a tile's window, extended by a margin within its image; None as in `window_of`."""
    window = window_of(tile, screen)
    if window is None:
        return None
    y, x = (
        slice(max(0, part.start - margin_px), min(length, part.stop + margin_px))
        for part, length in zip(window, tile_shape(screen["tile_size_px"]), strict=True)
    )
    return y, x


def _part(start: int, length: int, end: int) -> slice:
    return slice(start, min(start + length, end))
