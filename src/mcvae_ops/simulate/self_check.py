"""Check a simulated screen against itself: can a perfect embedding recover its complexes?"""

import numpy as np
import pandas as pd

from mcvae_ops.simulate.library import EFFECTS


def effect_recovery(effects: pd.DataFrame) -> float:
    """Return the average precision of same-complex pairs by cosine of the planted gene effects.

    An embedding that holds the planted effects and nothing else would reach this value.

    Parameters
    ----------
    effects
        One row per guide; see `mcvae_ops.simulate.library.draw_guides`.
    """
    members = effects[effects["complex"] != ""]
    mean_effect = (
        members[EFFECTS].mul(members["penetrance"], axis=0).groupby(members["gene"]).mean()
    )
    complexes = members.groupby("gene")["complex"].first().to_numpy()
    return pair_average_precision(mean_effect.to_numpy(), complexes)


def pair_average_precision(profiles: np.ndarray, complexes: np.ndarray) -> float:
    """Return the average precision of same-complex pairs among all pairs, ranked by cosine.

    Parameters
    ----------
    profiles
        (gene, feature).
    complexes
        Complex of each gene, (gene,).
    """
    unit = profiles / np.linalg.norm(profiles, axis=1, keepdims=True)
    first, second = np.triu_indices(len(unit), k=1)
    order = np.argsort(-(unit @ unit.T)[first, second], kind="stable")
    hits = (complexes[first] == complexes[second])[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())
