"""Write the images of a simulated plate in the layout of the archive, with their ground truth."""

import shutil
from pathlib import Path

import pandas as pd

from mcvae_ops.errors import InputError
from mcvae_ops.files import read_frame, write_parquet
from mcvae_ops.progress import Progress
from mcvae_ops.randomness import named_rng
from mcvae_ops.screen import channels_from, on_grid, tile_numbers, well_grid
from mcvae_ops.simulate.cell_states import guides_of_well
from mcvae_ops.simulate.imaging import draw_tile, draw_well
from mcvae_ops.simulate.layout import write_calls, write_images, write_labels
from mcvae_ops.simulate.optics import PlateOptics, draw_plate_optics


def simulate_plate(
    simulate: dict,
    screen: dict,
    reference: str,
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
    reference
        Channel without shift; positions and labels are in its frame.
    plate
        Name of the plate.
    truth
        Effects of the guides, written by `simulate_library`.
    images
        Output folder, ``.../Files/screenA/{plate}``; it appears complete or not at all.
    truth_cells, truth_tiles
        Outputs: planted cells, planted shifts.

    Raises
    ------
    InputError
        If ``screen.images`` does not begin with the output folder.
    """
    target = Path(images)
    _check_pattern(screen["images"], f"{target.parent.name}/{{plate}}/")
    root = target.parents[1] / f".partial_{plate}"
    folder = root / target.parent.name / plate
    shutil.rmtree(root, ignore_errors=True)
    effects = read_frame(truth)
    channels = channels_from(screen["channels"])
    optics = _optics_of(plate, reference, simulate, screen)
    pitch_px = screen["tile_size_px"] - simulate["well"]["overlap_px"]
    grid, numbers = screen["well_grid"], tile_numbers(screen["tiles"])
    places = well_grid(grid["column_heights"])[on_grid(numbers, grid)]
    origins = dict(zip(numbers, places * pitch_px, strict=True))
    wells = screen["plates"][plate]
    progress = Progress(len(wells) * len(numbers), "tiles", f"render {plate}")
    planted, shifts = [], []
    for name in wells:
        is_arrayed = simulate["well"]["arrayed"]
        guides = guides_of_well(effects, wells, name) if is_arrayed else effects
        well = draw_well(plate, name, guides, simulate, screen)
        called = []
        for number in numbers:
            names = {"plate": plate, "well": name, "tile": number}
            tile = draw_tile(names, origins[number], well, optics, simulate, screen)
            write_images(tile.stack, root, screen, names, channels)
            write_labels(tile.labels, folder, names)
            planted.append(tile.planted)
            called.append(tile.called)
            shifts.append(tile.shifts)
            progress.step()
        write_calls(pd.concat(called), folder, screen, name)
    write_parquet(pd.concat(planted, ignore_index=True), truth_cells)
    write_parquet(pd.concat(shifts, ignore_index=True), truth_tiles)
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(target)
    shutil.rmtree(root)


def _optics_of(plate: str, reference: str, simulate: dict, screen: dict) -> PlateOptics:
    file_of = {channel.name: channel.group for channel in channels_from(screen["channels"])}
    groups, still = list(file_of.values()), file_of[reference]
    rng = named_rng(simulate["seed"], plate)
    return draw_plate_optics(groups, still, screen["tile_size_px"], simulate["optics"], rng)


def _check_pattern(pattern: str, start: str) -> None:
    if not pattern.startswith(start):
        raise InputError(
            where="configuration key screen.images",
            found=repr(pattern),
            expected=f"a pattern that begins with {start} for source simulated",
            fix="correct it",
        )
