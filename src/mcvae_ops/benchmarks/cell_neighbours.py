"""What is told of single cells: their gene and their well, from each space, means and samples.

It shows whether the background holds what perturbations do: the gene of a perturbed cell should be
told from s and not from z, what varies in any cell from z. A nearest-neighbour classifier on raw
posterior means hardly sees dimensions that a model has given up; a probe on standardised ones
does, and samples of the posterior say what a decoder can know.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from sklearn.kernel_ridge import KernelRidge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.intervals import mean_interval
from mcvae_ops.embeddings.embedded_cells import check_aligned
from mcvae_ops.embeddings.spaces import spaces_of
from mcvae_ops.files import read_frame

NEIGHBOURS = 10
MOST_CELLS = 4000
"""Cells of a fit, and of a test; more are drawn from."""
RIDGE = 1.0
TASKS = {"gene": False, "well": True}
"""What is told, and whether of control cells (or of perturbed ones)."""


def by_neighbours(fitted: np.ndarray, known: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Return the class of each tested cell by its nearest neighbours, (cell,)."""
    return KNeighborsClassifier(NEIGHBOURS).fit(fitted, known).predict(tested)


def by_probe(fitted: np.ndarray, known: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Return the class of each tested cell by kernel ridge regression, (cell,).

    The kernel is Gaussian with the mean squared distance as bandwidth, on standardised dimensions.
    """
    scaler = StandardScaler().fit(fitted)
    names, number = np.unique(known, return_inverse=True)
    width = 1.0 / (2.0 * max((scaler.transform(fitted) ** 2).sum(axis=1).mean(), 1e-12))
    probe = KernelRidge(alpha=RIDGE, kernel="rbf", gamma=width)
    probe.fit(scaler.transform(fitted), np.eye(len(names))[number])
    return names[probe.predict(scaler.transform(tested)).argmax(axis=1)]


CLASSIFIERS = {"knn_accuracy": by_neighbours, "probe_accuracy": by_probe}


def cell_neighbours(
    index: str, splits: str, embeddings: Sequence[str], seed: int, benchmark: str
) -> None:
    """Rule cell_neighbours: write how well gene and well of held-out cells are told.

    Parameters
    ----------
    index, splits
        Cells of the screen, and their splits: training cells are fitted, cells of test are tested.
    embeddings
        Embedding of every training. With log variances (``profiles.log_variance``), samples of the
        posterior are tested, too.
    seed
        Seed of the samples, and of the choice of cells.
    benchmark
        Output: the benchmark table.
    """
    cells = read_frame(index, columns=["cell_id", "gene", "well", "is_ntc"])
    cells["split"] = read_frame(splits)["split"]
    rows = []
    for path in embeddings:
        check_aligned(index, path)
        model, name = path.split("/")[-2:]
        identity = {"model": model, "seed": int(name.partition(".")[0])}
        rows += _rows(cells, read_frame(path), identity, np.random.default_rng(seed))
    table.write(rows, benchmark)


def _rows(
    cells: pd.DataFrame, embedding: pd.DataFrame, identity: dict, rng: np.random.Generator
) -> Iterator[dict]:
    for task, is_ntc in TASKS.items():
        chosen = [_drawn(cells, is_ntc, split, rng) for split in ("train", "test")]
        known, truth = (cells[task].to_numpy()[rows] for rows in chosen)
        common = {"benchmark": "cell_neighbours", "protocol": "strict", "cells": "test",
                  "item": task, "n": len(truth)} | identity  # fmt: skip
        chance = pd.Series(truth).value_counts(normalize=True).iloc[0]
        yield table.row(**common, space="combined", metric="chance", value=chance)
        for space, columns in spaces_of(embedding.columns).items():
            for form, vectors in _vectors(embedding, columns, rng).items():
                fitted, tested = (vectors[rows] for rows in chosen)
                for metric, classify in CLASSIFIERS.items():
                    is_told = classify(fitted, known, tested) == truth
                    low, high = mean_interval(is_told.astype(float))
                    yield table.row(
                        **common, space=space, metric=metric, against=form, value=is_told.mean(),
                        low=low, high=high, units=f"{len(is_told)} cells",
                    )  # fmt: skip


def _drawn(cells: pd.DataFrame, is_ntc: bool, split: str, rng: np.random.Generator) -> np.ndarray:
    rows = np.flatnonzero((cells["is_ntc"] == is_ntc) & (cells["split"] == split))
    return np.sort(rng.permutation(rows)[:MOST_CELLS])


def _vectors(
    embedding: pd.DataFrame, columns: list[str], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return posterior means of cells, and samples where their variances are known."""
    means = embedding[columns].to_numpy()
    of_variance = [f"log_variance_{name}" for name in columns]
    if not set(of_variance) <= set(embedding.columns):
        return {"means": means}
    spread = np.exp(embedding[of_variance].to_numpy() / 2)
    return {"means": means, "samples": means + spread * rng.standard_normal(means.shape)}
