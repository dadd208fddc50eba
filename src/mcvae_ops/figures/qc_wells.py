"""
Fig. QC1, QC5: one value per tile, on the grids of the wells of each plate.

TABLES
    alignment         one row per tile and channel (Fig. QC1)
    cells_per_tile    one row per tile (Fig. QC5)
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from mcvae_ops.figures import style
from mcvae_ops.figures.plate_maps import well_places
from mcvae_ops.figures.source_data import RUN, drawn, needed
from mcvae_ops.screen import on_grid, well_grid

GAP_TILES = 1
MISSING = "#FFFFFF"
LEAST_SCALE_PX = 1.0  # of Fig. QC1: smaller distances are no fault and look like none


def figqc1(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw the distance of the shift of every tile from the median of its plate."""
    moved = tables["alignment"][lambda t: t["method"].isin(["measured", "consensus"])]
    moved = needed(moved, "figure figqc1, table alignment").copy()
    plate_of = moved.groupby(["plate", "channel"], sort=False)[["dy_px", "dx_px"]]
    moved[["plate_dy_px", "plate_dx_px"]] = plate_of.transform("median").to_numpy()
    away = moved[["dy_px", "dx_px"]].to_numpy() - moved[["plate_dy_px", "plate_dx_px"]].to_numpy()
    moved["deviation_px"] = np.hypot(*away.T)
    plates, channels = moved["plate"].unique(), moved["channel"].unique()
    top = max(float(moved["deviation_px"].quantile(0.99)), LEAST_SCALE_PX)
    figure = style.new_figure(3.1 * len(channels) + 1.2, 2.6 * len(plates) + 1.2)
    every = figure.subplots(len(plates), len(channels), squeeze=False)
    for row, plate in zip(every, plates, strict=True):
        for axes, channel in zip(row, channels, strict=True):
            here = moved[(moved["plate"] == plate) & (moved["channel"] == channel)]
            drawn_image = draw_wells(axes, here, "deviation_px", settings["screen"], (0, top))
            if len(here):
                dy, dx = here[["plate_dy_px", "plate_dx_px"]].iloc[0]
                shift = f"({dy:.1f}, {dx:.1f}) px".replace("-", "−")
                axes.set_title(f"{plate}, {channel}: {shift}", fontsize=8)
    figure.colorbar(drawn_image, ax=every, label="distance from the shift of the plate (px)")
    n_tiles = len(moved.drop_duplicates(["plate", "well", "tile"]))
    n_consensus = int((moved["method"] == "consensus").sum())
    note = (
        f"{style.counted(n_tiles, 'tiles')}; titles give the median shift (y, x) of the plate; "
        f"{n_consensus} of {len(moved):,} shifts are those of the plate, not of the tile. "
        "White: no tile, or a failed tile."
    )
    style.finish(figure, "figqc1", "Shift of every tile", note)
    return figure, drawn((RUN, moved))


def figqc5(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw the number of cropped cells of every tile."""
    tiles = needed(tables["cells_per_tile"], "figure figqc5, table cells_per_tile")
    plates = tiles["plate"].unique()
    n_columns = min(len(plates), 3)
    n_rows = -(-len(plates) // n_columns)
    figure = style.new_figure(3.2 * n_columns + 1.2, 2.7 * n_rows + 1.0)
    every = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes in every.flat[len(plates) :]:
        axes.set_visible(False)
    limits = (0, int(tiles["n_cells"].max()))
    for axes, plate in zip(every.flat, plates, strict=False):
        here = tiles[tiles["plate"] == plate]
        drawn_image = draw_wells(axes, here, "n_cells", settings["screen"], limits)
        axes.set_title(plate, fontsize=9)
    figure.colorbar(drawn_image, ax=every, label="cells cropped")
    n = style.counted(int(tiles["n_cells"].sum()), "cells")
    note = f"{n} in {style.counted(len(tiles), 'tiles')}. White: no cell."
    style.finish(figure, "figqc5", "Cells per tile", note)
    return figure, drawn((RUN, tiles))


def draw_wells(
    axes: Axes, tiles: pd.DataFrame, column: str, screen: dict, limits: tuple[float, float]
) -> AxesImage:
    """Draw one value per tile of a plate, with the wells arranged as on the plate.

    Parameters
    ----------
    tiles
        Columns well, tile and `column`.
    screen
        Section of the configuration: wells of all plates, and the grid of a well.
    limits
        Values at both ends of the colour scale.
    """
    grid = screen["well_grid"]
    places = well_grid(grid["column_heights"])
    wells = well_places(sorted({well for names in screen["plates"].values() for well in names}))
    height, width = places.max(axis=0) + 1 + GAP_TILES
    corner = {well: (row * height, column * width) for well, (row, column) in wells.items()}
    canvas = np.full((np.array(list(wells.values())).max(axis=0) + 1) * (height, width), np.nan)
    for well, tile, value in tiles[["well", "tile", column]].itertuples(index=False):
        row, place = places[on_grid(tile, grid)] + corner[well]
        canvas[row, place] = value
    style.bare(axes)
    image = axes.imshow(canvas, vmin=limits[0], vmax=limits[1], cmap="viridis")
    for well, (row, place) in corner.items():
        axes.text(place - 0.4, row - 0.2, well, fontsize=7, color=style.FAINT, va="center")
    return image
