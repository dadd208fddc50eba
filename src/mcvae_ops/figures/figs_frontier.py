"""
Fig. S10: separation against what is told and against the reconstruction. (not in the paper)

TABLES
    cell_neighbours    gene told of held-out perturbed cells, from each space, and chance
    metrics            metrics of the first training of each model by step
"""

from itertools import cycle

import pandas as pd
from matplotlib.figure import Figure

from mcvae_ops.figures import style
from mcvae_ops.figures.source_data import RUN, average_seeds, choose, drawn, shown_models

SPACES = ("salient", "background")
TITLE = "What does it cost to keep the gene out of the background?"
LIKELIHOOD = "negative_log_likelihood"
LEAST_NATS = 1.0  # shown above the best


def figs10(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw each model by what its background tells: against what s tells, and its likelihood."""
    told = choose(tables["cell_neighbours"], item="gene", model=shown_models(settings))
    probe = choose(told, metric="probe_accuracy", against="means", space=SPACES)
    if probe.empty:
        return _without_cells(probe)
    rows = average_seeds(probe, ["model", "space"])
    likelihood = _best_likelihoods(tables["metrics"])
    points = _points(rows, likelihood)
    chance = choose(told, metric="chance")["value"].mean()
    figure = style.new_figure(9.6, 3.9)
    left, right = figure.subplots(1, 2)
    for point, marker in zip(points.itertuples(), cycle(style.MARKERS)):
        colour = style.model_colour(point.model)
        line, across = {"color": colour, "lw": 1}, [point.low_background, point.high_background]
        left.plot([point.background] * 2, [point.low_salient, point.high_salient], **line)
        for axes, y in ((left, point.salient), (right, point.nats)):
            axes.plot(across, [y] * 2, **line)
            name = style.model_name(point.model)
            axes.plot(point.background, y, marker, color=colour, ms=6, label=name)
    for axes in (left, right):
        axes.axvline(chance, color=style.FAINT, lw=1, ls=":")
        axes.set(xlabel="gene told from z (accuracy)")
        axes.locator_params(axis="x", nbins=5)
    left.axhline(chance, color=style.FAINT, lw=1, ls=":")
    left.set(ylabel="gene told from s (accuracy)", title="separation and what s tells")
    right.set(ylabel="nats of a cell above the best", title="separation and reconstruction")
    top = max(LEAST_NATS, points["nats"].max())  # one model alone is the best
    right.set_ylim(-0.06 * top, 1.06 * top)
    right.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    style.finish(figure, "figs10", TITLE, _note(probe))
    return figure, drawn((RUN, rows), (RUN, likelihood))


def _best_likelihoods(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the negative log likelihood of each model at its best validation."""
    validated = metrics[metrics["phase"] == "validation"].reset_index()
    best = validated.loc[validated.groupby("model", sort=False)["negative_elbo"].idxmin()]
    rows = best[["model", LIKELIHOOD]].rename(columns={LIKELIHOOD: "value"})
    return rows.assign(metric=LIKELIHOOD)


def _points(rows: pd.DataFrame, likelihood: pd.DataFrame) -> pd.DataFrame:
    """Return model; value and bounds of either space; nats above the best: one row per model."""
    wide = rows.pivot(index="model", columns="space", values=["value", "low", "high"])
    wide.columns = [space if kind == "value" else f"{kind}_{space}" for kind, space in wide.columns]
    nats = likelihood.set_index("model")["value"].reindex(wide.index)
    return wide.assign(nats=nats - nats.min()).dropna(subset=list(SPACES)).reset_index()


def _without_cells(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Say that nothing can be told, as where no model has two spaces or no cells were held out."""
    figure = style.new_figure(6.0, 1.4)
    style.bare(figure.subplots(), "no model with two spaces whose held-out cells can be told apart")
    style.finish(figure, "figs10", TITLE, "No estimate.")
    return figure, table


def _note(probe: pd.DataFrame) -> str:
    return (
        "Kernel ridge regression on standardised posterior means, fitted on training cells, tested "
        f"on {style.counted(int(probe['n'].max()), 'held-out cells')}; {style.seeds_note(probe)}; "
        "95 % interval over cells and seeds; dotted: the most frequent gene. Right: negative log "
        "likelihood of validation cells at the best validation of the first seed."
    )
