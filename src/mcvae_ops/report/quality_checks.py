"""Quality of alignment, cropping and training: summary tables, and warnings in plain words."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from mcvae_ops.cells.tally import USED
from mcvae_ops.cells.well_variance import TELLS_WELL
from mcvae_ops.figures import style
from mcvae_ops.files import with_text
from mcvae_ops.report.notices import DROPPED, FAILED, Notice, graded
from mcvae_ops.training.diagnostics import salient_warnings
from mcvae_ops.training.leaks import leak_warnings

# More than these shares lead to a warning.
MOST_CONSENSUS = 0.25  # share of tiles that take the shift of their plate
MOST_WRONG = 0.05  # share of the known shifts of a channel
WRONG_PX = 0.5  # error above which a known shift is measured wrongly
# What to do about the problems of `salient_warnings` and `leak_warnings`.
TRAIN_AGAIN = {
    "salient_is_dead": "Train again: the salient space of a model holds next to nothing.",
    "controls_leak": "Train again: a salient space does not tell perturbed cells from controls.",
    "background_is_empty": "Train again: the background space of a model holds next to nothing.",
}
READ_WITH_CARE = {
    "background": "Do not read the background as free of what perturbations do.",
    "salient": "Do not read all of the salient space as effects: it knows batch or place, too.",
}
LEAST_SURE = 0.5  # confidence below which a shift is not measured reliably


def alignment_summary(alignment: pd.DataFrame) -> pd.DataFrame:
    """Return how tiles were aligned, by plate and channel.

    Parameters
    ----------
    alignment
        One row per tile and channel.
    """
    measured = alignment["method"] == "measured"
    shift_px = (alignment["dy_px"] ** 2 + alignment["dx_px"] ** 2) ** 0.5
    marked = alignment.assign(
        measured=measured,
        consensus=alignment["method"] == "consensus",
        failed=~alignment["passed"].astype(bool),
        shift_px=shift_px,
        confidence=alignment["confidence"].where(measured),
    )
    summary = marked.groupby(["plate", "channel"], sort=False).agg(
        tiles=("tile", "size"),
        measured=("measured", "sum"),
        consensus=("consensus", "sum"),
        failed=("failed", "sum"),
        median_shift_px=("shift_px", "median"),
        median_confidence=("confidence", "median"),
    )
    return summary.reset_index()


def confounding_warnings(cells: pa.Table, batch: Sequence[str]) -> list[Notice]:
    """Return what follows where no well holds both control and perturbed cells.

    Parameters
    ----------
    cells
        plate, well, gene, is_ntc of all cells.
    batch
        ``screen.batch``.
    """
    groups = cells.group_by(["plate", "well", "gene", "is_ntc"]).aggregate([])
    table = with_text(groups).to_pandas()
    arms = table.groupby(["plate", "well"])["is_ntc"].nunique()
    if (arms > 1).any():
        return []
    targeting = table[~table["is_ntc"]]
    n_wells = targeting.groupby("gene").size()
    n_single, n_controls = int((n_wells == 1).sum()), int(table["is_ntc"].sum())
    said = (
        "Perturbation and well are confounded: control cells stand in wells of their own "
        f"({n_controls} of {style.counted(len(arms), 'wells')}), and {n_single} of "
        f"{style.counted(len(n_wells), 'genes')} stand in one well alone. Whatever differs between "
        "wells (staining, density, place on the plate) looks like an effect.",
        "What follows from it: a model can learn the well in place of the gene, so figures 2, 4 "
        "and 5 and the hits show effects of genes only as far as a gene stands in several wells "
        f"at different places. Corrections compare cells with the NTC cells of a {batch[-1]}: they "
        "do not remove differences between wells, and figure 3B does not show them. Cells of one "
        "well are not exchanged with cells of another: the exchange of cells is left out, and p "
        "values (guides, hits) come from the exchange of whole wells, which needs several wells "
        "of a gene and of NTC to find anything. Held-out cells come from the wells of the training "
        "cells; split.by: well holds out whole wells.",
    )
    step = "Read an effect of a gene as one of its wells, unless several wells agree."
    return [Notice("bad", words, step) for words in said]


def tile_fact(alignment: pd.DataFrame) -> str:
    """Return the number of tiles and of failed tiles, in words."""
    n_tiles = len(_tiles(alignment))
    if (alignment["method"] == "given").all():
        return f"{n_tiles:,}, whose crops were given"
    n_failed = len(_tiles(alignment[~alignment["passed"].astype(bool)]))
    return f"{n_tiles:,} aligned and cropped, {n_failed or 'none'} failed"


def _tiles(alignment: pd.DataFrame) -> pd.DataFrame:
    return alignment.drop_duplicates(["plate", "well", "tile"])


def alignment_warnings(alignment: pd.DataFrame) -> list[Notice]:
    """Return warnings on the alignment."""
    warnings = []
    failed = _tiles(alignment[~alignment["passed"].astype(bool)])
    if len(failed):
        reasons = ", ".join(f"{n} × {why}" for why, n in failed["reason"].value_counts().items())
        n_tiles = len(_tiles(alignment))
        words = f"{len(failed)} of {n_tiles} tiles could not be used: {reasons}."
        grade = "bad" if graded(len(failed) / n_tiles, FAILED) == "bad" else "look"
        warnings.append(Notice(grade, words, "Look at the tiles that could not be used."))
    for row in alignment_summary(alignment).itertuples():
        moved = row.measured + row.consensus
        if moved and row.consensus / moved > MOST_CONSENSUS:
            words = (
                f"Plate {row.plate}, channel {row.channel}: the shift of {row.consensus} of "
                f"{moved} tiles could not be measured reliably, so the shift of the plate was "
                "used; look at some of these tiles."
            )
            step = f"Look at some tiles of channel {row.channel}: many took the usual shift."
            warnings.append(Notice("look", words, step, "#alignment"))
    return warnings


def position_warnings(y_px: pa.ChunkedArray) -> list[Notice]:
    """Return a warning if crops or embeddings came without the positions of their cells."""
    if np.isfinite(y_px.to_numpy()).any():
        return []
    words = (
        "Cells came without positions: how dense they lie, and where in their field, is not "
        "known. Effects of density or place cannot be told from others; the checks of hits "
        "against them (survives_confounders) and the shortcut position say nothing, and the "
        "shortcut density knows the cells of the tile alone."
    )
    step = "Give the positions of the cells: without them, any hit may be one of density or place."
    return [Notice("bad", words, step)]


def known_shift_warnings(checks: pd.DataFrame) -> list[Notice]:
    """Return warnings on known shifts that were measured wrongly.

    Parameters
    ----------
    checks
        One row per known shift: plate, check ("planted shift" or "one file"), channel, against,
        error_px, confidence.
    """
    warnings = []
    for (check, plate, channel, against), rows in checks.groupby(
        ["check", "plate", "channel", "against"]
    ):
        sure = rows[rows["confidence"] >= LEAST_SURE]
        wrong = sure[sure["error_px"] > WRONG_PX]
        name, words = f"Plate {plate}, channel {channel} on {against}", []
        if len(sure) < len(rows) / 2:
            # Channels of one file are never measured on one another, save as this check.
            if check == "one file":
                continue
            words.append(
                f"{name}: only {len(sure)} of {len(rows)} known shifts could be measured reliably, "
                "so these two stains may be too different to align; see alignment.measure."
            )
        elif len(wrong) > MOST_WRONG * len(sure) and check == "one file":
            words.append(
                f"{name}: recorded in one file, but {wrong['error_px'].median():.1f} px apart; "
                "check screen.channels, or measure this channel too (alignment.measure)."
            )
        elif len(wrong) > MOST_WRONG * len(sure):
            words.append(
                f"{name}: {len(wrong)} of {len(sure)} known shifts applied to tiles of this run "
                f"were measured with an error above {WRONG_PX} px; check the alignment of this "
                "channel before you use it (alignment.method, alignment.binning)."
            )
        step = f"Check the alignment of channel {channel} before you use it."
        warnings += [Notice("bad", said, step, "#alignment") for said in words]
    return warnings


def lost_rows(row_counts: pd.DataFrame) -> tuple[float, str]:
    """Return the share of the screen's cells that tables say too little of, and why, in words.

    Parameters
    ----------
    row_counts
        ``manifest/cell_rows.tsv``.
    """
    lost = row_counts[row_counts["is_lost"]]
    n_lost = int(lost["n_rows"].sum())
    n_used = int(row_counts.loc[row_counts["reason"] == USED, "n_rows"].sum())
    reasons = lost.groupby("reason")["n_rows"].sum().sort_values(ascending=False)
    words = ", ".join(f"{n:,} {reason}" for reason, n in reasons.items())
    return n_lost / max(n_lost + n_used, 1), words


def lost_row_warnings(row_counts: pd.DataFrame) -> list[Notice]:
    """Return a warning if tables say too little of many cells; see `lost_rows`."""
    share, reasons = lost_rows(row_counts)
    if (grade := graded(share, DROPPED)) == "good":
        return []
    words = f"{share:.1%} of the cells in the tables are lost: {reasons}."
    return [Notice(grade, words, "Complete the tables of cells and labels.", "#cell-rows")]


def dropped_summary(dropped: pd.DataFrame) -> pd.DataFrame:
    """Return the number of dropped cells and tiles by reason."""
    summary = dropped.groupby("reason").agg(cells=("n_cells", "sum"), tiles=("tile", "size"))
    return summary.sort_values("cells", ascending=False).reset_index()


def dropped_warnings(dropped: pd.DataFrame, n_kept: int) -> list[Notice]:
    """Return a warning if many cells were dropped."""
    n_dropped = int(dropped["n_cells"].sum())
    share = n_dropped / max(n_dropped + n_kept, 1)
    if (grade := graded(share, DROPPED)) == "good":
        return []
    words = f"{share:.1%} of the cells were dropped ({n_dropped:,}); the reasons are below."
    return [Notice(grade, words, "Read why cells were dropped.", "#dropped")]


def feature_summary(columns: pd.DataFrame) -> pd.DataFrame:
    """Return how many columns of the tables of cells are features, and why others are none.

    Parameters
    ----------
    columns
        ``manifest/features.tsv``.

    Returns
    -------
    reason ("feature" first), n_columns and some names.
    """
    columns = columns.assign(reason=columns["reason"].fillna("feature"))
    groups = columns.groupby("reason")["column"]
    summary = groups.agg(n_columns="size", names=lambda names: ", ".join(names[:4])).reset_index()
    summary["is_last"] = summary["reason"] != "feature"
    order = summary.sort_values(["is_last", "n_columns"], ascending=[True, False])
    return order.drop(columns="is_last")


def feature_warnings(columns: pd.DataFrame) -> list[Notice]:
    """Return a warning if features tell the well instead of the cell."""
    telling = columns.loc[columns["variance_between_wells"] >= TELLS_WELL, "column"]
    if telling.empty:
        return []
    verb = "tells" if len(telling) == 1 else "tell"
    words = (
        f"{style.counted(len(telling), 'features')} {verb} the well, not the cell (at least "
        f"{TELLS_WELL:.0%} of their variance lies between wells): {', '.join(telling[:10])}; name "
        "them in screen.not_features if they measure no cell."
    )
    step = "Leave out the features that tell the well, if they measure no cell."
    return [Notice("look", words, step, "#columns")]


def best_validations(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the validation with the lowest negative ELBO of each training (model and seed)."""
    validated = metrics[metrics["phase"] == "validation"].reset_index(drop=True)
    return validated.loc[validated.groupby(["model", "seed"], sort=False)["negative_elbo"].idxmin()]


