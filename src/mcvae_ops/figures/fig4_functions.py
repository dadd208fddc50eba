"""
Fig. 4B, 4C: do profiles predict the functional group of a gene?

TABLES
    functions    confusion, recall, macro recall, difference of recall, both protocols
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from mcvae_ops.figures import style
from mcvae_ops.figures.facets import columns
from mcvae_ops.figures.paper_values import PAPER_LABEL
from mcvae_ops.figures.source_data import (
    PAPER,
    RUN,
    average_seeds,
    choose,
    drawn,
    needed,
    shown_models,
)

KEYS = ["protocol", "model", "space", "cells", "metric", "item", "against"]
STRICT_CELLS = ("test", "all")  # sets of cells of strict estimates, the preferred set first


def fig4b(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw the confusion of functional groups in each space and in CellProfiler features."""
    models = shown_models(settings)
    table = average_seeds(_of(tables["functions"], ["confusion", "macro_recall"]), KEYS)
    shares = needed(
        choose(table, protocol="published", cells="all", metric="confusion"), "figure fig4b"
    )
    rows = [[(m, space) for space in ("salient", "background", "combined")] for m in models]
    rows[0].append(("cellprofiler", "combined"))
    rows = [[(m, s) for m, s in row if len(choose(shares, model=m, space=s))] for row in rows]
    groups = sorted(set(shares["item"]), key=str.lower)
    side_in, names_in = max(2.5, 0.19 * len(groups)), 0.075 * max(map(len, groups)) + 0.3
    figure = style.new_figure(
        names_in + (side_in + 0.3) * len(rows[0]) + 0.9, (side_in + 0.8) * len(rows) + 0.8
    )
    every = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    for of_model, pairs in zip(every, rows, strict=True):
        for axes in of_model[len(pairs) :]:
            axes.set_visible(False)
        for axes, (model, space) in zip(of_model, pairs, strict=False):
            confusion = choose(shares, model=model, space=space)
            image = _draw_confusion(axes, confusion, groups, left=axes is of_model[0])
            recall = choose(table, metric="macro_recall", model=model, space=space)
            name = style.space_name(model, space, models)
            axes.set_title(f"{name}\n{_recall_text(recall)}", fontsize=9.5)
            axes.set_xlabel("predicted group", fontsize=9)
        of_model[0].set_ylabel("true group", fontsize=9)
    figure.colorbar(image, ax=every, label="share of the true group", shrink=0.7, pad=0.01)
    profiles = int(choose(shares, model=models[0]).groupby("item")["n"].first().sum())
    seeds = style.seeds_note(tables["functions"])
    note = (
        f"Published protocol, all cells, "
        f"{style.counted(profiles, 'held-out profiles')} in "
        f"{style.counted(len(groups), 'groups')}; {seeds}. Strict macro recall (grouped by gene, "
        f"standardised; {_cells_note(table)}) in brackets with its 95 % interval."
    )
    style.finish(figure, "fig4b", "Functional groups predicted from profiles", note)
    macro = choose(table, metric="macro_recall")
    theirs = published["confusion"].rename(
        columns={"true_group": "item", "predicted_group": "against", "fraction": "value"}
    )
    return figure, drawn((RUN, shares), (RUN, macro), (PAPER, theirs.assign(metric="confusion")))


