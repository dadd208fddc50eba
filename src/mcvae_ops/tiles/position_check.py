"""Do the positions of cells fit the image? Swapped or turned axes and a constant offset are found.

Cells are compared with the brightness of the reference channel, at their positions and at positions
moved by every shift of up to two crops. Right positions see a bright or a dark middle, or a ring
around it; in any case the picture has its centre at shift 0. Where another place fits clearly
better, the run stops, before crops are made of the wrong places.
"""

from dataclasses import dataclass, field

import numpy as np
import scipy.fft
from scipy import ndimage

from mcvae_ops.errors import InputError

_TILES = 5
_BINS_PER_CROP = 24
_REACH = 2 * _BINS_PER_CROP
_NEAR = _BINS_PER_CROP // 6
_RANGE = (0.5, 0.99)
_LEAST_BRIGHTNESS, _LEAST_SIGMAS, _CLEARLY = 0.75, 8.0, 2.0
_LEAST_CELLS = 50
_STEPS = 10

Size = tuple[int, int]
VIEWS = {
    "as they are": lambda yx, size: yx,
    "y and x swapped": lambda yx, size: yx[:, ::-1],
    "y counted from below": lambda yx, size: np.column_stack([size[0] - 1 - yx[:, 0], yx[:, 1]]),
    "x counted from the right": lambda yx, size: np.column_stack(
        [yx[:, 0], size[1] - 1 - yx[:, 1]]
    ),
}  # fmt: skip
"""Ways to read a pair of coordinates, (cell, 2) in px."""


