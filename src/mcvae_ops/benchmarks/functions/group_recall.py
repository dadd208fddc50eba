"""Confusion and recall of predicted functional groups, with intervals over genes or groups."""

from functools import partial
from typing import NamedTuple

import numpy as np

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.intervals import (
    FEWEST_UNITS,
    mean_interval,
    stratified_interval,
)

DIFFERENCE = ("background", "salient")


class Predictions(NamedTuple):
    """Predicted groups of held-out profiles.

    Attributes
    ----------
    groups
        Names of the groups, sorted, of shape (group,).
    truth
        Group of each profile, as a position in `groups`, of shape (profile,).
    genes
        Gene of each profile, of shape (profile,).
    predicted
        Predicted group of each profile, as a position in `groups`, of shape (repeat, profile).
    folds
        Number of folds of the cross-validation; 0 where the profiles were split once.
    """

    groups: np.ndarray
    truth: np.ndarray
    genes: np.ndarray
    predicted: np.ndarray
    folds: int = 0


def confusion(predictions: Predictions) -> np.ndarray:
    """Return the share of each true group (row) that is predicted as each group (column).

    Rows sum to 1. Repeats are pooled.
    """
    n = len(predictions.groups)
    truth = np.broadcast_to(predictions.truth, predictions.predicted.shape)
    counts = np.bincount((truth * n + predictions.predicted).ravel(), minlength=n * n)
    counts = counts.reshape(n, n)
    return counts / counts.sum(axis=1, keepdims=True)


class Recalls(NamedTuple):
    """Recall of each group, pooled over repeats, with the contribution of each gene to its error.

    Attributes
    ----------
    value, n
        Recall and number of profiles of each group, of shape (group,).
    terms, group_of
        Of each gene: its contribution to the error of the recall of its group, and that group, of
        shape (gene,); see `intervals.stratified_interval`.
    """

    value: np.ndarray
    n: np.ndarray
    terms: np.ndarray
    group_of: np.ndarray
    is_difference: bool = False

    def __sub__(self, other: "Recalls") -> "Recalls":
        """Return the difference of two spaces, paired by gene."""
        return self._replace(
            value=self.value - other.value, terms=self.terms - other.terms, is_difference=True
        )

    def mean(self, groups: list[int]) -> dict:
        """Return the mean recall of some groups, its interval over genes and n, as columns."""
        chosen = np.isin(self.group_of, groups)
        value, terms = self.value[groups].mean(), self.terms[chosen] / len(groups)
        low, high = stratified_interval(
            value, terms, self.group_of[chosen], is_share=not self.is_difference
        )
        units = f"{chosen.sum()} genes"
        return {"value": value, "low": low, "high": high, "n": self.n[groups].sum(), "units": units}


def recalls(predictions: Predictions) -> Recalls:
    """Return the recall of each group.

    The folds of a cross-validation train on the same genes in turn, so that their errors are not
    independent: the variance over genes alone is too small, by about test over training genes
    (Nadeau & Bengio 2003, doi:10.1023/A:1024068626366). `tests/calibration` measures what is left.
    """
    names, gene = np.unique(predictions.genes, return_inverse=True)
    right = (predictions.predicted == predictions.truth).mean(axis=0)
    hits, size = np.bincount(gene, right), np.bincount(gene)
    group_of = np.empty(len(names), int)
    group_of[gene] = predictions.truth
    n = np.bincount(predictions.truth, minlength=len(predictions.groups))
    value = np.bincount(group_of, hits, len(n)) / n
    terms = (hits - value[group_of] * size) / n[group_of]
    shared = np.sqrt(1 + 1 / (predictions.folds - 1)) if predictions.folds > 1 else 1.0
    return Recalls(value, n, shared * terms, group_of)


def recall_rows(predictions: Predictions, common: dict) -> list[dict]:
    """Return the rows of recall, macro recall, accuracy and chance of one space.

    Uniformly random guesses reach ``chance_recall``, which is 1 / number of groups. The published
    protocol has no intervals.

    Parameters
    ----------
    predictions
        Predictions of one space.
    common
        Columns that all rows share.
    """
    recall = recalls(predictions)
    row, n_groups, n = partial(table.row, **common), len(predictions.groups), recall.n.sum()
    of_groups = {name: recall.mean([k]) for k, name in enumerate(predictions.groups)}
    macro = recall.mean(list(range(n_groups)))
    weights = recall.n / n
    terms = recall.terms * weights[recall.group_of]
    low, high = stratified_interval(weights @ recall.value, terms, recall.group_of, is_share=True)
    accuracy = macro | {"value": weights @ recall.value, "low": low, "high": high}
    drawn = {("recall", name): columns for name, columns in of_groups.items()}
    drawn |= {("macro_recall", ""): macro, ("accuracy", ""): accuracy}
    if common["protocol"] == "published":
        drawn = {key: {"value": c["value"], "n": c["n"]} for key, c in drawn.items()}
    return [row(metric="chance_recall", value=1 / n_groups, n=n)] + [
        row(metric=metric, item=group, **columns) for (metric, group), columns in drawn.items()
    ]


def confusion_rows(predictions: Predictions, common: dict) -> list[dict]:
    """Return one row for each pair of true (item) and predicted (against) group."""
    matrix, n = confusion(predictions), np.bincount(predictions.truth)
    return [
        table.row(
            **common, metric="confusion", item=true, against=guess, value=matrix[i, j], n=n[i]
        )
        for i, true in enumerate(predictions.groups)
        for j, guess in enumerate(predictions.groups)
    ]


def recall_difference_rows(
    by_space: dict[str, Predictions], group_classes: dict[str, str], common: dict
) -> list[dict]:
    """Return the recall of each group from the background minus that from the salient space.

    Parameters
    ----------
    by_space
        Predictions of both spaces.
    group_classes
        Group -> its class; ``mean_recall_difference`` is the mean over the groups of a class. A
        statement on a class is one on its groups: they are the units of its interval. Only where a
        class has one or two groups, their genes are.
    common
        Columns that all rows share.
    """
    first = by_space[DIFFERENCE[0]]
    difference = recalls(first) - recalls(by_space[DIFFERENCE[1]])
    row = partial(table.row, **common | {"space": "-".join(DIFFERENCE)})
    hide = {"low": np.nan, "high": np.nan} if common["protocol"] == "published" else {}
    rows = [
        row(metric="recall_difference", item=group, **difference.mean([k]) | hide)
        for k, group in enumerate(first.groups)
    ]
    for group_class in dict.fromkeys(group_classes.values()):
        members = [k for k, g in enumerate(first.groups) if group_classes.get(g) == group_class]
        if not members:
            continue
        columns = difference.mean(members)
        if len(members) >= FEWEST_UNITS:
            low, high = mean_interval(difference.value[members])
            columns |= {"low": low, "high": high, "units": f"{len(members)} groups"}
        rows.append(row(metric="mean_recall_difference", item=group_class, **columns | hide))
    return rows
