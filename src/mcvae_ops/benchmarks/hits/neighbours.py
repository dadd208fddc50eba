"""What a gene resembles: nearest genes, and functional groups as conformal sets."""

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates import classification
from mcvae_ops.benchmarks.estimates.retrieval import unit_profiles
from mcvae_ops.randomness import named_rng

N_NEIGHBOURS = 3
MISCOVERAGE = 0.1  # a set holds the true group of nine genes in ten
FOLDS = 5
FEWEST_GENES = 5  # of a group that is predicted


def nearest_genes(profiles: np.ndarray, genes: np.ndarray, related: np.ndarray) -> pd.DataFrame:
    """Return the nearest genes of each gene, and how often chance puts one so near.

    Parameters
    ----------
    profiles
        (gene, feature).
    genes
        Names, (gene,).
    related
        (gene, gene), whether an annotation (complex, group) puts two genes together. The cosines of
        all other pairs of genes are the null.

    Returns
    -------
    Columns neighbours ("A; B; C") and neighbour_p: the chance that the nearest of so many
    unrelated genes is at least as near as the first of them.
    """
    unit = unit_profiles(profiles)
    cosine = unit @ unit.T
    upper = np.triu_indices(len(genes), 1)
    null = np.sort(cosine[upper][~related[upper]])
    np.fill_diagonal(cosine, -np.inf)
    order = np.argsort(-cosine, axis=1)[:, :N_NEIGHBOURS]
    nearest = cosine[np.arange(len(genes)), order[:, 0]]
    beyond = (1 + len(null) - np.searchsorted(null, nearest)) / (1 + len(null))
    return pd.DataFrame(
        {
            "neighbours": ["; ".join(genes[each]) for each in order],
            "neighbour_p": 1 - (1 - beyond) ** (len(genes) - 1),
        }
    )


def predicted_groups(
    profiles: np.ndarray, genes: np.ndarray, group_of: np.ndarray, seed: int
) -> tuple[pd.Series, float]:
    """Return the set of functional groups that each gene may belong to, and its coverage.

    Split conformal prediction: a group is in the set if the gene conforms to it no less than all
    but a tenth of the annotated genes do to their own group, each by a fit that did not see it.

    Parameters
    ----------
    profiles, genes
        As for `nearest_genes`.
    group_of
        Group of each gene, "" for none.
    seed
        Of the folds.

    Returns
    -------
    "a; b" by gene, and the share of annotated genes whose set, at a threshold that the other folds
    set, holds their group. Fewer than two groups of five genes give no set, and NaN.

    References
    ----------
    Angelopoulos & Bates 2023, doi:10.1561/2200000101.
    """
    names, sizes = np.unique(group_of[group_of != ""], return_counts=True)
    names = names[sizes >= FEWEST_GENES]
    known = np.isin(group_of, names)
    if len(names) < 2:
        return pd.Series("", index=genes), np.nan
    x, truth = profiles[known], np.searchsorted(names, group_of[known])
    fold = classification.grouped_folds(truth, genes[known], FOLDS, named_rng(seed, "groups"))
    conforms = np.empty((len(x), len(names)))
    unknown = np.zeros((len(genes) - len(x), len(names)))
    for held_out in range(FOLDS):
        train, test = fold != held_out, fold == held_out
        both = np.concatenate([x[test], profiles[~known]])
        fit = classification.class_probabilities(x[train], truth[train], both, standardise=True)
        conforms[test] = fit[: test.sum()]
        unknown += fit[test.sum() :] / FOLDS
    own = conforms[np.arange(len(x)), truth]
    covered = [own[k] >= _threshold(own[fold != fold[k]]) for k in range(len(x))]
    scores = np.empty((len(genes), len(names)))
    scores[known], scores[~known] = conforms, unknown
    chosen = scores >= _threshold(own)
    sets = ["; ".join(names[each]) for each in chosen]
    return pd.Series(sets, index=genes), float(np.mean(covered))


def _threshold(own: np.ndarray) -> float:
    rank = int(np.floor(MISCOVERAGE * (len(own) + 1)))
    return -np.inf if rank < 1 else float(np.sort(own)[rank - 1])
