"""Find cells in an image of one stain: smooth, threshold, split by distance; or with Cellpose."""

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from mcvae_ops.cells.regions import check_separate, connected_regions, of_size, split_touching
from mcvae_ops.errors import InputError

_SMOOTHING = 0.05  # of a diameter
_AREAS = (0.2, 4.0)  # of a disc
_LEAST_CONTRAST = 4.0


def segment_watershed(image: np.ndarray, diameter_px: float) -> np.ndarray:
    """Find the bright cells of an image.

    The image is smoothed (Gaussian, `_SMOOTHING` diameters) and thresholded (Otsu); holes are
    filled, merged cells are split (`split_touching`), and regions whose area is not between
    `_AREAS` of a disc of the diameter are dropped.

    Parameters
    ----------
    image
        (y, x), counts of the stain.
    diameter_px
        Of a typical cell in this stain.

    Returns
    -------
    int32 (y, x), a label per cell, 0 outside. No cell where bright and dark pixels differ by less
    than `_LEAST_CONTRAST` standard deviations of the dark ones, as in an empty field.

    Raises
    ------
    TileError
        If the threshold does not separate cells.

    References
    ----------
    Otsu 1979, doi:10.1109/TSMC.1979.4310076.
    """
    is_bright, contrast = bright_pixels(image, diameter_px)
    if contrast < _LEAST_CONTRAST:
        return np.zeros(image.shape, np.int32)
    labels = connected_regions(ndimage.binary_fill_holes(is_bright))
    check_separate(labels, "a threshold of this stain")
    return of_size(split_touching(labels, diameter_px), diameter_px, _AREAS)


def bright_pixels(image: np.ndarray, diameter_px: float) -> tuple[np.ndarray, float]:
    """Return which pixels of a smoothed image are bright (Otsu), and how clearly they differ.

    See `segment_watershed`: the difference of the means, in standard deviations of the dark ones; 0
    without a bright pixel.
    """
    smooth = ndimage.gaussian_filter(image.astype(np.float32), _SMOOTHING * diameter_px)
    is_bright = smooth > threshold_otsu(smooth)
    if not is_bright.any():
        return is_bright, 0.0
    dark = smooth[~is_bright]
    return is_bright, float((smooth[is_bright].mean() - dark.mean()) / dark.std())


def segment_cellpose(image: np.ndarray, diameter_px: float) -> np.ndarray:
    """Find cells with Cellpose's default model; see `segment_watershed`.

    References
    ----------
    Stringer et al. 2021, doi:10.1038/s41592-020-01018-x.
    """
    labels, *_ = _cellpose_model().eval(image, diameter=diameter_px)
    check_separate(labels, "Cellpose")
    return labels.astype(np.int32)


@cache
def _cellpose_model():
    """Load Cellpose's default model; on a GPU if there is one."""
    try:
        from cellpose.models import CellposeModel  # imported here, because it is an optional extra
    except ImportError:
        raise InputError.missing(
            where="configuration key cells.segment.method",
            what="the package cellpose",
            why="the method is cellpose",
            fix="install it (pip install mcvae-ops[cellpose]), or set the method watershed",
        ) from None
    return CellposeModel(gpu=True)


METHODS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "watershed": segment_watershed,
    "cellpose": segment_cellpose,
}
