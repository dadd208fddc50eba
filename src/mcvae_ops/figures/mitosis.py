"""
Fig. 5: does the relative background norm find mitotic factors?

TABLES
    mitosis_points    one row per gene, model and seed (Fig. 5A, 5B, 5C)
    mitosis           AUROC of both scores and their difference (Fig. 5C)
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from mcvae_ops.figures import style
from mcvae_ops.figures.source import PAPER, RUN, choose, drawn, needed, over_seeds

FACTOR, OTHER = "#D5402B", "#8F969E"
SCORES = {  # score -> (its column among the points, its name, its colour)
    "relative_background": ("relative_background", "B / (S + B)", "#D5402B"),
    "mitotic_index": ("mitotic_index_percent", "mitotic index", "#0072B2"),
}
PAPER_COLUMNS = {
    "relative_background_norm": "relative_background",
    "mitotic_index_percent": "mitotic_index_percent",
}
LABELLED = 8  # genes named in Fig. 5B


def fig5a(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw the salient against the background norm of every gene."""
    points = _points(tables, settings, "fig5a")
    figure = style.new_figure(5.6, 4.9)
    axes = figure.subplots()
    x, y = np.log10(points["background_norm"]), np.log10(points["salient_norm"])
    _scatter(axes, x, y, points["is_mitotic_factor"])
    axes.axline((0, 0), slope=1, color=style.FAINT, lw=1, ls=":")
    axes.set(xlabel="log10 B (background norm)", ylabel="log10 S (salient norm)")
    note = (
        f"{_described(points)}. Norms are squared and divided by their mean over genes; "
        "dotted: S = B."
    )
    style.finish(figure, "fig5a", "Salient and background effect sizes", note)
    columns = ["gene", "salient_norm", "background_norm", "is_mitotic_factor"]
    return figure, drawn((RUN, points[columns]))


