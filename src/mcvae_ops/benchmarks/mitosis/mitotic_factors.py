"""Fig. 5: does the relative background norm find mitotic factors better than the mitotic index?

S and B are the squared norms of the salient and the background part of a gene profile (minus NTC,
not z-scored), each divided by its mean over genes. Published protocol: absolute mitotic index, and
norms as they are, which noise makes larger, the more so the fewer cells a gene has. Strict
protocol: norms without that noise, signed index of the same cells (published profiles come without
noise and with an absolute index, and rows say so), interval of the difference of AUROC, and its
sensitivity to the threshold, the most extreme gene and the list of factors. The scale of S and B
(mean or median, with or without an outlier) cannot change an AUROC, because B / (S + B) orders
genes as B / S does.
"""

import logging
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.gene_symbols import named_in
from mcvae_ops.benchmarks.estimates.roc import auroc, auroc_interval
from mcvae_ops.benchmarks.mitosis.group_auroc import group_auroc_rows
from mcvae_ops.embeddings.spaces import finite_profiles, spaces_of
from mcvae_ops.errors import InputError
from mcvae_ops.files import read_frame, write_parquet
from mcvae_ops.profiles.aggregate import NOISE

logger = logging.getLogger(__name__)

SCORES = ("relative_background", "mitotic_index")
SENSITIVITY_FACTORS = (0.75, 1.25, 1.5)
HAS_SIGN, HAS_NOISE = "mitotic_index_has_sign", "norms_are_without_noise"
WIDER_LIST = "wider list of factors"


