"""Fig. S2: how well batches mix among control cells, in every space, for every batch correction.

Strict protocol only. A correction is fitted on the control cells of half of the tiles and judged on
those of the other half: judged on its own cells, it would look too good. Every batch has as many
cells. Intervals are over batches (jackknife), differences (a correction minus "none") are paired.
"""

import logging
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.intervals import FEWEST_UNITS, stratified_interval
from mcvae_ops.benchmarks.integration.batch_mixing import Mixing, mixing_of
from mcvae_ops.embeddings.embedded_cells import batch_numbers, read_cells
from mcvae_ops.embeddings.spaces import space_dimensions
from mcvae_ops.profiles.aggregate import read_embedded_cells
from mcvae_ops.profiles.correct import FEWEST_CONTROLS, correct_batches
from mcvae_ops.progress import Progress
from mcvae_ops.randomness import named_rng

logger = logging.getLogger(__name__)

BENCHMARK = "integration"
NONE = "none"
MOST_CELLS = 1600  # that are compared with each other, all batches together
SHUFFLES = 20  # of the batch labels, for what perfectly mixed batches reach
MEASURES = {"batch_silhouette": Mixing.silhouette, "ilisi": Mixing.ilisi}


def halves_of(cells: pd.DataFrame, batch_of: np.ndarray, seed: int) -> tuple[np.ndarray, ...]:
    """Return which control cells fit a correction, and which judge it, (cell,) each.

    The tiles of a batch are dealt out in random order; batches with too few cells are in neither.

    Parameters
    ----------
    cells
        tile, is_ntc.
    batch_of
        (cell,), numbered from 0 on.
    seed
        Of the order.
    """
    is_ntc, rng = cells["is_ntc"].to_numpy(), named_rng(seed, BENCHMARK)
    fits, judges = np.zeros((2, len(cells)), bool)
    for batch in np.unique(batch_of[is_ntc]):
        rows = np.flatnonzero(is_ntc & (batch_of == batch))
        tiles, tile_of = np.unique(cells["tile"].to_numpy()[rows], return_inverse=True)
        is_fitted = rng.permutation(len(tiles))[tile_of] % 2 == 0
        if min(is_fitted.sum(), (~is_fitted).sum()) < FEWEST_CONTROLS:
            logger.warning("batch %d has too few control cells and is left out", batch)
            continue
        fits[rows[is_fitted]], judges[rows[~is_fitted]] = True, True
    return fits, judges


def draw_evenly(batch_of: np.ndarray, judges: np.ndarray, seed: int) -> np.ndarray:
    """Return rows of judging cells, as many of each batch."""
    rng, rows = named_rng(seed, BENCHMARK, "cells"), np.flatnonzero(judges)
    batches, sizes = np.unique(batch_of[rows], return_counts=True)
    n = min(sizes.min(initial=MOST_CELLS), MOST_CELLS // max(len(batches), 1))
    drawn = [rng.choice(rows[batch_of[rows] == batch], n, replace=False) for batch in batches]
    return np.sort(np.concatenate(drawn)) if drawn else rows


def mixing_rows(latents: dict[str, np.ndarray], batch_of: np.ndarray, seed: int, row) -> list[dict]:
    """Return both measures of one space for each correction, and their differences from "none".

    Parameters
    ----------
    latents
        Correction -> (cell, dimension), "none" first.
    batch_of
        (cell,), numbered from 0 on; two batches or more.
    seed
        Of the shuffled labels.
    row
        `table.row` with the columns that name the space filled in.
    """
    batches, label = np.unique(batch_of, return_inverse=True)
    kept = np.arange(len(batches))
    make_row = partial(row, n=len(label), units=f"{len(batches)} batches")
    rng, rows, plain = np.random.default_rng([seed, 8]), [], {}
    for name, latent in latents.items():
        mixing = mixing_of(latent, label)
        for metric, measure in MEASURES.items():
            value = measure(mixing, label, kept)
            terms = _terms(mixing, measure, label, kept)
            rows.append(_estimate(make_row, metric, name, value, terms))
            if name == NONE:
                plain[metric] = value, terms
                null = [measure(mixing, rng.permutation(label), kept) for _ in range(SHUFFLES)]
                rows.append(make_row(metric=f"{metric}_null", value=np.mean(null)))
            else:
                value, terms = value - plain[metric][0], terms - plain[metric][1]
                rows.append(_estimate(make_row, f"{metric}_difference", name, value, terms))
    return rows


def _terms(mixing: Mixing, measure, label: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return what each batch contributes to the error of a measure (jackknife), (batch,)."""
    n = len(kept)
    if n < FEWEST_UNITS:
        return np.zeros(n)
    without = np.array([measure(mixing, label, np.delete(kept, k)) for k in range(n)])
    return (n - 1) / n * (without.mean() - without)


def _estimate(row, metric: str, name: str, value: float, terms: np.ndarray) -> dict:
    low, high = stratified_interval(value, terms)
    return row(metric=metric, item=name, value=value, low=low, high=high)


def batch_integration(
    index: str,
    splits: str,
    embeddings: Sequence[str],
    corrections: list[str],
    seed: int,
    benchmark: str,
) -> None:
    """Write how well batches mix, for every model, space and correction.

    Parameters
    ----------
    index, splits
        Tables of cells, row-aligned.
    embeddings
        Embeddings of these cells, one per model and training seed.
    corrections
        Keys of `mcvae_ops.profiles.correct.CORRECTIONS`.
    seed
        Of the halves, of the cells that are drawn, and of shuffled labels.
    benchmark
        Output: the benchmark table.
    """
    rows, progress = [], Progress(len(embeddings), "embeddings", "batch integration")
    for path in embeddings:
        every, vectors = read_embedded_cells(index, splits, path)
        controls = np.flatnonzero(every["is_ntc"])
        latent, columns = vectors[controls], vectors.columns
        finite = np.isfinite(latent).all(axis=1)
        latent, controls = latent[finite], controls[finite]
        tile = read_cells(index, ["tile"])["tile"]
        cells = every.iloc[controls].assign(tile=tile.iloc[controls])
        batch_of = batch_numbers(cells)
        fits, judges = halves_of(cells, batch_of, seed)
        chosen = draw_evenly(batch_of, judges, seed)
        if len(np.unique(batch_of[chosen])) < 2:
            logger.warning("fewer than two batches with control cells: nothing can mix")
            continue
        used = np.union1d(np.flatnonzero(fits), chosen)
        at, place = np.searchsorted(used, chosen), cells.iloc[used].assign(is_ntc=fits[used])
        latents = {NONE: latent[chosen]}
        for name in corrections:
            latents[name] = correct_batches(place, latent[used], columns, name)[at]
        for space, at_space in space_dimensions(columns).items():
            row = partial(table.row, benchmark=BENCHMARK, protocol="strict", cells="all",
                          space=space, model=vectors.model, seed=vectors.seed)  # fmt: skip
            parts = {name: values[:, at_space] for name, values in latents.items()}
            rows += mixing_rows(parts, batch_of[chosen], seed, row)
        progress.step()
    table.write(rows, benchmark)
