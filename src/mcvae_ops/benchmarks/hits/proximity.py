"""Proximity bias: does a gene resemble the genes of its chromosome arm, related or not?

A cut by Cas9 may cost a cell the rest of the chromosome arm. Genes of one arm then look alike for
want of the same neighbours (Lazar et al. 2024, doi:10.1038/s41588-024-01758-y).
"""

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu

from mcvae_ops.benchmarks.estimates.retrieval import unit_profiles
from mcvae_ops.profiles.significance import q_values

MAX_Q = 0.05  # of a gene that is flagged
FEWEST_GENES = 3  # other genes of the arm


def arm_resemblance(profiles: np.ndarray, arm_of: np.ndarray, related: np.ndarray) -> pd.DataFrame:
    """Return how surely each gene resembles the genes of its arm more than those of other arms.

    Parameters
    ----------
    profiles
        (gene, feature).
    arm_of
        Chromosome arm of each gene, "" for unknown.
    related
        (gene, gene), whether two genes are alike for a known reason (one gene, complex or group):
        such pairs do not count.

    Returns
    -------
    arm; proximity_p (Mann-Whitney test of the cosines, one-sided; NaN with fewer than three other
    genes of the arm); proximity_q; proximity_bias (q below .05).
    """
    unit = unit_profiles(profiles)
    cosine = unit @ unit.T
    p_values = np.full(len(arm_of), np.nan)
    for gene, arm in enumerate(arm_of):
        counted = (arm_of != "") & ~related[gene]
        counted[gene] = False
        same = counted & (arm_of == arm)
        if arm and same.sum() >= FEWEST_GENES and (counted & ~same).any():
            near, rest = cosine[gene, same], cosine[gene, counted & ~same]
            test = mannwhitneyu(near, rest, alternative="greater", method="asymptotic")
            p_values[gene] = test.pvalue
    q = q_values(p_values, np.ones(len(arm_of), bool))
    return pd.DataFrame(
        {"arm": arm_of, "proximity_p": p_values, "proximity_q": q, "proximity_bias": q < MAX_Q}
    )
