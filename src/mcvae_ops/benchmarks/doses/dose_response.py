"""Fig. S7: dose response of every compound, and retrieval of mechanisms across doses.

Strict protocol only, from cells that no model was trained on, in standard deviations of controls
within batches. In the words of this package a compound is a gene and a dose a guide.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.doses.dose_trend import trend_test
from mcvae_ops.benchmarks.doses.half_effect import half_effect, responses_of
from mcvae_ops.benchmarks.doses.mechanism_retrieval import (
    mechanism_precision,
    permuted_precision,
    profile_precision,
    rank_profiles,
)
from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.functional_groups import group_of_genes
from mcvae_ops.benchmarks.estimates.intervals import stratified_interval
from mcvae_ops.benchmarks.estimates.mean_average_precision import p_value_of
from mcvae_ops.embeddings.embedded_cells import batch_numbers
from mcvae_ops.embeddings.spaces import space_dimensions
from mcvae_ops.errors import InputError
from mcvae_ops.files import read_frame
from mcvae_ops.profiles.aggregate import read_embedded_cells, unseen_cells
from mcvae_ops.profiles.exchange import centre_on_controls
from mcvae_ops.profiles.significance import q_values
from mcvae_ops.progress import Progress

BENCHMARK = "doses"
TREND_Q = 0.05  # an ED50 is looked for below this false discovery rate of a trend


def doses_of(guides: pd.Series, is_ntc: np.ndarray, pattern: str) -> np.ndarray:
    """Return the dose of each cell, read from the name of its guide; that of controls is 0.

    Raises
    ------
    InputError
        If a name does not hold a number where the pattern says.
    """
    names = guides[~is_ntc].unique()
    doses = {}
    for name in names:
        found = re.search(pattern, name)
        try:
            doses[name] = float(found[1])
        except (TypeError, IndexError, ValueError):
            raise InputError(
                where="configuration key benchmarks.doses.pattern",
                found=f"no dose in {name!r}",
                expected=f"a number in the first bracket of {pattern!r}",
                fix="correct the pattern, or set it to null",
            ) from None
    return np.where(is_ntc, 0.0, guides.map(doses).fillna(0.0).to_numpy(float))


def standardised(latent: np.ndarray, batch_of: np.ndarray, is_control: np.ndarray) -> np.ndarray:
    """Return the cells minus the mean of the controls of their batch, in their deviations."""
    centred, controls = centre_on_controls(latent, batch_of, is_control)
    scale = np.sqrt((np.concatenate(list(controls.values())) ** 2).mean(axis=0))
    return np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 0)


def crossed_scores(cells: np.ndarray, is_own: np.ndarray, batch_of: np.ndarray) -> np.ndarray:
    """Return each cell along the direction of a compound in the other batches, (cell,).

    Parameters
    ----------
    cells
        (cell, dimension), centred on controls.
    is_own
        Whether a cell is of the compound (others are controls), (cell,).
    batch_of
        (cell,).

    Returns
    -------
    NaN where no other batch has a cell of the compound. Were the direction that of the same cells,
    noise alone would look like an effect.
    """
    scores = np.full(len(cells), np.nan)
    for batch in np.unique(batch_of):
        others, here = is_own & (batch_of != batch), batch_of == batch
        if others.any():
            mean = cells[others].mean(axis=0)
            scores[here] = cells[here] @ (mean / max(np.linalg.norm(mean), np.finfo(float).tiny))
    return scores


def compound_rows(
    cells: np.ndarray, gene_of: np.ndarray, dose: np.ndarray, batch_of: np.ndarray, row: Callable
) -> list[dict]:
    """Return trend, response at each dose, and ED50 of every compound.

    Parameters
    ----------
    cells
        (cell, dimension), as `standardised` returns.
    gene_of, dose, batch_of
        Of each cell, (cell,); the dose of controls is 0.
    row
        `table.row` with the columns that name the space filled in.
    """
    is_control = dose == 0
    genes = np.unique(gene_of[~is_control])
    trends = []
    for gene in genes:
        own = gene_of == gene
        score = cells[own] @ cells[own].mean(axis=0)
        trends.append(trend_test(score, dose[own], batch_of[own]))
    share, p = np.array(trends).T
    q, rows = q_values(p, np.ones(len(genes), bool)), []
    for k, gene in enumerate(genes):
        own = gene_of == gene
        of_gene = partial(row, item=gene, n=own.sum())
        values = {"trend": share[k], "trend_p_value": p[k], "trend_q_value": q[k]}
        rows += [of_gene(metric=metric, value=value) for metric, value in values.items()]
        both = np.flatnonzero(own | is_control)
        scores = crossed_scores(cells[both], own[both], batch_of[both])
        known = np.isfinite(scores)
        found = responses_of(scores[known], dose[both][known], batch_of[both][known])
        if found is None:
            continue
        units = f"{len(found.n)} batches"
        for level, value, terms in zip(
            found.doses, *map(np.transpose, found.by_dose()), strict=True
        ):
            low, high = stratified_interval(value, terms)
            ends = {"low": low, "high": high, "units": units}
            rows.append(of_gene(metric="response", level=level, value=value, **ends))
        if q[k] < TREND_Q:
            value, low, high = half_effect(found)
            rows.append(
                of_gene(metric="ed50", value=value, low=low, high=high, units=f"cells of {units}")
            )
    return rows


def mechanism_rows(
    profiles: np.ndarray,
    genes: np.ndarray,
    dose: np.ndarray,
    group_of: dict[str, str],
    permutations: int,
    seed: int,
    row: Callable,
) -> list[dict]:
    """Return the average precision of each mechanism, of all, and of all at each dose.

    Parameters
    ----------
    profiles
        (profile, feature), one per compound and dose.
    genes, dose
        Of each profile, (profile,).
    group_of
        Mechanism of each compound; "" is none.
    permutations, seed
        Of mechanisms over compounds.
    row
        As for `compound_rows`.
    """
    names, compound_of = np.unique(genes, return_inverse=True)
    named = np.array([group_of[name] for name in names])
    mechanisms = np.array(sorted(set(named) - {""}))
    mechanism_of = np.where(named == "", -1, np.searchsorted(mechanisms, named))
    ranked = rank_profiles(profiles, compound_of)
    precision = profile_precision(ranked, mechanism_of)
    of_mechanism = mechanism_precision(precision, compound_of, mechanism_of)
    known = np.flatnonzero(np.isfinite(of_mechanism))
    if len(known) < 2:
        return []
    null = permuted_precision(ranked, mechanism_of, permutations, seed)
    p = np.array([p_value_of(of_mechanism[k], null[:, k]) for k in known])
    q, size = q_values(p, np.ones(len(p), bool)), np.bincount(mechanism_of[mechanism_of >= 0])
    rows, metric = [], "mechanism_precision"
    for k, p_value, q_value in zip(known, p, q, strict=True):
        of_one = partial(row, item=mechanisms[k], n=size[k])
        rows += [
            of_one(metric=metric, value=of_mechanism[k]),
            of_one(metric=f"{metric}_null", value=null[:, k].mean()),
            of_one(metric=f"{metric}_p_value", value=p_value),
            of_one(metric=f"{metric}_q_value", value=q_value),
        ]
    # No interval over so few mechanisms covers as often as it says (tests/calibration/RESULTS.md).
    n = int(size[known].sum())
    for level in (np.nan, *np.unique(dose)):
        counted = np.where(np.isnan(level) | (dose == level), precision, np.nan)
        value = np.nanmean(mechanism_precision(counted, compound_of, mechanism_of))
        rows.append(row(metric=metric, level=level, value=value, n=n))
    means = null[:, known].mean(axis=1)
    rows.append(row(metric=f"{metric}_null", value=means.mean(), n=n))
    p_all = p_value_of(of_mechanism[known].mean(), means)
    rows.append(row(metric=f"{metric}_p_value", value=p_all, n=n))
    return rows


def dose_response(
    index: str,
    splits: str,
    embeddings: Sequence[str],
    groups: str,
    pattern: str,
    permutations: int,
    seed: int,
    benchmark: str,
) -> None:
    """Write dose responses and the retrieval of mechanisms.

    Parameters
    ----------
    index, splits
        Tables of cells, row-aligned.
    embeddings
        Embeddings of these cells, one per model and training seed.
    groups
        Mechanisms: functional groups (gene, group); may be empty.
    pattern
        Regular expression that finds the dose in the name of a guide, in its first bracket.
    permutations, seed
        As in `mechanism_rows`.
    benchmark
        Output: the benchmark table.
    """
    annotated, rows = read_frame(groups), []
    progress = Progress(len(embeddings), "embeddings", "doses")
    for path in embeddings:
        cells, vectors = read_embedded_cells(index, splits, path)
        cells, latent = unseen_cells(cells, vectors)
        is_ntc, batch_of = cells["is_ntc"].to_numpy(), batch_numbers(cells)
        compared = np.isin(batch_of, batch_of[is_ntc])
        cells, is_ntc, batch_of = cells[compared], is_ntc[compared], batch_of[compared]
        values = standardised(latent[compared], batch_of, is_ntc)
        gene_of, dose = (
            cells["gene"].to_numpy(str),
            doses_of(cells["guide"].astype(object), is_ntc, pattern),
        )
        names = sorted(set(gene_of[~is_ntc]))
        group_of = group_of_genes(names, annotated, split_merged=True)
        means = pd.DataFrame(values[~is_ntc]).groupby([gene_of[~is_ntc], dose[~is_ntc]]).mean()
        genes, doses = (means.index.get_level_values(k).to_numpy() for k in (0, 1))
        for space, at in space_dimensions(vectors.columns).items():
            row = partial(
                table.row, benchmark=BENCHMARK, protocol="strict", space=space, cells="unseen",
                model=vectors.model, seed=vectors.seed,
            )  # fmt: skip
            rows += compound_rows(values[:, at], gene_of, dose, batch_of, row)
            rows += mechanism_rows(
                means.to_numpy()[:, at], genes, doses, group_of, permutations, seed, row
            )
        progress.step()
    table.write(rows, benchmark)
