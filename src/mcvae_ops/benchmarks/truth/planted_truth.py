"""Fig. S6: how well do the spaces follow the planted axes of a simulated screen?

Novel axes are 0 in control cells; natural axes vary in all cells. A contrastive model should put
the novel ones into the salient space, and shifts along the natural ones into the background. Each
axis is regressed on each space: at the level of cells (units and folds are tiles) and of genes
(units and folds are complexes; a gene without a complex is a unit by itself). Only cells that no
model was trained on are used.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.intervals import stratified_interval
from mcvae_ops.benchmarks.truth.axis_regression import folds_of, predicted_axes, r2_terms
from mcvae_ops.embeddings.embedded_cells import batch_numbers, is_unseen
from mcvae_ops.embeddings.spaces import space_dimensions
from mcvae_ops.files import read_frame
from mcvae_ops.profiles.aggregate import read_embedded_cells
from mcvae_ops.profiles.centred import CentredCells
from mcvae_ops.progress import Progress
from mcvae_ops.randomness import named_rng
from mcvae_ops.simulate.library import AXES, EFFECTS, NATURAL_AXES, NOVEL_AXES

BENCHMARK = "truth"
PLACE, POSITION = ["plate", "well", "tile"], ["y_px", "x_px"]
NEAREST_PX = 3.0  # a called cell farther from every planted one has no truth
LEAST_EFFECT = 0.2  # standard deviations: an axis on which no complex moves so far is not planted
KINDS = {"natural axes": NATURAL_AXES, "novel axes": NOVEL_AXES}


def planted_axes(cells: pd.DataFrame, planted: pd.DataFrame) -> pd.DataFrame:
    """Return the planted axes of called cells: those of the nearest planted cell of the tile.

    Parameters
    ----------
    cells
        plate, well, tile, y_px, x_px.
    planted
        The same, and `AXES`.

    Returns
    -------
    One column per axis, row-aligned with `cells`; NaN without a planted cell within 3 px.
    """
    values = np.full((len(cells), len(AXES)), np.nan)
    of_tile = dict(iter(planted.groupby(PLACE)))
    for key, rows in cells.groupby(PLACE).indices.items():
        if key in of_tile:
            there = of_tile[key]
            tree = cKDTree(there[POSITION])
            distance, nearest = tree.query(cells.iloc[rows][POSITION].to_numpy())
            found = there[list(AXES)].to_numpy()[nearest]
            values[rows] = np.where(distance[:, None] <= NEAREST_PX, found, np.nan)
    return pd.DataFrame(values, columns=list(AXES), index=cells.index)


def planted_names(effects: pd.DataFrame) -> list[str]:
    """Return the axes along which some complex moves its cells, in the order of `AXES`."""
    moved = effects[effects["complex"] != ""].groupby("complex")[EFFECTS].mean().abs().max()
    return [axis for axis in AXES if moved[f"effect_{axis}"] >= LEAST_EFFECT]


def regression_rows(
    spaces: dict[str, np.ndarray],
    axes: pd.DataFrame,
    units: np.ndarray,
    unit: str,
    seed: int,
    row: Callable,
    *,
    few: bool,
) -> list[dict]:
    """Return R^2 of every axis from every space, the mean of each kind, and differences of spaces.

    Parameters
    ----------
    spaces
        Space -> (row, feature).
    axes
        One column per axis, named.
    units, unit
        Unit of each row, (row,), and what a unit is.
    seed
        Of the folds.
    row
        `table.row` with the columns that name the embedding filled in.
    few
        As in `r2_terms`.
    """
    n_units, values = len(np.unique(units)), axes.to_numpy(float)
    kind_of = np.array([next(k for k, of in KINDS.items() if axis in of) for axis in axes])
    make_row = partial(row, n=len(axes), units=f"{n_units} {unit}")
    fold, found, rows = folds_of(units, named_rng(seed, BENCHMARK, unit)), {}, []
    for space, features in spaces.items():
        predicted = predicted_axes(features, values, fold)
        r2, terms = r2_terms(values, predicted, units, few=few)
        known = np.isfinite(r2)
        for k in np.flatnonzero(known):
            of_axis = partial(make_row, space=space, item=axes.columns[k], against=kind_of[k])
            rows.append(_estimate(partial(of_axis, metric="r2"), r2[k], terms[:, k]))
        for kind in KINDS:
            at = known & (kind_of == kind)
            if at.any():
                found[space, kind] = r2[at].mean(), terms[:, at].mean(axis=1)
                of_kind = partial(make_row, metric="mean_r2", space=space, item=kind)
                rows.append(_estimate(of_kind, *found[space, kind]))
    for kind in KINDS:
        if ("salient", kind) in found:
            (first, of_first), (second, of_second) = (
                found[space, kind] for space in ("salient", "background")
            )
            between = partial(
                make_row, metric="mean_r2_difference", space="salient-background", item=kind
            )
            rows.append(_estimate(between, first - second, of_first - of_second))
    return rows


def _estimate(row: Callable, value: float, terms: np.ndarray) -> dict:
    low, high = stratified_interval(value, terms)
    return row(value=value, low=low, high=high)


def planted_truth(
    index: str,
    splits: str,
    embeddings: Sequence[str],
    effects: str,
    planted: Sequence[str],
    seed: int,
    benchmark: str,
) -> None:
    """Write how well each space follows the planted axes.

    Parameters
    ----------
    index, splits
        Tables of cells, row-aligned.
    embeddings
        Embeddings of these cells, one per model and training seed.
    effects, planted
        What was planted: the guides, and the cells of each plate.
    seed
        Of the folds.
    benchmark
        Output: the benchmark table.
    """
    place, guides = read_frame(index, columns=[*PLACE, *POSITION]), read_frame(effects)
    names, complex_of = planted_names(guides), guides.groupby("gene")["complex"].first()
    truth = planted_axes(place, pd.concat(map(read_frame, planted)))[names]
    rows, progress = [], Progress(len(embeddings), "embeddings", "planted truth")
    for path in embeddings:
        cells, vectors = read_embedded_cells(index, splits, path)
        chosen = vectors.finite() & truth.notna().all(axis=1).to_numpy()
        chosen &= is_unseen(cells["split"])
        of_cells, axes, latent = cells[chosen], truth[chosen], vectors[chosen]
        spaces = space_dimensions(vectors.columns)
        row = partial(
            table.row,
            benchmark=BENCHMARK,
            protocol="strict",
            cells="unseen",
            model=vectors.model,
            seed=vectors.seed,
        )
        tiles = place[chosen].groupby(PLACE).ngroup().to_numpy()
        features = {space: latent[:, at] for space, at in spaces.items()}
        rows += _at("cell", regression_rows(features, axes, tiles, "tiles", seed, row, few=False))
        is_ntc = of_cells["is_ntc"].to_numpy()
        centred = CentredCells(latent, batch_numbers(of_cells), is_ntc)
        gene_of = of_cells["gene"].to_numpy(str)[~is_ntc]
        means = pd.DataFrame(centred[~is_ntc]).groupby(gene_of).mean()
        of_genes = axes[~is_ntc].groupby(gene_of).mean()
        named = complex_of.reindex(means.index).fillna("")
        units = named.mask(named == "", means.index).to_numpy(str)
        features = {space: means.to_numpy()[:, at] for space, at in spaces.items()}
        rows += _at(
            "gene", regression_rows(features, of_genes, units, "complexes", seed, row, few=True)
        )
        progress.step()
    table.write(rows, benchmark)


def _at(level: str, rows: list[dict]) -> list[dict]:
    """Return the rows with the level of the regression in the name of the metric."""
    return [row | {"metric": f"{level}_{row['metric']}"} for row in rows]
