"""Functional groups of genes, and which guides are strong enough to be classified."""

import logging
from collections.abc import Iterable

import pandas as pd

from mcvae_ops.errors import InputError

logger = logging.getLogger(__name__)

NO_GROUP = ""
# the classes of groups, as rows name them (keys shifting_groups and novel_groups)
SHIFTING, NOVEL = "shifting groups", "novel groups"


def group_of_genes(
    genes: Iterable[str], groups: pd.DataFrame, *, split_merged: bool
) -> dict[str, str]:
    """Return the functional group of each gene.

    Parameters
    ----------
    genes
        Genes of the library; merged symbols are joined with ``&``.
    groups
        Columns gene, group.
    split_merged
        Let ``A&B`` stand in the group that names A or B. The authors matched whole symbols.

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
            logger.warning("gene %s is left out: it stands in %s", gene, sorted(named))
        group_of[gene] = named.pop() if len(named) == 1 else NO_GROUP
    return group_of


def significant_names(significance: pd.DataFrame, level: str, max_p_value: float) -> set[str]:
    """Return the guides with p below the bound; at gene level, the genes with such a guide.

    Parameters
    ----------
    significance
        Columns guide, gene, p_value.
    level
        "guide" or "gene".
    max_p_value
        Bound, itself excluded. A missing p value is not below it.
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
    """Keep the significant profiles of genes in one functional group, with a column `group`.

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
        If the profiles have no column of that level.
    """
    level = settings["level"]
    if level not in profiles:
        raise InputError(
            where="configuration key benchmarks.functions.level",
            found=f"{level!r}, while the profiles have no column {level!r}",
            expected="the level of the profiles",
            fix="give profiles of that level or change the key",
        )
    genes = group_of_genes(sorted(profiles["gene"].unique()), groups, split_merged=split_merged)
    names = significant_names(significance, level, settings["max_p_value"])
    labelled = profiles.assign(group=profiles["gene"].map(genes))
    shown = (labelled["group"] != NO_GROUP) & labelled[level].isin(names) & ~labelled["is_ntc"]
    return labelled[shown].reset_index(drop=True)


def group_classes(settings: dict) -> dict[str, str]:
    """Return the configured groups, each with its class (`SHIFTING` or `NOVEL`)."""
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
