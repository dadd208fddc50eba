"""Functional groups predicted from profiles (figures 4B, 4C), by both protocols.

Published (Wang et al. 2023): unscaled features and one stratified split of guides, so that guides
of one gene may be in both parts. Strict: features are standardised on the training part; repeated
cross-validation keeps the guides of a gene together; 95 % intervals are over genes (over groups for
the mean of a class of groups); every set of cells is evaluated. A group needs two guides
(published) or two genes (strict); smaller groups are left out and logged.
"""

import logging

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates import classification, table
from mcvae_ops.benchmarks.estimates.functional_groups import group_classes, label_profiles
from mcvae_ops.benchmarks.functions.group_recall import (
    DIFFERENCE,
    Predictions,
    confusion_rows,
    recall_difference_rows,
    recall_rows,
)
from mcvae_ops.embeddings.spaces import spaces_of
from mcvae_ops.files import read_frame
from mcvae_ops.progress import Progress
from mcvae_ops.randomness import named_rng

logger = logging.getLogger(__name__)

BENCHMARK = "functions"


def predict_published(
    features: np.ndarray, labels: np.ndarray, genes: np.ndarray, settings: dict, seed: int
) -> Predictions:
    """Fit on a stratified part of the profiles and predict the rest.

    Parameters
    ----------
    features
        Profiles of shape (profile, latent).
    labels, genes
        Group and gene of each profile, of shape (profile,).
    settings
        test_fraction.
    seed
        Seed of the split.
    """
    groups, truth = np.unique(labels, return_inverse=True)
    rng = named_rng(seed, "published")
    test = classification.split_units(truth, np.arange(len(truth)), settings["test_fraction"], rng)
    probabilities = classification.class_probabilities(
        features[~test], truth[~test], features[test], standardise=False
    )
    return Predictions(groups, truth[test], genes[test], probabilities.argmax(axis=1)[None])


def predict_strict(
    features: np.ndarray, labels: np.ndarray, genes: np.ndarray, settings: dict, seed: int
) -> Predictions:
    """Predict every profile in every repeat by a fit without the profiles of its gene.

    Parameters
    ----------
    features, labels, genes, seed
        As for `predict_published`.
    settings
        folds, repeats.
    """
    groups, truth = np.unique(labels, return_inverse=True)
    predicted = np.empty((settings["repeats"], len(truth)), int)
    for repeat in range(settings["repeats"]):
        rng = named_rng(seed, "strict", str(repeat))
        fold = classification.grouped_folds(truth, genes, settings["folds"], rng)
        for held_out in np.unique(fold):
            test = fold == held_out
            predicted[repeat, test] = classification.class_probabilities(
                features[~test], truth[~test], features[test], standardise=True
            ).argmax(axis=1)
    return Predictions(groups, truth, genes, predicted, settings["folds"])


PREDICT = {"published": predict_published, "strict": predict_strict}


def classify_profiles(
    labelled: pd.DataFrame, protocol: str, settings: dict, seed: int, common: dict
) -> list[dict]:
    """Return the rows of one model on one set of cells, by one protocol.

    Parameters
    ----------
    labelled
        Profiles with gene, group and latent columns.
    protocol
        "published" or "strict".
    settings
        test_fraction, folds, repeats, shifting_groups, novel_groups.
    seed
        Seed of splits and bootstraps; every space gets the same splits.
    common
        Columns that all rows share.
    """
    spaces = spaces_of(labelled.columns)
    labelled = labelled[classification.finite_rows(labelled[spaces["combined"]].to_numpy(float))]
    units = labelled.index if protocol == "published" else labelled["gene"]
    labelled = labelled[
        classification.with_two_units(labelled["group"].to_numpy(), units.to_numpy())
    ]
    labels, genes = (labelled[name].to_numpy(dtype=str) for name in ("group", "gene"))
    if len(np.unique(labels)) < 2:
        where = f"{common['model']}, {common['cells']} cells, {protocol} protocol"
        logger.warning("%s: fewer than two groups; left out", where)
        return []
    predictions, rows = {}, []
    for space, columns in spaces.items():
        features = labelled[columns].to_numpy(float)
        predicted = PREDICT[protocol](features, labels, genes, settings, seed)
        predictions[space] = predicted
        rows += confusion_rows(predicted, common | {"space": space})
        rows += recall_rows(predicted, common | {"space": space})
    if set(DIFFERENCE) <= set(spaces):
        rows += recall_difference_rows(predictions, group_classes(settings), common)
    return rows


def function_rows(
    profiles: pd.DataFrame,
    groups: pd.DataFrame,
    significance: pd.DataFrame,
    settings: dict,
    seed: int,
) -> list[dict]:
    """Return the rows of one table of profiles by both protocols.

    The published protocol uses profiles of all cells and matches whole gene symbols, as the authors
    did. The strict protocol uses every set of cells and matches either part of merged symbols
    (``A&B``).
    """
    rows = []
    for protocol in table.PROTOCOLS:
        strict = protocol == "strict"
        labelled = label_profiles(profiles, groups, significance, settings, split_merged=strict)
        for (model, trained, cells), part in labelled.groupby(["model", "seed", "cells"]):
            if strict or cells == "all":
                common = dict(
                    benchmark=BENCHMARK, protocol=protocol, model=model, seed=trained, cells=cells
                )
                rows += classify_profiles(
                    part.reset_index(drop=True), protocol, settings, seed, common
                )
    return rows


def functions(
    profiles: list[str],
    groups: str,
    significance: str,
    settings: dict,
    seed: int,
    benchmark: str,
) -> None:
    """Predict functional groups from guide (or gene) profiles.

    Parameters
    ----------
    profiles
        Tables of guide profiles, or of gene profiles where settings["level"] is "gene".
    groups
        Functional groups (parquet): gene, group.
    significance
        Guide significance (parquet): guide, gene, p_value.
    settings
        The section benchmarks.functions, with shifting_groups and novel_groups of
        benchmarks.features.
    seed
        Seed of splits and bootstraps.
    benchmark
        Output table (parquet).
    """
    annotated, p_values = read_frame(groups), read_frame(significance)
    progress = Progress(len(profiles), "tables", "functions")
    rows = []
    for path in profiles:
        rows += function_rows(read_frame(path), annotated, p_values, settings, seed)
        progress.step()
    table.write(rows, benchmark)
