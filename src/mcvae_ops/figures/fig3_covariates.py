"""
Fig. 3B: do control cells reveal batch, position in the field of view and in the well?

TABLES
    covariates    macro F1 and AUROC per covariate and space, both protocols and baselines
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mcvae_ops.benchmarks.estimates.table import OVER_SEEDS
from mcvae_ops.figures import style
from mcvae_ops.figures.facets import facets
from mcvae_ops.figures.paper_values import PAPER_LABEL, covariates_of
from mcvae_ops.figures.source_data import (
    PAPER,
    RUN,
    average_seeds,
    choose,
    drawn,
    needed,
    shown_models,
)

COVARIATES = {
    "batch": "batch",
    "position_in_fov": "position\nin FOV",
    "position_in_well": "position\nin well",
}
METRICS = {"macro_f1": "macro F1", "auroc": "macro AUROC"}
KEYS = ["protocol", "model", "space", "cells", "item", "metric"]
BASELINES = {"chance": ("-", "guessing"), "density": (":", "cell density alone")}
# set of cells of the strict estimate -> marker, its offset on the bar, its name
MARKERS = {"all": ("D", -0.2, "strict"), "test": ("o", 0.2, "strict,\nheld-out cells")}
WIDTH = 0.2  # of a bar; the distance between two covariates is 1


def fig3b(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw how well each space predicts technical covariates of control cells."""
    models = shown_models(settings)
    # Rows with a batch in `against` are estimates of single batches; the figure shows the median.
    table = choose(tables["covariates"], metric=list(METRICS), against="")
    estimates = needed(average_seeds(table, KEYS), "figure fig3b, table covariates")
    seeds = _seeds_shown(table, estimates)
    paper = covariates_of(published["covariates"], models[0])
    covariates = {item: name for item, name in COVARIATES.items() if item in set(estimates["item"])}
    figure, places = facets(METRICS, models)
    for axes, metric, model in places:
        series = [(model, space) for space in ("salient", "background", "combined")]
        series.append(("cellprofiler", "combined"))
        of_metric = choose(estimates, metric=metric)
        bars = (of_metric, choose(seeds, metric=metric), choose(paper, metric=metric))
        _draw_bars(axes, *bars, series, list(covariates))
        _draw_baselines(axes, of_metric, list(covariates))
        axes.set(ylim=(0, 1.02))
        axes.set_xticks(range(len(covariates)), covariates.values())
        axes.tick_params(axis="x", length=0)
        axes.grid(False, axis="x")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    bars_first = sorted(range(len(labels)), key=lambda i: isinstance(handles[i], Line2D))
    figure.legend(
        [handles[i] for i in bars_first],
        [labels[i] for i in bars_first],
        loc="outside right center",
    )
    mine = choose(table, model=models)
    n = int(choose(estimates, protocol="published")["n"].max())
    note = (
        f"Bars: published protocol, {style.counted(n, 'held-out NTC cells')}; "
        f"{style.model_names(models)}, mean of {style.seeds_note(mine)}; positions are fitted "
        f"per batch, median over batches. Diamonds: strict protocol (standardised, no tile on both "
        f"sides), {_count(table, 'all')} cells; circles: the same fits on "
        f"{_count(table, 'test')} cells that the model was not trained on. "
        f"{_spread(table, estimates, seeds)} Guessing and density: strict protocol."
        + _left_out(COVARIATES.keys() - covariates)
    )
    style.finish(figure, "fig3b", "Technical covariates predicted from control cells", note)
    return figure, drawn((RUN, estimates), (RUN, seeds), (PAPER, paper))


def _seeds_shown(table: pd.DataFrame, estimates: pd.DataFrame) -> pd.DataFrame:
    """Return the strict values of each seed where two seeds would give too wide an interval."""
    of_two = estimates.loc[(estimates["n_seeds"] == 2) & (estimates["protocol"] == "strict"), KEYS]
    return table[table["seed"] != OVER_SEEDS].merge(of_two)[[*KEYS, "seed", "value"]]


def _count(table: pd.DataFrame, cells: str) -> str:
    """Return the largest number of scored cells, of one covariate."""
    n = choose(table, protocol="strict", cells=cells)["n"]
    return f"{int(n.max()):,}" if len(n) else "no"


def _spread(table: pd.DataFrame, estimates: pd.DataFrame, seeds: pd.DataFrame) -> str:
    """Say what lines and small dots are: intervals over batches (or tiles), and the seeds."""
    strict = choose(table, protocol="strict", cells="all")
    units = sorted(set(strict.loc[strict["seed"] != OVER_SEEDS, "units"]) - {""}, key=len)
    said = f"95 % interval over {' or '.join(units)}" if units else "no interval, too few tiles"
    drawn_as = choose(estimates, protocol="strict")["n_seeds"]
    lines = f"Lines: {said}{', and seeds' if units and drawn_as.gt(2).any() else ''}."
    of_two = " Small dots, in place of a line: the two seeds, too few for an interval."
    return lines + of_two * bool(len(seeds))


def _left_out(covariates: set[str]) -> str:
    names = " and ".join(COVARIATES[item].replace("\n", " ") for item in sorted(covariates))
    return f" Left out, as there are not two classes of control cells: {names}." if names else ""


def _draw_bars(
    axes: Axes,
    estimates: pd.DataFrame,
    seeds: pd.DataFrame,
    paper: pd.DataFrame,
    series: list,
    covariates: list[str],
) -> None:
    for i, (model, space) in enumerate(series):
        colour = style.space_colour(model, space)
        mine = choose(estimates, model=model, space=space)
        of_seeds = choose(seeds, model=model, space=space)
        theirs = choose(paper, model=model, space=space)
        axes.bar(0, 0, color=colour, alpha=0.8, label=style.space_name(model, space))
        for x, item in enumerate(covariates):
            place = x + WIDTH * (i - (len(series) - 1) / 2)
            for row in choose(mine, item=item, protocol="published").itertuples():
                axes.bar(place, row.value, 0.9 * WIDTH, color=colour, alpha=0.8)
            for row in choose(mine, item=item, protocol="strict").itertuples():
                aside = place + MARKERS[row.cells][1] * WIDTH
                dots = choose(of_seeds, item=item, cells=row.cells)["value"]
                axes.plot([aside] * len(dots), dots, ".", color=style.INK, ms=3)
                if dots.empty:
                    axes.plot([aside] * 2, [row.low, row.high], color=style.INK, lw=1)
                axes.plot(
                    aside, row.value, MARKERS[row.cells][0], ms=4.2, mfc="white", mec=style.INK
                )
            for value in choose(theirs, item=item)["value"]:
                edges = [place - WIDTH / 2, place + WIDTH / 2]
                axes.plot(edges, [value] * 2, color=style.INK, lw=2.2)
    for cells in [cells for cells in MARKERS if cells in set(estimates["cells"])]:
        marker, _, name = MARKERS[cells]
        axes.plot([], [], marker, ms=4.2, mfc="white", color=style.INK, ls="-", lw=1, label=name)
    if len(paper):
        axes.plot([], [], color=style.INK, lw=2.2, label=PAPER_LABEL)


def _draw_baselines(axes: Axes, estimates: pd.DataFrame, covariates: list[str]) -> None:
    for space, (line, name) in BASELINES.items():
        rows = choose(estimates, space=space, protocol="strict", cells="all", item=covariates)
        for i, row in enumerate(rows.itertuples()):
            x = covariates.index(row.item)
            label = name if i == 0 else None
            axes.plot(
                [x - 0.46, x + 0.46], [row.value] * 2, line, color=style.FAINT, lw=1.5, label=label
            )
