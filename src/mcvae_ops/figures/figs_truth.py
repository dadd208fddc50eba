"""
Fig. S6: how well the spaces follow what was planted in a simulated screen.

TABLES
    truth    R² of planted axes from each space, for cells and for genes
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcvae_ops.figures import style
from mcvae_ops.figures.source_data import RUN, average_seeds, choose, drawn, needed, shown_models

BASELINE = "cellprofiler"
KEYS = ["model", "space", "metric", "item", "against"]
KINDS = ("novel axes", "natural axes")
LEVELS = {"cell": "single cells", "gene": "means of genes"}


def figs6(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw R² of each axis and of each kind of axes, for every space: one row per model."""
    models = shown_models(settings)
    rows = choose(tables["truth"], model=[*models, BASELINE])
    table = average_seeds(needed(rows, "figure figs6, table truth"), KEYS)
    axis_rows = choose(table, metric="cell_r2")
    lines = []  # (kind, axis); a kind without an axis is the mean of its axes
    for kind in KINDS:
        axes_of = list(dict.fromkeys(choose(axis_rows, against=kind)["item"]))
        lines += [(kind, ""), *((kind, axis) for axis in axes_of)] if axes_of else []
    figure = style.new_figure(9.6, 0.9 + (0.7 + 0.3 * len(lines)) * len(models))
    every = figure.subplots(len(models), len(LEVELS), sharey=True, squeeze=False)
    for of_model, model in zip(every, models, strict=True):
        for axes, (level, title) in zip(of_model, LEVELS.items(), strict=True):
            series = [(model, space) for space in ("salient", "background", "combined")]
            for k, of in enumerate([*series, (BASELINE, "combined")]):
                here = choose(table, model=of[0], space=of[1])
                _draw_space(axes, here, level, lines, 0.17 * (k - 1.5), of)
            axes.axvline(0, color=style.INK, lw=0.8)
            axes.set(xlim=(-0.3, 1.02), xlabel="R², cross-validated", ylim=(len(lines) - 0.5, -0.6))
            names = f"{style.model_name(model)}, {title}" if len(models) > 1 else title
            axes.set_title(names, fontsize=9.5)
            axes.grid(False, axis="y")
        of_model[0].set_yticks(
            range(len(lines)), [axis.replace("_", " ") or f"{kind}, mean" for kind, axis in lines]
        )
        for label, (_, axis) in zip(of_model[0].get_yticklabels(), lines, strict=True):
            label.set_fontweight("normal" if axis else "bold")
    handles, labels = every[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
    style.finish(figure, "figs6", "Do the spaces follow what was planted?", _note(rows))
    return figure, drawn((RUN, table))


def _note(rows: pd.DataFrame) -> str:
    cells = choose(rows, metric="cell_mean_r2").iloc[0]
    genes = choose(rows, metric="gene_mean_r2").iloc[0]
    text = (
        f"{style.counted(int(cells['n']), 'cells')} ({cells['units']}) and "
        f"{style.counted(int(genes['n']), 'genes')} ({genes['units']}) that no model was trained "
        f"on; {style.seeds_note(rows)}; 95 % interval over tiles or complexes, and seeds. "
        "Values below −0.3, worse than no prediction, are not drawn."
    )
    difference = average_seeds(choose(rows, metric="cell_mean_r2_difference"), ["model", "item"])
    for row in difference.itertuples():
        text += (
            f" {style.model_name(row.model)}, {row.item}: salient minus background "
            f"{style.signed(row.value, 2)} ({style.bounds(row.low, row.high, 2, with_sign=True)})."
        )
    return text


def _draw_space(
    axes: Axes,
    rows: pd.DataFrame,
    level: str,
    lines: list[tuple[str, str]],
    aside: float,
    of: tuple[str, str],
) -> None:
    colour = style.space_colour(*of)
    for y, (kind, axis) in enumerate(lines):
        here = (
            choose(rows, metric=f"{level}_r2", item=axis)
            if axis
            else choose(rows, metric=f"{level}_mean_r2", item=kind)
        )
        for row in here.itertuples():
            axes.plot([row.low, row.high], [y + aside] * 2, color=colour, lw=1.3)
            marker = "o" if axis else "D"
            axes.plot(row.value, y + aside, marker, color=colour, ms=4 if axis else 5.5)
    axes.plot([], [], "-", color=colour, lw=3, label=style.space_name(*of))
