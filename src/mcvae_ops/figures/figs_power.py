"""
Fig. S5: how many cells does a gene need?

TABLES
    power    average precision and hits at several numbers of cells per gene
"""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from mcvae_ops.figures import style
from mcvae_ops.figures.source_data import RUN, average_seeds, choose, drawn, needed, shown_models

METRICS = {
    "average_precision": "average precision\nover pairs of complexes",
    "macro_average_precision": "average precision\nover complexes",
    "hit_fraction": "share of genes that are hits\n(q < 0.05)",
}
BASELINE = "cellprofiler"
KEYS = ["model", "metric", "level"]


def figs5(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw each metric against cells per gene, one line per model."""
    models = [*shown_models(settings), BASELINE]
    rows = choose(tables["power"], model=models)
    table = average_seeds(needed(rows, "figure figs5, table power"), KEYS)
    metrics = [metric for metric in METRICS if metric in set(table["metric"])]
    figure = style.new_figure(1.6 + 3.4 * len(metrics), 3.9)
    every = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axes, metric in zip(every, metrics, strict=True):
        for k, model in enumerate(models):
            here = choose(table, model=model, metric=metric).sort_values("level")
            colour, x = style.model_colour(model), here["level"] * 1.03 ** (k - len(models) / 2)
            axes.plot(x, here["value"], "o-", color=colour, ms=4.5, label=style.model_name(model))
            axes.vlines(x, here["low"], here["high"], color=colour, lw=1.3)
        axes.set(xscale="log", xlabel="cells per gene (median)", ylabel=METRICS[metric])
        axes.set_xticks(sorted(set(table["level"])))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(axis="x", which="minor", bottom=False)
        axes.set_ylim(bottom=0)
    every[0].legend(loc="upper left")
    n = {metric: int(choose(table, metric=metric)["n"].max()) for metric in metrics}
    in_complexes = n.get("average_precision")
    note = (
        f"Hits among {style.counted(n['hit_fraction'], 'genes')}"
        + (f", average precision of {in_complexes:,} in complexes; " if in_complexes else "; ")
        + "combined space, cells that no model was trained on, thinned at random (mean of draws); "
        "all NTC cells stay. "
        f"{style.seeds_note(rows)}; 95 % interval over clusters of complexes or genes, draws and "
        "seeds; none where no gene is a hit."
    )
    style.finish(figure, "figs5", "How many cells does a gene need?", note)
    return figure, drawn((RUN, table))
