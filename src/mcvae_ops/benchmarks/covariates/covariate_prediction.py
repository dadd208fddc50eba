"""Technical covariates predicted from control cells (figure 3B), published and strict.

Published (Wang et al. 2023): unscaled features, stratified split of cells; position in the FOV and
in the well is fitted for each batch, and the median over batches is drawn. Strict: features
standardised on the training part, mean over repeated splits with no tile on both sides, 95 %
intervals over batches (the batches themselves are the classes where the batch is predicted), and
two baselines: guessing ("chance") and a classifier that sees only how dense the cells lie
("density"). The same fits are scored on all cells that they did not see, and on those of them
that the model never trained on either (cells "test").
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
from mcvae_ops.embeddings.read import named_rng, read_cells, read_embedding
from mcvae_ops.profiles.aggregate import TRAINING_SPLITS, check_aligned
from mcvae_ops.progress import Progress

logger = logging.getLogger(__name__)

BENCHMARK = "covariates"
METRICS = ("macro_f1", "auroc")
CELLS = ("all", "test")


class Predictor(NamedTuple):
    """What a classifier sees of each control cell, of shape (cell, feature)."""

    model: str
    space: str
    seed: int
    features: np.ndarray


class CovariateEstimate(NamedTuple):
    """Score of one predictor on one covariate.

    Attributes
    ----------
    value
        Mean over batches where they are the classes, else median over the batches' fits.
    rounds
        The same with batches drawn with replacement, of shape (round,).
    each
        batch -> score and number of held-out cells; empty where batches are the classes.
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
    """Choose at most so many control cells of each batch, at random; rows, ascending."""
    controls = np.flatnonzero(cells["is_ntc"].to_numpy())
    batches = batch_names(cells.iloc[controls])
    chosen = []
    for batch in np.unique(batches):
        members = controls[batches == batch]
        order = named_rng(seed, "controls", batch).permutation(len(members))
        chosen.append(members[order[:cells_per_batch]])
    return np.sort(np.concatenate(chosen)) if chosen else controls


def summarise_fits(scored: list[tuple[Task, dict[str, Score]]], seed: int) -> CovariateEstimates:
    """Bring the fits of one predictor down to one estimate per covariate, metric and set of cells.

    A fit that could not be scored (see `Score`) is left out; where none could, so is the estimate.
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
    """Return the rows of one predictor: those of single batches (`against`), then the drawn one."""
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
    """Return the rows of every predictor by both protocols, and of the strict baselines.

    Parameters
    ----------
    cells
        Control cells with tile, batch, position_in_fov, position_in_well, for each protocol.
    predictors
        Latent spaces of the same cells.
    density
        Density features of the same cells, of shape (cell, feature).
    held_out
        Which of the cells no model was trained on, of shape (cell,).
    settings
        test_fraction.
    seed
        Seed of splits and bootstraps.
    """
    rows, strict = [], {}
    progress = Progress(2 * len(predictors) + 1, "predictors", "covariates")
    every = {"all": np.ones(len(held_out), bool)}
    both = every | ({"test": held_out} if held_out.any() else {})
    for protocol in table.PROTOCOLS:
        todo = list(tasks(cells[protocol], protocol, settings["test_fraction"], seed))
        standardise = protocol == "strict"
        scored = both if standardise else every
        baselines = [Predictor("", "density", 0, density)] if standardise else []
        for predictor in [*predictors, *baselines]:
            fits = [
                (t, score(t, predictor.features, scored, standardise=standardise)) for t in todo
            ]
            estimates = summarise_fits(fits, seed)
            rows += covariate_estimate_rows(predictor, protocol, estimates)
            strict[predictor[:3]] = estimates  # the strict protocol comes last and stays
            progress.step()
    for predictor in predictors:
        model, space, trained = predictor[:3]
        if space == "background":
            rows += covariate_difference_rows(
                predictor, strict[predictor[:3]], strict[model, "salient", trained]
            )
    guesses = summarise_fits([(task, chance(task, both)) for task in todo], seed)
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
        Which cells models were trained on (parquet), row-aligned with the index.
    embeddings
        Embedding tables, row-aligned with the index.
    screen
        tile_size_px and well_grid.
    settings
        The section benchmarks.covariates.
    seed
        Seed of the sample of cells, splits and bootstraps.
    benchmark
        Output table (parquet).
    """
    cells, split = read_cells(index), pd.read_parquet(splits, columns=["cell_id", "split"])
    check_aligned(cells["cell_id"], split["cell_id"], splits)
    rows = sample_controls(cells, settings["cells_per_batch"], seed)
    read = [read_embedding(path, cells, rows) for path in embeddings]
    predictors = [
        Predictor(each.model, space, each.seed, features)
        for each in read
        for space, features in each.spaces.items()
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
