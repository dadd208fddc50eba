"""
Fig. 4B, 4C: can the functional group of a gene be told from its profile?

TABLES
    functions    confusion, recall, macro recall, difference of recalls, both protocols
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mcvae_ops.figures import style
from mcvae_ops.figures.source import PAPER, RUN, choose, drawn, needed, over_seeds

KEYS = ["protocol", "model", "space", "cells", "metric", "item", "against"]
STRICT_CELLS = ("test", "all")  # of the strict estimates: held-out cells where a run has them


def fig4b(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw the confusion of functional groups in each space and in CellProfiler features."""
    main = settings["profiles"]["main_model"]
    table = over_seeds(_of(tables["functions"], ["confusion", "macro_recall"]), KEYS)
    shares = needed(
        choose(table, protocol="published", cells="all", metric="confusion"), "figure fig4b"
    )
    pairs = [(main, space) for space in ("salient", "background", "combined")]
    pairs.append(("cellprofiler", "combined"))
    pairs = [(m, s) for m, s in pairs if len(choose(shares, model=m, space=s))]
    groups = sorted(set(shares["item"]), key=str.lower)
    side_in, names_in = max(2.5, 0.19 * len(groups)), 0.075 * max(map(len, groups)) + 0.3
    figure = style.new_figure(names_in + (side_in + 0.3) * len(pairs) + 0.9, side_in + 1.6)
    every = figure.subplots(1, len(pairs), squeeze=False)[0]
    for axes, (model, space) in zip(every, pairs, strict=True):
        one = choose(shares, model=model, space=space)
        matrix = one.pivot(index="item", columns="against", values="value").reindex(
            index=groups, columns=groups
        )
        image = axes.imshow(matrix, vmin=0, vmax=1, cmap="cividis")
        _label_groups(axes, groups, left=axes is every[0])
        recall = choose(table, metric="macro_recall", model=model, space=space)
        axes.set_title(f"{style.space_name(model, space)}\n{_recall_text(recall)}", fontsize=9.5)
    figure.colorbar(image, ax=every, label="share of the true group", shrink=0.7, pad=0.01)
    profiles = int(choose(shares, model=main).groupby("item")["n"].first().sum())
    seeds = style.seeds_note(tables["functions"]["seed"])
    note = (
        f"Rows: true group, columns: predicted group; published protocol, "
        f"{style.counted(profiles, 'held-out profiles')} in "
        f"{style.counted(len(groups), 'groups')}; {seeds}. Strict macro recall (grouped by gene, "
        "standardised) in brackets with its 95 % interval."
    )
    style.finish(figure, "fig4b", "Functional groups told from profiles", note)
    macro = choose(table, metric="macro_recall")
    theirs = published["confusion"].rename(
        columns={"true_group": "item", "predicted_group": "against", "fraction": "value"}
    )
    return figure, drawn((RUN, shares), (RUN, macro), (PAPER, theirs.assign(metric="confusion")))


def fig4c(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw the recall of each group in the background minus that in the salient space."""
    main = settings["profiles"]["main_model"]
    rows = choose(_of(tables["functions"], ["recall_difference"]), model=main)
    table = over_seeds(rows, KEYS)
    bars = choose(table, protocol="published", cells="all").sort_values("value")
    bars = needed(bars.reset_index(drop=True), "figure fig4c, table functions")
    strict = _strict(table).set_index("item")
    theirs = published["recall_difference"].rename(
        columns={"group": "item", "recall_background_minus_salient": "value"}
    )
    figure = style.new_figure(7.6, 1.8 + 0.27 * len(bars))
    axes = figure.subplots()
    colours = [style.SPACE_COLOURS["background" if v >= 0 else "salient"] for v in bars["value"]]
    axes.barh(bars.index, bars["value"], 0.7, color=colours, alpha=0.8)
    for y, item in bars["item"].items():
        if item in strict.index:
            one = strict.loc[item]
            axes.plot([one["low"], one["high"]], [y, y], color=style.INK, lw=1.2)
            axes.plot(one["value"], y, "D", ms=4.5, mfc="white", mec=style.INK)
        for value in choose(theirs, item=item)["value"]:
            axes.plot([value] * 2, [y - 0.4, y + 0.4], color=style.INK, lw=2.2)
    axes.axvline(0, color=style.INK, lw=1)
    axes.set_yticks(bars.index, bars["item"])
    axes.grid(False, axis="y")
    axes.set(xlabel="recall in background − recall in salient", ylim=(-0.7, len(bars) - 0.3))
    _legend(axes, bool(len(theirs)))
    n = int(bars["n"].sum())
    note = (
        f"Bars: published protocol, {style.counted(n, 'held-out profiles')}; "
        f"{style.model_name(main)}, mean of {style.seeds_note(rows['seed'])}. Diamonds: strict "
        "protocol (grouped by gene, standardised) with 95 % interval."
    )
    style.finish(figure, "fig4c", "Which space tells a group better", note)
    return figure, drawn((RUN, bars), (RUN, strict.reset_index()), (PAPER, theirs))


def _of(table: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    return choose(table, metric=metrics)


def _strict(table: pd.DataFrame) -> pd.DataFrame:
    """Return the strict rows on held-out cells, or on all where nothing was held out."""
    strict = choose(table, protocol="strict")
    for cells in STRICT_CELLS:
        if cells in set(strict["cells"]):
            return choose(strict, cells=cells)
    return strict


def _recall_text(recall: pd.DataFrame) -> str:
    text = f"macro recall {choose(recall, protocol='published', cells='all')['value'].iloc[0]:.2f}"
    for one in _strict(recall).itertuples():
        text += f"\n[strict {one.value:.2f}, {one.low:.2f} to {one.high:.2f}]"
    return text


def _label_groups(axes: Axes, groups: list[str], left: bool) -> None:
    axes.grid(False)
    places = range(len(groups))
    names = [f"{group}  {place + 1}" for place, group in zip(places, groups, strict=True)]
    axes.set_xticks(places, [str(place + 1) for place in places], fontsize=8)
    axes.set_yticks(places, names if left else [""] * len(groups), fontsize=9)
    axes.tick_params(length=0)


def _legend(axes: Axes, has_paper: bool) -> None:
    handles = [
        Patch(color=style.SPACE_COLOURS[space], alpha=0.8, label=f"{space} better")
        for space in ("background", "salient")
    ]
    handles += axes.plot([], [], "D-", ms=4.5, mfc="white", color=style.INK, lw=1.2, label="strict")
    if has_paper:
        handles += axes.plot([], [], color=style.INK, lw=2.2, label="paper")
    axes.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=4, columnspacing=1.0
    )
