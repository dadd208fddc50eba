"""What is told of single cells: gene, arm, well and stage, from each space, means and samples.

It shows whether the background holds what perturbations do: the gene of a perturbed cell, and that
it is one, should be told from s and not from z, what varies in any cell from z. A nearest-neighbour
classifier on raw posterior means hardly sees dimensions that a model has given up; a probe on
standardised ones does, and samples of the posterior say what a decoder can know. Whether a cell is
mitotic is seen on the cell itself: any representation of cells can be asked for it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.kernel_ridge import KernelRidge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.intervals import mean_interval
from mcvae_ops.benchmarks.estimates.roc import auroc, auroc_interval
from mcvae_ops.embeddings.embedded_cells import check_aligned, read_cells
from mcvae_ops.embeddings.spaces import latent_columns, spaces_of
from mcvae_ops.files import read_rows, read_schema

SPLITS = ("train", "test")  # fitted, tested
NEIGHBOURS = 10
MOST_CELLS = 4000
"""Cells of a fit, and of a test; more are drawn from."""
MOST_GENES = 100
"""Genes that are told apart, drawn of more: each needs some cells among `MOST_CELLS`."""
RIDGE = 1.0


class Task(NamedTuple):
    """What is told: classes of cells, by a column.

    Attributes
    ----------
    column
        Column whose value is told. Where it is true or false, as many cells of both are drawn.
    arms
        Values of `is_ntc` of the cells.
    """

    column: str
    arms: tuple[bool, ...]


TASKS = {
    "gene": Task("gene", (False,)),
    "arm": Task("is_ntc", (False, True)),
    "well": Task("well", (True,)),
    "stage": Task("is_mitotic", (False, True)),
}


def by_neighbours(fitted: pd.DataFrame, known: np.ndarray, tested: pd.DataFrame) -> np.ndarray:
    """Return the share of the nearest neighbours in each class, (cell, class), classes sorted."""
    return KNeighborsClassifier(NEIGHBOURS).fit(fitted, known).predict_proba(tested)


def by_probe(fitted: pd.DataFrame, known: np.ndarray, tested: pd.DataFrame) -> np.ndarray:
    """Return the scores of kernel ridge regressions, (cell, class), classes sorted.

    The kernel is Gaussian with the mean squared distance as bandwidth, on standardised dimensions.
    """
    scaler = StandardScaler().fit(fitted)
    names, number = np.unique(known, return_inverse=True)
    width = 1.0 / (2.0 * max((scaler.transform(fitted) ** 2).sum(axis=1).mean(), 1e-12))
    probe = KernelRidge(alpha=RIDGE, kernel="rbf", gamma=width)
    probe.fit(scaler.transform(fitted), np.eye(len(names))[number])
    return probe.predict(scaler.transform(tested))


CLASSIFIERS = {"knn": by_neighbours, "probe": by_probe}


def cell_neighbours(
    index: str, splits: str, embeddings: Sequence[str], seed: int, benchmark: str
) -> None:
    """Rule cell_neighbours: write how well gene, arm, well and stage of held-out cells are told.

    Parameters
    ----------
    index, splits
        Cells of the screen, and their splits: training cells are fitted, cells of test are tested.
    embeddings
        Every embedding, shortcuts, too. With log variances (``profiles.log_variance``), samples of
        the posterior are tested, too. Cells whose vector is not finite are left out.
    seed
        Seed of the samples, and of the choice of cells.
    benchmark
        Output: the benchmark table.
    """
    cells = read_cells(index, ["gene", "well", "is_ntc", "cell_cycle_stage"])
    cells["is_mitotic"] = cells["cell_cycle_stage"].eq("mitotic").fillna(False).astype(bool)
    cells["split"] = read_cells(splits, ["split"])["split"]
    drawn = _drawn_of_tasks(cells, np.random.default_rng(seed))
    chosen = np.unique(np.concatenate([rows for pair in drawn.values() for rows in pair] or [[]]))
    rows = []
    for path in embeddings:
        check_aligned(index, path)
        model, name = path.split("/")[-2:]
        columns = [name for name in read_schema(path).names if name != "cell_id"]
        latent = read_rows(path, columns, chosen.astype(int)).to_pandas().set_index(chosen)
        identity = {"model": model, "seed": int(name.partition(".")[0])}
        rows += _rows(cells, drawn, latent[_finite(latent)], identity, np.random.default_rng(seed))
    table.write(rows, benchmark)


def _drawn_of_tasks(
    cells: pd.DataFrame, rng: np.random.Generator
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the rows of the cells to fit and to test, of each task that has enough of them."""
    genes = np.sort(np.array(cells["gene"][~cells["is_ntc"]].unique(), object))
    is_asked = cells["is_ntc"] | cells["gene"].isin(rng.permutation(genes)[:MOST_GENES])
    asked = {"gene": cells[is_asked], "stage": cells[cells["cell_cycle_stage"].notna()]}
    drawn = {
        item: tuple(_drawn(asked.get(item, cells), task, split, rng) for split in SPLITS)
        for item, task in TASKS.items()
    }
    return {item: pair for item, pair in drawn.items() if _are_enough(*pair)}


