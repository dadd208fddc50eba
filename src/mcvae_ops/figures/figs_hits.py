"""
Fig. S3: which genes change the cells.

TABLES
    hits    one row per gene
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcvae_ops.benchmarks.hits.activity import MAX_Q
from mcvae_ops.benchmarks.hits.hit_names import level_of, names_of
from mcvae_ops.figures import style
from mcvae_ops.figures.point_names import name_points
from mcvae_ops.figures.source_data import RUN, drawn, needed

EFFECTS = {"novel": "novel", "shift": "shift", "": "neither surely"}  # column effect -> its name
COLOURS = {"novel": "#C2410C", "shift": "#1D4ED8", "": style.FAINT}
N_NAMED = 12
LEAST_Q = 1e-4


def figs3(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw q against effect size, and how many hits stand every check."""
    table = needed(tables["hits"], "figure figs3, table hits")
    effect = table["effect"] if "effect" in table else pd.Series("", index=table.index)
    figure = style.new_figure(9.6, 4.6)
    left, right = figure.subplots(1, 2, width_ratios=[1.7, 1])
    height = -np.log10(table["q_combined"].clip(LEAST_Q))
    for name, label in EFFECTS.items():
        of = (effect == name).to_numpy()
        marker = {"novel": "^", "shift": "o", "": "."}[name]
        left.plot(
            table["distance_combined"][of], height[of], marker, color=COLOURS[name], ms=5, ls="",
            label=f"{label} ({of.sum()})",
        )  # fmt: skip
    left.axhline(-np.log10(MAX_Q), color=style.FAINT, lw=0.8, ls="--")
    left.set(xlabel="distance from NTC of the same batches", ylabel="−log10 q")
    left.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, columnspacing=1.0)
    left.margins(0.08)
    counts = check_counts(table)
    _draw_counts(right, counts, f"{level_of(table)}s")
    n_batches = int(table["n_batches"].max())
    rows = f"{level_of(table)}s"
    note = (
        f"{style.counted(len(table), rows)}, {int(table['n_cells'].median()):,} cells each "
        f"(median) in up to {style.counted(n_batches, 'batches')}; cells that the model never "
        f"trained on. q: false discovery rate over {rows}; dashed: {MAX_Q}. Novel: the salient "
        "norm exceeds its noise (95 %); shift: only the background norm does. Named: of the first "
        f"{N_NAMED} hits those that have room. All columns: hits.tsv."
    )
    style.finish(figure, "figs3", "Which genes change the cells?", note)
    # Names avoid points and the legend, which the layout of the whole figure must have placed.
    points = np.column_stack([table["distance_combined"], height])
    dashes = np.linspace(*left.get_xlim(), 200)
    avoided = np.concatenate([points, np.c_[dashes, np.full(200, -np.log10(MAX_Q))]])
    first = table[table["is_hit"]].sort_values("distance_combined", ascending=False)
    named = first.sort_values("q_combined", kind="stable").index[:N_NAMED]
    names = names_of(table)[named]
    name_points(left, points[named], names.tolist(), avoided)
    columns = ["gene", "guide", "distance_combined", "q_combined", "map_q_combined", "is_hit"]
    columns += ["survives_confounders"]
    return figure, drawn((RUN, table[columns].assign(effect=effect)))


def check_counts(table: pd.DataFrame) -> dict[str, int]:
    """Return how many genes were tested, are hits, and stay hits under each further check.

    Parameters
    ----------
    table
        The table of hits; proximity bias counts where chromosome arms are known.
    """
    hit = table["is_hit"]
    counts = {
        "tested": len(table),
        "hits": int(hit.sum()),
        "two guides active": int((hit & (table["n_guides_active"] >= 2)).sum()),
        "most batches agree": int(
            (hit & (table["n_batches_agree"] > table["n_batches"] / 2)).sum()
        ),
        "mAP against NTC agrees": int((hit & (table["map_q_combined"] < MAX_Q)).sum()),
        "without density, place": int(table["survives_confounders"].sum()),
    }
    if (table["arm"] != "").any():
        counts["no proximity bias"] = int((hit & ~table["proximity_bias"]).sum())
    return counts


def _draw_counts(axes: Axes, counts: dict[str, int], unit: str) -> None:
    axes.barh(range(len(counts)), counts.values(), color=style.FAINT, height=0.6)
    for y, n in enumerate(counts.values()):
        axes.annotate(f"{n:,}", (n, y), (3, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(counts)), list(map(style.worded, counts)))
    axes.invert_yaxis()
    axes.set(xlabel=unit, xlim=(0, 1.15 * max(counts["tested"], 1)))
    axes.grid(False, axis="y")
