"""Technical covariates predicted from control cells (figure 3B), published and strict.

Published (Wang et al. 2023): unscaled features, stratified split of cells; position in the FOV and
in the well is fitted for each batch, and the median over batches is drawn. Strict: features
standardised on the training part, mean over repeated splits with no tile on both sides, 95 %
intervals over batches (the batches themselves are the classes where the batch is predicted), and
two baselines: guessing ("chance") and a classifier that sees only how dense the cells lie
("density").
"""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks import classify, table
from mcvae_ops.benchmarks.cells import named_rng, read_cells, read_embedding
from mcvae_ops.benchmarks.covariate_fits import COVARIATES, Score, Task, chance, score, tasks
from mcvae_ops.benchmarks.density import density_features
from mcvae_ops.benchmarks.intervals import interval
from mcvae_ops.benchmarks.positions import batch_names, cell_positions
from mcvae_ops.progress import Progress

logger = logging.getLogger(__name__)

BENCHMARK = "covariates"
BOOTSTRAP_ROUNDS = 1000
METRICS = ("macro_f1", "auroc")


class Predictor(NamedTuple):
    """What a classifier sees of each control cell, of shape (cell, feature)."""

    model: str
    space: str
    seed: int
    features: np.ndarray


class Estimate(NamedTuple):
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


Estimates = dict[tuple[str, str], Estimate]  # (covariate, metric) -> estimate


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


def summarise(scored: list[tuple[Task, Score]], seed: int) -> Estimates:
    """Bring the fits of one predictor down to one estimate for each covariate and metric."""
    estimates = {}
    for covariate in COVARIATES:
        mine = [(task.batch, result) for task, result in scored if task.covariate == covariate]
        for metric in METRICS if mine else ():
            values = [getattr(result, metric) for _, result in mine]
            if covariate == "batch":
                statistic, units, each = np.mean, values[0], {}
            else:
                statistic, units = np.median, np.array([value.mean() for value in values])
                each = {
                    batch: (value, result.n)
                    for (batch, result), value in zip(mine, units, strict=True)
                }
            rng = named_rng(seed, "bootstrap", covariate)
            estimates[covariate, metric] = Estimate(
                float(statistic(units)),
                classify.bootstrap(units, statistic, BOOTSTRAP_ROUNDS, rng),
                each,
                sum(result.n for _, result in mine),
            )
    return estimates


def estimate_rows(predictor: Predictor, protocol: str, estimates: Estimates) -> list[dict]:
    """Return the rows of one predictor: those of single batches (`against`), then the drawn one."""
    rows = []
    for (covariate, metric), estimate in estimates.items():
        common = _common(predictor, protocol, covariate)
        for batch, (value, n) in estimate.each.items():
            rows.append(table.row(**common, metric=metric, against=batch, value=value, n=n))
        low, high = interval(estimate.rounds) if protocol == "strict" else (np.nan, np.nan)
        rows.append(
            table.row(
                **common, metric=metric, value=estimate.value, low=low, high=high, n=estimate.n
            )
        )
    return rows


def difference_rows(predictor: Predictor, background: Estimates, salient: Estimates) -> list[dict]:
    """Return strict rows ``<metric>_difference``: background minus salient, paired by batch."""
    rows = []
    for (covariate, metric), first in background.items():
        second = salient[covariate, metric]
        low, high = interval(first.rounds - second.rounds)
        rows.append(
            table.row(
                **_common(predictor, "strict", covariate) | {"space": "background-salient"},
                metric=f"{metric}_difference",
                value=first.value - second.value,
                low=low,
                high=high,
                n=first.n,
            )
        )
    return rows


def _common(predictor: Predictor, protocol: str, covariate: str) -> dict:
    return dict(
        benchmark=BENCHMARK,
        protocol=protocol,
        model=predictor.model,
        space=predictor.space,
        seed=predictor.seed,
        cells="all",
        item=covariate,
    )


def evaluate(
    cells: pd.DataFrame, predictors: list[Predictor], density: np.ndarray, settings: dict, seed: int
) -> list[dict]:
    """Return the rows of every predictor by both protocols, and of the strict baselines.

    Parameters
    ----------
    cells
        Control cells with tile, batch, position_in_fov, position_in_well.
    predictors
        Latent spaces of the same cells.
    density
        Density features of the same cells, of shape (cell, feature).
    settings
        test_fraction.
    seed
        Seed of splits and bootstraps.
    """
    rows, strict = [], {}
    progress = Progress(2 * len(predictors) + 1, "predictors", "covariates")
    for protocol in table.PROTOCOLS:
        todo = list(tasks(cells, protocol, settings["test_fraction"], seed))
        baselines = [Predictor("", "density", 0, density)] if protocol == "strict" else []
        for predictor in [*predictors, *baselines]:
            standardise = protocol == "strict"
            scored = [(t, score(t, predictor.features, standardise=standardise)) for t in todo]
            estimates = summarise(scored, seed)
            rows += estimate_rows(predictor, protocol, estimates)
            strict[predictor[:3]] = estimates  # the strict protocol comes last and stays
            progress.step()
    for predictor in predictors:
        model, space, trained = predictor[:3]
        if space == "background":
            rows += difference_rows(
                predictor, strict[predictor[:3]], strict[model, "salient", trained]
            )
    guesses = summarise([(task, chance(task)) for task in todo], seed)
    return rows + estimate_rows(Predictor("", "chance", 0, density), "strict", guesses)


def covariates(
    index: str, embeddings: list[str], screen: dict, settings: dict, seed: int, benchmark: str
) -> None:
    """Predict batch, position in the FOV and position in the well from control cells.

    Parameters
    ----------
    index
        Shard index (parquet).
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
    cells = read_cells(index)
    rows = sample_controls(cells, settings["cells_per_batch"], seed)
    read = [read_embedding(path, cells, rows) for path in embeddings]
    predictors = [
        Predictor(each.model, space, each.seed, features)
        for each in read
        for space, features in each.spaces.items()
    ]
    finite = classify.finite_rows(np.hstack([predictor.features for predictor in predictors]))
    controls = cells.iloc[rows].reset_index(drop=True)
    controls = pd.concat([controls[["tile"]], cell_positions(controls, screen, settings)], axis=1)
    table.write(
        evaluate(
            controls[finite].reset_index(drop=True),
            [p._replace(features=p.features[finite]) for p in predictors],
            density_features(cells)[rows][finite],
            settings,
            seed,
        ),
        benchmark,
    )
