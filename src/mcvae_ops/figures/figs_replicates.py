"""
Fig. S4: do replicates agree?

TABLES
    replicates    percent replicating, and retrieval across batches and plates
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcvae_ops.benchmarks.replicates.replicate_agreement import REPLICATING
from mcvae_ops.figures import style
from mcvae_ops.figures.source_data import RUN, average_seeds, choose, drawn, needed, shown_models

CELLS = {"all": ("s", "all cells"), "test": ("o", "held-out cells")}
BASELINE = "cellprofiler"
KEYS = ["model", "space", "cells", "metric", "item", "against", "level"]
RANKS = (1, 10)
AGAINST = {"batch": "in another batch", "plate": "on another plate"}


def figs4(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw percent replicating, and retrieval across batches and plates, for every space."""
    if tables["replicates"].empty:
        return _without_replicates(tables["replicates"])
    models = shown_models(settings)
    table = choose(tables["replicates"], model=[*models, BASELINE], cells=list(CELLS))
    table = average_seeds(needed(table, "figure figs4, table replicates"), KEYS)
    series = [
        (model, space)
        for model in [*models, BASELINE]
        for space in ("salient", "background", "combined")
        if len(choose(table, model=model, space=space))
    ]
    against = [name for name in AGAINST if name in set(table["against"])]
    figure = style.new_figure(12.0, 2.2 + 0.36 * len(series) * 2)
    every = figure.subplots(2, 1 + len(against) * len(RANKS), sharey=True, squeeze=False)
    for row, item in zip(every, ("gene", "guide"), strict=True):
        here = choose(table, item=item)
        replicating = choose(here, metric="replicating_fraction", against="batch")
        _draw_series(row[0], replicating, series)
        row[0].axvline(REPLICATING, color=style.FAINT, lw=0.8, ls=":")
        places = [(where, k) for where in against for k in RANKS]
        for axes, (where, k) in zip(row[1:], places, strict=True):
            of_rank = choose(here[here["level"] == k], against=where)
            _draw_series(axes, choose(of_rank, metric="recall"), series)
            _draw_chance(axes, choose(of_rank, metric="recall_null"), series)
            if item == "gene":
                axes.set_title(f"found {AGAINST[where]}", fontsize=9.5)
            words = "first" if k == 1 else f"among the first {k}"
            axes.set_xlabel(f"share ranked\n{words}" if item == "guide" else "", fontsize=8.5)
        names = [style.space_name(*of, [*models, ""]) for of in series]
        row[0].set_yticks(range(len(series)), names)
        row[0].set_ylabel(f"{item}s", fontweight="bold")
        row[0].set(ylim=(len(series) - 0.4, -0.6))
    every[0, 0].set_title("percent replicating", fontsize=9.5)
    every[1, 0].set_xlabel("share of\ngenes or guides", fontsize=8.5)
    for axes in every.flat:
        axes.set(xlim=(0, 1.02))
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])  # axes stand side by side
    for marker, name in CELLS.values():
        every[0, 0].plot([], [], marker, color=style.FAINT, ms=4.5, ls="", label=name)
    handles, labels = every[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2)
    style.finish(figure, "figs4", "Do replicates agree?", _note(tables["replicates"], table))
    return figure, drawn((RUN, table))


def _without_replicates(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Say that there is nothing to compare, as in a screen of one batch."""
    figure = style.new_figure(6.0, 1.4)
    style.bare(figure.subplots(), "no gene and no guide has cells in two batches")
    style.finish(figure, "figs4", "Do replicates agree?", "No estimate.")
    return figure, table


def _note(rows: pd.DataFrame, table: pd.DataFrame) -> str:
    genes = choose(table, item="gene", metric="replicating_fraction")
    guides = choose(table, item="guide", metric="replicating_fraction")
    return (
        f"{style.counted(int(genes['n'].max()), 'genes')} and "
        f"{style.counted(int(guides['n'].max()), 'guides')} with cells in two batches or more; "
        f"mean of {style.seeds_note(rows)}, 95 % interval over genes and seeds. Dotted: share "
        "without any effect; ticks: random ranks. A guide looks for the other guides of its gene."
    )


def _draw_series(axes: Axes, rows: pd.DataFrame, series: list[tuple[str, str]]) -> None:
    for y, (model, space) in enumerate(series):
        for aside, (cells, (marker, _)) in zip((-0.14, 0.14), CELLS.items(), strict=True):
            for row in choose(rows, model=model, space=space, cells=cells).itertuples():
                colour = style.space_colour(model, space)
                axes.plot([row.low, row.high], [y + aside] * 2, color=colour, lw=1.4)
                axes.plot(row.value, y + aside, marker, color=colour, ms=4.5)
    axes.grid(False, axis="y")


def _draw_chance(axes: Axes, rows: pd.DataFrame, series: list[tuple[str, str]]) -> None:
    for y, (model, space) in enumerate(series):
        for aside, cells in zip((-0.14, 0.14), CELLS, strict=True):
            for value in choose(rows, model=model, space=space, cells=cells)["value"]:
                axes.plot(value, y + aside, "|", color=style.FAINT, ms=8)
