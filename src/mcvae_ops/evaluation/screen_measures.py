"""Every measure of the models of one screen, from its benchmark tables and its trainings."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.complexes.complex_retrieval import COMPLEXES
from mcvae_ops.benchmarks.estimates.functional_groups import NOVEL, SHIFTING
from mcvae_ops.benchmarks.estimates.table import OVER_SEEDS
from mcvae_ops.benchmarks.mitosis.group_auroc import METRIC as GROUP_AUROC
from mcvae_ops.benchmarks.mitosis.mitotic_factors import SCORES
from mcvae_ops.files import read_frame, write_parquet
from mcvae_ops.torch_files import load_torch

PLAIN = "none"  # no correction
KEYS = ["model", "space", "correction", "measure"]


@dataclass(frozen=True)
class Measure:
    """Where a measure stands in the benchmark tables (strict rows).

    Measures without a space compare the spaces of a model: they are the model's, not a profile's.
    """

    table: str
    metric: str
    cells: str
    item: str = ""
    against: str = ""
    has_space: bool = True


MEASURES = {
    **{
        f"complexes_{cells}": Measure("complexes", "average_precision", cells, COMPLEXES)
        for cells in ("test", "held_out_guide", "held_out_gene", "train", "all")
    },
    "macro_recall": Measure("functions", "macro_recall", "test"),
    **{
        covariate: Measure("covariates", "auroc", "test", covariate)
        for covariate in ("batch", "position_in_fov", "position_in_well")
    },
    "group_auroc": Measure("mitosis", GROUP_AUROC, "test", SHIFTING, NOVEL, has_space=False),
    "fig5c_difference": Measure(
        "mitosis", "auroc_difference", "test", "-".join(SCORES), has_space=False
    ),
}
OF_TRAINING = (
    "nats_without_s", "negative_log_likelihood", "cells_per_s", "cells_seen", "n_parameters",
)  # fmt: skip


def screen_values(tables: dict[str, pd.DataFrame], trainings: pd.DataFrame) -> pd.DataFrame:
    """Return every measure of one screen, by training seed.

    Parameters
    ----------
    tables
        The benchmark tables complexes, functions, covariates, mitosis, corrections.
    trainings
        model, seed and `OF_TRAINING`, one row per training.

    Returns
    -------
    Columns model, space, correction, measure, seed, value. Complexes have rows for each correction
    of the profiles; space and correction of what belongs to a model are empty.
    """
    parts = []
    for name, measure in MEASURES.items():
        rows = _matching(tables[measure.table], measure, measure.item, measure.against)
        parts.append(rows.assign(measure=name, correction=PLAIN if measure.has_space else ""))
        if not measure.has_space:
            parts[-1]["space"] = ""
        if measure.item == COMPLEXES:
            of_corrections = tables["corrections"]
            for correction in sorted(set(of_corrections["item"]) - {PLAIN}):
                rows = _matching(of_corrections, measure, correction, "")
                parts.append(rows.assign(measure=name, correction=correction))
    of_models = trainings.melt(["model", "seed"], list(OF_TRAINING), "measure")
    parts.append(of_models.assign(space="", correction=""))
    values = pd.concat(parts, ignore_index=True)[[*KEYS, "seed", "value"]]
    return values[np.isfinite(values["value"].astype(float))].reset_index(drop=True)


def _matching(table: pd.DataFrame, measure: Measure, item: str, against: str) -> pd.DataFrame:
    """Return the rows of a measure that belong to a training, not to a baseline without a model."""
    chosen = (table["protocol"] == "strict") & (table["seed"] != OVER_SEEDS)
    chosen &= (table["model"] != "") & (table["cells"] == measure.cells)
    chosen &= (table["metric"] == measure.metric) & (table["item"] == item)
    return table[chosen & (table["against"] == against)]


def training_values(weights: str, metrics: str) -> dict:
    """Return model, seed and `OF_TRAINING` of one training.

    The decoder's nats and the likelihood are those of the last validation; cells per second are
    the mean over the training; cells seen are steps times cells of a batch; parameters are counted
    in the weights.

    Parameters
    ----------
    weights, metrics
        Files of `mcvae_ops.training.train.train_model`.
    """
    stored = load_torch(weights, "cpu")
    course = read_frame(metrics)
    validated = course[course["phase"] == "validation"]
    # A model without a salient space has no nats without it.
    columns = ["step", "nats_without_s", "negative_log_likelihood"]
    last = validated.reindex(columns=columns).astype(float).iloc[-1]
    return {
        "model": stored["model"],
        "seed": stored["seed"],
        "nats_without_s": last["nats_without_s"],
        "negative_log_likelihood": last["negative_log_likelihood"],
        "cells_per_s": course["cells_per_s"].mean(),
        "cells_seen": last["step"] * stored["settings"]["batch_size"],
        "n_parameters": sum(values.numel() for values in stored["state"].values()),
    }


def screen_measures(
    complexes: str,
    functions: str,
    covariates: str,
    mitosis: str,
    corrections: str,
    weights: list[str],
    metrics: list[str],
    measures: str,
) -> None:
    """Write every measure of the models of one screen, by training seed.

    Parameters
    ----------
    complexes, functions, covariates, mitosis, corrections
        The screen's benchmark tables.
    weights, metrics
        Of every training of the screen, row-aligned.
    measures
        Output: see `screen_values`.
    """
    paths = {
        "complexes": complexes,
        "functions": functions,
        "covariates": covariates,
        "mitosis": mitosis,
        "corrections": corrections,
    }
    tables = {name: read_frame(path) for name, path in paths.items()}
    pairs = zip(weights, metrics, strict=True)
    trainings = pd.DataFrame([training_values(*pair) for pair in pairs])
    write_parquet(screen_values(tables, trainings), measures)
