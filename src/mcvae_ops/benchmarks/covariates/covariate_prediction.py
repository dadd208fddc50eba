"""Technical covariates predicted from control cells (figure 3B), by both protocols.

Published (Wang et al. 2023): unscaled features and one stratified split of cells. Positions in the
FOV and in the well are predicted in each batch; the figure shows the median over batches.

Strict: features are standardised on the training part; scores are means over batches and over
repeated splits that keep the cells of a tile together; 95 % intervals are over batches (over the
tiles of the given batches where the batch is predicted, or where there are only one or two). Two
baselines: random guesses ("chance") and a classifier that sees only the density of cells
("density"). The same fits are scored on all held-out cells (cells "all") and on held-out cells that
the model was not trained on either (cells "test").
"""

import itertools
import logging
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.covariates.covariate_fits import (
    COVARIATES,
    METRICS,
    Score,
    Task,
    chance,
    score,
    tasks,
)
from mcvae_ops.benchmarks.covariates.positions import cell_positions
from mcvae_ops.benchmarks.estimates import classification, table
from mcvae_ops.benchmarks.estimates.intervals import (
    FEWEST_UNITS,
    NO_INTERVAL,
    mean_interval,
    stratified_interval,
)
from mcvae_ops.embeddings.density import density_features
from mcvae_ops.embeddings.embedded_cells import (
    check_aligned,
    groups_of,
    is_unseen,
    read_cells,
    read_embedding,
)
from mcvae_ops.progress import Progress
from mcvae_ops.randomness import named_rng
from mcvae_ops.threads import in_threads

logger = logging.getLogger(__name__)

BENCHMARK = "covariates"
CELLS = ("all", "test")
COLUMNS = ["plate", "well", "batch", "tile", "y_px", "x_px", "is_ntc"]
FEWEST_TILES = 12  # scored, of each given batch: fewer give an interval that is too narrow


class Predictor(NamedTuple):
    """The features of control cells that a classifier gets, of shape (cell, feature)."""

    model: str
    space: str
    seed: int
    features: np.ndarray


class CovariateEstimate(NamedTuple):
    """Score of one predictor on one covariate: the mean over fits (the median, if published).

    Attributes
    ----------
    value
        The estimate.
    fits
        Score of each fit, of shape (fit,): one over all batches, or one in each batch.
    n_of
        Batch -> number of held-out cells of its fit, in the order of `fits`.
    terms, strata
        Contribution of each tile to the error of the mean, and its batch, of shape (tile,).
    n
        Number of held-out cells.
    """

    value: float
    fits: np.ndarray
    n_of: dict[str, int]
    terms: np.ndarray
    strata: np.ndarray
    n: int
    is_difference: bool = False

    def interval(self) -> dict:
        """Return low, high and the units: batches, or the tiles of so few batches."""
        n_batches = len(self.fits)
        if n_batches >= FEWEST_UNITS:
            ends, units = mean_interval(self.fits), f"{n_batches} batches"
        else:
            batches, n_tiles = np.unique(self.strata, return_counts=True)
            ends = stratified_interval(
                self.value, self.terms, self.strata, is_share=not self.is_difference
            )
            ends = ends if n_tiles.min(initial=len(self.terms)) >= FEWEST_TILES else NO_INTERVAL
            units = f"{n_tiles.sum()} tiles of {len(batches)} given batches"
        return {"low": ends[0], "high": ends[1], "units": units}

    def __sub__(self, other: "CovariateEstimate") -> "CovariateEstimate":
        """Return the difference of two predictors, paired by fit and tile."""
        return self._replace(
            value=self.value - other.value,
            fits=self.fits - other.fits,
            terms=self.terms - other.terms,
            is_difference=True,
        )


CovariateEstimates = dict[
    tuple[str, str, str], CovariateEstimate
]  # (covariate, metric, cells) -> estimate


def sample_controls(cells: pd.DataFrame, cells_per_batch: int, seed: int) -> np.ndarray:
    """Return the ascending rows of at most `cells_per_batch` random control cells per batch."""
    controls = np.flatnonzero(cells["is_ntc"].to_numpy())
    batches = cells["batch"].iloc[controls].to_numpy(dtype=str)
    chosen = []
    for batch in np.unique(batches):
        members = controls[batches == batch]
        order = named_rng(seed, "controls", batch).permutation(len(members))
        chosen.append(members[order[:cells_per_batch]])
    return np.sort(np.concatenate(chosen)) if chosen else controls


