"""
Fig. QC4: crops of cells, the input of the models.

TABLES
    montage    pixels of some crops of either arm
"""

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from pandas.api.typing import DataFrameGroupBy

from mcvae_ops.figures import style
from mcvae_ops.figures.source_data import RUN, drawn, needed
from mcvae_ops.screen import length_of

ARMS = {True: "control\n(NTC)", False: "perturbed"}
GAP_PX = 1  # between two crops
SHOWN = (0.5, 99.8)  # percentiles of a channel over all crops that are black and full colour


def figqc4(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw one row of crops per channel and arm."""
    pixels = needed(tables["montage"], "figure figqc4, table montage")
    channels = {c["name"]: c["colour"] for c in settings["screen"]["channels"]}
    arms = [arm for arm in ARMS if (pixels["is_ntc"] == arm).any()]
    figure = style.new_figure(9.0, 0.85 * len(channels) * len(arms) + 1.2)
    every = figure.subplots(len(channels) * len(arms), 1, squeeze=False)[:, 0]
    width_px, size_um = int(pixels["x"].max()) + 1, settings["screen"]["pixel_size_um"]
    rows, shown = [(name, arm) for name in channels for arm in arms], []
    for axes, (name, arm) in zip(every, rows, strict=True):
        of_channel = pixels[pixels["channel"] == name]
        low, high = np.percentile(of_channel["counts"], SHOWN)
        of_arm = of_channel[of_channel["is_ntc"] == arm].groupby("cell_id", sort=True)
        shown.append(_described(of_arm, name, arm).assign(black_counts=low, full_counts=high))
        crops = [
            cell.pivot(index="y", columns="x", values="counts").astype(float) for _, cell in of_arm
        ]
        apart = [np.pad(c, ((0, 0), (0, GAP_PX)), constant_values=np.nan) for c in crops]
        ramp = LinearSegmentedColormap.from_list(name, ["#000000", channels[name], "#FFFFFF"])
        style.bare(axes)
        axes.imshow(np.hstack(apart), cmap=ramp, vmin=low, vmax=max(high, low + 1))
        bar = style.scale_bar(axes, width_px, size_um)
        axes.set_ylabel(f"{name}\n{ARMS[arm]}", fontsize=7.5, rotation=0, ha="right", va="center")
    n = style.counted(pixels["cell_id"].nunique(), "cells")
    width = length_of(width_px, size_um)
    note = f"{n} drawn at random; each crop is {width} wide; one scale per channel.{bar}"
    style.finish(figure, "figqc4", "Crops", note)
    return figure, drawn((RUN, pd.concat(shown)))


def _described(cells: DataFrameGroupBy, channel: str, arm: bool) -> pd.DataFrame:
    """Return a summary of each crop; the pixels themselves are in the table montage."""
    counts = cells["counts"].agg(["mean", "min", "max"]).add_suffix("_counts").reset_index()
    return counts.assign(channel=channel, is_ntc=arm)
