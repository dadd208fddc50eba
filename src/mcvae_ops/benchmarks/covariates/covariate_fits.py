"""The fits behind figure 3B: which control cells, which class, which are held out, what score."""

import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.covariates.positions import UNUSED
from mcvae_ops.benchmarks.estimates import classification
from mcvae_ops.embeddings.read import named_rng

logger = logging.getLogger(__name__)

COVARIATES = ("batch", "position_in_fov", "position_in_well")
SPLITS = {"published": 1, "strict": 5}  # few tiles make one split by tile a matter of luck


class Task(NamedTuple):
    """What is fitted and scored on one set of control cells.

    Attributes
    ----------
    covariate
        What is predicted.
    batch
        The batch; "" for all batches.
    rows
        Control cells, of shape (row,).
    labels
        Their classes, of shape (row,).
    tests
        Which of them are held out in each split, of shape (split, row).
    """

    covariate: str
    batch: str
    rows: np.ndarray
    labels: np.ndarray
    tests: np.ndarray


class Score(NamedTuple):
    """Mean score over splits of each class, of shape (class,), and the number of cells.

    NaN where no split has a cell of each class among those that are scored.
    """

    macro_f1: np.ndarray
    auroc: np.ndarray
    n: int


def tasks(cells: pd.DataFrame, protocol: str, test_fraction: float, seed: int) -> Iterator[Task]:
    """Yield every task of one protocol: over all batches for the batch, else one for each batch.

    A class needs two units (cells, or tiles in the strict protocol), a task two classes; what has
    fewer is left out and logged.

    Parameters
    ----------
    cells
        Control cells with tile, batch, position_in_fov, position_in_well.
    protocol
        "published" splits cells, "strict" splits tiles.
    test_fraction
        Share held out.
    seed
        Seed of the splits, which are the same for every predictor.
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
                yield Task(covariate, batch, rows, labels[rows], np.stack(tests))
            else:
                logger.warning("%s, %s %s: too few classes", protocol, covariate, batch)


def _has_all_classes(labels: np.ndarray, test: np.ndarray) -> bool:
    n_classes = [len(np.unique(part)) for part in (labels, labels[test], labels[~test])]
    return n_classes[0] >= 2 and len(set(n_classes)) == 1


def score(
    task: Task, features: np.ndarray, scored: dict[str, np.ndarray], *, standardise: bool
) -> dict[str, Score]:
    """Fit one task on one predictor in every split and score the held-out cells.

    Parameters
    ----------
    task
        What is fitted.
    features
        Of all control cells, of shape (cell, feature).
    scored
        Name of a set of cells -> which control cells are in it, of shape (cell,). One fit serves
        all sets.
    standardise
        As in `classification.class_probabilities`.
    """
    classes, truth = np.unique(task.labels, return_inverse=True)
    x = features[task.rows]
    scores = {name: [] for name in scored}
    for test in task.tests:
        probabilities = classification.class_probabilities(
            x[~test], truth[~test], x[test], standardise=standardise
        )
        for name, members in scored.items():
            chosen = members[task.rows][test]
            scores[name].append(_scores(truth[test][chosen], probabilities[chosen], len(classes)))
    return {
        name: Score(*_mean_of_known(each), _n_scored(task, scored[name]))
        for name, each in scores.items()
    }


def chance(task: Task, scored: dict[str, np.ndarray]) -> dict[str, Score]:
    """Return what guessing scores: F1 of guesses drawn evenly over the classes, AUROC 1/2."""
    classes, truth = np.unique(task.labels, return_inverse=True)
    f1 = classification.chance_f1_per_class(truth, len(classes))
    half = np.full(len(classes), 0.5)
    return {name: Score(f1, half, _n_scored(task, members)) for name, members in scored.items()}


def _scores(truth: np.ndarray, probabilities: np.ndarray, n_classes: int) -> np.ndarray:
    """Return F1 and AUROC of each class, (2, class); NaN unless a cell of each class is there."""
    if len(np.unique(truth)) < n_classes:
        return np.full((2, n_classes), np.nan)
    f1 = classification.f1_per_class(truth, probabilities.argmax(axis=1), n_classes)
    return np.stack([f1, classification.auroc_per_class(truth, probabilities)])


def _mean_of_known(scores: list[np.ndarray]) -> np.ndarray:
    known = [each for each in scores if np.isfinite(each).all()]
    return np.mean(known, axis=0) if known else scores[0]


def _n_scored(task: Task, members: np.ndarray) -> int:
    return int((task.tests.any(axis=0) & members[task.rows]).sum())
