"""
Fig. QC6: reconstructions of cells, and the KL of each latent dimension.

TABLES
    samples    pixels of some validation cells of either arm, and of their reconstructions
    metrics    metrics of the same training by step
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from mcvae_ops.figures import style
from mcvae_ops.figures.source_data import (
    RUN,
    choose,
    drawn,
    drop_single_model,
    needed,
    shown_models,
)
from mcvae_ops.models.family import SPACES

STATES = {
    "input": "input",
    "reconstruction": "reconstruction",
    "without_s": "with s = 0",
    "by_s": "what s adds",
}
FULL_COLOUR = 1 / 4  # of the range of the input, for what s adds
SHOWN = (1, 99.8)  # percentiles of the input of a channel that are black and full colour


def figqc6(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw input and reconstructions of cells per channel, and the KL of every dimension."""
    samples = needed(tables["samples"], "figure figqc6, table samples")
    models = shown_models(settings)
    pixels = {model: _with_difference(choose(samples, model=model)) for model in models}
    states = [(models[0], "input")]  # all models show the same cells
    states += [(model, s) for model in models for s in list(STATES)[1:] if s in pixels[model]]
    channels = {c["name"]: c["colour"] for c in settings["screen"]["channels"]}
    figure = style.new_figure(10.5, 0.42 * len(channels) * len(states) + 2.2)
    pictures, right = figure.subfigures(1, 2, width_ratios=[2.6, 1])
    every = pictures.subplots(len(channels) * len(states), 2, squeeze=False)
    for k, arm in enumerate((True, False)):
        every[0, k].set_title("control cells (NTC)" if arm else "perturbed cells", fontsize=9)
    rows = [(name, *state) for name in channels for state in states]
    for row, (name, model, state) in zip(every, rows, strict=True):
        _draw_row(row, choose(pixels[model], channel=name), state, channels[name])
        of = f"{style.model_name(model)}: " if len(models) > 1 and state != "input" else ""
        row[0].set_ylabel(
            f"{name}, {of}{STATES[state]}", fontsize=7, rotation=0, ha="right", va="center"
        )
    width_px = samples["x"].nunique()
    for axes in every[0]:
        bar = style.scale_bar(axes, width_px, style.shown_pixel_um(settings, width_px))
    kl = {model: kl_of_dimensions(choose(tables["metrics"], model=model)) for model in models}
    every = right.subplots(len(models), 1, squeeze=False)[:, 0]
    for axes, model in zip(every, models, strict=True):
        _draw_kl(axes, kl[model])
        axes.set_title(style.model_name(model) if len(models) > 1 else "")
    n = style.counted(samples["cell_id"].nunique(), "validation cells")
    note = (
        f"{style.model_names(models)}, first seed, best validation; {n}, decoded from posterior "
        "means, controls with s = 0; channels are scaled as in the input of the model. What s "
        "adds: reconstruction minus that with s = 0, red brighter, blue darker, full colour at a "
        f"quarter of the range of the input.{bar} KL: mean over cells (for s: perturbed "
        "cells), dimensions sorted by KL; a dimension near 0 is not used."
    )
    style.finish(figure, "figqc6", "Reconstructions", note)
    dimensions = pd.concat([part.assign(model=model) for model, part in kl.items()])
    return figure, drawn((RUN, drop_single_model(dimensions)), (RUN, drop_single_model(samples)))


def _with_difference(pixels: pd.DataFrame) -> pd.DataFrame:
    """Return the pixels of a model, with what s adds where it has s."""
    pixels = pixels.dropna(axis=1, how="all")
    if "without_s" not in pixels:
        return pixels
    return pixels.assign(by_s=pixels["reconstruction"] - pixels["without_s"])


def kl_of_dimensions(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the KL of each dimension (space, dimension, kl_nats) at the best validation."""
    validated = metrics[metrics["phase"] == "validation"]
    best = validated.loc[validated["negative_elbo"].idxmin()]
    rows = [
        (SPACES[space], f"{space}_{k:02d}", nats)
        for space in SPACES
        if np.ndim(best.get(f"kl_per_dimension_{space}"))
        for k, nats in enumerate(best[f"kl_per_dimension_{space}"])
    ]
    return pd.DataFrame(rows, columns=["space", "dimension", "kl_nats"])


def _draw_row(row: np.ndarray, of_channel: pd.DataFrame, state: str, colour: str) -> None:
    low, high = np.percentile(of_channel["input"], SHOWN)
    ramp = LinearSegmentedColormap.from_list(colour, ["#000000", colour, "#FFFFFF"])
    scale = {"cmap": ramp, "vmin": low, "vmax": max(high, low + 1e-6)}
    if state == "by_s":
        largest = FULL_COLOUR * max(high - low, 1e-6)
        scale = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
    for axes, arm in zip(row, (True, False), strict=True):
        style.bare(axes, axes.get_title())
        crops = [
            cell.pivot(index="y", columns="x", values=state).to_numpy(float)
            for _, cell in of_channel[of_channel["is_ntc"] == arm].groupby("cell_id", sort=True)
        ]
        if crops:
            axes.imshow(np.hstack(crops), **scale)


def _draw_kl(axes: Axes, dimensions: pd.DataFrame) -> None:
    for space, rows in dimensions.groupby("space", sort=False):
        nats = np.sort(rows["kl_nats"])[::-1]
        axes.plot(
            np.arange(1, len(nats) + 1),
            nats,
            "o-",
            ms=3,
            lw=1.2,
            color=style.SPACE_COLOURS[space],
            label=f"{space}: {nats.sum():.0f} nats",
        )
    axes.set(xlabel="dimension, sorted by KL", ylabel="KL (nats per cell)")
    axes.set_ylim(bottom=0)
    axes.legend()