def _are_enough(fitted: np.ndarray, tested: np.ndarray) -> bool:
    return len(fitted) >= NEIGHBOURS and len(tested) > 0


def _finite(latent: pd.DataFrame) -> np.ndarray:
    return np.isfinite(latent[latent_columns(latent.columns)]).all(axis=1).to_numpy()


def _rows(
    cells: pd.DataFrame,
    drawn: dict[str, tuple[np.ndarray, np.ndarray]],
    latent: pd.DataFrame,
    identity: dict,
    rng: np.random.Generator,
) -> Iterator[dict]:
    for item, pair in drawn.items():
        fitted, tested = (rows[np.isin(rows, latent.index)] for rows in pair)
        if not _are_enough(fitted, tested):
            continue
        known, truth = (
            cells[TASKS[item].column].iloc[rows].to_numpy() for rows in (fitted, tested)
        )
        common = {"benchmark": "cell_neighbours", "protocol": "strict", "cells": "test",
                  "item": item, "n": len(truth)} | identity  # fmt: skip
        chance = pd.Series(truth).value_counts(normalize=True).iloc[0]
        yield table.row(**common, space="combined", metric="chance", value=chance)
        for space, columns in spaces_of(latent.columns).items():
            for form, vectors in _vectors(latent, columns, rng).items():
                for classifier, classify in CLASSIFIERS.items():
                    scores = classify(vectors.loc[fitted], known, vectors.loc[tested])
                    metric, value, (low, high) = _judged(scores, known, truth)
                    yield table.row(
                        **common, space=space, metric=f"{classifier}_{metric}", against=form,
                        value=value, low=low, high=high, units=f"{len(truth)} cells",
                    )  # fmt: skip


def _judged(
    scores: np.ndarray, known: np.ndarray, truth: np.ndarray
) -> tuple[str, float, tuple[float, float]]:
    """Return the AUROC of true and false, or the accuracy among classes: name, value, interval."""
    if truth.dtype == bool:
        (value,), terms = auroc(scores[None, :, -1], truth)
        return "auroc", value, auroc_interval(value, terms[0], truth)
    is_told = (np.unique(known)[scores.argmax(axis=1)] == truth).astype(float)
    return "accuracy", is_told.mean(), mean_interval(is_told)


def _drawn(cells: pd.DataFrame, task: Task, split: str, rng: np.random.Generator) -> np.ndarray:
    chosen = cells.loc[(cells["split"] == split) & cells["is_ntc"].isin(task.arms), task.column]
    classes = [chosen]
    if chosen.dtype == bool:
        classes = [chosen[~chosen], chosen[chosen]]
    rows = [rng.permutation(of_class.index) for of_class in classes]
    n_each = min(MOST_CELLS // len(rows), *map(len, rows))
    return np.sort(np.concatenate([of_class[:n_each] for of_class in rows]))


def _vectors(
    latent: pd.DataFrame, columns: list[str], rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """Return posterior means of cells, and samples where their variances are known."""
    means = latent[columns]
    of_variance = [f"log_variance_{name}" for name in columns]
    if not set(of_variance) <= set(latent.columns):
        return {"means": means}
    spread = np.exp(latent[of_variance].to_numpy() / 2)
    return {"means": means, "samples": means + spread * rng.standard_normal(means.shape)}
