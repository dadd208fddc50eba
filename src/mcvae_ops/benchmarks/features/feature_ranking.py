"""The classical features that a group of genes alters most (figures 4D, 4E), by both protocols.

In each batch, the cells of a group are compared with control cells (NTC), feature by feature, by
Welch's t test (Bonferroni over features) and by a robust z: the difference of medians divided by
the MAD of NTC, without the factor 1.4826. The features are then ranked; the benchmark measures how
much of the first principal component (PC1) of the standardised NTC features the first k explain.

Published (Wang et al. 2023): features are ranked by the number of batches in which they are among
the top 4; R^2 is in sample. Strict: features that are significant in most batches are ranked by
their median absolute z; a feature whose MAD is 0 is left out of that batch (the authors set its z
to infinity); R^2 is measured on batches that ranking, PC1 and regression did not use.
"""

import logging
from collections.abc import Iterable, Sequence

import numpy as np

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.functional_groups import NOVEL, SHIFTING, group_classes
from mcvae_ops.benchmarks.estimates.intervals import (
    NO_INTERVAL,
    difference_interval,
    mean_interval,
    median_interval,
)
from mcvae_ops.benchmarks.features.control_variance import (
    Moments,
    explained_variance,
    moments,
    pool_moments,
)
from mcvae_ops.benchmarks.features.feature_cells import (
    BatchCells,
    feature_names,
    read_batches,
    read_wanted,
)
from mcvae_ops.benchmarks.features.feature_tests import (
    Comparison,
    compare_with_controls,
    rank_published,
    rank_strict,
)
from mcvae_ops.files import read_frame

logger = logging.getLogger(__name__)

COMMON = dict(benchmark="features", model="cellprofiler", space="features", seed=0, cells="all")


def ranking_rows(
    names: list[str],
    comparisons: Sequence[Comparison],
    ranking: tuple[np.ndarray, np.ndarray],
    settings: dict,
    common: dict,
) -> list[dict]:
    """Return the robust z (median over batches) and the number of batches of the first features.

    Parameters
    ----------
    names
        Features.
    comparisons
        One per batch.
    ranking
        Features in order, and the number of batches of each feature.
    settings
        max_features.
    common
        Columns that all rows share, such as the protocol: only the strict one has intervals.
    """
    is_strict = common["protocol"] == "strict"
    order, n_batches = ranking
    rows = []
    for rank, feature in enumerate(order[: settings["max_features"]], start=1):
        z = np.array([comparison.z[feature] for comparison in comparisons])
        z = z[np.isfinite(z)] if is_strict else z[~np.isnan(z)]
        low, high = median_interval(z) if is_strict else NO_INTERVAL
        ends = {"low": low, "high": high, "units": f"{len(z)} batches"}
        place = common | dict(against=names[feature], level=rank, n=len(comparisons))
        rows.append(table.row(**place, metric="robust_z", value=np.median(z), **ends))
        rows.append(table.row(**place, metric="n_batches", value=n_batches[feature]))
    return rows


def held_out_variance(
    parts: Sequence[Moments], comparisons: Sequence[Comparison | None], max_features: int
) -> np.ndarray:
    """Return R^2 on each batch; ranking, PC1 and regression come from all other batches.

    Parameters
    ----------
    parts
        Moments of the NTC cells of each batch.
    comparisons
        Group against NTC in each batch; None if the batch has too few cells to compare.
    max_features
        Largest number of features.

    Returns
    -------
    R^2, of shape (batch, k); NaN where fewer than k features qualify.
    """
    explained = np.full((len(parts), max_features), np.nan)
    for batch, held_out in enumerate(parts):
        others = [c for k, c in enumerate(comparisons) if k != batch and c is not None]
        if others:
            train = pool_moments([part for k, part in enumerate(parts) if k != batch])
            r2 = explained_variance(train, held_out, rank_strict(others)[0], max_features)
            explained[batch, : len(r2)] = r2
    return explained


def variance_rows(explained: np.ndarray, n: int, common: dict) -> list[dict]:
    """Return the mean over batches for each k, with its 95 % interval over batches.

    Parameters
    ----------
    explained
        R^2, of shape (batch, k); NaN is left out. A single row (the published protocol) gets no
        interval.
    n
        Number of control cells.
    common
        Columns that all rows share.
    """
    rows = []
    for k, values in enumerate(explained.T, start=1):
        values = values[np.isfinite(values)]
        if len(values) == 0:
            continue
        low, high = mean_interval(values)
        ends = {"low": low, "high": high, "units": f"{len(values)} batches"}
        rows.append(table.row(**common, level=k, value=values.mean(), n=n, **ends))
    return rows


