"""
Fig. S1, S2: what the paper does not show.

TABLES
    guides         how well the guides of each gene agree (Fig. S1)
    corrections    complexes and guides found with each batch correction (Fig. S2)
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcvae_ops.figures import style
from mcvae_ops.figures.facets import facets
from mcvae_ops.figures.source_data import RUN, choose, drawn, judged_models, needed, over_seeds

CELLS = {"all": ("s", "all cells"), "test": ("o", "held-out cells")}
CORRECTIONS = {
    "none": "none", "centre": "centred on NTC", "robust_z": "robust z on NTC", "tvn": "TVN",
}  # fmt: skip
METRICS = {
    "average_precision": "average precision of complexes",
    "guide_consistency": "mAP of the guides of a gene",
}
KEYS = ["model", "space", "cells", "metric", "item"]


def figs1(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw how well the guides of a gene agree, in each space of each model."""
    table = choose(tables["guides"], item="", cells=list(CELLS))
    table = over_seeds(needed(table, "figure figs1, table guides"), KEYS)
    pairs = list(dict.fromkeys(zip(table["model"], table["space"], strict=True)))
    figure = style.new_figure(8.6, 1.6 + 0.3 * len(pairs))
    left, right = figure.subplots(1, 2, sharey=True)
    for y, (model, space) in enumerate(pairs):
        for offset, (cells, (marker, _)) in zip((-0.13, 0.13), CELLS.items(), strict=True):
            here = choose(table, model=model, space=space, cells=cells)
            colour = style.model_colour(model)
            for one in choose(here, metric="mean_average_precision").itertuples():
                left.plot([one.low, one.high], [y + offset] * 2, color=colour, lw=1.6)
                left.plot(one.value, y + offset, marker, color=colour, ms=5)
            for one in choose(here, metric="mean_average_precision_null").itertuples():
                left.plot(one.value, y + offset, "|", color=style.FAINT, ms=8)
            for one in choose(here, metric="consistent_fraction").itertuples():
                right.plot(one.value, y + offset, marker, color=colour, ms=5)
    names = [f"{style.model_name(model)}, {space}" for model, space in pairs]
    left.set_yticks(range(len(pairs)), names)
    left.set(xlabel="mean average precision", xlim=(0, None), ylim=(len(pairs) - 0.4, -0.6))
    right.set(xlabel="share of genes with consistent guides", xlim=(0, 1.02))
    _legend(left, table)
    n = int(choose(table, metric="mean_average_precision")["n"].max())
    note = (
        f"Every guide ranks the others by cosine distance; {style.counted(n, 'genes')}, mean of "
        f"{style.seeds_note(tables['guides'])}, 95 % interval over genes and seeds; tick: "
        "random rankings. Right: genes at a false discovery rate of 5 %."
    )
    style.finish(figure, "figs1", "Do the guides of one gene agree?", note)
    return figure, drawn((RUN, table))


def figs2(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw what each batch correction does to the spaces of the judged models, CellProfiler."""
    models = judged_models(settings)
    table = choose(tables["corrections"], metric=list(METRICS), cells=list(CELLS))
    table = choose(table, model=[*models, "cellprofiler"])
    estimates = over_seeds(needed(table, "figure figs2, table corrections"), KEYS)
    shown = [name for name in CORRECTIONS if name in set(estimates["item"])]
    figure, places = facets(METRICS, models)
    for axes, metric, model in places:
        series = [(model, space) for space in ("salient", "background", "combined")]
        for k, one in enumerate([*series, ("cellprofiler", "combined")]):
            here = choose(estimates, model=one[0], space=one[1], metric=metric)
            _draw_corrections(axes, here, shown, 0.18 * (k - 1.5), one)
        axes.set_xticks(range(len(shown)), [CORRECTIONS[name] for name in shown], rotation=20)
        axes.grid(False, axis="x")
    for every in figure.axes:  # now that all of those which share a scale are drawn
        every.set_ylim(bottom=0)
    for marker, name in CELLS.values():
        axes.plot([], [], marker, color=style.FAINT, ms=4.5, ls="", label=name)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
    note = (
        "Embeddings of cells corrected per batch by its NTC cells, then averaged. Strict protocol; "
        f"{style.model_names(models)}: mean of "
        f"{style.seeds_note(table)}; "
        "95 % interval over clusters of overlapping complexes (average precision) or genes (mAP), "
        "and seeds."
    )
    style.finish(figure, "figs2", "What batch correction does to each space", note)
    return figure, drawn((RUN, estimates))


def _draw_corrections(
    axes: Axes, rows: pd.DataFrame, shown: list[str], offset: float, of: tuple[str, str]
) -> None:
    colour = style.space_colour(*of)
    for aside, (cells, (marker, _)) in zip((-0.03, 0.03), CELLS.items(), strict=True):
        for one in choose(rows, cells=cells).itertuples():
            x = shown.index(one.item) + offset + aside
            axes.plot([x, x], [one.low, one.high], color=colour, lw=1.3)
            axes.plot(x, one.value, marker, color=colour, ms=4.5)
    axes.plot([], [], "-", color=colour, lw=3, label=style.space_name(*of))


def _legend(axes: Axes, table: pd.DataFrame) -> None:
    for cells, (marker, name) in CELLS.items():
        if cells in set(table["cells"]):
            axes.plot([], [], marker, color=style.FAINT, ms=5, label=name)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, columnspacing=1.0)
