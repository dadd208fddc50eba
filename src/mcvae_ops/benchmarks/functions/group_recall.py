"""Confusion and recall of predicted groups, with intervals over genes and repeats."""

from typing import NamedTuple

import numpy as np

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.intervals import interval

DIFFERENCE = ("background", "salient")


class Predictions(NamedTuple):
    """Predicted groups of held-out profiles.

    Attributes
    ----------
    groups
        Names of the groups, sorted, of shape (group,).
    truth
        Group of each profile, as a place in `groups`, of shape (profile,).
    genes
        Gene of each profile, of shape (profile,).
    predicted
        Predicted group, of shape (repeat, profile).
    """

    groups: np.ndarray
    truth: np.ndarray
    genes: np.ndarray
    predicted: np.ndarray


def confusion(predictions: Predictions) -> np.ndarray:
    """Return the share of each true group (row) that is predicted as each group (column).

    Rows sum to 1; repeats are pooled.
    """
    n = len(predictions.groups)
    truth = np.broadcast_to(predictions.truth, predictions.predicted.shape)
    counts = np.bincount((truth * n + predictions.predicted).ravel(), minlength=n * n)
    counts = counts.reshape(n, n)
    return counts / counts.sum(axis=1, keepdims=True)


def bootstrap_hits(
    predictions: Predictions, rounds: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Count hits and profiles of each group when genes and repeats are drawn anew.

    Parameters
    ----------
    predictions
        Predictions in every repeat.
    rounds
        Bootstrap rounds; each draws one repeat, and the genes of each group with replacement.
    rng
        Source of randomness; the same one makes the rounds of two spaces pairs.

    Returns
    -------
    Hits and number of profiles, each of shape (round, group).
    """
    names, gene = np.unique(predictions.genes, return_inverse=True)
    right = predictions.predicted == predictions.truth
    hits = np.stack([np.bincount(gene, weights=each, minlength=len(names)) for each in right])
    size = np.bincount(gene, minlength=len(names))
    group = np.empty(len(names), int)
    group[gene] = predictions.truth
    repeat = rng.integers(len(hits), size=(rounds, 1))
    drawn_hits = np.empty((rounds, len(predictions.groups)))
    drawn_size = np.empty_like(drawn_hits)
    for k in range(len(predictions.groups)):
        members = np.flatnonzero(group == k)
        drawn = members[rng.integers(len(members), size=(rounds, len(members)))]
        drawn_hits[:, k] = hits[repeat, drawn].sum(axis=1)
        drawn_size[:, k] = size[drawn].sum(axis=1)
    return drawn_hits, drawn_size


def count_hits(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Return hits and number of profiles of each group over all repeats, each of shape (group,)."""
    n = len(predictions.groups)
    right = (predictions.predicted == predictions.truth).sum(axis=0)
    hits = np.bincount(predictions.truth, weights=right, minlength=n)
    return hits, np.bincount(predictions.truth, minlength=n) * len(predictions.predicted)


def recall_estimates(
    hits: np.ndarray, size: np.ndarray, groups: np.ndarray
) -> dict[tuple, np.ndarray]:
    """Return (metric, group) -> estimate, from hits and sizes of shape (..., group)."""
    recall = hits / size
    summary = {("recall", group): recall[..., k] for k, group in enumerate(groups)}
    summary["macro_recall", ""] = recall.mean(axis=-1)
    summary["accuracy", ""] = hits.sum(axis=-1) / size.sum(axis=-1)
    return summary


def recall_rows(predictions: Predictions, drawn: dict[tuple, np.ndarray], common: dict) -> list:
    """Return the rows of recall, macro recall and accuracy of one space, and of chance.

    Guesses drawn evenly over the groups reach ``chance_recall``, 1 / number of groups.

    Parameters
    ----------
    predictions
        Predictions of one space.
    drawn
        The summary of bootstrap rounds; empty where there is no interval (published protocol).
    common
        What all the rows share.
    """
    n = dict(zip(predictions.groups, np.bincount(predictions.truth), strict=True))
    summary = recall_estimates(*count_hits(predictions), predictions.groups)
    chance = table.row(**common, metric="chance_recall", value=1 / len(n), n=len(predictions.truth))
    return [chance] + [
        table.row(
            **common,
            metric=metric,
            item=group,
            value=value,
            n=n.get(group, len(predictions.truth)),
            **interval_columns(drawn, (metric, group)),
        )
        for (metric, group), value in summary.items()
    ]


def confusion_rows(predictions: Predictions, common: dict) -> list[dict]:
    """Return one row for each pair of true (item) and predicted (against) group."""
    matrix, n = confusion(predictions), np.bincount(predictions.truth)
    return [
        table.row(**common, metric="confusion", item=true, against=said, value=matrix[i, j], n=n[i])
        for i, true in enumerate(predictions.groups)
        for j, said in enumerate(predictions.groups)
    ]


def interval_columns(drawn: dict, key) -> dict[str, float]:
    """Return the 95 % interval as entries low and high; none where nothing was drawn."""
    return dict(zip(("low", "high"), interval(drawn[key]), strict=True)) if drawn else {}


def recall_difference_rows(
    by_space: dict[str, Predictions],
    drawn: dict[str, dict],
    group_classes: dict[str, str],
    common: dict,
) -> list[dict]:
    """Return the recall of each group from the background minus that from the salient space.

    Parameters
    ----------
    by_space, drawn
        Predictions, and summaries of their bootstrap rounds, of both spaces.
    group_classes
        Group -> its class; ``mean_recall_difference`` is the mean over the groups of a class.
    common
        What all the rows share.
    """
    common = common | {"space": "-".join(DIFFERENCE)}
    first, second = (by_space[space] for space in DIFFERENCE)
    values = [recall_estimates(*count_hits(each), each.groups) for each in (first, second)]
    both = [drawn[space] for space in DIFFERENCE]
    keys = [("recall", group) for group in first.groups]
    n = np.bincount(first.truth)
    value = np.array([values[0][key] - values[1][key] for key in keys])
    paired = [both[0][key] - both[1][key] for key in keys] if both[0] else []
    rows = []
    for k, group in enumerate(first.groups):
        here = common | {"metric": "recall_difference", "item": group}
        rows.append(table.row(**here, value=value[k], n=n[k], **_mean_interval(paired, [k])))
    for group_class in dict.fromkeys(group_classes.values()):
        members = [
            k for k, group in enumerate(first.groups) if group_classes.get(group) == group_class
        ]
        if members:
            here = common | {"metric": "mean_recall_difference", "item": group_class}
            mean, size = value[members].mean(), n[members].sum()
            rows.append(table.row(**here, value=mean, n=size, **_mean_interval(paired, members)))
    return rows


def _mean_interval(rounds: list[np.ndarray], members: list[int]) -> dict[str, float]:
    """Return the 95 % interval of the mean of some of the rounds, as `interval_columns` does."""
    return interval_columns(
        {"": np.mean([rounds[k] for k in members], axis=0)} if rounds else {}, ""
    )
