"""Technical covariates predicted from control cells (figure 3B), by both protocols.

Published (Wang et al. 2023): unscaled features and one stratified split of cells. Positions in the
FOV and in the well are predicted in each batch; the figure shows the median over batches.

Strict: features are standardised on the training part; scores are means over repeated splits that
keep the cells of a tile together; 95 % intervals are over batches (where the batch is predicted,
over the batches as classes). Two baselines: random guesses ("chance") and a classifier that sees
only the density of cells ("density"). The same fits are scored on all held-out cells (cells "all")
and on held-out cells that the model was not trained on either (cells "test").
"""

import itertools
import logging
from typing import NamedTuple

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.covariates.covariate_fits import (
    COVARIATES,
    Score,
    Task,
    chance,
    score,
    tasks,
)
from mcvae_ops.benchmarks.covariates.density import density_features
from mcvae_ops.benchmarks.covariates.positions import batch_names, cell_positions
from mcvae_ops.benchmarks.estimates import classification, table
from mcvae_ops.benchmarks.estimates.intervals import BOOTSTRAP_ROUNDS, interval
from mcvae_ops.embeddings.read import read_cells, read_embedding
from mcvae_ops.profiles.aggregate import TRAINING_SPLITS, check_aligned
from mcvae_ops.progress import Progress
from mcvae_ops.randomness import named_rng

logger = logging.getLogger(__name__)

BENCHMARK = "covariates"
METRICS = ("macro_f1", "auroc")
CELLS = ("all", "test")


class Predictor(NamedTuple):
    """The features of control cells that a classifier gets, of shape (cell, feature)."""

    model: str
    space: str
    seed: int
    features: np.ndarray


class CovariateEstimate(NamedTuple):
    """Score of one predictor on one covariate.

    Attributes
    ----------
    value
        Mean over classes where the batch is predicted, else median over the fits of batches.
    rounds
        The same value with batches drawn with replacement, of shape (round,).
    each
        batch -> score and number of held-out cells; empty where the batch is predicted.
    n
        Number of held-out cells.
    """

    value: float
    rounds: np.ndarray
    each: dict[str, tuple[float, int]]
    n: int


CovariateEstimates = dict[
    tuple[str, str, str], CovariateEstimate
]  # (covariate, metric, cells) -> estimate


def sample_controls(cells: pd.DataFrame, cells_per_batch: int, seed: int) -> np.ndarray:
    """Return the ascending rows of at most `cells_per_batch` random control cells per batch."""
    controls = np.flatnonzero(cells["is_ntc"].to_numpy())
    batches = batch_names(cells.iloc[controls])
    chosen = []
    for batch in np.unique(batches):
        members = controls[batches == batch]
        order = named_rng(seed, "controls", batch).permutation(len(members))
        chosen.append(members[order[:cells_per_batch]])
    return np.sort(np.concatenate(chosen)) if chosen else controls


def summarise_fits(scored: list[tuple[Task, dict[str, Score]]], seed: int) -> CovariateEstimates:
    """Summarise the fits of one predictor: one estimate per covariate, metric and set of cells.

    Fits without a score (see `Score`) are left out. Without any scored fit there is no estimate.
    """
    estimates = {}
    for covariate, metric, cells in itertools.product(COVARIATES, METRICS, CELLS):
        mine = [
            (task.batch, getattr(scores[cells], metric), scores[cells].n)
            for task, scores in scored
            if task.covariate == covariate and cells in scores
        ]
        mine = [fit for fit in mine if np.isfinite(fit[1]).all()]
        if not mine:
            continue
        if covariate == "batch":
            statistic, units, each = np.mean, mine[0][1], {}
        else:
            statistic, units = np.median, np.array([values.mean() for _, values, _ in mine])
            each = {batch: (value, n) for (batch, _, n), value in zip(mine, units, strict=True)}
        rng = named_rng(seed, "bootstrap", covariate)
        estimates[covariate, metric, cells] = CovariateEstimate(
            float(statistic(units)),
            classification.bootstrap(units, statistic, BOOTSTRAP_ROUNDS, rng),
            each,
            sum(n for *_, n in mine),
        )
    return estimates


def covariate_estimate_rows(
    predictor: Predictor, protocol: str, estimates: CovariateEstimates
) -> list[dict]:
    """Return the rows of one predictor: one row per batch (`against`), then their summary."""
    rows = []
    for (covariate, metric, cells), estimate in estimates.items():
        common = _common(predictor, protocol, covariate, cells)
        for batch, (value, n) in estimate.each.items():
            rows.append(table.row(**common, metric=metric, against=batch, value=value, n=n))
        low, high = interval(estimate.rounds) if protocol == "strict" else (np.nan, np.nan)
        rows.append(
            table.row(
                **common, metric=metric, value=estimate.value, low=low, high=high, n=estimate.n
            )
        )
    return rows


