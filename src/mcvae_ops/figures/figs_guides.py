"""
Fig. S1: do the guides of a gene agree? (not in the paper)

TABLES
    guides    consistency of the guides of each gene
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcvae_ops.figures import style
from mcvae_ops.figures.source_data import RUN, average_seeds, choose, drawn, needed

CELLS = {"all": ("s", "all cells"), "test": ("o", "held-out cells")}
KEYS = ["model", "space", "cells", "metric", "item"]


def _without_pairs(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Say that no gene has guides to compare, as where every genotype is one."""
    figure = style.new_figure(6.0, 1.4)
    style.bare(figure.subplots(), "no gene has two guides: there is nothing to compare")
    style.finish(figure, "figs1", "Do the guides of one gene agree?", "No estimate.")
    return figure, table


def figs1(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw the consistency of the guides of a gene in each space of each model."""
    if tables["guides"].empty:
        return _without_pairs(tables["guides"])
    table = choose(tables["guides"], item="", cells=list(CELLS))
    table = average_seeds(needed(table, "figure figs1, table guides"), KEYS)
    pairs = list(dict.fromkeys(zip(table["model"], table["space"], strict=True)))
    figure = style.new_figure(8.6, 1.6 + 0.3 * len(pairs))
    left, right = figure.subplots(1, 2, sharey=True)
    for y, (model, space) in enumerate(pairs):
        for offset, (cells, (marker, _)) in zip((-0.13, 0.13), CELLS.items(), strict=True):
            here = choose(table, model=model, space=space, cells=cells)
            colour = style.model_colour(model)
            for row in choose(here, metric="mean_average_precision").itertuples():
                left.plot([row.low, row.high], [y + offset] * 2, color=colour, lw=1.6)
                left.plot(row.value, y + offset, marker, color=colour, ms=5)
            for row in choose(here, metric="mean_average_precision_null").itertuples():
                left.plot(row.value, y + offset, "|", color=style.FAINT, ms=8)
            for row in choose(here, metric="consistent_fraction").itertuples():
                right.plot(row.value, y + offset, marker, color=colour, ms=5, clip_on=False)
    names = [f"{style.model_name(model)}, {space}" for model, space in pairs]
    left.set_yticks(range(len(pairs)), names)
    left.set(xlabel="mean average precision", xlim=(0, None), ylim=(len(pairs) - 0.4, -0.6))
    right.set(xlabel="share of genes with consistent guides", xlim=(0, 1.02))
    _legend(left, table)
    n = int(choose(table, metric="mean_average_precision")["n"].max())
    note = (
        f"Every guide ranks the others by cosine distance; {style.counted(n, 'genes')}, mean of "
        f"{style.seeds_note(tables['guides'])}, 95 % interval over genes and seeds; tick: "
        "random rankings. Right: genes with consistent guides at a false discovery rate of 5 %."
    )
    style.finish(figure, "figs1", "Do the guides of one gene agree?", note)
    return figure, drawn((RUN, table))


def _legend(axes: Axes, table: pd.DataFrame) -> None:
    for cells, (marker, name) in CELLS.items():
        if cells in set(table["cells"]):
            axes.plot([], [], marker, color=style.FAINT, ms=5, label=name)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, columnspacing=1.0)
