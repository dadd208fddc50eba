"""
Fig. S8: control cells with the salient state of a gene, beside real cells of the gene.

TABLES
    counterfactuals        share of the cells that a blind classifier takes for the gene
    counterfactual_cells   pixels of some cells of each kind, and of differences
    metrics                course of the training
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcvae_ops.benchmarks.counterfactuals import FEWEST_CELLS, MAP, SHOWN_CELLS
from mcvae_ops.figures import style
from mcvae_ops.figures.source_data import RUN, choose, drawn

KINDS = {
    "control": "control",
    "control_decoded": "control,\ndecoded",
    "axis": "s moved along\nthe gene's axis",
    "affected": "with s of an\naffected cell",
    "gene_decoded": "affected cell,\ndecoded",
    "gene": "affected cell\nof the gene",
}
MAPS = {"map_affected": "altered\n− control", "map_gene": "gene\n− control"}
CALLED = {
    "control": "controls", "mean": "mean s", "axis": "s moved", "cell": "s of a cell",
    "affected": "s of an affected", "gene": "gene", "gene_affected": "its affected cells",
}  # fmt: skip
TITLE = "Controls with the salient state of a gene"
N_CHANNELS = 2
SHOWN = (1, 99.8)  # percentiles of the pixels of the real cells that are black and white
GAP_PX = 4  # between images
LEAST_NATS = 1.0  # per cell; a decoder that loses less without s does not use it


def figs8(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw for each gene two channels of the cells, the differences, and what is taken for it."""
    main = settings["profiles"]["main_model"]
    cells = choose(tables["counterfactual_cells"], model=main)
    if cells.empty:
        return _without_genes()
    called = choose(tables["counterfactuals"], model=main)
    genes = list(cells["gene"].unique())
    figure = style.new_figure(10.5, 1.3 * len(genes) + 1.6)
    left, right = figure.subfigures(1, 2, width_ratios=[4.2, 1])
    every = left.subplots(len(genes) * N_CHANNELS, 2, squeeze=False,
                          width_ratios=[len(KINDS) * SHOWN_CELLS, len(MAPS)])  # fmt: skip
    bars = right.subplots(len(genes), 1, squeeze=False, sharex=True)[:, 0]
    shown = []
    for number, gene in enumerate(genes):
        of_gene = choose(cells, gene=gene)
        for row, channel in enumerate(most_changed(of_gene)):
            line = every[number * N_CHANNELS + row]
            shown.append(choose(of_gene, channel=channel))
            _draw_cells(line, shown[-1], headed=number + row == 0)
            line[0].set_ylabel(f"{gene}\n{channel}", fontsize=7, rotation=0, ha="right",
                               va="center")  # fmt: skip
        _draw_called(bars[number], choose(called, item=gene))
    for axes in every.ravel():
        style.bare(axes)
    width_px = cells["x"].nunique()
    bar = style.scale_bar(every[0, 0], width_px, style.shown_pixel_um(settings, width_px))
    bars[-1].set_xlim(0, 1)
    bars[-1].set_xlabel("taken for the gene", fontsize=8)
    n = style.counted(int(called["n"].median()), "cells")
    note = (
        f"{style.model_name(main)}, first seed; the first hits, {n} of each kind (median) that the "
        "model never trained on, controls of the same batches. Affected: the fifth of the gene's "
        "cells that lie furthest from controls along its axis in s. Each control has s of the "
        "affected cell at the same place further right. Two channels that change most; "
        f"differences: red brighter, blue darker, mean over cells.{bar} Right: a classifier of "
        "reconstructions of real cells (cross-validated; 95 % interval); dashed: guessing. "
        + use_of_s(choose(tables["metrics"], model=main))
    )
    style.finish(figure, "figs8", TITLE, note)
    pixels = pd.concat(shown).round({"value": 4})  # of brightness between -1 and 1
    return figure, drawn((RUN, called), (RUN, pixels))


def _without_genes() -> tuple[Figure, pd.DataFrame]:
    """Say that no gene has enough cells, as in a small screen."""
    figure = style.new_figure(6, 2)
    words = f"no gene has {FEWEST_CELLS} cells that the model never trained on"
    style.bare(figure.subplots(), words)
    style.finish(figure, "figs8", TITLE, "Controls of the same batches are needed as well.")
    return figure, pd.DataFrame({"source": [RUN], "note": [words]})


def most_changed(cells: pd.DataFrame) -> list[str]:
    """Return the channels in which controls change most with s of an affected cell of a gene."""
    pixels = cells.pivot_table("value", ["channel", "cell", "y", "x"], "kind", sort=False)
    change = (pixels["affected"] - pixels["control_decoded"]).abs()
    means = change.groupby("channel").mean().sort_values(ascending=False)
    return sorted(means.index[:N_CHANNELS])


def use_of_s(metrics: pd.DataFrame) -> str:
    """Return a sentence on how much the decoder uses s, at the best validation."""
    validated = metrics[metrics["phase"] == "validation"]
    best = validated.loc[validated["negative_elbo"].idxmin()]
    nats = best["nats_without_s"]
    if nats < max(LEAST_NATS, best["kl_s"]):
        return (
            f"The decoder does not use s (a cell loses {nats:.1f} nats without it), so these "
            "pictures say nothing of the genes."
        )
    return f"Without s a perturbed cell loses {nats:.0f} nats: the decoder uses it."


def _draw_cells(line: np.ndarray, pixels: pd.DataFrame, *, headed: bool) -> None:
    """Draw the cells of all kinds side by side, and beside them the differences."""
    is_map = pixels["cell"] == MAP
    low, high = np.percentile(pixels.loc[pixels["kind"].isin(["control", "gene"]), "value"], SHOWN)
    largest = max(pixels.loc[is_map, "value"].abs().max(), 1e-6)
    scales = (
        {"cmap": "gray", "vmin": low, "vmax": max(high, low + 1e-6)},
        {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest},
    )
    for axes, kinds, numbers, scale in zip(
        line, (KINDS, MAPS), (range(SHOWN_CELLS), [MAP]), scales, strict=True
    ):
        images = [
            pixels[(pixels["kind"] == kind) & (pixels["cell"] == number)]
            .pivot(index="y", columns="x", values="value")
            .to_numpy(float)
            for kind in kinds
            for number in numbers
        ]
        step = images[0].shape[1] + GAP_PX
        # One axes for each line, because matplotlib takes long to lay out one for each image.
        side_by_side = [np.pad(image, ((0, 0), (0, GAP_PX)), constant_values=np.nan)
                        for image in images]  # fmt: skip
        axes.imshow(np.hstack(side_by_side)[:, :-GAP_PX], **scale)
        for k, heading in enumerate(kinds.values()):
            if headed:
                axes.text(k * len(numbers) * step, -GAP_PX, heading, fontsize=7, va="bottom")


def _draw_called(axes: Axes, called: pd.DataFrame) -> None:
    rows = called.set_index("against").reindex([*CALLED])
    places = np.arange(len(rows))[::-1]
    errors = np.abs(rows[["low", "high"]].to_numpy() - rows[["value"]].to_numpy()).T
    axes.barh(places, rows["value"], xerr=errors, color=style.FAINT, height=0.7, ecolor="black")
    axes.set_yticks(places, list(CALLED.values()), fontsize=7)
    axes.axvline(0.5, color="black", lw=0.8, ls="--")
