"""
Fig. 3A, 4A: UMAPs of cells, and of guides or genes.

TABLES
    umap_cells     one row per cell, shown model and space (Fig. 3A)
    umap_guides    one row per guide (or gene), shown model and space (Fig. 4A)
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from scipy.spatial.distance import cdist

from mcvae_ops.figures import style
from mcvae_ops.figures.source_data import (
    RUN,
    choose,
    drawn,
    drop_single_model,
    needed,
    shown_models,
)

ELSEWHERE = "#DADDE1"
MOST_NAMED = 12  # largest number of batches that the legend names
COLUMNS = {"batch": "batch", "fov": "position in FOV", "well_position": "position in well"}
CROWD = 4  # nearest members of a group that say how dense it is
NUMBER_APART = 0.07  # of the map's extent, between two numbers of groups
LEGEND_BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "handletextpad": 0.2}


def fig3a(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw single cells in both spaces, coloured by each technical covariate."""
    cells = needed(tables["umap_cells"], "figure fig3a, table umap_cells")
    models = shown_models(settings)
    rows = [(model, space) for model in models for space in ("salient", "background")]
    # Rows are sorted by batch: without shuffling, the last batch would cover the others.
    mixed = cells.sample(frac=1, random_state=np.random.default_rng(0))
    batches = sorted(set(cells["batch"]))
    fullest = cells["batch"].value_counts().sort_index().idxmax()
    known = {name: title for name, title in COLUMNS.items() if (cells[name] != "").any()}
    figure = style.new_figure(3.2 * len(known), (3.0 if len(rows) <= 4 else 2.4) * len(rows) + 1.4)
    every = figure.subplots(len(rows), len(known), squeeze=False)
    for row, (model, space) in zip(every, rows, strict=True):
        here = choose(mixed, model=model, space=space)
        _draw_batches(row[0], here, style.batch_colours(batches))
        for axes, column in zip(row[1:], list(known)[1:], strict=True):
            _draw_position(axes, here, here["batch"] == fullest, column)
        name = f"{style.model_name(model)}\n{space} space" if len(models) > 1 else f"{space} space"
        row[0].set_ylabel(name, color=style.SPACE_COLOURS[space], fontweight="bold")
    for axes, name in zip(every[0], known.values(), strict=True):
        axes.set_title(name)
    _add_legends(every[-1], len(batches))
    n = style.counted(cells["cell_id"].nunique(), "cells")
    note = (
        f"UMAP of {n} from {style.counted(len(batches), 'batches')}; {_trainings(models)}. "
        f"Positions are coloured in one batch ({fullest}) only, so that differences between "
        "batches do not look like differences between positions."
    )
    style.finish(figure, "fig3a", "Single cells by batch and position", note)
    return figure, drawn((RUN, drop_single_model(cells)))


