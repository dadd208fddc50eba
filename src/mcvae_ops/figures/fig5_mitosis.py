"""
Fig. 5: does the relative background norm find mitotic factors?

TABLES
    mitosis_points    one row per gene, model and seed (Fig. 5A, 5B, 5C)
    mitosis           AUROC of both scores and their difference (Fig. 5C)
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from mcvae_ops.figures import style
from mcvae_ops.figures.facets import columns
from mcvae_ops.figures.paper_values import PAPER_LABEL
from mcvae_ops.figures.point_names import name_points
from mcvae_ops.figures.source_data import (
    PAPER,
    RUN,
    average_seeds,
    choose,
    drawn,
    drop_single_model,
    needed,
    shown_models,
)

FACTOR, OTHER = "#D5402B", "#8F969E"
SCORES = {  # score -> (column of the points, name, colour)
    "relative_background": ("relative_background", "B / (S + B)", "#D5402B"),
    "mitotic_index": ("mitotic_index_percent", "mitotic index", "#0072B2"),
}
PAPER_COLUMNS = {
    "relative_background_norm": "relative_background",
    "mitotic_index_percent": "mitotic_index_percent",
}
LABELLED = 8  # number of genes named in Fig. 5B
STRONGEST = 5  # number of genes named in Fig. 5A


def fig5a(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw the salient against the background norm of every gene."""
    points = _points(tables, settings, "fig5a")
    models = shown_models(settings)
    figure, places = columns(models, 5.6, 4.9)
    for model, axes in places.items():
        here = choose(points, model=model)
        x, y = np.log10(here["background_norm"]), np.log10(here["salient_norm"])
        _scatter(axes, x, y, here["is_mitotic_factor"])
        axes.axline((0, 0), slope=1, color=style.FAINT, lw=1, ls=":")
        axes.set(xlabel="log10 B (background norm)", ylabel="log10 S (salient norm)")
    # Names avoid points, so the limits that all axes share must be final before names are placed.
    for model, axes in places.items():
        here = choose(points, model=model).sort_values("salient_norm", ascending=False)
        where = np.log10(here[["background_norm", "salient_norm"]].to_numpy(float))
        diagonal = np.repeat(np.linspace(*axes.get_xlim(), 200)[:, None], 2, axis=1)
        avoided = np.concatenate([where, diagonal])
        name_points(axes, where[:STRONGEST], here["gene"][:STRONGEST], avoided)
    note = (
        f"{_described(points)}. Norms are squared and divided by their mean over genes; "
        "dotted: S = B."
    )
    style.finish(figure, "fig5a", "Salient and background effect sizes", note)
    shown = ["gene", "model", "salient_norm", "background_norm", "is_mitotic_factor"]
    return figure, drawn((RUN, drop_single_model(points[shown])))


