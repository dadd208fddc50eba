"""Functional groups of genes, and the significant profiles that are classified into them."""

import logging
from collections.abc import Iterable

import pandas as pd

from mcvae_ops.errors import InputError

logger = logging.getLogger(__name__)

NO_GROUP = ""
# The two classes of groups, as benchmark tables name them (keys shifting_groups, novel_groups).
SHIFTING, NOVEL = "shifting groups", "novel groups"


def group_of_genes(
    genes: Iterable[str], groups: pd.DataFrame, *, split_merged: bool
) -> dict[str, str]:
    """Return the functional group of each gene.

    Parameters
    ----------
    genes
        Genes of the library; merged symbols are joined by ``&``.
    groups
        Columns gene, group.
    split_merged
        Whether ``A&B`` belongs to the group of A or B. The authors matched whole symbols.

    Returns
    -------
    gene -> group, or "" for a gene in no group or in more than one.
    """
    known = groups.groupby("gene")["group"].agg(set)
    group_of = {}
    for gene in genes:
        names = {gene, *gene.split("&")} if split_merged else {gene}
        named = set().union(*(known[name] for name in names if name in known.index))
        if len(named) > 1:
            logger.warning("gene %s is left out: it is in several groups: %s", gene, sorted(named))
        group_of[gene] = named.pop() if len(named) == 1 else NO_GROUP
    return group_of


def significant_names(significance: pd.DataFrame, level: str, max_p_value: float) -> set[str]:
    """Return the guides with p below the bound or, at gene level, the genes of these guides.

    Parameters
    ----------
    significance
        Columns guide, gene, p_value.
    level
        "guide" or "gene".
    max_p_value
        Exclusive bound. A missing p value is not below it.
    """
    return set(significance.loc[significance["p_value"] < max_p_value, level])


def label_profiles(
    profiles: pd.DataFrame,
    groups: pd.DataFrame,
    significance: pd.DataFrame,
    settings: dict,
    *,
    split_merged: bool,
) -> pd.DataFrame:
    """Return the significant profiles of genes in a functional group, with a column `group`.

    Parameters
    ----------
    profiles
        Guide or gene profiles.
    groups
        Columns gene, group.
    significance
        Columns guide, gene, p_value.
    settings
        level ("guide" or "gene") and max_p_value.
    split_merged
        See `group_of_genes`.

    Raises
    ------
    InputError
        If the profiles have no column named after the level.
    """
    level = settings["level"]
    if level not in profiles:
        raise InputError.missing(
            where="table of profiles",
            what=f"column {level!r}",
            why="configuration key benchmarks.functions.level names it",
            fix="provide profiles of this level, or change the key",
        )
    genes = group_of_genes(sorted(profiles["gene"].unique()), groups, split_merged=split_merged)
    names = significant_names(significance, level, settings["max_p_value"])
    labelled = profiles.assign(group=profiles["gene"].map(genes))
    shown = (labelled["group"] != NO_GROUP) & labelled[level].isin(names) & ~labelled["is_ntc"]
    return labelled[shown].reset_index(drop=True)


def group_classes(settings: dict) -> dict[str, str]:
    """Return the class (`SHIFTING` or `NOVEL`) of each configured group."""
    classes = {SHIFTING: settings["shifting_groups"], NOVEL: settings["novel_groups"]}
    return {group: group_class for group_class, groups in classes.items() for group in groups}


def genes_of_group(group: str, groups: pd.DataFrame) -> set[str]:
    """Return the genes of one group.

    Raises
    ------
    InputError
        If there is no such group.
    """
    genes = set(groups.loc[groups["group"] == group, "gene"])
    if not genes:
        raise InputError(
            where="configuration keys benchmarks.features.shifting_groups and novel_groups",
            found=f"group {group!r}",
            expected=f"one of {', '.join(sorted(groups['group'].unique()))}",
            fix="correct the name of the group",
        )
    return genes
