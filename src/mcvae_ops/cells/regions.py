"""Regions of cells in a tile: label images, their splitting, their borders and positions."""

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.measure import label, regionprops
from skimage.segmentation import clear_border, watershed

from mcvae_ops.errors import TileError

_LARGEST_SHARE = 0.3
_CONVEX = 0.93
"""Solidity (area / area of the convex hull); of two discs that touch .88 to .92."""
_SMOOTHING, _LEAST_DISTANCE = 0.1, 0.4  # of a diameter


def connected_regions(foreground: np.ndarray) -> np.ndarray:
    """Number the regions of a mask (y, x) whose pixels share an edge; 0 outside, int32."""
    return label(foreground, connectivity=1).astype(np.int32)


def split_touching(labels: np.ndarray, diameter_px: float) -> np.ndarray:
    """Split regions that are merged cells: those larger than one cell, with a waist.

    A region with a solidity of at least `_CONVEX`, or smaller than a disc of the diameter, stays
    whole. Others are split by a watershed of the distance to their outline, smoothed with a
    Gaussian of `_SMOOTHING` diameters, at maxima that are `_LEAST_DISTANCE` diameters apart.

    Parameters
    ----------
    labels
        int32 (y, x), 0 outside regions.
    diameter_px
        Of a cell.

    Returns
    -------
    Labels of the same kind; parts of a region have new ones.

    References
    ----------
    The distance transform and its watershed: Vincent and Soille 1991, doi:10.1109/34.87344.
    """
    split = labels.copy()
    for region in regionprops(labels):
        if region.area < _area(diameter_px) or region.solidity >= _CONVEX:
            continue
        parts = _parts(region.image, diameter_px)
        if parts.max() > 1:
            split[region.slice][region.image] = split.max() + parts[region.image]
    return split


def without_border(labels: np.ndarray) -> np.ndarray:
    """Remove the regions that reach the outermost pixels of a tile: a part of them is not seen."""
    return clear_border(labels)


def of_size(labels: np.ndarray, diameter_px: float, fractions: tuple[float, float]) -> np.ndarray:
    """Remove regions whose area is not between two fractions of that of a disc of a diameter."""
    areas = np.bincount(labels.ravel()) / _area(diameter_px)
    is_kept = (areas >= fractions[0]) & (areas <= fractions[1])
    return np.where(is_kept[labels], labels, 0)


def check_separate(labels: np.ndarray, what: str) -> None:
    """Refuse regions that are no cells, because the largest one covers much of the tile.

    Raises
    ------
    TileError
        If it covers `_LARGEST_SHARE` of the tile or more.
    """
    areas = np.bincount(labels.ravel())[1:]
    share = areas.max(initial=0) / labels.size
    if share >= _LARGEST_SHARE:
        raise TileError(
            f"the largest region is {share:.0%} of the tile: {what} does not separate cells"
        )


def share_in_one_piece(labels: np.ndarray) -> float:
    """Return which share of the labelled pixels lies in the largest piece of its label; 1 of none.

    The pixels of a piece share an edge or a corner.
    """
    pieces = label(labels, connectivity=2)
    areas = np.bincount(pieces.ravel())
    label_of = np.zeros(len(areas), labels.dtype)
    label_of[pieces] = labels
    largest = np.zeros(labels.max(initial=0) + 1, int)
    np.maximum.at(largest, label_of[1:], areas[1:])
    return largest.sum() / max(1, areas[1:].sum()) if len(areas) > 1 else 1.0


def typical_diameter(labels: np.ndarray) -> float:
    """Return the diameter of a disc with the median area of the regions, in px; 0 without any."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    return float(2 * np.sqrt(np.median(areas) / np.pi)) if len(areas) else 0.0


def positions(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels that occur, ascending, and the centroids (cell, 2) as y, x in px."""
    present = np.unique(labels[labels > 0])
    centroids = ndimage.center_of_mass(labels > 0, labels, present)
    return present, np.array(centroids, float).reshape(-1, 2)


def _area(diameter_px: float) -> float:
    return np.pi * diameter_px**2 / 4


def _parts(region: np.ndarray, diameter_px: float) -> np.ndarray:
    """Split one region, bool (y, x), at its waists; the parts are numbered from 1."""
    region = np.pad(region, 1)
    distance = ndimage.distance_transform_edt(region)
    distance = ndimage.gaussian_filter(distance, _SMOOTHING * diameter_px)
    least_px = max(1, round(_LEAST_DISTANCE * diameter_px))
    middles = peak_local_max(
        distance, min_distance=least_px, labels=region.astype(int), exclude_border=False
    )
    markers = np.zeros(region.shape, int)
    markers[tuple(middles.T)] = np.arange(1, len(middles) + 1)
    return watershed(-distance, markers, mask=region)[1:-1, 1:-1]
