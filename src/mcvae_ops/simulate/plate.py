"""The images of a simulated plate, laid out as the archive's, with what was planted in them."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from mcvae_ops.files import write_parquet
from mcvae_ops.progress import Progress
from mcvae_ops.screen import CONTROL, Channel, channels_from, tile_numbers
from mcvae_ops.simulate.appearance import appearance_of
from mcvae_ops.simulate.cells import call_cells, draw_cells
from mcvae_ops.simulate.optics import (
    PlateOptics,
    displace,
    draw_displacement,
    draw_plate_optics,
    draw_well_optics,
    expose,
)
from mcvae_ops.simulate.render import patch_size, render_cells, texture_field
from mcvae_ops.simulate.wells import generator, local_density, place_cells, tile_origins

LABELS_PATH = "{plate}/phenotype/images/labels/{acquisition}/20X_{acquisition}_{well}_labels_Site-{tile}.tif"  # fmt: skip  # noqa: E501
CALLS_PATH = "{plate}/phenotype/calls/{well}.csv"
_LABEL_THRESHOLD = 0.5


def assemble(
    patches: np.ndarray, bodies: np.ndarray, corners: np.ndarray, labels: np.ndarray, size_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """Add cells into a field and mark which pixel belongs to which.

    Parameters
    ----------
    patches
        float32 (cell, channel, y, x), counts.
    bodies
        float32 (cell, y, x), how much of a pixel is cell.
    corners
        int (cell, 2), first row and column of each patch in the field; may lie outside.
    labels
        (cell,), the label of each cell, 0 for none.
    size_px
        Edge of the field.

    Returns
    -------
    float32 (channel, y, x), counts, and uint16 (y, x), labels; where cells touch, the later wins.
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


def cells_of_well(
    well: str, plate: str, effects: pd.DataFrame, simulate: dict, screen: dict
) -> pd.DataFrame:
    """Draw the cells of a well: places in the well (y_px, x_px), guides and states."""
    rng = generator(simulate["seed"], plate, well, "cells")
    heights = screen["well_grid"]["column_heights"]
    size_px = screen["tile_size_px"]
    extent_px = (
        tile_origins(heights, size_px - simulate["well"]["overlap_px"]).max(axis=0) + size_px
    )
    n = int(simulate["well"]["cells_per_tile"] * np.prod(extent_px / size_px))
    centres = place_cells(tuple(extent_px), n, simulate["well"], rng)
    density = local_density(centres, simulate["well"]["neighbourhood_px"])
    cells = draw_cells(density, effects, simulate, rng)
    return cells.assign(y_px=centres[:, 0], x_px=centres[:, 1])


def write_images(
    stack: np.ndarray, folder: Path, screen: dict, names: dict, channels: Sequence[Channel]
) -> None:
    """Write one ImageJ TIFF per file of the tile, ZCYX or ZYX.

    Parameters
    ----------
    stack
        uint16 (channel, z, y, x), counts.
    folder
        Root of the archive's files.
    screen
        Section of the configuration.
    names
        plate, well and tile.
    channels
        Along the channel axis.
    """
    for group in sorted({channel.group for channel in channels}):
        members = [k for k, channel in enumerate(channels) if channel.group == group]
        members.sort(key=lambda k: channels[k].index)
        pattern = screen["path_pattern"]
        path = folder / pattern.format(group=group, acquisition=screen["acquisition"], **names)
        path.parent.mkdir(parents=True, exist_ok=True)
        planes = np.moveaxis(stack[members], 0, 1)
        axes = "ZCYX" if len(members) > 1 else "ZYX"
        planes = planes if len(members) > 1 else planes[:, 0]
        tifffile.imwrite(path, planes, imagej=True, metadata={"axes": axes})


