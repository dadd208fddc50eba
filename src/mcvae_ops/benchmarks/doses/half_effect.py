"""The dose of half the effect (ED50): a Hill curve by least squares, its interval by likelihood."""

from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from mcvae_ops.benchmarks.estimates.intervals import LEVEL

SLOPES = np.geomspace(0.5, 4, 13)  # Hill coefficients
BEYOND = (
    10.0  # the grid of ED50 reaches so far (a factor) below the lowest and above the highest dose
)
STEPS = 160


class Responses(NamedTuple):
    """Scores of a compound's cells and of controls.

    Attributes
    ----------
    doses
        (dose,), ascending, above 0.
    n, mean
        Cells and their mean score in each stratum, (stratum, 1 + dose): controls first.
    variance
        Of scores within stratum and dose.
    """

    doses: np.ndarray
    n: np.ndarray
    mean: np.ndarray
    variance: float


def responses_of(score: np.ndarray, dose: np.ndarray, stratum_of: np.ndarray) -> Responses | None:
    """Return the responses of a compound; None without controls or a second dose.

    Parameters
    ----------
    score, dose, stratum_of
        Of each cell, (cell,); the dose of controls is 0. Cells are compared within strata, of which
        some may have no controls.
    """
    levels, level_of = np.unique(dose, return_inverse=True)
    strata, stratum = np.unique(stratum_of, return_inverse=True)
    shape = (len(strata), len(levels))
    place = stratum * len(levels) + level_of
    n = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape).astype(float)
    total = np.bincount(place, score, shape[0] * shape[1]).reshape(shape)
    mean = np.divide(total, n, out=np.zeros(shape), where=n > 0)
    usable = (n > 0).sum(axis=1) > 1
    freedom = len(score) - (n > 0).sum()
    if len(levels) < 3 or levels[0] > 0 or not n[usable, 0].any() or freedom < 1:
        return None
    variance = ((score - mean.ravel()[place]) ** 2).sum() / freedom
    return Responses(levels[1:], n[usable], mean[usable], float(variance))


def half_effect(responses: Responses) -> tuple[float, float, float]:
    """Return the ED50 and its 95 % interval, or NaN where the doses do not tell it.

    The curve is top d^h / (d^h + ED50^h) above what each stratum adds, with h between 0.5 and 4.
    The interval holds every ED50 that fits nearly as well (profile likelihood); errors are those of
    cells, or of strata where these scatter more. An ED50 outside the doses is none: the doses hold
    less than half of the effect, or hardly less than all of it. The interval may reach beyond the
    doses; an end a factor of ten beyond them is open. Open at both ends, it says nothing, and there
    is no ED50 either.
    """
    doses, n, mean, variance = responses
    grid = np.geomspace(doses[0] / BEYOND, doses[-1] * BEYOND, STEPS)
    power = SLOPES[:, None]
    ratio = (doses / grid[:, None, None]) ** power
    curve = np.concatenate([np.zeros((*ratio.shape[:2], 1)), ratio / (1 + ratio)], axis=2)
    share = n / n.sum(axis=1, keepdims=True)
    x = curve[:, :, None, :] - (curve[:, :, None, :] * share).sum(axis=3, keepdims=True)
    y = mean - (mean * share).sum(axis=1, keepdims=True)
    xy, xx = ((n * part).sum(axis=(2, 3)) for part in (x * y, x * x))
    gain = np.where(xy > 0, xy**2 / np.maximum(xx, np.finfo(float).tiny), 0)
    left = (n * y**2).sum() - gain.max(axis=1)  # the best slope for each ED50
    freedom = (n > 0).sum() - len(n) - 3
    scatter = left.min() / freedom if freedom > 0 else 0.0
    fits = left - left.min() <= chi2.ppf(LEVEL, 1) * max(variance, scatter)
    value, low, high = grid[[left.argmin(), *np.flatnonzero(fits)[[0, -1]]]]
    is_open = fits[0] and fits[-1]
    if is_open or not doses[0] <= value <= doses[-1]:
        return np.nan, np.nan, np.nan
    return float(value), float(low), float(high)