def fig4a(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw guides (or genes) in each space, coloured by the functional group of their gene."""
    guides = needed(tables["umap_guides"], "figure fig4a, table umap_guides")
    order = [space for space in style.SPACE_COLOURS if space in set(guides["space"])]
    groups = sorted(set(guides["group"]) - {""}, key=str.lower)
    styles = style.group_styles(groups)
    models = shown_models(settings)
    figure = style.new_figure(3.6 * len(order) + 2.4, 3.6 * len(models) + 0.7)
    every = figure.subplots(len(models), len(order), squeeze=False)
    size = float(np.clip(36_000 * len(models) / len(guides), 12, 32))
    places = [(model, space) for model in models for space in order]
    for axes, (model, space) in zip(every.flat, places, strict=True):
        style.bare(axes, f"{space} space" if model == models[0] else "")
        if len(models) > 1 and space == order[0]:
            axes.set_ylabel(style.model_name(model), fontweight="bold")
        here = choose(guides, model=model, space=space)
        rest = here[here["group"] == ""]
        axes.scatter(rest["x"], rest["y"], 5, c=ELSEWHERE, lw=0, rasterized=True)
        for number, (group, (colour, marker)) in enumerate(styles.items(), start=1):
            members = here[here["group"] == group]
            axes.scatter(
                members["x"],
                members["y"],
                size,
                c=colour,
                marker=marker,
                label=f"{number}  {group} ({len(members)})",
                lw=0.3,
                edgecolors="white",
                rasterized=True,
            )
        _number_groups(axes, here, styles)
    handles, labels = every[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside right center",
        fontsize=8.5,
        handletextpad=0.2,
        markerscale=(32 / size) ** 0.5,
    )
    one_space = choose(guides, model=models[0], space=order[0])
    n = int((one_space["group"] != "").sum())
    note = (
        f"UMAP of {style.counted(n, 'profiles')} in {style.counted(len(styles), 'groups')}"
        f" (one per point, in brackets: how many); a number stands where its group is densest; "
        f"{_trainings(models)}."
    )
    style.finish(figure, "fig4a", "Profiles by functional group", note)
    return figure, drawn((RUN, drop_single_model(guides)))


def _number_groups(axes: Axes, points: pd.DataFrame, styles: dict[str, tuple[str, str]]) -> None:
    """Write the number of each group where it is densest, and not on another number."""
    extent = points[["x", "y"]].max() - points[["x", "y"]].min()
    places = (points[["x", "y"]] / extent).to_numpy()
    taken = np.empty((0, 2))
    for number, (group, (colour, _)) in enumerate(styles.items(), start=1):
        own = np.flatnonzero((points["group"] == group).to_numpy())
        if len(own) == 0:
            continue
        apart = np.sort(cdist(places[own], places[own]), axis=1)
        nearest = own[np.argsort(apart[:, : 1 + CROWD].mean(axis=1), kind="stable")]
        free = cdist(places[nearest], taken).min(axis=1, initial=np.inf) > NUMBER_APART
        at = nearest[free.argmax()]  # the densest place that is free; the densest if none is
        taken = np.vstack([taken, places[at]])
        text = axes.annotate(
            str(number), points[["x", "y"]].to_numpy()[at], ha="center", va="center",
            fontsize=9, fontweight="bold", color=colour,
        )  # fmt: skip
        text.set_path_effects([withStroke(linewidth=3, foreground="white")])


def _trainings(models: Sequence[str]) -> str:
    return f"{style.model_names(models)}, one training" + (" of each" if len(models) > 1 else "")


def _draw_batches(axes: Axes, cells: pd.DataFrame, colours: dict[str, str]) -> None:
    style.bare(axes)
    size = _point_size(len(cells))
    axes.scatter(cells["x"], cells["y"], size, c=cells["batch"].map(colours), lw=0, rasterized=True)
    for batch, colour in colours.items():
        axes.scatter([], [], 30, color=colour, label=batch)


def _draw_position(axes: Axes, cells: pd.DataFrame, chosen: pd.Series, column: str) -> None:
    style.bare(axes)
    rest, size = cells[~chosen], _point_size(len(cells))
    axes.scatter(rest["x"], rest["y"], size, c=ELSEWHERE, lw=0, rasterized=True)
    for position, colour in style.POSITION_COLOURS.items():
        coloured = cells[chosen & (cells[column] == position)]
        axes.scatter(coloured["x"], coloured["y"], 2 * size, c=colour, lw=0, rasterized=True)
        axes.scatter([], [], 30, color=colour, label=position)


def _point_size(n: int) -> float:
    """Return a marker area with which n points cover about the same share of the panel."""
    return float(np.clip(12_000 / max(n, 1), 0.4, 10.0))


def _add_legends(row: np.ndarray, n_batches: int) -> None:
    """Add legends of batches, if they are few, to the first column, of positions to the others."""
    if n_batches <= MOST_NAMED:
        row[0].legend(ncols=2, fontsize=7, columnspacing=0.6, **LEGEND_BELOW)
    else:
        row[0].set_xlabel("hue: plate, lightness: well", fontsize=9)
    for axes in row[1:]:
        axes.legend(ncols=2, **LEGEND_BELOW)
