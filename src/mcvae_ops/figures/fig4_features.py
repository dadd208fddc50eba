"""
Fig. 4D, 4E: the classical features that a group of genes alters most.

TABLES
    features    ranked features with robust z, and what the first k explain of NTC cells
"""

import pandas as pd
from matplotlib.figure import Figure

from mcvae_ops.benchmarks.estimates.functional_groups import NOVEL, SHIFTING
from mcvae_ops.figures import style
from mcvae_ops.figures.feature_words import describe
from mcvae_ops.figures.paper_values import PAPER_LABEL
from mcvae_ops.figures.source_data import PAPER, RUN, choose, drawn, needed

CLASS_COLOURS = {SHIFTING: "#D5402B", NOVEL: "#7B3FA0"}
LISTED = 5
COLUMNS = ((0.02, "left"), (0.05, "left"), (0.68, "right"), (0.86, "right"), (0.99, "right"))


GROUPS_OF_THE_PAPER = {"tubulin": "Tubulin", "actin_adhesion": "Actin cytoskeleton & Adhesion"}
"""Names in the paper's numbers, and those of its list of functional groups."""


def fig4d(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw how much the first k features of groups explain of PC1 of control cells.

    Left, as the paper: the first group of each class, in sample. Right, strict: every group on
    held-out batches, and the mean of each class with its interval over groups.
    """
    features = tables["features"]
    table = needed(choose(features, metric="r2"), "figure fig4d, table features")
    classes = choose(features, metric="r2_mean")
    groups = _groups(table)
    figure = style.new_figure(9.4, 5.0)
    left, right = figure.subplots(1, 2, sharey=True)
    curves = published["variance"].replace({"group": GROUPS_OF_THE_PAPER})
    theirs = choose(curves, group=list(_first_of_each_class(groups)))
    for group, colour in _first_of_each_class(groups).items():
        mine = choose(table, item=group, protocol="published").sort_values("level")
        paper = choose(theirs, group=group)
        left.plot(mine["level"], mine["value"], "o-", color=colour, ms=4.5, label=group)
        left.plot(paper["top_k"], paper["ntc_pc1_variance_explained"], "--", color=colour, lw=1.1)
    if len(theirs):
        left.plot([], [], "--", color=style.FAINT, lw=1.1, label=PAPER_LABEL)
    for group, colour in groups.items():
        each = choose(table, item=group, protocol="strict").sort_values("level")
        right.plot(each["level"], each["value"], "-", color=colour, lw=0.7, alpha=0.45)
    for name, colour in CLASS_COLOURS.items():
        mean = choose(classes, item=name).sort_values("level")
        n = sum(colour == of for of in groups.values())
        right.plot(mean["level"], mean["value"], "D-", color=colour, ms=4.5, label=f"{name} ({n})")
        right.fill_between(mean["level"], mean["low"], mean["high"], color=colour, alpha=0.15, lw=0)
    for axes, title in ((left, "in sample, as the paper"), (right, "held-out batches, all groups")):
        axes.set(xlabel="first k features of the group")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), title=title, alignment="left", ncols=2)
    left.set(ylabel="R² of PC1 of NTC cells", ylim=(min(0, table["value"].min()) - 0.02, 1.02))
    n = int(choose(table, protocol="published")["n"].max())
    difference = choose(features, metric="r2_difference")
    style.finish(
        figure, "fig4d", "Do altered features vary in control cells?", _note(n, difference)
    )
    renamed = theirs.rename(
        columns={"group": "item", "top_k": "level", "ntc_pc1_variance_explained": "value"}
    )
    columns = ["protocol", "metric", "item", "against", "level", "value", "low", "high", "n"]
    parts = [(RUN, part[columns]) for part in (table, classes, difference)]
    return figure, drawn(*parts, (PAPER, renamed))


def _note(n: int, difference: pd.DataFrame) -> str:
    note = (
        f"{style.counted(n, 'NTC cells')}. Left: published protocol, the first group of each "
        "class; a line ends with the features of its group. Right: strict protocol; thin lines: "
        "groups; diamonds: their mean; band: its 95 % interval over groups (none of fewer than "
        "three)."
    )
    for row in difference[difference["level"] == LISTED].itertuples():
        note += (
            f" Red minus violet at k = {LISTED}: {style.signed(row.value, 2)} "
            f"({style.bounds(row.low, row.high, 2, with_sign=True)}), over groups: {row.units}."
        )
    return note


def fig4e(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw a table of the first features of each group."""
    listed = _listed(tables["features"], settings["screen"]["channels"])
    groups = _first_of_each_class(_groups(choose(tables["features"], metric="r2")))
    listed = listed[listed["item"].isin(groups)]
    figure = style.new_figure(8.6, 1.1 + 0.44 * (LISTED + 1.6) * len(groups))
    axes = figure.subplots()
    style.bare(axes)
    line = 0.0
    heads = ("robust z", "95 % interval", "batches")
    for group, colour in groups.items():
        _write(axes, line, ("", group, *heads), fontweight="bold", color=colour)
        axes.axhline(line + 0.45, color=colour, lw=1.2)
        for row in listed[listed["item"] == group].itertuples():
            line += 1
            strict = "–"
            if row.low == row.low:
                strict = f"{style.signed(row.low, 2)} to {style.signed(row.high, 2)}"
            cells = (f"{row.level:.0f}", row.against, style.signed(row.robust_z, 2), strict)
            _write(axes, line - 0.15, (*cells, f"{row.n_batches:.0f} of {row.n}"))
            axes.text(COLUMNS[1][0], line + 0.2, row.measures, fontsize=8, color=style.FAINT)
        line += 1.6
    axes.set(xlim=(0, 1), ylim=(line - 0.9, -0.6))
    note = (
        "Published protocol: ordered by the number of batches in which a feature is among the "
        f"most altered; robust z against NTC cells of the batch, median over "
        f"{style.counted(int(listed['n'].max()), 'batches')}. Interval: strict protocol, of the "
        "median over batches (order statistics); – if the feature is not among the first of this "
        "protocol, or there are fewer than six batches. Of one measure at several angles, the "
        "first stands for all: a number may be missing."
    )
    style.finish(figure, "fig4e", "The features that each group alters most", note)
    return figure, drawn((RUN, listed))


def _listed(features: pd.DataFrame, channels: list[dict]) -> pd.DataFrame:
    """Return the first features of each group, with descriptions and strict intervals.

    Of features with one description (one measure at several angles), the first one stands for all.
    """
    table = choose(features, protocol="published", metric=["robust_z", "n_batches"])
    needed(table, "figure fig4e, table features")
    keys = ["item", "level", "against", "n"]
    wide = table.pivot(index=keys, columns="metric", values="value").reset_index()
    wide = wide.assign(measures=[describe(name, channels) for name in wide["against"]])
    same = wide["measures"].where(wide["measures"] != "", wide["against"])
    wide = wide[~wide.assign(same=same).duplicated(["item", "same"])].groupby("item").head(LISTED)
    strict = choose(features, protocol="strict", metric="robust_z")
    return wide.merge(strict[["item", "against", "low", "high"]], "left", ["item", "against"])


def _groups(table: pd.DataFrame) -> dict[str, str]:
    """Return the colour of each group, which is that of its class."""
    class_of = table.drop_duplicates("item").set_index("item")["against"]
    return {group: CLASS_COLOURS[group_class] for group, group_class in class_of.items()}


def _first_of_each_class(groups: dict[str, str]) -> dict[str, str]:
    """Return the first group of each class, with its colour."""
    first = {colour: group for group, colour in reversed(groups.items())}
    return {group: colour for group, colour in groups.items() if first[colour] == group}


def _write(axes, line: float, cells: tuple[str, ...], **how: str) -> None:
    for (x, side), text in zip(COLUMNS, cells, strict=True):
        axes.text(x, line, text, ha=side, va="center", fontsize=10, **how)