class _Well:
    """One well on its way to files: its cells, their images, its optics."""

    def __init__(self, well, plate, effects, simulate, screen, optics: PlateOptics) -> None:
        self.names = {"plate": plate, "well": well}
        self.simulate, self.screen, self.plate_optics = simulate, screen, optics
        self.channels = channels_from(screen["channels"])
        self.groups = [channel.group for channel in self.channels]
        self.cells = cells_of_well(well, plate, effects, simulate, screen)
        rng = generator(simulate["seed"], plate, well, "looks")
        looks = appearance_of(self.cells, simulate["cell"], rng)
        edge = patch_size(simulate["cell"])
        centres = self.cells[["y_px", "x_px"]].to_numpy()
        middle = np.round(centres).astype(int)
        field = texture_field(generator(simulate["seed"], "texture"))
        self.patches, self.bodies = render_cells(
            looks, centres - middle, self.channels, edge, field
        )
        self.corners = middle - edge // 2
        guides = effects[["guide", "gene"]]
        self.called = call_cells(self.cells, guides, simulate["calls"], rng)
        self.optics = draw_well_optics(
            len(self.channels), simulate["optics"], generator(simulate["seed"], plate, well)
        )

    def tile(self, tile: int, origin: np.ndarray, folder: Path) -> tuple[pd.DataFrame, ...]:
        """Write one tile; return its planted cells, its called cells and its planted shifts."""
        size_px = self.screen["tile_size_px"]
        names = self.names | {"tile": tile}
        places = self.cells[["y_px", "x_px"]].to_numpy() - origin
        inside = np.all((places >= 0) & (places < size_px), axis=1)
        labels = np.cumsum(inside) * inside
        field, label_image = self._field(origin, labels)
        rng = generator(self.simulate["seed"], *map(str, names.values()))
        settings = self.simulate["optics"]
        moved_px = draw_displacement(self.plate_optics, self.groups, settings, rng)
        margin = (field.shape[1] - size_px) // 2
        within = slice(margin, margin + size_px)
        field = displace(field, moved_px)[:, within, within]
        stack = expose(
            field, self.screen["z_planes"], self.plate_optics, self.optics, settings, rng
        )
        write_images(stack, folder, self.screen, names, self.channels)
        path = folder / "screenA" / LABELS_PATH.format(
            acquisition=self.screen["acquisition"], **names
        )  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, label_image[within, within])
        planted = self._of_tile(self.cells, names, labels, origin)
        called = self._of_tile(self.called, names, labels[self.called.index], origin)
        shifts = pd.DataFrame(-moved_px, columns=["dy_px", "dx_px"])
        return planted, called, shifts.assign(**names, channel=[c.name for c in self.channels])

    def _field(self, origin: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Assemble the tile with a margin, from which displaced channels are filled."""
        farthest_px = np.abs(self.plate_optics.displacement_px).max()
        margin = int(np.ceil(farthest_px)) + 3
        size_px = self.screen["tile_size_px"] + 2 * margin
        corners = self.corners - origin + margin
        edge = self.patches.shape[-1]
        near = np.flatnonzero(np.all((corners > -edge) & (corners < size_px), axis=1))
        return assemble(self.patches[near], self.bodies[near], corners[near], labels[near], size_px)

    @staticmethod
    def _of_tile(cells: pd.DataFrame, names: dict, labels, origin) -> pd.DataFrame:
        seen = cells[labels > 0]
        places = {"y_px": seen["y_px"] - origin[0], "x_px": seen["x_px"] - origin[1]}
        return seen.assign(**names, label=labels[labels > 0], **places)


def called_table(called: pd.DataFrame, screen: dict) -> pd.DataFrame:
    """Return the calls in the archive's columns: label, places, guide, gene and stage."""
    columns = screen["columns"]
    gene = called["gene"].replace({CONTROL: screen["control"]})
    table = pd.DataFrame({columns[key]: called[key] for key in ("plate", "well", "tile")})
    table["label"] = called["label"]
    for name, key in zip(screen["not_features"], ("y_px", "x_px"), strict=False):
        table[name] = called[key].round(2)
    table[columns["y_px"]], table[columns["x_px"]] = called["y_px"], called["x_px"]
    return table.assign(**{columns["guide"]: called["guide"], columns["gene"]: gene},
                        stage=called["stage"])  # fmt: skip


def simulate_plate(
    simulate: dict,
    screen: dict,
    plate: str,
    truth: str,
    images: str,
    truth_cells: str,
    truth_tiles: str,
) -> None:
    """Rule simulate_plate: render the tiles of one plate, with label images and calls.

    Parameters
    ----------
    simulate, screen
        Sections of the configuration.
    plate
        Its name.
    truth
        Effects of the guides, as `simulate_library` wrote them.
    images
        Output folder, ``.../Files/screenA/{plate}``; appears whole or not at all.
    truth_cells, truth_tiles
        Outputs: planted cells, planted shifts.
    """
    effects = pd.read_parquet(truth)
    channels = channels_from(screen["channels"])
    groups = [channel.group for channel in channels]
    reference = next(channel.group for channel in channels if channel.stain == "DNA")
    optics = draw_plate_optics(
        groups, reference, screen["tile_size_px"], simulate["optics"],
        generator(simulate["seed"], plate),
    )  # fmt: skip
    pitch_px = screen["tile_size_px"] - simulate["well"]["overlap_px"]
    origins = tile_origins(screen["well_grid"]["column_heights"], pitch_px)
    tiles = tile_numbers(screen["tiles"])
    wells = screen["plates"][plate]
    progress = Progress(len(wells) * len(tiles), "tiles", f"render {plate}")
    target = Path(images)
    partial = target.parents[1] / f".partial_{plate}"
    shutil.rmtree(partial, ignore_errors=True)
    planted, shifts = [], []
    for name in wells:
        well = _Well(name, plate, effects, simulate, screen, optics)
        calls = []
        for tile in tiles:
            cells, called, moved = well.tile(tile, origins[tile], partial)
            planted.append(cells)
            calls.append(called_table(called, screen))
            shifts.append(moved)
            progress.step()
        path = partial / "screenA" / CALLS_PATH.format(plate=plate, well=name)
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.concat(calls).to_csv(path, index=False, float_format="%.3f")
    write_parquet(pd.concat(planted, ignore_index=True), truth_cells)
    write_parquet(pd.concat(shifts, ignore_index=True), truth_tiles)
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    (partial / "screenA" / plate).rename(target)
    shutil.rmtree(partial)
