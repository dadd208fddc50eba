"""How far control guides lie from one another: the unit in which the explorer gives distances.

A norm in latent units says nothing by itself. Divided by a distance that 95 % of the control guides
do not reach, it says how far beyond the controls a guide or gene lies: 1 is about as far as the
farthest of twenty control guides.
"""

from collections.abc import Iterable

import numpy as np

PERCENTILE = 95
FEWEST_CONTROLS = 5  # control guides; fewer have no percentile
DRAWS = 1000  # random sets of control guides


def control_reach(controls: np.ndarray, sizes: Iterable[int]) -> dict[int, float]:
    """Return the 95th percentile of the distance of some control guides from all others.

    Parameters
    ----------
    controls
        Profiles of control guides, (guide, dimension).
    sizes
        Numbers of guides: 1 for guides; the mean of a gene's n guides is compared with means of n
        control guides (of half of all, where n is more).

    Returns
    -------
    Size -> percentile over sets of so many control guides of the distance of their mean from the
    mean of the other control guides: every guide once, or `DRAWS` random sets. NaN with fewer than
    `FEWEST_CONTROLS`.
    """
    controls = controls[np.isfinite(controls).all(axis=1)]
    if len(controls) < FEWEST_CONTROLS:
        return dict.fromkeys(sizes, np.nan)
    return {size: _reach(controls, min(size, len(controls) // 2)) for size in sizes}


def _reach(controls: np.ndarray, size: int) -> float:
    n = len(controls)
    draws = np.random.default_rng(size).random((DRAWS, n)).argsort(axis=1)[:, :size]
    sets = np.arange(n)[:, None] if size == 1 else draws
    inside = controls[sets].mean(axis=1)
    outside = (controls.sum(axis=0) - size * inside) / (n - size)
    return float(np.percentile(np.linalg.norm(inside - outside, axis=1), PERCENTILE))
