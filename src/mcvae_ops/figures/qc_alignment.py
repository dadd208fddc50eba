"""
Fig. QC2, QC3: confidence of the shifts, and channels before and after alignment.

TABLES
    alignment    one row per tile and channel (Fig. QC2)
    checks       known shifts that were measured on tiles of the run (Fig. QC2)
    overlays     pixels of one tile per plate before and after (Fig. QC3)
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcvae_ops.figures import style
from mcvae_ops.figures.source_data import RUN, drawn, needed

N_BINS = 25
STATES = {"before": "before_counts", "after": "after_counts"}
MAGENTA, GREEN = (1, 0, 1), (0, 1, 0)
BLACK_PERCENT, WHITE_PERCENT = 5, 99.7


def figqc2(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw the confidence of all shifts, and the errors of known shifts."""
    moved = tables["alignment"][lambda t: t["method"].isin(["measured", "consensus"])]
    moved = needed(moved, "figure figqc2, table alignment")
    checks = tables["checks"]
    figure = style.new_figure(9.2, 3.8)
    left, right = figure.subplots(1, 2)
    bins = np.linspace(0, 1, N_BINS + 1)
    colours = {c["name"]: c["colour"] for c in settings["screen"]["channels"]}
    channels = [channel for channel in colours if channel in set(moved["channel"])]
    values = [moved.loc[moved["channel"] == channel, "confidence"] for channel in channels]
    left.hist(values, bins, color=[colours[channel] for channel in channels], label=channels)
    left.set(xlabel="confidence", ylabel="tiles", title="Measured shifts", yscale="log")
    left.set_ylim(bottom=0.5)
    left.legend(loc="upper left")
    _draw_checks(right, checks, colours)
    n_tiles = len(checks.drop_duplicates(["plate", "well", "tile"]))
    planted = checks[checks["check"] == "planted shift"]
    worst = f"{planted['error_px'].max():.2f} px" if len(planted) else "none was measured"
    note = (
        f"{len(moved):,} shifts, {int((moved['method'] == 'consensus').sum())} replaced by the "
        f"shift of the plate. Known shifts on {style.counted(n_tiles, 'tiles')}: shifts applied to "
        f"tiles (largest error: {worst}), and channels of one file, which are already aligned."
    )
    style.finish(figure, "figqc2", "Confidence of the shifts", note)
    columns = ["plate", "well", "tile", "channel", "method", "confidence"]
    return figure, drawn((RUN, moved[columns].assign(check="")), (RUN, checks))


def _draw_checks(axes: Axes, checks: pd.DataFrame, colours: dict[str, str]) -> None:
    groups = list(checks.groupby(["check", "channel", "against"], sort=True))
    for k, ((_, channel, _), rows) in enumerate(groups):
        spread = np.linspace(-0.3, 0.3, len(rows)) if len(rows) > 1 else [0]
        axes.plot(
            k + np.array(spread),
            rows["error_px"],
            "o",
            ms=3.5,
            color=colours[channel],
            alpha=0.7,
            clip_on=False,  # most errors may be 0
        )
    names = [f"{check}\n{channel} to {against}" for (check, channel, against), _ in groups]
    axes.set_xticks(range(len(names)), names, fontsize=7)
    axes.set(ylabel="error (px)", title="Known shifts")
    axes.set_ylim(bottom=0)


def figqc3(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw a window of one tile per plate before and after alignment of its channels."""
    pixels = needed(tables["overlays"], "figure figqc3, table overlays")
    pairs = list(pixels.groupby(["plate", "moving", "fixed"], sort=True))
    n_columns = min(2 * max(pixels.groupby("plate")["moving"].nunique()), len(pairs) * 2)
    n_rows = -(-2 * len(pairs) // n_columns)
    figure = style.new_figure(2.3 * n_columns + 0.4, 2.6 * n_rows + 0.9)
    every = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes in every.flat:
        style.bare(axes)
    shown = []
    for k, ((plate, moving, fixed), rows) in enumerate(pairs):
        for j, (state, column) in enumerate(STATES.items()):
            axes = every.flat[2 * k + j]
            axes.imshow(overlay(rows, column), interpolation="nearest")
            width_px = int(rows["x"].nunique())
            bar = style.scale_bar(axes, width_px, settings["screen"]["pixel_size_um"])
            correlation = float(np.corrcoef(rows[column], rows["fixed_counts"])[0, 1])
            title = f"{plate}\n{moving} on {fixed}, {state} (r = {style.signed(correlation, 2)})"
            axes.set_title(title, fontsize=7.5)
            shown.append((plate, moving, fixed, state, correlation, rows[column].mean()))
    note = (
        f"{style.counted(pixels['plate'].nunique(), 'plates')}, the middle of one tile each. "
        "Magenta: the shifted channel; green: the channel it is aligned to; white: both. r: "
        f"correlation of both over pixels.{bar}"
    )
    style.finish(figure, "figqc3", "Channels before and after alignment", note)
    # The source data is a summary: the pixels themselves are in the table overlays.
    columns = ["plate", "moving", "fixed", "state", "correlation", "mean_counts"]
    return figure, drawn((RUN, pd.DataFrame(shown, columns=columns)))


def overlay(pixels: pd.DataFrame, column: str) -> np.ndarray:
    """Return two channels over each other as red, green, blue (y, x, 3) in [0, 1]."""
    picture = 0.0
    for name, colour in ((column, MAGENTA), ("fixed_counts", GREEN)):
        plane = pixels.pivot(index="y", columns="x", values=name).to_numpy(float)
        picture = picture + stretched(plane)[..., None] * np.array(colour)
    return np.clip(picture, 0, 1)


def stretched(plane: np.ndarray) -> np.ndarray:
    """Scale the counts between two percentiles of an image to [0, 1]."""
    low, high = np.percentile(plane, [BLACK_PERCENT, WHITE_PERCENT])
    return np.clip((plane - low) / max(high - low, 1), 0, 1)