def covariate_difference_rows(
    predictor: Predictor, background: CovariateEstimates, salient: CovariateEstimates
) -> list[dict]:
    """Return strict rows ``<metric>_difference``: background minus salient, paired by batch."""
    rows = []
    for (covariate, metric, cells), first in background.items():
        second = salient[covariate, metric, cells]
        low, high = interval(first.rounds - second.rounds)
        common = _common(predictor, "strict", covariate, cells)
        rows.append(
            table.row(
                **common | {"space": "background-salient"},
                metric=f"{metric}_difference",
                value=first.value - second.value,
                low=low,
                high=high,
                n=first.n,
            )
        )
    return rows


def _common(predictor: Predictor, protocol: str, covariate: str, cells: str) -> dict:
    return dict(
        benchmark=BENCHMARK,
        protocol=protocol,
        model=predictor.model,
        space=predictor.space,
        seed=predictor.seed,
        cells=cells,
        item=covariate,
    )


def covariate_rows(
    cells: dict[str, pd.DataFrame],
    predictors: list[Predictor],
    density: np.ndarray,
    held_out: np.ndarray,
    settings: dict,
    seed: int,
) -> list[dict]:
    """Return the rows of every predictor by both protocols, and of the baselines (strict only).

    Parameters
    ----------
    cells
        Protocol -> control cells with tile, batch, position_in_fov, position_in_well.
    predictors
        Latent spaces of the same cells.
    density
        Density features of the same cells, of shape (cell, feature).
    held_out
        Which cells no model was trained on, of shape (cell,).
    settings
        test_fraction.
    seed
        Seed of splits and bootstraps.
    """
    rows, estimates_of = [], {}
    progress = Progress(2 * len(predictors) + 1, "predictors", "covariates")
    all_cells = {"all": np.ones(len(held_out), bool)}
    both_sets = all_cells | ({"test": held_out} if held_out.any() else {})
    for protocol in table.PROTOCOLS:
        tasks_of_protocol = list(tasks(cells[protocol], protocol, settings["test_fraction"], seed))
        standardise = protocol == "strict"
        scored = both_sets if standardise else all_cells
        baselines = [Predictor("", "density", 0, density)] if standardise else []
        for predictor in [*predictors, *baselines]:
            fits = [
                (task, score(task, predictor.features, scored, standardise=standardise))
                for task in tasks_of_protocol
            ]
            estimates = summarise_fits(fits, seed)
            rows += covariate_estimate_rows(predictor, protocol, estimates)
            estimates_of[predictor[:3]] = estimates  # strict comes last and overwrites published
            progress.step()
    for predictor in predictors:
        model, space, trained = predictor[:3]
        if space == "background":
            rows += covariate_difference_rows(
                predictor, estimates_of[predictor[:3]], estimates_of[model, "salient", trained]
            )
    guesses = summarise_fits([(task, chance(task, both_sets)) for task in tasks_of_protocol], seed)
    return rows + covariate_estimate_rows(Predictor("", "chance", 0, density), "strict", guesses)


def covariates(
    index: str,
    splits: str,
    embeddings: list[str],
    screen: dict,
    settings: dict,
    seed: int,
    benchmark: str,
) -> None:
    """Predict batch, position in the FOV and position in the well from control cells.

    Parameters
    ----------
    index
        Shard index (parquet).
    splits
        Split of each cell (parquet), row-aligned with the index.
    embeddings
        Embedding tables, row-aligned with the index.
    screen
        tile_size_px and well_grid.
    settings
        The section benchmarks.covariates.
    seed
        Seed of the sample of control cells, the splits and the bootstraps.
    benchmark
        Output table (parquet).
    """
    cells, split = read_cells(index), pd.read_parquet(splits, columns=["cell_id", "split"])
    check_aligned(cells["cell_id"], split["cell_id"], splits)
    rows = sample_controls(cells, settings["cells_per_batch"], seed)
    read = [read_embedding(path, cells, rows) for path in embeddings]
    predictors = [
        Predictor(embedding.model, space, embedding.seed, features)
        for embedding in read
        for space, features in embedding.spaces.items()
    ]
    finite = classification.finite_rows(np.hstack([predictor.features for predictor in predictors]))
    controls = cells.iloc[rows[finite]].reset_index(drop=True)
    described = {
        protocol: cell_positions(controls, screen, settings, protocol).assign(tile=controls["tile"])
        for protocol in table.PROTOCOLS
    }
    table.write(
        covariate_rows(
            described,
            [p._replace(features=p.features[finite]) for p in predictors],
            density_features(cells)[rows][finite],
            ~split["split"].isin(TRAINING_SPLITS).to_numpy()[rows][finite],
            settings,
            seed,
        ),
        benchmark,
    )
