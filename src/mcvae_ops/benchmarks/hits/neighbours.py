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
FEWEST_ROWS = 20  # that give the nearest a p


def nearest_rows(
    profiles: np.ndarray, names: np.ndarray, genes: np.ndarray, related: np.ndarray
) -> pd.DataFrame:
    """Return the nearest rows of each row, and how often chance puts one so near.

    Parameters
    ----------
    profiles
        (row, feature).
    names, genes
        Of the rows, (row,); rows of one gene (doses of a compound) are no neighbours.
    related
        (row, row), whether two rows are alike for a known reason (one gene, complex or group).

    Returns
    -------
    Columns neighbours ("A; B; C") and neighbour_p: the share of rows, itself counted, to which
    chance brings an unrelated row at least as near. How near is the cosine of the nearest row, in
    standard deviations above the mean over the unrelated ones, because rows with much of an axis
    that all effects share are near to all others. Rows without a relation are exchangeable, so
    their p is uniform, in steps of 1 / rows (conformal p value); NaN with fewer than 20 rows, where
    none can lie below .05, and where a row has no unrelated ones.

    References
    ----------
    Vovk, Gammerman & Shafer 2005, doi:10.1007/b106715, chapter 2.
    """
    unit = unit_profiles(profiles)
    cosine = unit @ unit.T
    cosine[genes[:, None] == genes] = -np.inf
    order = np.argsort(-cosine, axis=1)[:, :N_NEIGHBOURS]
    named = [
        "; ".join(names[k] for k in each if genes[k] != gene)
        for gene, each in zip(genes, order, strict=True)
    ]
    return pd.DataFrame({"neighbours": named, "neighbour_p": _nearest_p(cosine, related)})


def _nearest_p(cosine: np.ndarray, related: np.ndarray) -> np.ndarray:
    """Return neighbour_p of rows; the cosine of rows that are no neighbours is -inf."""
    nearest, by_chance = np.full((2, len(cosine)), np.nan)
    for row, near in enumerate(cosine):
        unrelated = near[~related[row] & np.isfinite(near)]
        if len(unrelated) > 1:
            both = np.array([near.max(), unrelated.max()])
            nearest[row], by_chance[row] = (both - unrelated.mean()) / unrelated.std()
    is_tested = np.isfinite(nearest)
    n = is_tested.sum()
    if n < FEWEST_ROWS:
        return np.full(len(cosine), np.nan)
    below = np.searchsorted(np.sort(by_chance[is_tested]), nearest)
    return np.where(is_tested, (1 + n - below - (by_chance >= nearest)) / n, np.nan)


def predicted_groups(
    profiles: np.ndarray, genes: np.ndarray, group_of: np.ndarray, seed: int
) -> tuple[list[str], float]:
    """Return the set of functional groups that each row may belong to, and its coverage.

    Split conformal prediction: a group is in the set if the row conforms to it no less than all but
    a tenth of the annotated rows do to their own group, each by a fit that did not see its gene.

    Parameters
    ----------
    profiles
        (row, feature).
    genes
        Of the rows, (row,); all rows of a gene are in one fold.
    group_of
        Group of the gene of each row, "" for none.
    seed
        Of the folds.

    Returns
    -------
    "a; b" of each row, and the share of annotated rows whose set, at a threshold that the other
    folds set, holds their group. Fewer than two groups of five genes give no set, and NaN.

    References
    ----------
    Angelopoulos & Bates 2023, doi:10.1561/2200000101.
    """
    grouped = pd.DataFrame({"gene": genes, "group": group_of}).drop_duplicates("gene")
    names, sizes = np.unique(grouped["group"][grouped["group"] != ""], return_counts=True)
    names = names[sizes >= FEWEST_GENES]
    known = np.isin(group_of, names)
    if len(names) < 2:
        return [""] * len(genes), np.nan
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
    return ["; ".join(names[each]) for each in chosen], float(np.mean(covered))


def _threshold(own: np.ndarray) -> float:
    rank = int(np.floor(MISCOVERAGE * (len(own) + 1)))
    return -np.inf if rank < 1 else float(np.sort(own)[rank - 1])
