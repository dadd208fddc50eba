"""
Fig. S2: what batch correction does to the batch, and to biology.

TABLES
    integration    silhouette of the batch and iLISI of control cells for each correction
    corrections    complex retrieval and guide consistency for each correction
    complexes, guides    the same without correction, with the intervals of Figs. 2A and S1
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcvae_ops.benchmarks.complexes.complex_retrieval import COMPLEXES
from mcvae_ops.figures import style
from mcvae_ops.figures.source_data import RUN, average_seeds, choose, drawn, needed, shown_models

CELLS = {"all": ("s", "all cells"), "test": ("o", "held-out cells")}
CORRECTIONS = {
    "none": "none",
    "centre": "centred",
    "robust_z": "robust z",
    "tvn": "TVN",
}
OF_BATCH = {
    "batch_silhouette": "silhouette of the batch\n(0: mixed)",
    "ilisi": "iLISI of the batch\n(1: mixed)",
}
OF_BIOLOGY = {
    "average_precision": "average precision\nover pairs of complexes",
    "macro_average_precision": "average precision\nover complexes",
    "guide_consistency": "mAP of the guides\nof a gene",
}
BASELINE = "cellprofiler"
KEYS = ["model", "space", "cells", "metric", "item"]


def figs2(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw batch mixing above, biology below, for each correction: one column per model."""
    models = shown_models(settings)
    corrected = tables["corrections"][tables["corrections"]["item"] != "none"]
    parts = [
        choose(table, metric=[*of, *(f"{m}_null" for m in of)], model=[*models, BASELINE])
        for table, of in (
            (tables["integration"], OF_BATCH),
            (corrected, OF_BIOLOGY),
            (_uncorrected(tables["complexes"], tables["guides"]), OF_BIOLOGY),
        )
    ]
    table = choose(pd.concat(parts), cells=list(CELLS))
    estimates = average_seeds(needed(table, "figure figs2, table corrections"), KEYS)
    shown = [name for name in CORRECTIONS if name in set(estimates["item"])]
    figure, places = _places(models)
    for metric, row in places.items():
        for axes, model in zip(row, models, strict=True):
            series = [(model, space) for space in ("salient", "background", "combined")]
            for k, of in enumerate([*series, (BASELINE, "combined")]):
                here = choose(estimates, model=of[0], space=of[1], metric=metric)
                _draw_corrections(axes, here, shown, 0.18 * (k - 1.5), of)
            for null in choose(estimates, model=model, metric=f"{metric}_null")["value"]:
                axes.axhline(null, color=style.FAINT, lw=0.8, ls=":")
            axes.set_xticks(range(len(shown)), [CORRECTIONS[name] for name in shown])
            axes.grid(False, axis="x")
    for metric, row in places.items():  # only now: axes of a row share limits
        row[0].set_ylabel((OF_BATCH | OF_BIOLOGY)[metric])
        if metric != "batch_silhouette":
            row[0].set_ylim(0, 1.04 if metric == "ilisi" else None)
    for marker, name in CELLS.values():
        axes.plot([], [], marker, color=style.FAINT, ms=4.5, ls="", label=name)
    handles, labels = axes.get_legend_handles_labels()
    spare = [axes for axes in figure.axes if not axes.axison]
    if spare:
        spare[0].legend(handles, labels, loc="center", ncols=2)
    else:
        figure.legend(handles, labels, loc="outside right center")
    style.finish(figure, "figs2", "Batch correction: the batch, and biology", _note(table, models))
    return figure, drawn((RUN, estimates))


def _uncorrected(complexes: pd.DataFrame, guides: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `OF_BIOLOGY` without correction, as rows of the table of corrections."""
    of_pairs = choose(
        complexes, protocol="strict", item=COMPLEXES,
        metric=["average_precision", "macro_average_precision"],
    )  # fmt: skip
    of_guides = choose(guides, protocol="strict", item="", metric="mean_average_precision")
    return pd.concat([of_pairs, of_guides.assign(metric="guide_consistency")]).assign(item="none")


def _places(models: list[str]) -> tuple[Figure, dict[str, list[Axes]]]:
    """Return the figure, and for each metric the axes of each model.

    One model: the batch on the left, biology on the right. Several: one row per metric, one column
    per model.
    """
    if len(models) > 1:
        figure = style.new_figure(2.4 + 4.0 * len(models), 11.5)
        shape = (len(OF_BATCH | OF_BIOLOGY), len(models))
        every = figure.subplots(*shape, sharex=True, sharey="row")
        for axes, model in zip(every[0], models, strict=True):
            axes.set_title(style.model_name(model))
        return figure, dict(zip(OF_BATCH | OF_BIOLOGY, map(list, every), strict=True))
    figure = style.new_figure(10.6, 7.4)
    every = figure.subplots(len(OF_BIOLOGY), 2)
    for axes in every[len(OF_BATCH) :, 0]:
        axes.set_axis_off()
    every[0, 0].set_title("the batch, in control cells")
    every[0, 1].set_title("biology, in perturbed cells")
    batch, biology = (zip(of, column, strict=False) for of, column in
                      ((OF_BATCH, every[:, 0]), (OF_BIOLOGY, every[:, 1])))  # fmt: skip
    return figure, {metric: [axes] for metric, axes in (*batch, *biology)}


def _note(table: pd.DataFrame, models: list[str]) -> str:
    cells = int(choose(table, metric="ilisi")["n"].max())
    genes = int(choose(table, metric="guide_consistency")["n"].max())
    batches = choose(table, metric="ilisi")["units"].replace("", None).dropna()
    over = f"95 % interval over {batches.iloc[0].split(',')[0]}" if len(batches) else "no interval"
    return (
        f"Batch: {style.counted(cells, 'NTC cells')} that no correction was fitted on, {over}; "
        "dotted: shuffled batches. Biology, strict protocol: cells are corrected in each batch "
        f"with its NTC cells, then averaged; {style.counted(genes, 'genes')}, 95 % interval over "
        "clusters of overlapping complexes or genes (mAP), and seeds. "
        f"{style.model_names(models)}: mean of {style.seeds_note(table)}."
    )


def _draw_corrections(
    axes: Axes, rows: pd.DataFrame, shown: list[str], offset: float, of: tuple[str, str]
) -> None:
    colour = style.space_colour(*of)
    for aside, (cells, (marker, _)) in zip((-0.03, 0.03), CELLS.items(), strict=True):
        for row in choose(rows, cells=cells).itertuples():
            x = shown.index(row.item) + offset + aside
            axes.plot([x, x], [row.low, row.high], color=colour, lw=1.3)
            axes.plot(x, row.value, marker, color=colour, ms=4.5)
    axes.plot([], [], "-", color=colour, lw=3, label=style.space_name(*of))