def training_summary(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the best validation of each training.

    Parameters
    ----------
    metrics
        Metrics of all trainings, with columns model and seed.
    """
    validated = metrics[metrics["phase"] == "validation"].reset_index(drop=True)
    trainings = validated.groupby(["model", "seed"], sort=False)
    best = best_validations(metrics)
    last = trainings[["step", "epoch"]].max().rename(columns=lambda name: f"last_{name}")
    columns = [
        "model",
        "seed",
        "epoch",
        "step",
        "negative_elbo",
        "kl_z",
        "kl_s",
        "active_units_z",
        "active_units_s",
        "mean_abs_s_ntc",
        "mean_abs_s_perturbed",
        "nats_without_s",
        "nats_without_z",
        "kl_z_ntc",
        "arm_auroc_z",
        "arm_auroc_z_samples",
        "gene_accuracy_z",
        "gene_accuracy_z_samples",
        "gene_accuracy_s",
        "gene_accuracy_chance",
        "batch_auroc_s",
        "position_auroc_s",
    ]
    return best.reindex(columns=columns).merge(last, on=["model", "seed"])


def training_speed(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the medians of speed, waiting and mixing of each training (see `Meter.means`)."""
    columns = ["cells_per_s", "loader_wait_share", "tiles_per_batch", "wells_per_batch"]
    trained = metrics[metrics["phase"] == "train"]
    return trained.groupby(["model", "seed"], sort=False)[columns].median().reset_index()


def _training(training) -> str:
    return f"{style.model_name(training.model)}, seed {training.seed}"


def training_warnings(summary: pd.DataFrame) -> list[Notice]:
    """Return warnings on trainings, from `training_summary`."""
    warnings = []
    unfinished = summary[summary["step"] == summary["last_step"]]
    if len(unfinished):
        named = "; ".join(_training(training) for training in unfinished.itertuples())
        names = "All trainings" if len(unfinished) == len(summary) else named
        words = f"{names}: the last validation was the best; more epochs may help."
        warnings.append(Notice("look", words, "Train for more epochs.", "#training"))
    found: dict[str, dict[str, str]] = {}
    for training in summary.itertuples():
        values = training._asdict()
        for problem, sentence in (salient_warnings(values) | leak_warnings(values)).items():
            found.setdefault(problem, {})[_training(training)] = sentence
    for problem, sentences in found.items():
        (first, sentence), *others = sentences.items()
        same = f" The same of {'; '.join(name for name, _ in others)}." if others else ""
        grade = "bad" if problem in TRAIN_AGAIN else "look"
        step = TRAIN_AGAIN.get(problem) or READ_WITH_CARE[problem.partition("_")[0]]
        warnings.append(Notice(grade, f"{first}: {sentence}.{same}", step, "#training"))
    n_seeds = summary.groupby("model")["seed"].nunique().min()
    if n_seeds < 3:
        words = (
            f"Models were trained with {n_seeds} seed{'s' if n_seeds > 1 else ''}: differences "
            "between models may be differences between trainings. Use three seeds or more."
        )
        step = "Train three seeds or more before you compare models."
        warnings.append(Notice("look", words, step, "#training"))
    return warnings