def fig5b(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw the mitotic index against the relative background norm of every gene."""
    points = _points(tables, settings, "fig5b")
    where = "figure fig5b, significant genes of table mitosis_points"
    known = needed(points[points["significant"]], where)
    figure = style.new_figure(6.2, 4.9)
    axes = figure.subplots()
    rest = points[~points["significant"]]
    axes.scatter(
        rest["relative_background"], rest["mitotic_index_percent"], 6, c="#D4D7DA",
        rasterized=True, label="not significant", lw=0,
    )  # fmt: skip
    x, y = known["relative_background"], known["mitotic_index_percent"]
    _scatter(axes, x, y, known["is_mitotic_factor"])
    theirs = published["points"]
    if len(theirs):
        axes.scatter(
            theirs["relative_background_norm"], theirs["mitotic_index_percent"], 34,
            facecolors="none", edgecolors=style.INK, lw=0.6, label="paper",
        )  # fmt: skip
    axes.set(
        xlabel="relative background norm, B / (S + B)",
        ylabel="absolute change of mitotic index (%)",
    )
    axes.margins(0.08)
    axes.legend(loc="best", fontsize=8.5)
    both = points[["relative_background", "mitotic_index_percent"]].to_numpy()
    both = np.concatenate([both, theirs[list(PAPER_COLUMNS)].to_numpy(float)])
    _name_genes(axes, known.nlargest(LABELLED, "mitotic_index_percent"), both)
    note = (
        f"{_described(points)};\n{style.counted(len(known), 'genes')} with a significant mitotic "
        f"index, {int(known['is_mitotic_factor'].sum())} of them mitotic factors."
    )
    style.finish(figure, "fig5b", "Mitotic index and relative background norm", note)
    columns = [
        "gene", "mitotic_index_percent", "relative_background", "is_mitotic_factor", "significant",
    ]  # fmt: skip
    renamed = theirs.rename(columns=PAPER_COLUMNS)
    return figure, drawn((RUN, points[columns]), (PAPER, renamed))


def fig5c(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw the ROC curves of both scores over the significant genes."""
    points = _points(tables, settings, "fig5c")
    known = points[points["significant"] & points["relative_background"].notna()]
    needed(known, "figure fig5c, significant genes of table mitosis_points")
    same = {"model": known["model"].iloc[0], "cells": "all", "against": ""}
    table = choose(tables["mitosis"], **same)
    first = choose(table, seed=[known["seed"].iloc[0]])
    auroc = choose(first, protocol="published", metric="auroc")
    difference = over_seeds(
        choose(table, protocol="strict", metric="auroc_difference"),
        ["protocol", "model", "metric", "item"],
    )
    theirs = published["auroc"].replace({"relative_background_norm": "relative_background"})
    theirs = theirs.rename(columns={"score": "item", "auroc": "value"}).assign(metric="auroc")
    figure = style.new_figure(5.2, 5.6)
    curves = _draw_roc(figure.subplots(), known, auroc, theirs)
    note = _described(known) + "".join(
        f"\nStrict difference of AUROC, {style.counted(one.n_seeds, 'training seeds')}: "
        f"{style.signed(one.value, 3)}, 95 % interval {style.signed(one.low, 3)} to "
        f"{style.signed(one.high, 3)}."
        for one in difference.itertuples()
    )
    style.finish(figure, "fig5c", "How well two scores find mitotic factors", note)
    estimates = pd.concat([auroc.assign(n_seeds=1), difference])[
        ["protocol", "model", "n_seeds", "metric", "item", "value", "low", "high", "n"]
    ]
    return figure, drawn((RUN, estimates), (PAPER, theirs), (RUN, curves))


def _draw_roc(
    axes: Axes, genes: pd.DataFrame, auroc: pd.DataFrame, paper: pd.DataFrame
) -> pd.DataFrame:
    """Draw one curve per score with its area in the legend; return the curves' points."""
    curves = []
    for score, (column, name, colour) in SCORES.items():
        curve = _roc(genes, column).assign(item=score)
        label = f"{name}: {choose(auroc, item=score)['value'].iloc[0]:.3f}"
        label += "".join(f" (paper {value:.3f})" for value in choose(paper, item=score)["value"])
        x, y = curve["false_positive_rate"], curve["true_positive_rate"]
        axes.plot(x, y, color=colour, label=label)
        curves.append(curve)
    axes.plot([0, 1], [0, 1], ":", color=style.FAINT, lw=1.2, label="chance: 0.500")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    axes.legend(loc="lower right", title="AUROC", alignment="left")
    return pd.concat(curves)


def _points(tables: dict, settings: dict, panel: str) -> pd.DataFrame:
    """Return the points of the main model's first training."""
    points = choose(tables["mitosis_points"], model=settings["profiles"]["main_model"])
    needed(points, f"figure {panel}, table mitosis_points")
    first = points[points["seed"] == points["seed"].min()].reset_index(drop=True)
    # The published protocol takes the absolute change; a gene can also lose mitotic cells.
    return first.assign(mitotic_index_percent=first["mitotic_index_percent"].abs())


def _scatter(axes: Axes, x: pd.Series, y: pd.Series, is_factor: pd.Series) -> None:
    size = float(np.clip(40_000 / len(x), 16, 28))
    for value, colour, marker, name in (
        (False, OTHER, "o", "other gene"),
        (True, FACTOR, "^", "mitotic factor"),
    ):
        chosen = is_factor == value
        axes.scatter(
            x[chosen], y[chosen], size if value else 0.6 * size, c=colour, marker=marker,
            lw=0.4 if value else 0, edgecolors="white", rasterized=True, label=name,
        )  # fmt: skip
    axes.legend(loc="best")


def _name_genes(axes: Axes, genes: pd.DataFrame, all_points: np.ndarray) -> None:
    """Write gene names beside their points where they cover neither a name nor a point."""
    axes.figure.draw_without_rendering()
    points = axes.transData.transform(all_points)
    taken = []
    for gene in genes.itertuples():
        for side, offset in (("left", 5), ("right", -5)):
            text = axes.annotate(
                gene.gene, (gene.relative_background, gene.mitotic_index_percent), (offset, 0),
                textcoords="offset points", fontsize=8.5, style="italic", ha=side, va="center",
            )  # fmt: skip
            box = text.get_window_extent().padded(2)
            if not box.count_contains(points) and not box.count_overlaps(taken):
                taken.append(box)
                break
            text.remove()


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
    first = points.iloc[0]
    factors = int(points["is_mitotic_factor"].sum())
    return (
        f"{style.counted(len(points), 'genes')}, {style.counted(factors, 'mitotic factors')}; "
        f"{style.model_name(first['model'])}, training seed {first['seed']}; published protocol"
    )
