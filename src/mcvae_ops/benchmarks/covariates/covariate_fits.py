"""Classification tasks of figure 3B: their control cells, classes, splits, fits and scores."""

import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.covariates.positions import UNUSED
from mcvae_ops.benchmarks.estimates import classification
from mcvae_ops.randomness import named_rng

logger = logging.getLogger(__name__)

METRICS = ("macro_f1", "auroc")
COVARIATES = ("batch", "position_in_fov", "position_in_well")
# There are few tiles, so the result of a single split by tile depends on chance.
SPLITS = {"published": 1, "strict": 5}


class Task(NamedTuple):
    """One covariate to predict in one set of control cells.

    Attributes
    ----------
    covariate
        The covariate to predict.
    batch
        The batch of the cells; "" for all batches.
    rows
        Positions of the cells among all control cells, of shape (row,).
    labels
        Class of each cell, of shape (row,).
    tiles
        Tile of each cell, of shape (row,), numbered through all batches.
    batches
        Batch of each cell, of shape (row,).
    tests
        Which cells are held out in each split, of shape (split, row).
    """

    covariate: str
    batch: str
    rows: np.ndarray
    labels: np.ndarray
    tiles: np.ndarray
    batches: np.ndarray
    tests: np.ndarray


class Score(NamedTuple):
    """Mean score over classes and splits.

    Attributes
    ----------
    macro_f1, auroc
        NaN if no split has scored cells of every class.
    terms
        Metric -> contribution of each tile to its error, of shape (tile,).
    strata
        Batch of each of these tiles.
    n
        Number of scored cells.
    """

    macro_f1: float
    auroc: float
    terms: dict[str, np.ndarray]
    strata: np.ndarray
    n: int


def tasks(cells: pd.DataFrame, protocol: str, test_fraction: float, seed: int) -> Iterator[Task]:
    """Yield the tasks of one protocol: one to predict the batch, one per batch for each position.

    A class needs two units (cells; tiles in the strict protocol) and a task needs two classes;
    classes and tasks with fewer are left out and logged.

    Parameters
    ----------
    cells
        Control cells with tile, batch, position_in_fov, position_in_well.
    protocol
        "published" (splits cells) or "strict" (splits tiles).
    test_fraction
        Share of the units to hold out.
    seed
        Seed of the splits; every predictor gets the same splits.
    """
    tile = cells.groupby(["batch", "tile"]).ngroup().to_numpy()
    units = np.arange(len(cells)) if protocol == "published" else tile
    of_batch = cells["batch"].to_numpy(dtype=str)
    for covariate in COVARIATES:
        labels = cells[covariate].to_numpy(dtype=str)
        for batch in [""] if covariate == "batch" else np.unique(of_batch):
            rows = np.flatnonzero((labels != UNUSED) & ((of_batch == batch) | (batch == "")))
            rows = rows[classification.with_two_units(labels[rows], units[rows])]
            rng = named_rng(seed, protocol, covariate, batch)
            tests = [
                classification.split_units(labels[rows], units[rows], test_fraction, rng)
                for _ in range(SPLITS[protocol])
            ]
            tests = [test for test in tests if _has_all_classes(labels[rows], test)]
            if tests:
                arrays = (rows, labels[rows], tile[rows], of_batch[rows], np.stack(tests))
                yield Task(covariate, batch, *arrays)
            else:
                logger.warning(
                    "%s, %s %s: fewer than two classes; left out", protocol, covariate, batch
                )


def _has_all_classes(labels: np.ndarray, test: np.ndarray) -> bool:
    n_classes = [len(np.unique(part)) for part in (labels, labels[test], labels[~test])]
    return n_classes[0] >= 2 and len(set(n_classes)) == 1


def score(
    task: Task, features: np.ndarray, scored: dict[str, np.ndarray], *, standardise: bool
) -> dict[str, Score]:
    """Fit one task with the features of one predictor in every split, and score held-out cells.

    Parameters
    ----------
    task
        The task.
    features
        Features of all control cells, of shape (cell, feature).
    scored
        Name of a set of cells -> which control cells belong to it, of shape (cell,). All sets are
        scored with the same fits.
    standardise
        As in `classification.class_probabilities`.
    """
    classes, truth = np.unique(task.labels, return_inverse=True)
    x = features[task.rows]
    splits = {name: [] for name in scored}
    for test in task.tests:
        probabilities = classification.class_probabilities(
            x[~test], truth[~test], x[test], standardise=standardise
        )
        for name, members in scored.items():
            chosen = members[task.rows][test]
            if len(np.unique(truth[test][chosen])) == len(classes):
                rows = np.flatnonzero(test)[chosen]
                splits[name].append((rows, *_macro(truth[rows], probabilities[chosen])))
    return {name: _mean_score(task, splits[name], scored[name]) for name in scored}


def chance(task: Task, scored: dict[str, np.ndarray]) -> dict[str, Score]:
    """Return the expected score of uniformly random guesses: their F1, and an AUROC of 1/2."""
    classes, truth = np.unique(task.labels, return_inverse=True)
    f1 = classification.chance_f1_per_class(truth, len(classes)).mean()
    nothing = {metric: np.empty(0) for metric in METRICS}
    return {
        name: Score(float(f1), 0.5, nothing, np.empty(0, str), _n_scored(task, members))
        for name, members in scored.items()
    }


def _macro(truth: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over classes of each metric, (metric,), and its terms, (metric, row)."""
    predicted = probabilities.argmax(axis=1)
    both = (
        classification.f1_per_class(truth, predicted, probabilities.shape[1]),
        classification.auroc_per_class(truth, probabilities),
    )
    return np.array([v.mean() for v, _ in both]), np.stack([t.mean(axis=1) for _, t in both])


def _mean_score(task: Task, splits: list[tuple], members: np.ndarray) -> Score:
    """Return the mean over splits; the terms of a tile add up over its cells and splits.

    They are widened for what the fits owe to the tiles that they were trained on: by the ratio of
    test to training tiles (Nadeau & Bengio 2003, doi:10.1023/A:1024068626366).
    """
    names, tile = np.unique(task.tiles, return_inverse=True)
    terms = np.zeros((len(METRICS), len(names)))
    is_scored = np.zeros(len(names), bool)
    for rows, _, of_rows in splits:
        for metric, values in enumerate(of_rows):
            terms[metric] += np.bincount(tile[rows], values, len(names)) / len(splits)
        is_scored[tile[rows]] = True
    values = np.mean([each for _, each, _ in splits], axis=0) if splits else [np.nan] * len(METRICS)
    batch_of = np.empty(len(names), task.batches.dtype)
    batch_of[tile] = task.batches
    widened = terms[:, is_scored] / np.sqrt(1 - task.tests.mean())
    of_tiles = dict(zip(METRICS, widened, strict=True))
    return Score(*map(float, values), of_tiles, batch_of[is_scored], _n_scored(task, members))


def _n_scored(task: Task, members: np.ndarray) -> int:
    return int((task.tests.any(axis=0) & members[task.rows]).sum())
