"""
Fig. 2: do genes of one complex have similar profiles?

TABLES
    complexes    recall and precision per percentile (published), average precision (strict)
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcvae_ops.embeddings.spaces import BASELINES
from mcvae_ops.figures import style
from mcvae_ops.figures.paper_values import METHODS, ONE_MODEL, PAPER_LABEL, curves_of
from mcvae_ops.figures.source_data import (
    PAPER,
    RUN,
    average_seeds,
    choose,
    drawn,
    needed,
    shown_models,
)

PAIR_SET = "CORUM"  # the table also holds other sets of pairs
MARKED_LEVEL = 95  # the percentile that the paper quotes
CELLS = {  # set of cells of the strict estimate -> marker, name
    "all": ("s", "all cells"),
    "test": ("o", "held-out cells"),
    "held_out_guide": ("D", "held-out guides"),
    "held_out_gene": ("^", "held-out genes"),
}
Series = Sequence[tuple[str, str, str, str]]  # model, space, colour, name


def fig2a(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw precision against recall of each model in its combined space."""
    compared, entries = shown_models(settings), settings["models"]
    models = [name for name in entries if name in compared or not _is_ablation(entries[name])]
    models += BASELINES
    return _of_models(tables, published, models, "fig2a", "Complexes recovered by each model")


