"""Where things lie in a well: the grid of its tiles, and its cells."""

import zlib

import numpy as np
import scipy.fft
from scipy.spatial import cKDTree


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return a source of draws fixed by the seed and by names, whatever the order of jobs."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


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
    """Throw cells into a well one after the other; those too near to an earlier one are lost.

    Returns
    -------
    Centres (cell, 2) as y, x in px; at most `n`, fewer where the least distance leaves no room.
    """
    density = density_field(size_px, well, rng)
    n_thrown = int(4 * n / density.mean())
    places = rng.uniform(0, 1, (n_thrown, 2))
    bins = (places * density.shape).astype(int)
    kept = rng.uniform(0, 1, n_thrown) < density[bins[:, 0], bins[:, 1]]
    places = places[kept] * size_px
    alive = np.ones(len(places), bool)
    pairs = cKDTree(places).query_pairs(well["min_distance_px"], output_type="ndarray")
    for first, second in pairs[np.argsort(pairs[:, 0], kind="stable")]:
        # pairs are in the order of their first cell, so its own fate is settled by now
        alive[second] &= ~alive[first]
    return places[alive][:n]


def local_density(centres: np.ndarray, radius_px: float) -> np.ndarray:
    """Return the number of neighbours within a radius, standardised over the cells, (cell,)."""
    neighbours = cKDTree(centres).query_ball_point(centres, radius_px, return_length=True)
    return ((neighbours - neighbours.mean()) / max(neighbours.std(), 1e-9)).astype(float)
