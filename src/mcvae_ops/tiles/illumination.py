"""Uneven illumination of a well: estimated from its tiles, and corrected in each of them.

The correction is off by default, as in the paper. Where it is on, a tile is corrected right after
its projection, as in the screen's own analysis, and clipped afterwards: bounds from before the
correction would clip the bright middle and spare the dark corners. Light and focus of a tile are
checked before the correction, as they were recorded.

References
----------
Singh et al. 2014, doi:10.1111/jmi.12178 (retrospective estimate from the mean of many images).
"""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.ndimage
import scipy.stats

from mcvae_ops.errors import InputError, TileError
from mcvae_ops.files import read_frame, read_npy, write_npy
from mcvae_ops.progress import Progress
from mcvae_ops.screen import tile_shape
from mcvae_ops.tiles.consensus import spread_tiles
from mcvae_ops.tiles.fetch import stream_tiles
from mcvae_ops.tiles.load import load_image
from mcvae_ops.tiles.stitched import window_of

logger = logging.getLogger(__name__)

_BLOCK_PX = 16
_TRIMMED_FRACTION = 0.1
_LEAST_LIGHT = 0.05


def block_means(image: np.ndarray) -> np.ndarray:
    """Return the means of blocks of 16 px of an image (channel, y, x); a remainder is left out."""
    n_channels, height, width = image.shape
    rows, columns = height // _BLOCK_PX, width // _BLOCK_PX
    image = image[:, : rows * _BLOCK_PX, : columns * _BLOCK_PX]
    blocks = image.reshape(n_channels, rows, _BLOCK_PX, columns, _BLOCK_PX)
    return blocks.mean(axis=(2, 4), dtype=np.float64)


def estimate_illumination(
    means: Sequence[np.ndarray], smoothing_px: float, offset_counts: float
) -> np.ndarray:
    """Estimate the illumination that the tiles of a well share.

    It is the smoothed mean of the tiles. Each tile is divided by its own mean first, so that
    crowded tiles do not decide alone; in each block the highest and the lowest tenth of the tiles
    are left out (debris).

    Parameters
    ----------
    means
        Block means of each tile (`block_means`), counts.
    smoothing_px
        Sigma of the Gaussian, px.
    offset_counts
        Counts of the camera without light.

    Returns
    -------
    float32 (channel, y, x), in blocks, of mean 1.
    """
    tiles = np.maximum(np.stack(means) - offset_counts, 0)
    tiles /= np.maximum(tiles.mean(axis=(2, 3), keepdims=True), np.finfo(float).tiny)
    light = scipy.stats.trim_mean(tiles, _TRIMMED_FRACTION, axis=0)
    sigma = smoothing_px / _BLOCK_PX
    light = scipy.ndimage.gaussian_filter(light, (0, sigma, sigma), mode="nearest")
    light /= np.maximum(light.mean(axis=(1, 2), keepdims=True), np.finfo(float).tiny)
    return np.maximum(light, _LEAST_LIGHT).astype(np.float32)


class Illumination:
    """The illumination of a well, and its correction in a tile.

    Parameters
    ----------
    light
        float32 (channel, y, x), in blocks, of mean 1.
    offset_counts
        Counts of the camera without light.
    shape
        Lengths (y, x) of a tile, px.
    """

    def __init__(self, light: np.ndarray, offset_counts: float, shape: tuple[int, int]) -> None:
        self.offset_counts = np.float32(offset_counts)
        self.identity = hashlib.sha256(light.tobytes()).hexdigest()
        covered = np.array(light.shape[1:]) * _BLOCK_PX
        rest = [(0, int(n)) for n in np.array(shape) - covered]
        zoom = (1, _BLOCK_PX, _BLOCK_PX)
        whole = scipy.ndimage.zoom(light, zoom, order=1, mode="nearest", grid_mode=True)
        self.gain = 1 / np.pad(whole, ((0, 0), *rest), mode="edge")

    def correct(self, image: np.ndarray) -> np.ndarray:
        """Divide the counts above the offset by the illumination: uint16 (channel, y, x)."""
        corrected = np.empty_like(image)
        for plane, gain, target in zip(image, self.gain, corrected, strict=True):
            counts = (plane - self.offset_counts) * gain + self.offset_counts
            np.rint(np.clip(counts, 0, 65535), out=target, casting="unsafe")
        return corrected


def read_illumination(
    path: str | Path, settings: dict, tile_size_px: int | Sequence[int]
) -> Illumination:
    """Read the illumination of a well; `settings` is ``crop.illumination`` of the configuration."""
    return Illumination(read_npy(path), settings["offset_counts"], tile_shape(tile_size_px))


def well_illumination(
    files: str,
    screen: dict,
    settings: dict,
    archive: dict,
    plate: str,
    well: str,
    cache: str,
    light: str,
) -> None:
    """Rule well_illumination: estimate the illumination of a well from some of its tiles.

    Parameters
    ----------
    files
        Files table of the screen.
    screen, settings, archive
        Sections `screen`, ``crop.illumination`` and `archive` of the configuration.
    plate, well
        Which well.
    cache
        Folder for fetched files.
    light
        Output: see `estimate_illumination` (.npy).

    Raises
    ------
    InputError
        If none of the tiles can be read.
    """
    filters = [("plate", "==", plate), ("well", "==", well)]
    by_tile = read_frame(files, filters=filters).groupby(["well", "tile"])
    keys = pd.DataFrame(by_tile.groups.keys(), columns=["well", "tile"])
    wanted = {key: by_tile.get_group(key) for key in spread_tiles(keys, settings["tiles"])}
    progress, means = Progress(len(wanted), "tiles", f"illumination of {plate} {well}"), []
    for (_, tile), paths in stream_tiles(wanted, cache, archive):
        try:
            if isinstance(paths, TileError):
                raise paths
            means.append(block_means(load_image(paths, screen, archive, window_of(tile, screen))))
        except TileError as error:
            logger.warning("%s %s tile %d is left out: %s", plate, well, tile, error)
        progress.step()
    if not means:
        raise InputError(
            where=f"well {plate} {well}",
            found=f"no readable image among {len(wanted)} tiles (see the log)",
            expected="images from which to estimate the illumination",
            fix="fetch the images again, or set crop.illumination to null",
        )
    write_npy(
        estimate_illumination(means, settings["smoothing_px"], settings["offset_counts"]), light
    )
