"""Optics of a simulated microscope and camera: planes, light, noise."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, shift


@dataclass(frozen=True)
class PlateOptics:
    """Optics that all tiles of a plate share.

    Attributes
    ----------
    displacement_px
        (channel, 2) as y, x: distance of a channel's image from the true position of the cells.
    vignetting
        (channel,), share of the light that is lost in the corners.
    fixed_pattern
        (y, x), relative gain of each camera pixel.
    """

    displacement_px: np.ndarray
    vignetting: np.ndarray
    fixed_pattern: np.ndarray


@dataclass(frozen=True)
class WellOptics:
    """Optics that all tiles of a well share: gain, and offset in counts, each (channel,)."""

    gain: np.ndarray
    offset_counts: np.ndarray


def draw_plate_optics(
    groups: list[str], reference: str, tile_size_px: int, optics: dict, rng: np.random.Generator
) -> PlateOptics:
    """Draw the optics of a plate; channels of one file share a shift, that of the reference is 0.

    Parameters
    ----------
    groups
        The file of each channel.
    reference
        The file of the reference channel.
    tile_size_px
        Edge of a tile.
    optics
        Section ``simulate.optics`` of the configuration.
    rng
        Source of the draws.
    """
    by_group = {}
    for group in sorted(set(groups)):
        length = rng.uniform(*optics["channel_shift_px"]) * (group != reference)
        direction = rng.uniform(0, 2 * np.pi)
        by_group[group] = length * np.array([np.sin(direction), np.cos(direction)])
    pattern = rng.normal(1, optics["fixed_pattern_sd"], (tile_size_px, tile_size_px))
    return PlateOptics(
        np.array([by_group[group] for group in groups]),
        rng.uniform(*optics["vignetting"], len(groups)),
        pattern.astype(np.float32),
    )


def draw_well_optics(n_channels: int, optics: dict, rng: np.random.Generator) -> WellOptics:
    """Draw gain and offset of each channel in one well."""
    gain = np.exp(rng.normal(0, optics["gain_sd"], n_channels))
    spread = rng.normal(0, optics["offset_sd_counts"], n_channels)
    return WellOptics(gain, np.maximum(optics["offset_counts"] + spread, 0))


def draw_displacement(
    plate: PlateOptics, groups: list[str], optics: dict, rng: np.random.Generator
) -> np.ndarray:
    """Draw the displacement of each channel in one tile, (channel, 2), px: plate plus jitter."""
    order = sorted(set(groups))
    jitter = rng.normal(0, optics["shift_jitter_px"], (len(order), 2))
    moved = np.any(plate.displacement_px != 0, axis=1, keepdims=True)
    return plate.displacement_px + moved * jitter[[order.index(group) for group in groups]]


def displace(field: np.ndarray, displacement_px: np.ndarray) -> np.ndarray:
    """Move each channel of a field (channel, y, x) by its (dy, dx) in px, cubic interpolation."""
    moved = [
        shift(plane, by, order=3, mode="constant") if np.any(by) else plane
        for plane, by in zip(field, displacement_px, strict=True)
    ]
    return np.maximum(np.stack(moved), 0)


def expose(
    field: np.ndarray,
    z_planes: int,
    plate: PlateOptics,
    well: WellOptics,
    optics: dict,
    rng: np.random.Generator,
) -> np.ndarray:
    """Record a field of cells: a stack of planes with the light and noise of the microscope.

    Parameters
    ----------
    field
        float32 (channel, y, x), counts, in focus, without noise, of the tile alone.
    z_planes
        Planes of the stack; the middle one is in focus.
    plate, well
        Optics of its plate and well.
    optics
        Section ``simulate.optics`` of the configuration.
    rng
        Source of the noise.

    Returns
    -------
    (channel, z, y, x), counts: uint8 if the camera has up to 8 bits, else uint16.
    """
    height, width = field.shape[1:]
    kind = np.uint8 if optics["bits"] <= 8 else np.uint16
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in (height, width))
    radius2 = (y[:, None] ** 2 + x[None, :] ** 2) / 2
    stack = np.empty((len(field), z_planes, height, width), kind)
    for channel, plane in enumerate(field):
        light = well.gain[channel] * (1 - plate.vignetting[channel] * radius2)
        light = (light * plate.fixed_pattern).astype(np.float32)
        blurred = {}
        for z in range(z_planes):
            defocus = abs(z - z_planes // 2)
            if defocus not in blurred:
                blurred[defocus] = _defocused(plane, defocus, optics) * light
            counts = _noisy(blurred[defocus], optics, rng) + well.offset_counts[channel]
            stack[channel, z] = np.clip(np.rint(counts), 0, 2 ** optics["bits"] - 1)
    return stack


def _defocused(plane: np.ndarray, defocus: int, optics: dict) -> np.ndarray:
    sd_px = np.hypot(optics["psf_px"], defocus * optics["defocus_px"])
    signal = gaussian_filter(plane, sd_px) * (1 - optics["defocus_loss"]) ** defocus
    return signal + optics["background_counts"]


def _noisy(counts: np.ndarray, optics: dict, rng: np.random.Generator) -> np.ndarray:
    """Add shot noise (normal, because photons are many) and read noise."""
    variance = counts / optics["photons_per_count"] + optics["read_noise_counts"] ** 2
    return counts + np.sqrt(variance) * rng.standard_normal(counts.shape, dtype=np.float32)