def squared_norms(
    genes: pd.DataFrame, *, without_noise: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared norms of the salient and the background part of profiles, (gene,) each.

    Parameters
    ----------
    genes
        Gene profiles; with columns of noise (see `mcvae_ops.profiles.aggregate.guide_profiles`) if
        it is to be taken off.
    without_noise
        Whether to subtract the noise that a mean of few cells adds to its squared norm. A norm that
        is then below 0 is 0.
    """
    spaces = spaces_of(genes.columns)
    if "salient" not in spaces:
        raise InputError(
            where="configuration key profiles.main_model",
            found="a model with one latent space",
            expected="a model with a salient and a background space",
            fix="choose a contrastive model",
        )
    norms = []
    for space in ("salient", "background"):
        norm = (genes[spaces[space]].to_numpy(np.float64) ** 2).sum(axis=1)
        if without_noise:
            norm = (norm - genes[f"{space}{NOISE}"].to_numpy()).clip(0)
        norms.append(norm)
    return norms[0], norms[1]


def effect_points(
    genes: pd.DataFrame, index: pd.DataFrame, factors: set[str], *, without_noise: bool = False
) -> pd.DataFrame:
    """Return the points of Fig. 5: norms, mitotic index and label of each targeting gene.

    Parameters
    ----------
    genes
        Profiles of one model, seed and set of cells, with the NTC row. As the authors did, the
        means of S and B are taken over all rows, including the zeros of NTC.
    index
        A mitotic index table; genes without an index are left out with a warning.
    factors
        Symbols of mitotic factors; a merged gene (``A&B``) is a factor if either symbol is.
    without_noise
        As in `squared_norms`.

    Returns
    -------
    gene, salient_norm, background_norm, relative_background, mitotic_index_percent,
    is_mitotic_factor. relative_background is NaN for a gene without effect in both spaces.
    """
    targeting = finite_profiles(genes)
    n_rows = len(targeting) + int(genes["is_ntc"].sum())
    norms = squared_norms(targeting, without_noise=without_noise)
    salient, background = (_over_mean(norm, n_rows) for norm in norms)
    percent = index[index["level"] == "gene"].set_index("name")["mitotic_index_percent"]
    points = pd.DataFrame(
        {
            "gene": targeting["gene"],
            "salient_norm": salient,
            "background_norm": background,
            "relative_background": relative_background(salient, background),
            "mitotic_index_percent": percent.reindex(targeting["gene"]).to_numpy(),
            "is_mitotic_factor": named_in(targeting["gene"], factors),
        }
    )
    unknown = points["mitotic_index_percent"].isna()
    if unknown.any():
        logger.warning("%d genes without a mitotic index are left out", unknown.sum())
    return points[~unknown].reset_index(drop=True)


def relative_background(salient: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return B / (S + B); NaN if both are 0."""
    total = salient + background
    return np.divide(background, total, out=np.full_like(total, np.nan), where=total > 0)


def threshold_percent(
    index: pd.DataFrame, settings: dict, percentile: float, signed: bool
) -> float:
    """Return the mitotic index above which a gene is significant.

    Parameters
    ----------
    index
        A mitotic index table.
    settings
        ``threshold_percent``: the threshold, or None to derive it from NTC guides.
    percentile
        Percentile of the index of NTC guides.
    signed
        Whether to use the signed index or its absolute value.
    """
    if settings["threshold_percent"] is not None:
        return float(settings["threshold_percent"])
    null = index.loc[index["level"] == "ntc_guide", "mitotic_index_percent"].to_numpy()
    if len(null) == 0:
        raise InputError.missing(
            where="mitotic index",
            what="an NTC guide",
            why="the threshold of significance is a percentile of NTC guides",
            fix="set benchmarks.mitosis.threshold_percent",
        )
    return float(np.percentile(null if signed else np.abs(null), percentile))


def published_rows(points: pd.DataFrame, threshold: float, row: Callable) -> list[dict]:
    """Return the AUROC of both scores over the significant genes, as the authors computed it.

    Parameters
    ----------
    points
        `effect_points`.
    threshold
        Genes with a larger absolute index are significant.
    row
        `table.row` with the columns that name the profiles filled in.
    """
    chosen = _significant(points, np.abs(points["mitotic_index_percent"]), threshold)
    scores = np.stack([chosen["relative_background"], np.abs(chosen["mitotic_index_percent"])])
    values, _ = auroc(scores, chosen["is_mitotic_factor"].to_numpy())
    make_row = partial(row, protocol="published", n=len(chosen))
    return [
        *(make_row(metric="auroc", item=k, value=v) for k, v in zip(SCORES, values, strict=True)),
        *_count_rows(chosen, threshold, make_row),
    ]


def strict_rows(points: pd.DataFrame, threshold: float, row: Callable) -> list[dict]:
    """Return the AUROC of both scores and their difference, with intervals over genes.

    Parameters
    ----------
    points
        `effect_points`.
    threshold
        Genes with a larger signed index are significant.
    row
        `table.row` with the columns that name the profiles and the analysis filled in.
    """
    chosen = _significant(points, points["mitotic_index_percent"], threshold)
    scores = np.stack([chosen["relative_background"], chosen["mitotic_index_percent"]])
    is_factor = chosen["is_mitotic_factor"].to_numpy()
    values, terms = auroc(scores, is_factor)
    make_row = partial(row, protocol="strict", n=len(chosen), units=f"{len(chosen)} genes")
    rows = []
    for name, value, of_genes in zip(SCORES, values, terms, strict=True):
        low, high = auroc_interval(value, of_genes, is_factor)
        rows.append(make_row(metric="auroc", item=name, value=value, low=low, high=high))
    value, of_genes = values[0] - values[1], terms[0] - terms[1]
    low, high = auroc_interval(value, of_genes, is_factor, is_share=False)
    difference = make_row(
        metric="auroc_difference",
        item="-".join(SCORES),
        value=value,
        low=low,
        high=high,
    )
    return [*rows, difference, *_count_rows(chosen, threshold, make_row)]


def sensitivity_rows(
    points: pd.DataFrame,
    wider: set[str],
    index: pd.DataFrame,
    settings: dict,
    row: Callable,
) -> list[dict]:
    """Return the strict rows for other thresholds, fewer genes and more factors.

    `against` names the change: ``threshold x 1.25``; ``without GENE`` for the gene with the largest
    salient norm; `WIDER_LIST` for the factors in `wider` (no row if it is empty). Other percentiles
    of NTC guides would be no change where these are few.
    """
    threshold = threshold_percent(index, settings, settings["null_percentile"], signed=True)
    rows = []
    for factor in SENSITIVITY_FACTORS:
        name = f"threshold x {factor:g}"
        rows += strict_rows(points, factor * threshold, partial(row, against=name))
    extreme = points["salient_norm"].idxmax()
    without = f"without {points['gene'][extreme]}"
    without_extreme = points.drop(index=extreme)
    rows += strict_rows(without_extreme, threshold, partial(row, against=without))
    if not wider:
        return rows
    relabelled = points.assign(is_mitotic_factor=named_in(points["gene"], wider))
    return rows + strict_rows(relabelled, threshold, partial(row, against=WIDER_LIST))


def _over_mean(norms: np.ndarray, n: int) -> np.ndarray:
    """Return norms divided by their mean over n rows; norms that are all 0 stay 0."""
    mean = norms.sum() / n
    return norms / mean if mean > 0 else norms


def _significant(points: pd.DataFrame, index: pd.Series, threshold: float) -> pd.DataFrame:
    return points[(index > threshold) & points["relative_background"].notna()]


def _count_rows(chosen: pd.DataFrame, threshold: float, row: Callable) -> list[dict]:
    return [
        row(metric="threshold_percent", value=threshold),
        row(metric="n_mitotic_factors", value=chosen["is_mitotic_factor"].sum()),
    ]


def mitosis(
    genes: list[str],
    mitotic_index: str,
    mitotic_factors: str,
    wider_mitotic_factors: str,
    groups: str,
    settings: dict,
    models: list[str],
    benchmark: str,
    points: str,
) -> None:
    """Write the benchmark of mitotic factors (Fig. 5A-C) and the points of the figure.

    Parameters
    ----------
    genes
        Tables of gene profiles; only the profiles of `models` are used.
    mitotic_index, mitotic_factors, wider_mitotic_factors
        Tables of the mitotic index, of mitotic factors, and of a wider list of factors, which may
        be empty.
    groups
        Functional groups (gene, group); may be empty.
    settings
        ``null_percentile``, ``threshold_percent``, ``shifting_groups``, ``novel_groups``.
    models
        The models of Fig. 5, which need a salient and a background space.
    benchmark, points
        Outputs: the benchmark table, and one row per gene, model and training seed (all cells).
    """
    indices = read_frame(mitotic_index)
    factors, wider = (
        set(read_frame(path)["gene"]) for path in (mitotic_factors, wider_mitotic_factors)
    )
    annotated = read_frame(groups)
    tables = [read_frame(path, filters=[("model", "in", models)]) for path in genes]
    # Tables are not concatenated, because models may differ in their latent sizes.
    parts = (part for genes in tables for part in genes.groupby(["model", "seed", "cells"]))
    rows, drawn = [], []
    for (model, training_seed, cells), part in parts:
        index = indices[indices["cells"] == cells]
        if index.empty:
            logger.warning("%s, %s cells: no mitotic index, left out", model, cells)
            continue
        has_noise = f"salient{NOISE}" in part
        effects = effect_points(part, index, factors, without_noise=has_noise)
        row = partial(
            table.row,
            benchmark="mitosis",
            model=model,
            space="combined",
            seed=training_seed,
            cells=cells,
        )
        percentile = settings["null_percentile"]
        signed = threshold_percent(index, settings, percentile, signed=True)
        has_sign = bool((index["mitotic_index_percent"] < 0).any())  # published ones are absolute
        rows.append(row(protocol="strict", metric=HAS_SIGN, value=has_sign, n=len(index)))
        rows.append(row(protocol="strict", metric=HAS_NOISE, value=has_noise, n=len(part)))
        rows += strict_rows(effects, signed, row)
        rows += group_auroc_rows(effects, annotated, settings, row)
        if cells == "all":
            absolute = threshold_percent(index, settings, percentile, signed=False)
            rows += sensitivity_rows(effects, wider, index, settings, row)
            published = effect_points(part, index, factors)
            rows += published_rows(published, absolute, row)
            significant = np.abs(published["mitotic_index_percent"]) > absolute
            drawn.append(published.assign(model=model, seed=training_seed, significant=significant))
    table.write(rows, benchmark)
    write_parquet(pd.concat(drawn, ignore_index=True), points)