def fig4c(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw the recall of each group in the background minus that in the salient space."""
    models = shown_models(settings)
    rows = choose(_of(tables["functions"], ["recall_difference"]), model=models)
    table = average_seeds(rows, KEYS)
    bars = choose(table, protocol="published", cells="all").sort_values("value")
    bars = needed(bars.reset_index(drop=True), "figure fig4c, table functions")
    strict = _strict(table)
    theirs = published["recall_difference"].rename(
        columns={"group": "item", "recall_background_minus_salient": "value"}
    )
    theirs = theirs.assign(model=models[0])
    groups = list(dict.fromkeys([*choose(bars, model=models[0])["item"], *bars["item"]]))
    figure, places = columns(models, 4.4, 1.8 + 0.27 * len(groups), aside_in=3.2)
    for model, axes in places.items():
        _draw_differences(axes, *(choose(t, model=model) for t in (bars, strict, theirs)), groups)
    _legend(places[models[0]], bool(len(theirs)), titled=len(models) > 1)
    n = int(choose(bars, model=models[0])["n"].sum())
    note = (
        f"Bars: published protocol, all cells, {style.counted(n, 'held-out profiles')}; "
        f"{style.model_names(models)}, mean of {style.seeds_note(rows)}. Diamonds: strict "
        f"protocol (grouped by gene, standardised; {_cells_note(table)}) with 95 % interval (of "
        "each group by itself; none of too few genes). Bars are pale where it holds 0, or there is "
        "none. In brackets: profiles of the bar, of the diamond."
    )
    style.finish(figure, "fig4c", "Which space predicts a group better", note)
    return figure, drawn((RUN, bars), (RUN, strict), (PAPER, theirs))


def _draw_differences(
    axes: Axes, bars: pd.DataFrame, strict: pd.DataFrame, paper: pd.DataFrame, groups: list[str]
) -> None:
    """Draw bars, strict estimates and values of the paper for one model, one row per group."""
    colours = [style.SPACE_COLOURS["background" if v >= 0 else "salient"] for v in bars["value"]]
    places = [groups.index(item) for item in bars["item"]]
    sure = set(strict.loc[strict["low"] * strict["high"] > 0, "item"])
    alphas = [0.8 if item in sure else 0.3 for item in bars["item"]]
    axes.barh(places, bars["value"], 0.7, color=list(zip(colours, alphas, strict=True)))
    for row in strict[strict["item"].isin(bars["item"])].itertuples():
        y = groups.index(row.item)
        axes.plot([row.low, row.high], [y, y], color=style.INK, lw=1.2)
        axes.plot(row.value, y, "D", ms=4.5, mfc="white", mec=style.INK)
    for row in paper[paper["item"].isin(bars["item"])].itertuples():
        y = groups.index(row.item)
        axes.plot([row.value] * 2, [y - 0.4, y + 0.4], color=style.INK, lw=2.2)
    axes.axvline(0, color=style.INK, lw=1)
    numbers = [t.set_index("item")["n"].reindex(groups, fill_value=0) for t in (bars, strict)]
    names = [
        f"{group} ({of_bar:.0f}; {of_diamond:.0f})"
        for group, of_bar, of_diamond in zip(groups, *numbers, strict=True)
    ]
    axes.set_yticks(range(len(groups)), names)
    axes.grid(False, axis="y")
    axes.set(xlabel="recall in background − recall in salient", ylim=(-0.7, len(groups) - 0.3))


def _of(table: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    return choose(table, metric=metrics)


def _strict(table: pd.DataFrame) -> pd.DataFrame:
    """Return the strict rows of held-out cells, or of all cells if no cells were held out."""
    strict = choose(table, protocol="strict")
    for cells in STRICT_CELLS:
        if cells in set(strict["cells"]):
            return choose(strict, cells=cells)
    return strict


def _cells_note(table: pd.DataFrame) -> str:
    """Say which cells the strict estimates rest on."""
    return "held-out cells" if set(_strict(table)["cells"]) == {"test"} else "all cells"


def _recall_text(recall: pd.DataFrame) -> str:
    text = f"macro recall {choose(recall, protocol='published', cells='all')['value'].iloc[0]:.2f}"
    for row in _strict(recall).itertuples():
        text += f"\n[strict {row.value:.2f}, {style.bounds(row.low, row.high, 2)}]"
    return text


def _draw_confusion(axes: Axes, shares: pd.DataFrame, groups: list[str], left: bool) -> AxesImage:
    matrix = shares.pivot(index="item", columns="against", values="value").reindex(
        index=groups, columns=groups
    )
    _label_groups(axes, groups, left)
    return axes.imshow(matrix, vmin=0, vmax=1, cmap="cividis")


def _label_groups(axes: Axes, groups: list[str], left: bool) -> None:
    axes.grid(False)
    places = range(len(groups))
    names = [f"{group}  {place + 1}" for place, group in zip(places, groups, strict=True)]
    axes.set_xticks(places, [str(place + 1) for place in places], fontsize=8)
    axes.set_yticks(places, names if left else [""] * len(groups), fontsize=9)
    axes.tick_params(length=0)


def _legend(axes: Axes, has_paper: bool, titled: bool) -> None:
    handles = [
        Patch(color=style.SPACE_COLOURS[space], alpha=0.8, label=f"{space} better")
        for space in ("background", "salient")
    ]
    handles += axes.plot([], [], "D-", ms=4.5, mfc="white", color=style.INK, lw=1.2, label="strict")
    if has_paper:
        handles += axes.plot([], [], color=style.INK, lw=2.2, label=PAPER_LABEL)
    axes.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.4, 1.0),
        ncols=4,
        columnspacing=1.0,
        borderaxespad=2.5 if titled else 0.5,
    )
