"""What an embedding is made of: batch, density, position, and the label itself.

Scores alone do not tell a representation of cells from one of their surroundings, or from one that
was given the labels. On cells that no model was trained on, in every space:

* ``variance_explained``: share of the variance of control cells between batches (adjusted eta^2),
  and share that their density or position explains (adjusted R^2 of a linear fit to the shortcut,
  see `mcvae_ops.embeddings.shortcuts`). The mean over dimensions in units of their own spread.
* ``label_recall``: how often a single cell is recognised as one of its guide among the controls
  (item "control guides"), or as one of its gene (item "genes": the lower quartile of the genes),
  above chance: 0 is chance, 1 is always. Control guides do nothing, and a quarter of the genes of a
  screen do little. Whoever tells them apart cell by cell knows the label, not the cell.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.intervals import mean_interval
from mcvae_ops.embeddings.embedded_cells import (
    check_aligned,
    groups_of,
    is_unseen,
    read_cells,
    read_embedding,
)
from mcvae_ops.embeddings.shortcuts import COLUMNS, NUMBERS, cosines_of_ranks
from mcvae_ops.progress import Progress
from mcvae_ops.randomness import named_rng

BENCHMARK, VARIANCE, RECALL = "contents", "variance_explained", "label_recall"
SURROUNDINGS = ("density", "position")
MOST_CELLS = 20_000  # of each arm
MOST_LABELS, CELLS_PER_LABEL = 100, 100  # of guides or genes
FEWEST_CELLS = 8  # of a label
QUARTILE = 25
RIDGE = 1e-3  # of the total variance, added to that within labels


def standardised(latent: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Return the dimensions that vary among controls, in their standard deviations, centred."""
    mean, spread = latent[controls].mean(axis=0), latent[controls].std(axis=0)
    everywhere = latent.std(axis=0)
    spread = np.where(spread > 1e-6 * everywhere, spread, everywhere)
    varies = spread > 0
    return (latent[:, varies] - mean[varies]) / spread[varies]


def explained_by_groups(latent: np.ndarray, group_of: np.ndarray) -> float:
    """Return the share of the variance between groups, adjusted for chance; (cell, dimension)."""
    if latent.shape[1] == 0:
        return np.nan
    means = pd.DataFrame(latent).groupby(group_of).transform("mean").to_numpy()
    return _adjusted(latent, means, len(np.unique(group_of)) - 1)


def explained_by(latent: np.ndarray, predictors: np.ndarray) -> float:
    """Return the share of the variance that a linear fit to the predictors explains, adjusted."""
    if latent.shape[1] == 0:
        return np.nan
    design = np.column_stack([np.ones(len(latent)), predictors])
    coefficients, _, rank, _ = np.linalg.lstsq(design, latent, rcond=None)
    return _adjusted(latent, design @ coefficients, rank - 1)


def _adjusted(latent: np.ndarray, fitted: np.ndarray, n_parameters: int) -> float:
    total = latent.var(axis=0)
    varies = total > 0
    unexplained = ((latent - fitted) ** 2).mean(axis=0)[varies] / total[varies]
    freedom = (len(latent) - 1) / max(len(latent) - 1 - n_parameters, 1)
    return float(np.mean(1 - unexplained * freedom)) if varies.any() else np.nan


