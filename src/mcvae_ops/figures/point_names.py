"""Names of points that cover neither a point nor another name."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from mcvae_ops.figures import style

ANGLES = np.deg2rad([0, 180, 45, 135, -45, -135, 90, -90])
DISTANCES_PT = (6, 14, 24, 36, 50)
LINE = {"arrowstyle": "-", "lw": 0.4, "color": style.FAINT, "shrinkA": 0, "shrinkB": 2}


def name_points(
    axes: Axes, places: np.ndarray, names: Sequence[str], points: np.ndarray, size_pt: float = 7.5
) -> list[str]:
    """Write names beside their points, the first ones first, nearest free place first.

    Limits of the axes must be final. A name without a free place is left out.

    Parameters
    ----------
    axes
        Where the points are drawn.
    places
        (name, 2) x and y of the named points.
    names
        Their names.
    points
        (point, 2) x and y of all points.
    size_pt
        Of the letters.

    Returns
    -------
    The names that were written.
    """
    axes.figure.draw_without_rendering()
    drawn, taken, written = axes.transData.transform(points), [], []
    legend = axes.get_legend()
    if legend:
        taken.append(legend.get_window_extent())
    for place, name in zip(places, names, strict=True):
        for distance in DISTANCES_PT:
            box = _write(axes, place, name, distance, size_pt, drawn, taken)
            if box:
                taken.append(box)
                written.append(name)
                break
    return written


def _write(
    axes: Axes,
    place: np.ndarray,
    name: str,
    distance_pt: float,
    size_pt: float,
    points: np.ndarray,
    taken: list[Bbox],
) -> Bbox | None:
    """Write a name at this distance from its point; return its box, or None if none is free."""
    for angle in ANGLES:
        x, y = np.cos(angle), np.sin(angle)
        text = axes.annotate(
            name,
            place,
            (distance_pt * x, distance_pt * y),
            textcoords="offset points",
            fontsize=size_pt,
            ha="left" if x > 0.1 else "right" if x < -0.1 else "center",
            va="bottom" if y > 0.1 else "top" if y < -0.1 else "center",
        )
        box = text.get_window_extent().padded(5, 1)  # apart from the next one
        inside = Bbox.intersection(box, axes.bbox)
        if (
            inside is not None
            and np.allclose(inside.extents, box.extents)
            and not box.count_contains(points)
            and not box.count_overlaps(taken)
        ):
            if distance_pt > DISTANCES_PT[0]:
                axes.annotate("", place, text.xyann, textcoords="offset points", arrowprops=LINE)
            return box
        text.remove()
    return None
