"""Draw the wells of a simulated plate, and image them tile by tile."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mcvae_ops.randomness import named_rng
from mcvae_ops.screen import channels_from, well_grid
from mcvae_ops.simulate.appearance import appearance_of
from mcvae_ops.simulate.cell_states import call_cells, draw_cells
from mcvae_ops.simulate.optics import (
    PlateOptics,
    WellOptics,
    displace,
    draw_displacement,
    draw_well_optics,
    expose,
)
from mcvae_ops.simulate.render import patch_size, render_cells, texture_field
from mcvae_ops.simulate.well_layout import local_density, place_cells

_LABEL_THRESHOLD = 0.5
_SPARE_MARGIN_PX = 3  # for the jitter of a shift from tile to tile, and the splines' reach


@dataclass(frozen=True)
class Well:
    """A well before it is imaged.

    Attributes
    ----------
    cells
        Planted cells: positions in the well (y_px, x_px), guides and states.
    called
        The called cells, with the called values; index as in `cells`.
    patches
        float32 (cell, channel, y, x), counts, in focus.
    bodies
        float32 (cell, y, x), share of each pixel that the cell covers.
    corners
        int (cell, 2), first row and column of each patch in the well.
    optics
        Gain and offset of the well.
    """

    cells: pd.DataFrame
    called: pd.DataFrame
    patches: np.ndarray
    bodies: np.ndarray
    corners: np.ndarray
    optics: WellOptics


@dataclass(frozen=True)
class Tile:
    """An imaged tile, and its ground truth.

    Attributes
    ----------
    stack
        uint8 or uint16 (channel, z, y, x), counts.
    labels
        uint16 (y, x), in the frame of the reference channel; 0 outside cells.
    planted, called
        Cells whose planted centre is in the tile, with label and position in it (y_px, x_px).
    shifts
        dy_px, dx_px of each channel; added to its coordinates they give the reference frame.
    """

    stack: np.ndarray
    labels: np.ndarray
    planted: pd.DataFrame
    called: pd.DataFrame
    shifts: pd.DataFrame


def cells_of_well(
    well: str, plate: str, effects: pd.DataFrame, simulate: dict, screen: dict
) -> pd.DataFrame:
    """Draw the cells of a well: positions in the well (y_px, x_px), guides and states."""
    rng = named_rng(simulate["seed"], plate, well, "cells")
    size_px = screen["tile_size_px"]
    pitch_px = size_px - simulate["well"]["overlap_px"]
    extent_px = well_grid(screen["well_grid"]["column_heights"]).max(axis=0) * pitch_px + size_px
    n = int(simulate["well"]["cells_per_tile"] * np.prod(extent_px / size_px))
    centres = place_cells(tuple(extent_px), n, simulate["well"], rng)
    density = local_density(centres, simulate["well"]["neighbourhood_px"])
    cells = draw_cells(density, effects, simulate, rng)
    return cells.assign(y_px=centres[:, 0], x_px=centres[:, 1])


def draw_well(plate: str, well: str, effects: pd.DataFrame, simulate: dict, screen: dict) -> Well:
    """Draw the cells of a well, their appearance, and how they are called."""
    seed = simulate["seed"]
    cells = cells_of_well(well, plate, effects, simulate, screen)
    rng = named_rng(seed, plate, well, "looks")
    looks = appearance_of(cells, simulate["cell"], rng)
    called = call_cells(cells, effects[["guide", "gene"]], simulate["calls"], rng)
    channels = channels_from(screen["channels"])
    edge = patch_size(simulate["cell"])
    centres = cells[["y_px", "x_px"]].to_numpy()
    middle = np.round(centres).astype(int)
    texture = texture_field(named_rng(seed, "texture"))
    patches, bodies = render_cells(looks, centres - middle, channels, edge, texture)
    optics = draw_well_optics(len(channels), simulate["optics"], named_rng(seed, plate, well))
    return Well(cells, called, patches, bodies, middle - edge // 2, optics)


def draw_tile(
    names: dict, origin: np.ndarray, well: Well, optics: PlateOptics, simulate: dict, screen: dict
) -> Tile:
    """Image one tile of a well.

    Parameters
    ----------
    names
        plate, well and tile.
    origin
        First row and column of the tile in the well.
    well
        Its well.
    optics
        Optics of the plate.
    simulate, screen
        Sections of the configuration.
    """
    size_px, settings = screen["tile_size_px"], simulate["optics"]
    rng = named_rng(simulate["seed"], *map(str, names.values()))
    channels = channels_from(screen["channels"])
    labels = labels_of(well.cells, origin, size_px)
    moved_px = draw_displacement(optics, [channel.group for channel in channels], settings, rng)
    # A margin round the tile fills the border of displaced channels.
    margin = int(np.ceil(np.abs(optics.displacement_px).max())) + _SPARE_MARGIN_PX
    field, label_image = field_of(well, labels, origin - margin, size_px + 2 * margin)
    within = np.s_[..., margin : margin + size_px, margin : margin + size_px]
    field = displace(field, moved_px)[within]
    stack = expose(field, screen["z_planes"], optics, well.optics, settings, rng)
    planted = _labelled(well.cells, names, labels, origin)
    called = _labelled(well.called, names, labels[well.called.index], origin)
    shifts = pd.DataFrame(-moved_px, columns=["dy_px", "dx_px"])
    shifts = shifts.assign(**names, channel=[channel.name for channel in channels])
    return Tile(stack, label_image[within], planted, called, shifts)


def labels_of(cells: pd.DataFrame, origin: np.ndarray, size_px: int) -> np.ndarray:
    """Number the cells whose centre is in a tile from 1 on; others are 0, (cell,)."""
    positions = cells[["y_px", "x_px"]].to_numpy() - origin
    inside = np.all((positions >= 0) & (positions < size_px), axis=1)
    return np.cumsum(inside) * inside


def field_of(
    well: Well, labels: np.ndarray, origin: np.ndarray, size_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """Assemble the part of a well that begins at `origin`; see `assemble`."""
    corners = well.corners - origin
    edge = well.patches.shape[-1]
    near = np.flatnonzero(np.all((corners > -edge) & (corners < size_px), axis=1))
    return assemble(well.patches[near], well.bodies[near], corners[near], labels[near], size_px)


def assemble(
    patches: np.ndarray, bodies: np.ndarray, corners: np.ndarray, labels: np.ndarray, size_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """Add cells to a field, and label their pixels.

    Parameters
    ----------
    patches
        float32 (cell, channel, y, x), counts.
    bodies
        float32 (cell, y, x), share of each pixel that the cell covers.
    corners
        int (cell, 2), first row and column of each patch in the field; may be outside of it.
    labels
        (cell,), the label of each cell, 0 for none.
    size_px
        Edge of the field.

    Returns
    -------
    float32 (channel, y, x), counts, and uint16 (y, x), labels; where cells overlap, the later wins.
    """
    edge = patches.shape[-1]
    field = np.zeros((patches.shape[1], size_px, size_px), np.float32)
    label_image = np.zeros((size_px, size_px), np.uint16)
    for patch, body, (y, x), label in zip(patches, bodies, corners, labels, strict=True):
        top, left = max(y, 0), max(x, 0)
        bottom, right = min(y + edge, size_px), min(x + edge, size_px)
        if top >= bottom or left >= right:
            continue
        inside = (slice(top - y, bottom - y), slice(left - x, right - x))
        field[:, top:bottom, left:right] += patch[:, *inside]
        if label:
            label_image[top:bottom, left:right][body[inside] > _LABEL_THRESHOLD] = label
    return field, label_image


def _labelled(
    cells: pd.DataFrame, names: dict, labels: np.ndarray, origin: np.ndarray
) -> pd.DataFrame:
    inside = cells[labels > 0]
    position = {"y_px": inside["y_px"] - origin[0], "x_px": inside["x_px"] - origin[1]}
    return inside.assign(**names, label=labels[labels > 0], **position)