def label_recalls(latent: np.ndarray, label_of: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return how often cells of each label are recognised, above chance, (label,).

    Linear discriminants are fitted on a random half of the cells of each label, and recognise the
    other half, and the other way round. The covariance within labels is stabilised by `RIDGE`.

    Parameters
    ----------
    latent
        (cell, dimension), in about equal units.
    label_of
        (cell,), numbered from 0 on; each label has two cells or more.
    rng
        Draws the halves.
    """
    n_labels = int(label_of.max(initial=-1)) + 1
    if n_labels < 2 or latent.shape[1] == 0:
        return np.zeros(0)
    order = rng.permutation(len(label_of))
    turn = pd.Series(label_of[order]).groupby(label_of[order]).cumcount().to_numpy() % 2
    half = np.empty(len(label_of), int)
    half[order] = turn
    hits = np.zeros(len(label_of))
    for k in (0, 1):
        fitted, asked = latent[half == k], half != k
        label = label_of[half == k]
        n = np.bincount(label, minlength=n_labels)
        means = np.zeros((n_labels, latent.shape[1]))
        np.add.at(means, label, fitted)
        means /= n[:, None]
        within = fitted - means[label]
        covariance = within.T @ within / max(len(fitted) - n_labels, 1)
        covariance += (
            RIDGE
            * np.trace(np.cov(fitted.T).reshape([latent.shape[1]] * 2))
            * np.eye(latent.shape[1])
            / latent.shape[1]
        )
        axes = np.linalg.solve(covariance, means.T)
        scores = latent[asked] @ axes - 0.5 * (means.T * axes).sum(axis=0)
        hits[asked] = scores.argmax(axis=1) == label_of[asked]
    recall = np.bincount(label_of, hits, n_labels) / np.bincount(label_of, minlength=n_labels)
    return (recall - 1 / n_labels) / (1 - 1 / n_labels)


def chosen_labels(labels: pd.Series, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of at most `MOST_LABELS` labels, `CELLS_PER_LABEL` of each, and their labels."""
    shuffled = rng.permutation(len(labels))
    names, number = np.unique(labels.to_numpy(str)[shuffled], return_inverse=True)
    enough = np.flatnonzero(np.bincount(number, minlength=len(names)) >= FEWEST_CELLS)
    enough = rng.permutation(enough)[:MOST_LABELS]
    turn = pd.Series(number).groupby(number).cumcount().to_numpy()
    kept = np.isin(number, enough) & (turn < CELLS_PER_LABEL)
    _, label_of = np.unique(number[kept], return_inverse=True)
    rows = shuffled[kept]
    order = np.argsort(rows)
    return rows[order], label_of[order]


def contents_rows(
    cells: pd.DataFrame,
    surroundings: dict[str, np.ndarray],
    latent: np.ndarray,
    seed: int,
    row,
) -> list[dict]:
    """Return the rows of one space.

    Parameters
    ----------
    cells
        batch, guide, gene, is_ntc.
    surroundings
        "density" and "position" of the cells, as `cosines_of_ranks` returns, (cell, wave).
    latent
        (cell, dimension), finite.
    seed
        Of the draws; equal for all embeddings.
    row
        `table.row` with the columns that name the space filled in.
    """
    is_ntc = cells["is_ntc"].to_numpy()
    values = standardised(latent, is_ntc)
    controls, batch_of = values[is_ntc], groups_of(cells, ["batch"])[1]
    share = partial(row, metric=VARIANCE, n=int(is_ntc.sum()))
    rows = [share(item="batch", value=explained_by_groups(controls, batch_of[is_ntc]))]
    rows += [
        share(item=name, value=explained_by(controls, numbers[is_ntc]))
        for name, numbers in surroundings.items()
    ]
    # Within batches, so that a guide that stands in some batches alone is not known by them.
    within = values - pd.DataFrame(values).groupby(batch_of).transform("mean").to_numpy()
    for item, name, arm in (("control guides", "guide", is_ntc), ("genes", "gene", ~is_ntc)):
        rng, of_arm = named_rng(seed, BENCHMARK, item), np.flatnonzero(arm)
        kept, label_of = chosen_labels(cells[name].iloc[of_arm], rng)
        recalls = label_recalls(within[of_arm[kept]], label_of, rng)
        if len(recalls) == 0:
            continue
        units = f"{len(recalls)} {'guides' if name == 'guide' else 'genes'}"
        if item == "genes":
            rows.append(
                row(metric=RECALL, item=item, value=np.percentile(recalls, QUARTILE), n=len(kept))
            )
        else:
            low, high = mean_interval(recalls)
            rows.append(
                row(
                    metric=RECALL, item=item, value=recalls.mean(), low=low, high=high,
                    n=len(kept), units=units,
                )
            )  # fmt: skip
    return rows


def sampled_rows(cells: pd.DataFrame, unseen: np.ndarray, seed: int) -> np.ndarray:
    """Return the rows of at most `MOST_CELLS` unseen cells of each arm, ascending."""
    is_ntc, rows = cells["is_ntc"].to_numpy(), []
    for arm, name in ((is_ntc, "controls"), (~is_ntc, "perturbed")):
        of_arm = np.flatnonzero(arm & unseen)
        rows.append(named_rng(seed, BENCHMARK, name).permutation(of_arm)[:MOST_CELLS])
    return np.sort(np.concatenate(rows))


def contents(
    index: str, splits: str, embeddings: Sequence[str], grid: dict | None, seed: int, benchmark: str
) -> None:
    """Write what each space is made of.

    Parameters
    ----------
    index, splits
        Tables of cells, row-aligned.
    embeddings
        Embeddings of these cells, one per model and training seed.
    grid
        Section ``screen.well_grid``, or None.
    seed
        Of the sample of cells, and of the halves.
    benchmark
        Output: the benchmark table.
    """
    check_aligned(index, splits)
    cells = read_cells(index, [*COLUMNS, "gene", "is_ntc"])
    rows = sampled_rows(cells, is_unseen(read_cells(splits, ["split"])["split"]), seed)
    numbers = {name: NUMBERS[name](cells, grid)[rows] for name in SURROUNDINGS}
    chosen, written = cells.iloc[rows].reset_index(drop=True), []
    progress = Progress(len(embeddings), "embeddings", BENCHMARK)
    for path in embeddings:
        read = read_embedding(index, path, rows)
        for space, latent in read.spaces.items():
            finite = np.isfinite(latent).all(axis=1)
            surroundings = {name: cosines_of_ranks(of[finite]) for name, of in numbers.items()}
            row = partial(
                table.row, benchmark=BENCHMARK, protocol="strict", cells="unseen",
                model=read.model, space=space, seed=read.seed,
            )  # fmt: skip
            part = chosen[finite].reset_index(drop=True)
            written += contents_rows(
                part, surroundings, latent[finite].astype(np.float64), seed, row
            )
        progress.step()
    table.write(written, benchmark)
