"""Does the relative background norm B / (S + B) separate shifting groups from novel groups?

Strict protocol only. Genes of shifting groups are positives, genes of novel groups are negatives.
"""

from collections.abc import Callable

import pandas as pd

from mcvae_ops.benchmarks.estimates.functional_groups import (
    NOVEL,
    SHIFTING,
    group_classes,
    group_of_genes,
)
from mcvae_ops.benchmarks.estimates.roc import auroc, auroc_interval

METRIC = "group_auroc"


def group_auroc_rows(
    points: pd.DataFrame, groups: pd.DataFrame, settings: dict, row: Callable
) -> list[dict]:
    """Return the row ``group_auroc``, shifting against novel groups, with an interval over genes.

    No row unless both classes of groups have genes.

    Parameters
    ----------
    points
        `mcvae_ops.benchmarks.mitosis.mitotic_factors.effect_points`.
    groups
        Columns gene, group.
    settings
        ``shifting_groups``, ``novel_groups``.
    row
        `table.row` with the columns that name the profiles filled in.
    """
    group = points["gene"].map(group_of_genes(points["gene"], groups, split_merged=True))
    group_class = group.map(group_classes(settings))
    chosen = group_class.notna() & points["relative_background"].notna()
    is_shifting = (group_class[chosen] == SHIFTING).to_numpy()
    if is_shifting.all() or not is_shifting.any():
        return []
    scores = points.loc[chosen, ["relative_background"]].to_numpy().T
    values, terms = auroc(scores, is_shifting)
    low, high = auroc_interval(values[0], terms[0], is_shifting)
    return [
        row(
            protocol="strict",
            metric=METRIC,
            item=SHIFTING,
            against=NOVEL,
            value=values[0],
            low=low,
            high=high,
            n=chosen.sum(),
            units=f"{chosen.sum()} genes",
        )
    ]
