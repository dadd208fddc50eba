"""How far a gene moves its cells: squared norms without the noise of few cells, with intervals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from mcvae_ops.benchmarks.estimates.intervals import LEVEL
from mcvae_ops.profiles.centred import CentredCells
from mcvae_ops.profiles.exchange import Stratum


class Effect(NamedTuple):
    """Difference of a group's cells from the controls of their batches.

    Attributes
    ----------
    mean
        Over batches, each with its `Stratum.weight`, of shape (dimension,).
    covariance
        Of the sampling error of `mean`, of shape (dimension, dimension).
    by_batch
        The difference in each batch, of shape (batch, dimension).
    """

    mean: np.ndarray
    covariance: np.ndarray
    by_batch: np.ndarray


def effect_rows(
    centred: CentredCells, groups: list[list[Stratum]], spaces: dict[str, list[int]]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return norms with intervals, agreement of batches and class of each group; its profile.

    Parameters
    ----------
    centred
        Cells.
    groups
        Strata of each group, at least one each.
    spaces
        Space -> its columns in `centred`.

    Returns
    -------
    n_batches, n_batches_agree, replicate_correlation and, where there is a salient space, norms and
    effect; (group, dimension) differences from the controls.
    """
    pooled = np.concatenate(list(centred.controls.values()))
    covariance = pooled.T @ pooled / max(1, len(pooled) - len(centred.controls))
    normed = [space for space in ("salient", "background") if space in spaces]
    rows, profiles, moments = [], [], {space: [] for space in normed}
    for strata in groups:
        effect = effect_of(centred, strata, covariance)
        rows.append({"n_batches": len(strata), **_replicates(effect, strata)})
        profiles.append(effect.mean)
        for space in normed:
            moments[space].append(moments_of(effect, spaces[space]))
    table = pd.DataFrame(rows)
    for space in normed:
        names = (f"{space}_norm", f"{space}_norm_low", f"{space}_norm_high")
        table[list(names)] = squared_norms(np.array(moments[space]).reshape(-1, 3))
    if "salient" in spaces:
        is_moved = [table[f"{space}_norm_low"] > 0 for space in ("salient", "background")]
        table["effect"] = np.select(is_moved, ["novel", "shift"], "")
    return table, np.array(profiles).reshape(len(rows), -1)


def effect_of(
    centred: CentredCells, strata: list[Stratum], control_covariance: np.ndarray
) -> Effect:
    """Return the effect of a group.

    Parameters
    ----------
    centred
        Cells.
    strata
        Of the group, at least one.
    control_covariance
        Of controls within batches; it stands for the group's where that has too few cells.
    """
    weights = np.array([stratum.weight for stratum in strata])
    shares = weights / weights.sum()
    cells = [centred[stratum.rows] for stratum in strata]
    by_batch = np.stack([each.mean(axis=0) for each in cells])
    n = np.array([len(stratum.rows) for stratum in strata])
    m = np.array([stratum.n_pool for stratum in strata]) - n
    own = _covariance([each - mean for each, mean in zip(cells, by_batch, strict=True)])
    covariance = (shares**2 / n).sum() * (control_covariance if own is None else own)
    covariance = covariance + (shares**2 / m).sum() * control_covariance
    return Effect(shares @ by_batch, covariance, by_batch)


def _covariance(cells: list[np.ndarray]) -> np.ndarray | None:
    """Return the covariance of cells within batches; None unless they outnumber the dimensions.

    `cells` has those of each batch, (cell, dimension), minus their mean.
    """
    freedom = sum(len(each) - 1 for each in cells)
    together = np.concatenate(cells)
    if freedom < together.shape[1]:
        return None
    return together.T @ together / freedom


def moments_of(effect: Effect, dimensions: Sequence[int]) -> tuple[float, float, float]:
    """Return the squared norm of the mean in some dimensions, and of its covariance the trace and
    the sum of squares."""
    mean, covariance = effect.mean[dimensions], effect.covariance[np.ix_(dimensions, dimensions)]
    return float(mean @ mean), float(np.trace(covariance)), float((covariance**2).sum())


def squared_norms(moments: np.ndarray) -> np.ndarray:
    """Return the squared norms of true differences and their 95 % intervals, (effect, 3).

    The squared norm of an observed mean is too large by the trace of its covariance V; that is
    taken off, so that the estimate is unbiased and may be below 0. The interval inverts the
    distribution of the observed norm: a scaled noncentral chi-square with the first two moments of
    the sum over the axes of V (Satterthwaite). It begins at 0.

    Parameters
    ----------
    moments
        (effect, 3), as `moments_of` returns.
    """
    observed, trace, squares = moments.T
    scale, freedom = squares / trace, trace**2 / squares
    x, alpha = observed / scale, (1 - LEVEL) / 2
    low, high = (scale * _noncentrality(x, freedom, tail) for tail in (1 - alpha, alpha))
    return np.column_stack([observed - trace, low, high])


def _noncentrality(x: np.ndarray, freedom: np.ndarray, probability: float) -> np.ndarray:
    """Return the noncentrality at which x is that quantile; 0 where it is farther out at 0."""
    low, high = np.zeros(len(x)), x + 10 * np.sqrt(x) + 10 * freedom
    for _ in range(60):
        middle = (low + high) / 2
        is_below = stats.ncx2.cdf(x, freedom, middle) > probability
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return np.where(stats.chi2.cdf(x, freedom) < probability, 0.0, (low + high) / 2)


def _replicates(effect: Effect, strata: list[Stratum]) -> dict:
    """Return the correlation of two halves of the batches, and the batches that agree."""
    if len(strata) < 2:
        return {"replicate_correlation": np.nan, "n_batches_agree": np.nan}
    weights = np.array([stratum.weight for stratum in strata])[:, None]
    weighted = weights * effect.by_batch
    halves = [weighted[k::2].sum(axis=0) / weights[k::2].sum() for k in (0, 1)]
    others = weighted.sum(axis=0) - weighted
    agree = (others * weighted).sum(axis=1) > 0
    return {
        "replicate_correlation": float(np.corrcoef(*halves)[0, 1]),
        "n_batches_agree": int(agree.sum()),
    }
