"""Names of points that cover neither a point, nor another name or the line to it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from mcvae_ops.figures import style

ANGLES = np.deg2rad([0, 180, 45, 135, -45, -135, 90, -90, 22, 158, -22, -158, 67, 113, -67, -113])
DISTANCES_PT = (6, 14, 24, 36, 50)
LINE_POINTS = 20  # at which a line is compared with names
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
    avoided, taken, written = axes.transData.transform(points), [], []
    legend = axes.get_legend()
    if legend:
        taken.append(legend.get_window_extent())
    for place, name in zip(places, names, strict=True):
        for distance in DISTANCES_PT:
            found = _write(axes, place, name, distance, size_pt, avoided, taken)
            if found:
                box, line = found
                taken.append(box)
                avoided = np.concatenate([avoided, line])
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
) -> tuple[Bbox, np.ndarray] | None:
    """Write a name at this distance from its point, with a line to it if it is far.

    Return its box and (point, 2) places along its line in px; or None if no place is free.
    """
    start, far = axes.transData.transform(place), distance_pt > DISTANCES_PT[0]
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
        box = text.get_window_extent().padded(5, 4)  # apart from names and markers
        inside = Bbox.intersection(box, axes.bbox)
        end = np.array([x, y]) * distance_pt * axes.figure.dpi / 72
        line = start + np.linspace(0, 1, LINE_POINTS)[:, None] * end if far else start[None]
        if (
            inside is not None
            and np.allclose(inside.extents, box.extents)
            and not box.count_contains(points)
            and not box.count_overlaps(taken)
            and not any(other.count_contains(line) for other in taken)
        ):
            if far:
                axes.annotate("", place, text.xyann, textcoords="offset points", arrowprops=LINE)
            return box, line
        text.remove()
    return None