def class_rows(explained: dict[str, np.ndarray], class_of_group: dict[str, str]) -> list[dict]:
    """Return what the features of shifting and of novel groups explain, and their difference.

    The claim is about groups: they are the units, each with its mean over batches. A group with
    fewer than k features that qualify does not count at k; `units` says how many of each class do.

    Parameters
    ----------
    explained
        Group -> R^2 of shape (batch, k).
    class_of_group
        Group -> SHIFTING or NOVEL.

    Returns
    -------
    Rows ``r2_mean`` of each class, and rows ``r2_difference``, one for each k at which a group of
    each class counts; n is the number of groups.
    """
    common = COMMON | dict(protocol="strict")
    means = {group: _mean_of_known(r2) for group, r2 in explained.items()}
    rows = []
    for k in range(max((len(mean) for mean in means.values()), default=0)):
        of_class = {
            c: np.array([m[k] for g, m in means.items() if class_of_group[g] == c and m[k] == m[k]])
            for c in (SHIFTING, NOVEL)
        }
        for name, values in of_class.items():
            if len(values):
                low, high = mean_interval(values)
                ends = {"low": low, "high": high, "units": f"{len(values)} {name}"}
                place = common | {"metric": "r2_mean", "item": name, "level": k + 1}
                rows.append(table.row(**place, value=values.mean(), n=len(values), **ends))
        shifting, novel = of_class.values()
        if len(shifting) and len(novel):
            low, high = difference_interval(shifting, novel)
            units = f"{len(shifting)} {SHIFTING}, {len(novel)} {NOVEL}"
            place = common | dict(item=SHIFTING, against=NOVEL, metric="r2_difference")
            value, n = shifting.mean() - novel.mean(), len(shifting) + len(novel)
            ends = {"low": low, "high": high, "units": units}
            rows.append(table.row(**place, level=k + 1, value=value, n=n, **ends))
    return rows


def feature_rows(names: list[str], batches: Iterable[BatchCells], settings: dict) -> list[dict]:
    """Return the rows of all groups by both protocols.

    Parameters
    ----------
    names
        Features.
    batches
        Iterated once. A batch with fewer than two control cells is left out; a group with fewer
        than two cells in a batch is not compared there.
    settings
        shifting_groups, novel_groups, top, max_features.
    """
    class_of_group = group_classes(settings)
    parts: list[Moments] = []
    comparisons: dict[str, list[Comparison | None]] = {group: [] for group in class_of_group}
    for batch in batches:
        if len(batch.controls) < 2:
            continue
        parts.append(moments(batch.controls))
        for group, compared in comparisons.items():
            members = batch.groups[group]
            compared.append(
                compare_with_controls(members, batch.controls) if len(members) >= 2 else None
            )
    rows, held_out = [], {}
    for group, compared in comparisons.items():
        held_out[group] = held_out_variance(parts, compared, settings["max_features"])
        where = {"item": group, "against": class_of_group[group]}
        rows += group_rows(where, names, compared, parts, held_out[group], settings)
    return rows + class_rows(held_out, class_of_group)


def _mean_of_known(explained: np.ndarray) -> np.ndarray:
    """Return the mean over batches of the finite values of each k; NaN if there is none."""
    known = np.isfinite(explained)
    total, n = np.where(known, explained, 0).sum(axis=0), known.sum(axis=0)
    return np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)


def group_rows(
    where: dict[str, str],
    names: list[str],
    comparisons: Sequence[Comparison | None],
    parts: Sequence[Moments],
    held_out: np.ndarray,
    settings: dict,
) -> list[dict]:
    """Return all rows of one group by both protocols.

    Parameters
    ----------
    where
        The group (item), and its class (against), which names the rows of R^2.
    names
        Features.
    comparisons, parts
        One per batch; a comparison is None if the batch has too few cells to compare.
    held_out
        Result of `held_out_variance`.
    settings
        top, max_features.
    """
    compared = [comparison for comparison in comparisons if comparison is not None]
    if not compared:
        logger.warning("group %s has too few cells in every batch; left out", where["item"])
        return []
    n, whole = sum(part.n for part in parts), pool_moments(parts)
    published = COMMON | where | dict(protocol="published")
    ranking = rank_published(compared, settings["top"])
    in_sample = explained_variance(whole, whole, ranking[0], settings["max_features"])
    rows = ranking_rows(names, compared, ranking, settings, published)
    rows += variance_rows(in_sample[None], n, published | {"metric": "r2"})
    strict = COMMON | where | dict(protocol="strict")
    rows += ranking_rows(names, compared, rank_strict(compared), settings, strict)
    return rows + variance_rows(held_out, n, strict | {"metric": "r2"})


def feature_ranking(
    index: str, features: list[str], groups: str, settings: dict, benchmark: str
) -> None:
    """Rank the classical features that each group alters; measure how much of NTC they explain.

    Parameters
    ----------
    index
        Shard index (parquet).
    features
        Feature tables, one per plate.
    groups
        Functional groups (parquet): gene, group.
    settings
        The section benchmarks.features.
    benchmark
        Output table (parquet).
    """
    names = feature_names(features[0])
    wanted = read_wanted(index, read_frame(groups), list(group_classes(settings)))
    batches = read_batches(index, features, names, wanted)
    table.write(feature_rows(names, batches, settings), benchmark)
