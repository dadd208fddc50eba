"""
Fig. S7: dose response of compounds, and retrieval of their mechanisms.

TABLES
    doses    trend, response and ED50 of every compound; average precision of mechanisms
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcvae_ops.figures import style
from mcvae_ops.figures.source_data import RUN, average_seeds, choose, drawn, needed, shown_models

BASELINE = "cellprofiler"
KEYS = ["model", "space", "metric", "item", "level"]
SHOWN, COLUMNS = 12, 4  # compounds, and how many stand side by side
MAX_Q = 0.05


def figs7(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw dose responses of the main model on the left, mechanisms of every space on the right."""
    models = shown_models(settings)
    rows = choose(tables["doses"], model=[*models, BASELINE])
    table = average_seeds(needed(rows, "figure figs7, table doses"), KEYS)
    of_main = choose(rows, model=models[0], space="combined")
    first = of_main[of_main["seed"] == of_main["seed"][of_main["seed"] >= 0].min()]
    trend = choose(first, metric="trend_q_value").set_index("item")["value"]
    strength = choose(first, metric="trend").set_index("item")["value"]
    order = pd.DataFrame({"q": trend, "trend": -strength}).sort_values(["q", "trend"])
    shown = list(order.index[:SHOWN])
    figure = style.new_figure(12.4, 6.6)
    left, right = figure.subfigures(1, 2, width_ratios=[2.2, 1])
    n_rows = -(-len(shown) // COLUMNS)
    every = left.subplots(n_rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for axes in every.flat[len(shown) :]:
        axes.set_visible(False)
    for axes, compound in zip(every.flat, shown, strict=False):
        _draw_response(axes, choose(first, item=compound), compound, trend[compound])
    for axes in every[:, 0]:
        axes.set_ylabel("effect (sd of NTC)", fontsize=8.5)
    for axes in every[-1]:
        axes.set_xlabel("dose", fontsize=8.5)
    _draw_mechanisms(right.subplots(), table, models)
    known = choose(first, metric="ed50")["value"].notna().sum()
    note = (
        f"{style.counted(len(trend), 'genes')}, {int((trend < MAX_Q).sum())} with a trend "
        f"(q < {MAX_Q}), {known} of them with an ED50 within the doses; those with the smallest q "
        f"are drawn: {style.model_name(models[0])}, combined space, training seed "
        f"{int(first['seed'].iloc[0])}. Trends, curves and ED50 (green) are of all cells: doses "
        "are compared within batches, apart for cells that it trained on; how far these lie from "
        "NTC is told by the others (lines: 95 %). Mechanisms, of cells that it never "
        f"trained on: {style.seeds_note(rows)}, no interval: mechanisms are too few."
    )
    style.finish(figure, "figs7", "Doses and mechanisms", note)
    return figure, drawn((RUN, table))


def _draw_response(axes: Axes, rows: pd.DataFrame, compound: str, q: float) -> None:
    response = choose(rows, metric="response").sort_values("level")
    for row in choose(rows, metric="ed50").dropna(subset="value").itertuples():
        axes.axvspan(row.low, row.high, color="#009E73", alpha=0.15, lw=0)
        axes.axvline(row.value, color="#009E73", lw=1.2)
    axes.vlines(response["level"], response["low"], response["high"], color=style.INK, lw=1)
    axes.plot(response["level"], response["value"], "o-", color=style.INK, ms=4, lw=1.2)
    axes.axhline(0, color=style.FAINT, lw=0.8)
    axes.set_xscale("log")
    if len(response):
        lowest, highest = response["level"].min(), response["level"].max()
        axes.set_xlim(lowest / 1.6, highest * 1.6)
        axes.set_xticks(response["level"], [f"{dose:g}" for dose in response["level"]])
        axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    digits = "q < 0.001" if q < 0.001 else f"q = {q:.3f}"
    axes.set_title(f"{compound}, {digits}", fontsize=8.5)
    axes.tick_params(labelsize=8)


def _draw_mechanisms(axes: Axes, table: pd.DataFrame, models: list[str]) -> None:
    found = choose(table, metric="mechanism_precision")
    found = found[found["level"].isna()]
    null = choose(table, metric="mechanism_precision_null")
    names = ["", *sorted(set(found["item"]) - {""})]
    series = [(model, s) for model in models for s in ("salient", "background", "combined")]
    series.append((BASELINE, "combined"))
    offsets = np.linspace(-0.3, 0.3, len(series))
    for aside, (model, space) in zip(offsets, series, strict=True):
        colour = style.space_colour(model, space)
        for row in choose(found, model=model, space=space).itertuples():
            y = names.index(row.item) + aside
            marker = "o" if row.item else "D"
            fill = colour if model in (models[0], BASELINE) else "white"
            axes.plot(row.value, y, marker, color=colour, mfc=fill, ms=4 if row.item else 6)
        label = style.space_name(model, space, models)
        axes.plot([], [], "-", color=colour, lw=3, label=label)
    for row in choose(null, model=models[0], space="combined").itertuples():
        axes.plot(row.value, names.index(row.item), "|", color=style.FAINT, ms=16)
    axes.set_yticks(range(len(names)), [name or "all mechanisms" for name in names], fontsize=8.5)
    axes.set(xlim=(0, 1.02), ylim=(len(names) - 0.5, -0.6), xlabel="average precision")
    axes.set_title("mechanism of another compound", fontsize=9.5)
    axes.legend(fontsize=7.5, loc="upper center", bbox_to_anchor=(0.4, -0.1), ncols=2)
    axes.grid(False, axis="y")