def summarise_fits(
    scored: list[tuple[Task, dict[str, Score]]], protocol: str
) -> CovariateEstimates:
    """Summarise the fits of one predictor: one estimate per covariate, metric and set of cells.

    Fits without a score (see `Score`) are left out. Without any scored fit there is no estimate.
    """
    centre = np.median if protocol == "published" else np.mean
    estimates = {}
    for covariate, metric, cells in itertools.product(COVARIATES, METRICS, CELLS):
        fits = {
            task.batch: scores[cells]
            for task, scores in scored
            if task.covariate == covariate and cells in scores
        }
        fits = {batch: fit for batch, fit in fits.items() if np.isfinite(getattr(fit, metric))}
        if not fits:
            continue
        values = np.array([getattr(fit, metric) for fit in fits.values()])
        estimates[covariate, metric, cells] = CovariateEstimate(
            float(centre(values)),
            values,
            {batch: fit.n for batch, fit in fits.items() if batch},
            np.concatenate([fit.terms[metric] for fit in fits.values()]) / len(fits),
            np.concatenate([fit.strata for fit in fits.values()]),
            sum(fit.n for fit in fits.values()),
        )
    return estimates


def covariate_estimate_rows(
    predictor: Predictor, protocol: str, estimates: CovariateEstimates
) -> list[dict]:
    """Return the rows of one predictor: one row per batch (`against`), then their summary."""
    rows = []
    for (covariate, metric, cells), estimate in estimates.items():
        row = partial(table.row, **_common(predictor, protocol, covariate, cells), metric=metric)
        for (batch, n), value in zip(estimate.n_of.items(), estimate.fits, strict=False):
            rows.append(row(against=batch, value=value, n=n))
        ends = estimate.interval() if protocol == "strict" else {}
        rows.append(row(value=estimate.value, n=estimate.n, **ends))
    return rows


def covariate_difference_rows(
    predictor: Predictor, background: CovariateEstimates, salient: CovariateEstimates
) -> list[dict]:
    """Return strict rows ``<metric>_difference``: background minus salient, paired."""
    rows = []
    for (covariate, metric, cells), first in background.items():
        difference = first - salient[covariate, metric, cells]
        common = _common(predictor, "strict", covariate, cells) | {"space": "background-salient"}
        rows.append(
            table.row(
                **common,
                metric=f"{metric}_difference",
                value=difference.value,
                n=difference.n,
                **difference.interval(),
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
    threads: int = 1,
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
    threads
        So many tasks are fitted at a time.
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
        every = [*predictors, *baselines]
        fit = partial(_fit, scored=scored, standardise=standardise)
        scores = in_threads(fit, itertools.product(every, tasks_of_protocol), threads)
        for predictor in every:
            fits = [(task, next(scores)) for task in tasks_of_protocol]
            estimates = summarise_fits(fits, protocol)
            rows += covariate_estimate_rows(predictor, protocol, estimates)
            estimates_of[predictor[:3]] = estimates  # strict comes last and overwrites published
            progress.step()
    for predictor in predictors:
        model, space, trained = predictor[:3]
        if space == "background":
            rows += covariate_difference_rows(
                predictor, estimates_of[predictor[:3]], estimates_of[model, "salient", trained]
            )
    by_chance = [(task, chance(task, both_sets)) for task in tasks_of_protocol]
    guesses = summarise_fits(by_chance, "strict")
    return rows + covariate_estimate_rows(Predictor("", "chance", 0, density), "strict", guesses)


def _fit(both: tuple[Predictor, Task], **how) -> dict[str, Score]:
    predictor, task = both
    return score(task, predictor.features, **how)


def covariates(
    index: str,
    splits: str,
    embeddings: list[str],
    screen: dict,
    settings: dict,
    seed: int,
    threads: int,
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
    threads
        As in `covariate_rows`.
    benchmark
        Output table (parquet).
    """
    check_aligned(index, splits)
    cells, split = read_cells(index, COLUMNS), read_cells(splits, ["split"])
    rows = sample_controls(cells, settings["cells_per_batch"], seed)
    read = [read_embedding(index, path, rows) for path in embeddings]
    predictors = [
        Predictor(embedding.model, space, embedding.seed, features)
        for embedding in read
        for space, features in embedding.spaces.items()
    ]
    finite = classification.finite_rows(np.hstack([predictor.features for predictor in predictors]))
    controls = cells.iloc[rows[finite]].reset_index(drop=True)
    _, tile = groups_of(controls, ["plate", "well", "tile"])  # a batch may hold several wells
    described = {
        protocol: cell_positions(controls, screen, settings, protocol).assign(tile=tile)
        for protocol in table.PROTOCOLS
    }
    table.write(
        covariate_rows(
            described,
            [p._replace(features=p.features[finite]) for p in predictors],
            density_features(cells, rows[finite]),
            is_unseen(split["split"])[rows][finite],
            settings,
            seed,
            threads,
        ),
        benchmark,
    )
