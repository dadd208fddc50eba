"""Place the cells of a well."""

import numpy as np
import scipy.fft
from scipy.spatial import cKDTree


def density_field(size_px: tuple[int, int], well: dict, rng: np.random.Generator) -> np.ndarray:
    """Return the relative density of cells on a coarse grid, (y, x), at most 1.

    It falls from the middle of the well to its edge and fluctuates as a log-Gaussian field.

    Parameters
    ----------
    size_px
        Height and width of the well, px.
    well
        Section ``simulate.well`` of the configuration.
    rng
        Source of the draws.
    """
    step_px = well["field_length_px"] / 4
    shape = [max(2, int(np.ceil(edge / step_px))) for edge in size_px]
    y, x = (np.linspace(-1, 1, n) for n in shape)
    radius = np.hypot(y[:, None], x[None, :]) / np.sqrt(2)
    noise = smooth_noise(tuple(shape), 4.0, rng)
    density = (1 - well["radial_gradient"] * radius) * np.exp(well["field_sd"] * noise)
    return density / density.max()


def smooth_noise(shape: tuple[int, int], length: float, rng: np.random.Generator) -> np.ndarray:
    """Return a periodic Gaussian random field (y, x) of unit variance, `length` pixels long."""
    spectrum = scipy.fft.fft2(rng.standard_normal(shape))
    fy, fx = (scipy.fft.fftfreq(n) for n in shape)
    spectrum *= np.exp(-((np.pi * length) ** 2) * (fy[:, None] ** 2 + fx[None, :] ** 2))
    field = scipy.fft.ifft2(spectrum).real
    return (field - field.mean()) / field.std()


def place_cells(
    size_px: tuple[int, int], n: int, well: dict, rng: np.random.Generator
) -> np.ndarray:
    """Draw positions of cells one after the other; a cell too near to an earlier one is dropped.

    Parameters
    ----------
    size_px
        Height and width of the well, px.
    n
        Number of cells.
    well
        Section ``simulate.well`` of the configuration.
    rng
        Source of the draws.

    Returns
    -------
    Centres (cell, 2) as y, x in px; fewer than `n` where the least distance leaves no room.
    """
    density = density_field(size_px, well, rng)
    n_drawn = int(4 * n / density.mean())  # enough, because many are dropped
    drawn = rng.uniform(0, 1, (n_drawn, 2))
    bins = (drawn * density.shape).astype(int)
    is_accepted = rng.uniform(0, 1, n_drawn) < density[bins[:, 0], bins[:, 1]]
    centres = drawn[is_accepted] * size_px
    is_placed = np.ones(len(centres), bool)
    pairs = cKDTree(centres).query_pairs(well["min_distance_px"], output_type="ndarray")
    for first, second in pairs[np.argsort(pairs[:, 0], kind="stable")]:
        # Pairs are sorted by their first cell, so whether it is placed is decided by now.
        is_placed[second] &= ~is_placed[first]
    return centres[is_placed][:n]


def local_density(centres: np.ndarray, radius_px: float) -> np.ndarray:
    """Return the number of neighbours within a radius, standardised over the cells, (cell,)."""
    neighbours = cKDTree(centres).query_ball_point(centres, radius_px, return_length=True)
    return ((neighbours - neighbours.mean()) / max(neighbours.std(), 1e-9)).astype(float)