def fig5b(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw the mitotic index against the relative background norm of every gene."""
    points = _points(tables, settings, "fig5b")
    where = "figure fig5b, significant genes of table mitosis_points"
    known = needed(points[points["significant"]], where)
    models = shown_models(settings)
    figure, places = columns(models, 6.2, 4.9)
    theirs = published["points"].assign(model=models[0])
    for model, axes in places.items():
        _draw_index(axes, choose(points, model=model), choose(theirs, model=model))
    for axes in places.values():  # no change is negative
        axes.set_ylim(bottom=-0.02 * axes.get_ylim()[1])
    # Names avoid points, so the limits that all axes share must be final before names are placed.
    for model, axes in places.items():
        here, named = choose(points, model=model), choose(known, model=model)
        paper = choose(theirs, model=model)[list(PAPER_COLUMNS)].to_numpy(float)
        own = here[list(PAPER_COLUMNS.values())].to_numpy(float)
        named = named.nlargest(LABELLED, "mitotic_index_percent")
        places = named[list(PAPER_COLUMNS.values())].to_numpy(float)
        name_points(axes, places, named["gene"], np.concatenate([own, paper]))
    first = choose(known, model=models[0])
    note = (
        f"{_described(points)};\n{style.counted(len(first), 'genes')} with a significant mitotic "
        f"index, {int(first['is_mitotic_factor'].sum())} of them mitotic factors."
    )
    style.finish(figure, "fig5b", "Mitotic index and relative background norm", note)
    shown = [
        "gene",
        "model",
        "mitotic_index_percent",
        "relative_background",
        "is_mitotic_factor",
        "significant",
    ]
    renamed = published["points"].rename(columns=PAPER_COLUMNS)
    return figure, drawn((RUN, drop_single_model(points[shown])), (PAPER, renamed))


def fig5c(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw the ROC curves of both scores over the significant genes."""
    points = _points(tables, settings, "fig5c")
    known = points[points["significant"] & points["relative_background"].notna()]
    needed(known, "figure fig5c, significant genes of table mitosis_points")
    models = shown_models(settings)
    table = choose(tables["mitosis"], model=models, cells="all", against="")
    first = choose(table, seed=[known["seed"].iloc[0]])
    auroc = choose(first, protocol="published", metric="auroc")
    strict = average_seeds(
        choose(table, protocol="strict", metric=["auroc", "auroc_difference"]),
        ["protocol", "model", "metric", "item"],
    )
    theirs = published["auroc"].replace({"relative_background_norm": "relative_background"})
    theirs = theirs.rename(columns={"score": "item", "auroc": "value"})
    theirs = theirs.assign(metric="auroc", model=models[0])
    choices = _choices(choose(tables["mitosis"], model=models, cells="all"))
    figure = style.new_figure(10.4, 5.6)
    left, right = figure.subplots(1, 2)
    curves = _draw_roc(left, known, auroc, theirs)
    _draw_choices(right, choices, models)
    note = (
        f"Left: {_described(known)}. Right: strict difference with its 95 % interval, as "
        f"configured and for other choices.{_strict_note(strict, models)}"
    )
    style.finish(figure, "fig5c", "How well two scores find mitotic factors", note)
    estimates = pd.concat([auroc.assign(n_seeds=1), strict])[
        ["protocol", "model", "n_seeds", "metric", "item", "value", "low", "high", "n"]
    ]
    others = choices[choices["against"] != ""].assign(protocol="strict", metric="auroc_difference")
    return figure, drawn((RUN, estimates), (RUN, others), (PAPER, theirs), (RUN, curves))


def _draw_index(axes: Axes, points: pd.DataFrame, paper: pd.DataFrame) -> None:
    """Draw the mitotic index against the relative background norm of one model."""
    known, rest = points[points["significant"]], points[~points["significant"]]
    axes.scatter(
        rest["relative_background"],
        rest["mitotic_index_percent"],
        6,
        c="#D4D7DA",
        rasterized=True,
        label="not significant",
        lw=0,
    )
    x, y = known["relative_background"], known["mitotic_index_percent"]
    _scatter(axes, x, y, known["is_mitotic_factor"])
    if len(paper):
        axes.scatter(
            paper["relative_background_norm"],
            paper["mitotic_index_percent"],
            34,
            facecolors="none",
            edgecolors=style.INK,
            lw=0.6,
            label=PAPER_LABEL,
        )
    axes.set(
        xlabel="relative background norm, B / (S + B)",
        ylabel="absolute change of mitotic index (%)",
    )
    axes.margins(0.08)
    axes.legend(loc="best", fontsize=8.5)


def _strict_note(strict: pd.DataFrame, models: Sequence[str]) -> str:
    """Return one line per strict estimate; the estimate of the mitotic index is shown once."""
    is_repeated = (strict["item"] == "mitotic_index") & (strict["model"] != models[0])
    strict, lines = strict[~is_repeated], []
    for model in models:
        of = f" of {style.model_name(model)}" if len(models) > 1 else ""
        lines += [_strict_text(row, of) for row in choose(strict, model=model).itertuples()]
    return "".join(lines)


def _choices(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the strict difference of the areas for every choice, the configured one first."""
    rows = choose(rows, protocol="strict", metric="auroc_difference")
    rows = average_seeds(rows[rows["value"].notna()], ["model", "against"])
    return rows.sort_values("against", key=lambda name: name != "", kind="stable")


def _draw_choices(axes: Axes, choices: pd.DataFrame, models: Sequence[str]) -> None:
    """Draw the difference of the areas for every choice, one row each."""
    names = list(dict.fromkeys(choices["against"]))
    for k, model in enumerate(models):
        colour = style.INK if len(models) == 1 else style.model_colour(model)
        for row in choose(choices, model=model).itertuples():
            y = names.index(row.against) + 0.2 * (k - (len(models) - 1) / 2)
            axes.plot([row.low, row.high], [y, y], color=colour, lw=1.4)
            axes.plot(row.value, y, "D", ms=5, mfc="white", mec=colour)
    n = choices.groupby("against", sort=False)["n"].max()
    sizes = [style.worded(style.counted(n[name], "genes")) for name in names]
    labels = [
        f"{name or 'as configured'}\n({size})" for name, size in zip(names, sizes, strict=True)
    ]
    axes.axvline(0, color=style.INK, lw=1)
    axes.set_yticks(range(len(names)), labels, fontsize=8.5)
    axes.set(ylim=(len(names) - 0.5, -0.5), xlabel="AUROC of B / (S + B) − AUROC of mitotic index")
    axes.grid(False, axis="y")


def _strict_text(row, of: str) -> str:
    bounds = style.bounds(row.low, row.high, 3, with_sign=row.metric != "auroc")
    bounds = f"95 % interval {bounds}" if row.low == row.low else bounds
    if row.metric == "auroc":
        name = SCORES[row.item][1] + (of if row.item == "relative_background" else "")
        text = f"AUROC of {name}: {row.value:.3f}, {bounds}"
    else:
        text = f"difference{of}: {style.signed(row.value, 3)}, {bounds}"
    return f"\nStrict {text} (n = {row.n}, {style.counted(row.n_seeds, 'training seeds')})."


def _draw_roc(
    axes: Axes, genes: pd.DataFrame, auroc: pd.DataFrame, paper: pd.DataFrame
) -> pd.DataFrame:
    """Draw one curve per score, with its area in the legend; return the points of the curves.

    The mitotic index does not depend on the model and is drawn once.
    """
    curves, models = [], list(dict.fromkeys(genes["model"]))
    scores = [(model, "relative_background") for model in models]
    for model, score in [*scores, (models[0], "mitotic_index")]:
        column, name, colour = SCORES[score]
        if len(models) > 1 and score == "relative_background":
            name, colour = f"{style.model_name(model)}, {name}", style.model_colour(model)
        curve = _roc(choose(genes, model=model), column).assign(item=score, model=model)
        label = f"{name}: {choose(auroc, model=model, item=score)['value'].iloc[0]:.3f}"
        theirs = choose(paper, model=model, item=score)["value"]
        label += "".join(f" (paper {value:.3f})" for value in theirs)
        x, y = curve["false_positive_rate"], curve["true_positive_rate"]
        axes.plot(x, y, color=colour, label=label)
        curves.append(curve)
    axes.plot([0, 1], [0, 1], ":", color=style.FAINT, lw=1.2, label="chance: 0.500")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    axes.legend(title="AUROC", alignment="left", loc="best", fontsize=8)
    return drop_single_model(pd.concat(curves))


def _points(tables: dict, settings: dict, panel: str) -> pd.DataFrame:
    """Return the points of the first training of each shown model, in the order of models."""
    models = shown_models(settings)
    points = choose(tables["mitosis_points"], model=models)
    needed(points, f"figure {panel}, table mitosis_points")
    first = points[points["seed"] == points["seed"].min()]
    first = pd.concat([choose(first, model=model) for model in models], ignore_index=True)
    # The published protocol uses the absolute change, because a gene can also lose mitotic cells.
    return first.assign(mitotic_index_percent=first["mitotic_index_percent"].abs())


def _scatter(axes: Axes, x: pd.Series, y: pd.Series, is_factor: pd.Series) -> None:
    size = float(np.clip(40_000 / len(x), 16, 28))
    # Thousands of genes overlap: transparency makes dense regions look darker.
    opacity = float(np.clip(1000 / len(x), 0.35, 1))
    for value, colour, marker, name in (
        (False, OTHER, "o", "other gene"),
        (True, FACTOR, "^", "mitotic factor"),
    ):
        chosen = is_factor == value
        axes.scatter(
            x[chosen],
            y[chosen],
            size if value else 0.6 * size,
            c=colour,
            marker=marker,
            lw=0.4 if value else 0,
            edgecolors="white",
            rasterized=True,
            label=name,
            alpha=1 if value else opacity,
        )
    axes.legend(loc="best")


def _roc(points: pd.DataFrame, column: str) -> pd.DataFrame:
    false, true, threshold = roc_curve(points["is_mitotic_factor"], points[column])
    return pd.DataFrame(
        {
            "metric": "roc",
            "false_positive_rate": false,
            "true_positive_rate": true,
            "level": threshold,
        }
    )


def _described(points: pd.DataFrame) -> str:
    models = list(dict.fromkeys(points["model"]))
    first = choose(points, model=models[0])
    factors = int(first["is_mitotic_factor"].sum())
    return (
        f"{style.counted(len(first), 'genes')}, {style.counted(factors, 'mitotic factors')}; "
        f"{style.model_names(models)}, training seed {first['seed'].iloc[0]}; published protocol"
    )
