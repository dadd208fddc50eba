"""Draw the plates of a screen and the grid of tiles in a well."""

import re

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle

from mcvae_ops.benchmarks.covariates.positions import CENTRE, EDGE, UNUSED, well_position
from mcvae_ops.figures import style
from mcvae_ops.screen import well_grid

PLATES_PER_ROW = 3
WELL = re.compile(r"^([A-Z])(\d+)$")
POSITIONS = {
    CENTRE: (style.POSITION_COLOURS["centre"], "centre"),
    EDGE: (style.POSITION_COLOURS["edge"], "edge"),
    UNUSED: ("#DFE2E6", "other"),
}


def well_places(wells: list[str]) -> dict[str, tuple[int, int]]:
    """Return (row, column) of wells named letter + number; other wells form one row."""
    matches = {well: WELL.match(well) for well in wells}
    if not all(matches.values()):
        return {well: (0, i) for i, well in enumerate(wells)}
    return {well: (ord(m[1]) - ord("A"), int(m[2]) - 1) for well, m in matches.items()}


def draw_plates(axes: Axes, plates: dict[str, list[str]]) -> None:
    """Draw every plate with its wells; wells that only other plates use are white."""
    every = sorted({well for wells in plates.values() for well in wells})
    places = well_places(every)
    n_rows, n_columns = np.max(list(places.values()), axis=0) + 1
    colours = style.batch_colours([f"{p}/{w}" for p, wells in plates.items() for w in wells])
    style.bare(axes, "plates and wells")
    for i, (plate, wells) in enumerate(plates.items()):
        top = (i // PLATES_PER_ROW) * (n_rows + 1.1)
        left = (i % PLATES_PER_ROW) * (n_columns + 0.7)
        frame = (left - 0.5, top - 0.5)
        axes.add_patch(Rectangle(frame, n_columns, n_rows, fc="none", ec=style.INK, lw=1))
        axes.text(left - 0.5, top - 0.6, plate, fontsize=6.5, va="bottom")
        for well, (row, column) in places.items():
            colour = colours[f"{plate}/{well}"] if well in wells else "#FFFFFF"
            disc = Circle((left + column, top + row), 0.42, fc=colour, ec=style.FAINT, lw=0.8)
            axes.add_patch(disc)
            axes.text(
                left + column,
                top + row,
                well,
                ha="center",
                va="center",
                fontsize=8,
                color=style.text_on(colour),
            )
    axes.set(aspect="equal")
    axes.autoscale_view()
    axes.margins(0.05, 0.12)
    axes.invert_yaxis()


def draw_well(axes: Axes, grid: dict | None) -> None:
    """Draw the tiles of one well, coloured by their position in it.

    Parameters
    ----------
    axes
        Axes to draw on.
    grid
        Section ``screen.well_grid``; None says so in place of the tiles.
    """
    if grid is None:
        style.bare(axes, "tiles of a well")
        axes.text(0.5, 0.5, "screen.well_grid is null:\ntheir places are not known", ha="center",
                  va="center", color=style.FAINT, transform=axes.transAxes)  # fmt: skip
        return
    places = well_grid(grid["column_heights"])
    position = well_position(grid["column_heights"], grid["centre_tiles"])
    style.bare(axes, f"the {len(places):,} tiles of a well")
    size = 0.86
    for (row, column), where in zip(places, position, strict=True):
        corner = (column - size / 2, row - size / 2)
        axes.add_patch(Rectangle(corner, size, size, fc=POSITIONS[where][0], lw=0))
    if len(places) <= 40:
        numbered = enumerate(zip(places, position, strict=True), grid["first_tile"])
        for tile, ((row, column), where) in numbered:
            ink = style.text_on(POSITIONS[where][0])
            axes.text(column, row, str(tile), ha="center", va="center", fontsize=7, color=ink)
    for where in (where for where in POSITIONS if where in position):
        colour, name = POSITIONS[where]
        axes.plot([], [], "s", color=colour, label=name)
    axes.set(aspect="equal")
    axes.autoscale_view()
    axes.invert_yaxis()
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=3, handletextpad=0.1)