def fig2b(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw precision against recall of each space of the shown models, one column per model."""
    models = shown_models(settings)
    spaces = ("combined", "salient", "background")
    columns = [
        [(model, space, style.SPACE_COLOURS[space], space) for space in spaces] for model in models
    ]
    title = f"Complexes recovered by the spaces of {style.model_names(models)}"
    curves = curves_of(published["curves"], ONE_MODEL)
    return _precision_recall(tables["complexes"], curves, columns, "fig2b", title)


def fig2c(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw precision against recall with and without label priors."""
    entries = settings["models"]
    main = _without_priors(entries[settings["profiles"]["main_model"]])
    models = [name for name, entry in entries.items() if _without_priors(entry) == main]
    return _of_models(tables, published, models, "fig2c", "What the label priors add")


def _is_ablation(entry: dict) -> bool:
    return entry["prior_s_per_label"] != entry["prior_z_per_label"]


def _without_priors(entry: dict) -> dict:
    return {key: value for key, value in entry.items() if not key.startswith("prior_")}


def _of_models(
    tables: dict, published: dict, models: Sequence[str], panel: str, title: str
) -> tuple[Figure, pd.DataFrame]:
    table = tables["complexes"]
    series = [
        (model, "combined", style.model_colour(model), style.model_name(model))
        for model in models
        if model in set(table["model"])
    ]
    curves = curves_of(published["curves"], METHODS)
    return _precision_recall(table, curves, [series], panel, title)


def _precision_recall(
    table: pd.DataFrame, paper: pd.DataFrame, columns: Sequence[Series], panel: str, title: str
) -> tuple[Figure, pd.DataFrame]:
    """Draw the curves of each column, and to their right the strict estimates of all curves."""
    series = [curve for column in columns for curve in column]
    pairs = pd.MultiIndex.from_tuples([(model, space) for model, space, _, _ in series])
    table = choose(table, item=PAIR_SET)
    table = table[pd.MultiIndex.from_frame(table[["model", "space"]]).isin(pairs)]
    paper = paper[pd.MultiIndex.from_frame(paper[["model", "space"]]).isin(pairs)]
    curves = _curves(table, f"figure {panel}, table complexes")
    metrics = ["average_precision", "average_precision_null"]
    strict = average_seeds(
        choose(table, protocol="strict", metric=metrics, cells=list(CELLS)),
        ["model", "space", "cells", "metric"],
    )
    several = len(columns) > 1
    n_rows, n_columns = -(-len(columns) // 2), min(len(columns), 2)
    height_in = max(4.3 * n_rows, 1.9 + 0.4 * len(series))
    figure = style.new_figure(3.4 + 5.2 * n_columns + several, height_in)
    grid = figure.add_gridspec(n_rows, n_columns + 1, width_ratios=[1.75] * n_columns + [1])
    lefts = [figure.add_subplot(grid[divmod(k, 2)]) for k in range(len(columns))]
    right = figure.add_subplot(grid[:, -1])
    for axes, column in zip(lefts, columns, strict=True):
        _draw_curves(axes, curves, paper, column, style.model_name(column[0][0]) if several else "")
    widest, highest = (max(axes.viewLim.max[k] for axes in lefts) for k in (0, 1))
    for axes in lefts:
        axes.set(xlim=(0, widest), ylim=(0, highest))
    _draw_strict(right, strict, series)
    if several:
        names = [f"{style.model_name(model)}, {name}" for model, _, _, name in series]
        right.set_yticks(range(len(series)), names)
    n = int(curves["n"].max())
    note = (
        f"Left: published protocol, both tails, percentiles {curves['level'].min():.0f} to "
        f"{curves['level'].max():.0f}; filled marker: {MARKED_LEVEL}, with 95 % interval. Right: "
        "strict protocol, similar tail only; tick: permuted labels. Intervals are over clusters of "
        "overlapping complexes, on the right also over seeds. "
        f"{style.counted(n, 'genes')} in complexes; "
        f"mean of {style.seeds_note(table)}."
    )
    style.finish(figure, panel, title, note)
    return figure, drawn((RUN, curves), (RUN, strict), (PAPER, paper))


def _curves(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return recall, precision, their intervals and chance by model, space and level."""
    metrics = ["recall", "precision", "chance_precision"]
    rows = choose(table, protocol="published", metric=metrics, cells="all")
    keys = ["model", "space", "level"]
    tidy = needed(average_seeds(rows, [*keys, "metric"]), where)
    wide = tidy.pivot(index=keys, columns="metric", values=["value", "low", "high"])
    wide.columns = [
        metric if bound == "value" else f"{metric}_{bound}" for bound, metric in wide.columns
    ]
    wide = wide.drop(columns=["chance_precision_low", "chance_precision_high"])
    wide = wide.join(tidy.groupby(keys)[["n", "n_seeds"]].max()).reset_index()
    # The percentiles are those of the whole matrix of distances, with a zero per gene: where the
    # zeros alone lie below, no pair is called similar, and a point would say nothing.
    return wide[(1 - wide["level"] / 100) * (wide["n"] ** 2 - 1) >= wide["n"]]


def _draw_curves(
    axes: Axes, curves: pd.DataFrame, paper: pd.DataFrame, series: Series, title: str
) -> None:
    for model, space, colour, name in series:
        curve = choose(curves, model=model, space=space).sort_values("level")
        axes.plot(curve["recall"], curve["precision"], "-", color=colour, label=name, zorder=3)
        face = [colour if level == MARKED_LEVEL else "white" for level in curve["level"]]
        axes.scatter(curve["recall"], curve["precision"], 16, c=face, edgecolors=colour, zorder=4)
        _draw_interval(axes, curve[curve["level"] == MARKED_LEVEL], colour)
        theirs = choose(paper, model=model, space=space).sort_values("level")
        axes.plot(theirs["recall"], theirs["precision"], "--", color=colour, lw=1.1, zorder=2)
    chance = curves["chance_precision"].mean()
    axes.axhline(chance, color=style.FAINT, ls=":", lw=1.3, label=f"chance ({chance:.3f})")
    if len(paper):
        axes.plot([], [], "--", color=style.FAINT, lw=1.1, label=PAPER_LABEL)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, None), ylim=(0, None))
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=3 if len(series) > 6 or len(paper) else 4,
        columnspacing=1.0,
        handlelength=1.4,
        title=title,
        alignment="left",
    )


def _draw_interval(axes: Axes, curve: pd.DataFrame, colour: str) -> None:
    """Draw the intervals of recall and precision at the marked percentile as a cross."""
    for here in curve.itertuples():
        axes.plot([here.recall_low, here.recall_high], [here.precision] * 2, color=colour, lw=0.9)
        axes.plot(
            [here.recall] * 2, [here.precision_low, here.precision_high], color=colour, lw=0.9
        )


def _draw_strict(axes: Axes, strict: pd.DataFrame, series: Series) -> None:
    shown = [cells for cells in CELLS if cells in set(strict["cells"])]
    for y, (model, space, colour, _) in enumerate(series):
        for offset, cells in enumerate(shown):
            height = y + 0.22 * (offset - (len(shown) - 1) / 2)
            rows = choose(strict, model=model, space=space, cells=cells)
            for row in choose(rows, metric="average_precision").itertuples():
                axes.plot([row.low, row.high], [height, height], color=colour, lw=1.6)
                axes.plot(row.value, height, CELLS[cells][0], color=colour, ms=5.5)
            for null in choose(rows, metric="average_precision_null")["value"]:
                axes.plot([null] * 2, [height - 0.09, height + 0.09], color=style.FAINT, lw=1.5)
    for cells in shown:
        marker, name = CELLS[cells]
        axes.plot([], [], marker, color=style.FAINT, ms=5.5, label=name)
    axes.set_yticks(range(len(series)), [name for *_, name in series])
    axes.set(xlabel="average precision", xlim=(0, None), ylim=(len(series) - 0.4, -0.6))
    axes.grid(False, axis="y")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, columnspacing=1.0)