@dataclass
class PositionCheck:
    """Compares positions with the first `_TILES` tiles that have cells.

    Attributes
    ----------
    channel
        Name of the channel that is compared.
    crop_px
        Edge of a crop; positions within a sixth of it are right.
    """

    channel: str
    crop_px: int
    n_tiles: int = 0
    n_cells: int = 0
    n_inside: int = 0
    sums: dict[str, np.ndarray] = field(default_factory=dict)
    counts: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, plane: np.ndarray, centres: np.ndarray) -> None:
        """Compare the cells of one more tile.

        Parameters
        ----------
        plane
            (y, x), counts of the channel.
        centres
            float (cell, 2), y and x in px of the plane.

        Raises
        ------
        InputError
            If most cells of the tiles so far lie outside, or fit clearly better elsewhere.
        """
        centres = centres[np.isfinite(centres).all(axis=1)]
        if self.n_tiles == _TILES or not len(centres):
            return
        self.n_tiles += 1
        self.n_cells += len(centres)
        self.n_inside += int(_inside(centres, plane.shape).sum())
        bin_px = max(1, self.crop_px // _BINS_PER_CROP)
        brightness = relative_brightness(plane, bin_px)
        for view, read in VIEWS.items():
            points = read(centres, plane.shape)
            sums, counts = brightness_by_shift(brightness, points / bin_px)
            self.sums[view] = self.sums.get(view, 0) + sums
            self.counts[view] = self.counts.get(view, 0) + counts
        self._judge(plane.shape, bin_px)

    def _judge(self, size: Size, bin_px: int) -> None:
        better = better_place(self.sums, self.counts)
        if better is not None:
            view, shift, here, there = better
            raise self._wrong(view, shift * bin_px, here, there)
        if self.n_cells >= _LEAST_CELLS and self.n_inside < self.n_cells / 2:
            raise InputError(
                where="positions of cells",
                found=f"{self.n_cells - self.n_inside} of {self.n_cells} cells outside of their "
                f"tiles of {size[0]} x {size[1]} px",
                expected="y_px and x_px in px of the tile",
                fix="correct cells.columns: positions in a stitched well need the place of the "
                "tile subtracted, or screen.cut_px",
            )

    def _wrong(self, view: str, shift_px: np.ndarray, here: float, there: float) -> InputError:
        if view == "as they are":
            dy, dx = shift_px
            what, fix = f"moved by ({dy:+d}, {dx:+d}) px (y, x)", "add this to y_px and x_px"
        else:
            what, fix = f"with {view}", "read them so"
        return InputError(
            where="positions of cells",
            found=f"channel {self.channel} {here:+.1f} standard deviations from its mean at the "
            f"cells ({self.n_cells} in {self.n_tiles} tiles)",
            expected=f"positions that fit the image ({what}, it is {there:+.1f} there)",
            fix=f"{fix} in cells.columns, or correct alignment.reference",
        )


def relative_brightness(plane: np.ndarray, bin_px: int) -> np.ndarray:
    """Return the smoothed brightness of bins of a plane, in standard deviations from the mean.

    It is cut at the median and at the 99th percentile, because few pixels are bright.
    """
    height, width = (length // bin_px for length in plane.shape)
    blocks = plane[: height * bin_px, : width * bin_px].reshape(height, bin_px, width, bin_px)
    smooth = ndimage.gaussian_filter(blocks.mean(axis=(1, 3), dtype=np.float32), 1.0)
    smooth = np.clip(smooth, *np.quantile(smooth, _RANGE))
    return (smooth - smooth.mean()) / max(float(smooth.std()), np.finfo(np.float32).tiny)


def brightness_by_shift(
    brightness: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the brightness at shifted points, summed, and how many are in the image.

    Parameters
    ----------
    brightness
        See `relative_brightness`.
    points
        float (cell, 2), y and x in bins.

    Returns
    -------
    Two arrays (2 `_REACH` + 1, 2 `_REACH` + 1), by the shift in y and x from -`_REACH` on.
    """
    size = tuple(scipy.fft.next_fast_len(n + _REACH, real=True) for n in brightness.shape)
    inside = points[_inside(points, brightness.shape)]
    cells = np.zeros(size)
    np.add.at(cells, tuple(np.minimum(np.floor(inside + 0.5).astype(int),
                                      np.array(brightness.shape) - 1).T), 1)  # fmt: skip
    spectrum = scipy.fft.rfft2(cells).conj()
    middle = np.r_[-_REACH : _REACH + 1]
    products = []
    for image in (brightness, np.ones_like(brightness)):
        product = scipy.fft.irfft2(scipy.fft.rfft2(image, size) * spectrum, size)
        products.append(product[np.ix_(middle, middle)])
    return products[0], np.rint(products[1])


def better_place(
    sums: dict[str, np.ndarray], counts: dict[str, np.ndarray]
) -> tuple[str, np.ndarray, float, float] | None:
    """Return where cells fit clearly better than where they are said to be.

    A place fits if `_LEAST_CELLS` cells are brighter there than the mean of the tile, by
    `_LEAST_BRIGHTNESS` standard deviations and `_LEAST_SIGMAS` standard errors. Another view is
    clearly better if that contrast is `_CLEARLY` times the one, bright or dark, near the given
    positions. A shift is, if the bright part around the best one has its middle further off than a
    sixth of a crop, and the mirrored shift has less than half of its contrast: a ring around right
    positions is as bright on both sides.

    Parameters
    ----------
    sums, counts
        See `brightness_by_shift`, by the names of `VIEWS`.

    Returns
    -------
    The view, the shift (y, x) in bins, and the brightness as given and there; or None.
    """
    contrast = {view: sums[view] / np.maximum(counts[view], 1) for view in sums}
    given, *others = contrast
    near = np.s_[_REACH - _NEAR : _REACH + _NEAR + 1,] * 2
    here = contrast[given][_REACH, _REACH]
    least = _CLEARLY * np.abs(contrast[given][near]).max()
    for view in others:
        place = contrast[view][near]
        if (_fits(contrast[view], counts[view])[near] & (place >= least)).any():
            return view, np.zeros(2, int), here, place.max()
    fits = _fits(contrast[given], counts[given])
    best = np.unravel_index(np.where(fits, contrast[given], -1).argmax(), fits.shape)
    mirrored = contrast[given][::-1, ::-1][best]
    middle = _middle_of(contrast[given], np.array(best)) - _REACH
    is_off = np.hypot(*middle) > _NEAR and contrast[given][best] >= _CLEARLY * mirrored
    if not (fits[best] and is_off):
        return None
    return given, np.rint(middle).astype(int), here, contrast[given][best]


def _middle_of(contrast: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the centroid of the bright part within half a crop, by mean shift from a place."""
    y, x = np.indices(contrast.shape)
    for _ in range(_STEPS):
        is_around = np.hypot(y - place[0], x - place[1]) <= _BINS_PER_CROP / 2
        weights = np.where(is_around, np.maximum(contrast, 0), 0)
        place = np.array([(weights * axis).sum() for axis in (y, x)]) / max(weights.sum(), 1e-9)
    return place


def _fits(contrast: np.ndarray, counts: np.ndarray) -> np.ndarray:
    is_sure = contrast * np.sqrt(counts) >= _LEAST_SIGMAS
    return is_sure & (counts >= _LEAST_CELLS) & (contrast >= _LEAST_BRIGHTNESS)


def _inside(points: np.ndarray, shape: Size) -> np.ndarray:
    return np.all((points >= -0.5) & (points < np.array(shape) - 0.5), axis=1)
