"""
Fig. S9: what is told of single cells from each space? (not in the paper)

TABLES
    cell_neighbours    gene, arm, well and stage told of held-out cells, and chance
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcvae_ops.figures import style
from mcvae_ops.figures.source_data import RUN, average_seeds, choose, drawn

KEYS = ["model", "space", "metric", "item", "against"]
ITEMS = {  # item: title and axis
    "gene": ("gene of a perturbed cell", "accuracy"),
    "arm": ("perturbed or NTC", "AUROC"),
    "well": ("well of NTC cells", "accuracy"),
    "stage": ("mitotic or not", "AUROC"),
}
SERIES = {  # (classifier, form): marker, whether it is filled, name
    ("probe", "means"): ("o", True, "probe"),
    ("knn", "means"): ("s", True, "neighbours"),
    ("probe", "samples"): ("o", False, "probe, samples"),
    ("knn", "samples"): ("s", False, "neighbours, samples"),
}
TITLE = "What is told of single cells?"
ASIDE = 0.16  # of a row, between the series


def figs9(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw what is told from each space of each model, random vectors left out: one row each."""
    rows = tables["cell_neighbours"]
    rows = rows[rows["model"] != "random"]
    if rows.empty:
        return _without_cells(rows)
    table = average_seeds(rows, KEYS)
    told = table[table["metric"] != "chance"]
    pairs = list(dict.fromkeys(zip(told["model"], told["space"], strict=True)))
    series = {of: how for of, how in SERIES.items() if of[1] in set(told["against"])}
    items = [item for item in ITEMS if item in set(told["item"])]
    figure = style.new_figure(2.4 + 2.4 * len(items), 1.7 + 0.34 * len(pairs))
    (every,) = figure.subplots(1, len(items), sharey=True, squeeze=False)
    for axes, item in zip(every, items, strict=True):
        title, label = ITEMS[item]
        here = choose(told, item=item)
        for y, (model, space) in enumerate(pairs):
            of_space = choose(here, model=model, space=space)
            for k, ((classifier, form), how) in enumerate(series.items()):
                one = of_space[of_space["metric"].str.startswith(classifier)]
                at = y + ASIDE * (k - (len(series) - 1) / 2)
                _draw(axes, choose(one, against=form), at, style.space_colour(model, space), how)
        chance = choose(table, metric="chance", item=item)["value"].mean()
        axes.axvline(chance, color=style.FAINT, lw=1, ls=":")
        axes.set(xlabel=label, title=title)
        axes.grid(False, axis="y")
    names = [f"{style.model_name(model)}, {space}" for model, space in pairs]
    every[0].set_yticks(range(len(pairs)), names)
    every[0].set_ylim(len(pairs) - 0.4, -0.6)
    for marker, is_filled, name in series.values():
        face = style.FAINT if is_filled else "white"
        every[0].plot([], [], marker, color=style.FAINT, mfc=face, ms=5, label=name)
    figure.legend(loc="outside upper right", ncols=len(series), columnspacing=1.0)
    style.finish(figure, "figs9", TITLE, _note(rows))
    return figure, drawn((RUN, table))


def _without_cells(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Say that there is nothing to tell, as where no cells were held out."""
    figure = style.new_figure(6.0, 1.4)
    style.bare(figure.subplots(), "too few cells were trained on, or held out, to tell them apart")
    style.finish(figure, "figs9", TITLE, "No estimate.")
    return figure, table


def _draw(
    axes: Axes, rows: pd.DataFrame, y: float, colour: str, how: tuple[str, bool, str]
) -> None:
    marker, is_filled, _ = how
    for row in rows.itertuples():
        axes.plot([row.low, row.high], [y] * 2, color=colour, lw=1.3)
        face = colour if is_filled else "white"
        axes.plot(row.value, y, marker, color=colour, mfc=face, ms=4.5)


def _note(rows: pd.DataFrame) -> str:
    most = rows.groupby("item", sort=False)["n"].max()
    n = [f"{ITEMS[item][0]}: {n:,}" for item, n in most.items()]
    return (
        f"Fitted on training cells, tested on held-out ones ({'; '.join(n)}); "
        f"{style.seeds_note(rows)}; 95 % interval over cells and seeds. "
        "Probe: kernel ridge regression. Dotted: the most frequent class, or 0.5."
    )
