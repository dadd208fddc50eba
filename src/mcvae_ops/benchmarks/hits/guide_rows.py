"""One row per guide: does it change the cells, does it agree with the other guides of its gene?

From the same cells, and by the same test, as the table of hits: the guides that it counts as active
and agreeing are those of this table.
"""

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates.retrieval import unit_profiles
from mcvae_ops.benchmarks.hits.activity import ACTIVE_P, ActivityTest, Screen
from mcvae_ops.embeddings.embedded_cells import groups_of
from mcvae_ops.embeddings.spaces import in_space
from mcvae_ops.profiles.aggregate import sums_of_groups
from mcvae_ops.profiles.centred import CentredCells
from mcvae_ops.profiles.significance import STATISTICS, exchanged_units, q_values

BLOCK = 1 << 24  # cosines that are held at a time


def guide_rows(screen: Screen, tests: ActivityTest) -> pd.DataFrame:
    """Return activity of each guide, controls among them, and agreement with its gene.

    Parameters
    ----------
    screen
        Cells.
    tests
        How activity is tested.

    Returns
    -------
    One row per guide, sorted by gene and guide: gene, guide, is_ntc, n_cells; distance, p and q in
    the combined space (no q of controls); is_active (p below `ACTIVE_P`); agreement and gene_rank
    of `agreement_of`, which controls do not have; agrees (agreement above 0).
    """
    table, guide_of = groups_of(screen.cells, ["gene", "guide", "is_ntc"])
    latent = in_space(screen.latent, screen.spaces["combined"])
    units = exchanged_units(screen.cells, latent, guide_of)
    distance, p_values = STATISTICS[tests.statistic](*units, *tests[1:])
    targeting = ~table["is_ntc"].to_numpy()
    table["distance_combined"], table["p_combined"] = distance, p_values
    table["q_combined"] = q_values(p_values, targeting)
    table["is_active"] = p_values < ACTIVE_P
    centred = CentredCells(latent, screen.batch_of, screen.is_control)
    sums = sums_of_groups(centred, np.arange(len(centred)), guide_of, len(table))
    means = sums / table["n_cells"].to_numpy()[:, None]
    agreement = agreement_of(means[targeting], table["gene"][targeting].to_numpy())
    table = table.join(agreement.set_axis(np.flatnonzero(targeting)))
    table.insert(table.columns.get_loc("gene_rank"), "agrees", table["agreement"] > 0)
    return table


def agreement_of(means: np.ndarray, gene_of: np.ndarray) -> pd.DataFrame:
    """Return how well each guide fits the other guides of its gene.

    Parameters
    ----------
    means
        Difference of each guide from the controls, (guide, dimension).
    gene_of
        Gene of each guide, (guide,).

    Returns
    -------
    agreement: cosine with the sum of the gene's other guides; and gene_rank: the place, from 1, of
    the guide's gene among all genes by this cosine, in which the guide itself is not part of its
    gene. The only guide of a gene has neither: NaN.
    """
    genes, number = np.unique(gene_of, return_inverse=True)
    sums = pd.DataFrame(means).groupby(number).sum().to_numpy()
    others = sums[number] - means
    has_others = np.bincount(number)[number] > 1
    unit = unit_profiles(means)
    own = np.where(has_others, (unit * unit_profiles(others)).sum(axis=1), np.nan)
    by_gene, rank = unit_profiles(sums).T, np.full(len(means), np.nan)
    for start in range(0, len(means), max(1, BLOCK // len(genes))):
        rows = slice(start, start + max(1, BLOCK // len(genes)))
        cosine = unit[rows] @ by_gene
        cosine[np.arange(len(cosine)), number[rows]] = -np.inf
        rank[rows] = 1 + (cosine >= own[rows, None]).sum(axis=1)
    rank[~has_others] = np.nan
    return pd.DataFrame({"agreement": own, "gene_rank": rank})
