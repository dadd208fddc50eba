"""One row per perturbation: ``aggregated_data.h5ad``, with features, their tests, and maps."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import anndata
import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, ttest_ind_from_stats

from mcvae_ops.benchmarks.features.feature_cells import feature_names, read_wanted_cells
from mcvae_ops.embeddings.embedded_cells import read_cells
from mcvae_ops.embeddings.spaces import spaces_of
from mcvae_ops.files import read_frame, whole_file
from mcvae_ops.ops_standard import SCHEMA_VERSION
from mcvae_ops.ops_standard.collection_names import CONTROL_ID, perturbation_id
from mcvae_ops.ops_standard.standard_features import standard_columns

logger = logging.getLogger(__name__)

FDR = 0.05
UNIT = "perturbation_id"  # what a row stands for
_FEWEST_CONTROLS = 2  # of a batch, to standardise its cells
_NEIGHBOURS = 5


class Moments(NamedTuple):
    """Number of finite values, their mean and standard deviation, (perturbation, feature) each."""

    n: np.ndarray
    mean: np.ndarray
    sd: np.ndarray


def moments_of(
    batches: Iterable[tuple[np.ndarray, pd.DataFrame]], n_groups: int, n_features: int
) -> Moments:
    """Return the moments of each perturbation; the controls of each batch have mean 0 and sd 1.

    Parameters
    ----------
    batches
        Features of the cells of a batch, (cell, feature), NaN where missing; and of each cell
        is_ntc and group, the number of its perturbation. Batches of fewer than two controls are
        left out.
    n_groups, n_features
        How many.
    """
    n, total, squares = (np.zeros((n_groups, n_features)) for _ in range(3))
    for values, cells in batches:
        controls = values[cells["is_ntc"].to_numpy()]
        if len(controls) < _FEWEST_CONTROLS:
            logger.warning("batch %s has no controls and is left out", cells["batch"].iloc[0])
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.nanstd(controls, axis=0)
            scaled = (values - np.nanmean(controls, axis=0)) / np.where(spread > 0, spread, np.nan)
        group, known = cells["group"].to_numpy(), np.isfinite(scaled)
        scaled = np.where(known, scaled, 0)
        for sums, summand in ((n, known), (total, scaled), (squares, scaled**2)):
            np.add.at(sums, group, summand)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / n
        sd = np.sqrt(np.maximum(squares - n * mean**2, 0) / (n - 1))
    return Moments(n, mean, sd)


def significance_of(moments: Moments, control: int) -> tuple[np.ndarray, np.ndarray]:
    """Test every feature of every perturbation against the controls.

    Parameters
    ----------
    moments
        Of all perturbations.
    control
        Row of the controls.

    Returns
    -------
    p values of Welch's t test of cells, (perturbation, feature), 1 where there is no test; and
    -log10 of the false discovery rate over all tests (Benjamini and Hochberg 1995,
    doi:10.1111/j.2517-6161.1995.tb02031.x).
    """
    others = (part[control] for part in (moments.mean, moments.sd, moments.n))
    with np.errstate(invalid="ignore", divide="ignore"):
        p = ttest_ind_from_stats(moments.mean, moments.sd, moments.n, *others,
                                 equal_var=False).pvalue  # fmt: skip
    is_test = np.isfinite(p)
    is_test[control] = False
    p = np.where(is_test, p, 1.0)
    fdr = np.ones_like(p)
    if is_test.any():
        fdr[is_test] = false_discovery_control(p[is_test])
    return p, -np.log10(np.maximum(fdr, np.finfo(float).tiny))


def map_of(
    maps: pd.DataFrame, genes: Sequence[str], latent: np.ndarray, control: int
) -> np.ndarray:
    """Return the place of each perturbation on a map, float32 (perturbation, 2).

    Parameters
    ----------
    maps
        name, x, y of the genes. The run maps differences from the controls, and so no controls.
    genes
        Gene of each row.
    latent
        (perturbation, dimension) of the mapped space, 0 for the controls.
    control
        Row of the controls: they get the mean place of the genes nearest to them in the space.
    """
    places = maps.set_index("name")[["x", "y"]].reindex(genes).to_numpy(float)
    is_placed = np.isfinite(places).all(axis=1)
    distance = np.where(is_placed, np.linalg.norm(latent, axis=1), np.inf)
    nearest = np.argsort(distance, kind="stable")[:_NEIGHBOURS]
    places[control] = places[nearest[is_placed[nearest]]].mean(axis=0)
    return places.astype(np.float32)


def ops_aggregated(
    index: str,
    features: Sequence[str],
    genes: str,
    maps: str,
    channels: Sequence[dict],
    title: str,
    aggregated: str,
) -> None:
    """Rule ops_aggregated: write the AnnData of a visualisation, one row per perturbation.

    Parameters
    ----------
    index
        The shard index.
    features
        Feature tables, one per plate.
    genes
        Gene profiles of the model that is visualised; those of all cells are used.
    maps
        UMAPs of these profiles.
    channels
        name and stain of each channel.
    title
        Of the visualisation.
    aggregated
        Output (h5ad). X: means of the cells in units of the controls of their batch, float32;
        layers: p_values, neg_log10_fdr; obs: perturbation_id, n_cells; obsm: ``X_umap`` (of the
        combined space), ``X_umap_salient``, ...
    """
    cells = read_cells(index, ["batch", "gene", "is_ntc"])
    names = list(cells["gene"].cat.categories)
    cells["group"] = cells.pop("gene").cat.codes.to_numpy()
    ids = [perturbation_id(name) for name in names]
    columns = standard_columns(feature_names(features[0]), channels)
    logger.info("%d features of the standardised set: %s", len(columns), ", ".join(columns))
    batches = read_wanted_cells(index, features, list(columns), cells) if columns else []
    moments = moments_of(batches, len(names), len(columns))
    control = ids.index(CONTROL_ID)
    p, neg_log10_fdr = significance_of(moments, control)
    n_cells = np.bincount(cells["group"], minlength=len(names))
    adata = anndata.AnnData(
        moments.mean.astype(np.float32),
        pd.DataFrame({UNIT: ids, "n_cells": n_cells}, index=pd.Index(ids, name="aggregate_id")),
        pd.DataFrame(
            [(f.feature_name, f.feature_type, f.compartment) for f in columns.values()],
            pd.Index([f.feature_id for f in columns.values()], name="feature_id", dtype=object),
            ["feature_name", "feature_type", "compartment"],
        ),
        layers={
            "p_values": p.astype(np.float32),
            "neg_log10_fdr": neg_log10_fdr.astype(np.float32),
        },
        uns={
            "observation_unit": [UNIT],
            "schema_version": SCHEMA_VERSION,
            "default_embedding": "X_umap",
            "title": title,
            "neg_log10_fdr_threshold": float(-np.log10(FDR)),
        },
        obsm=_maps(read_frame(genes), read_frame(maps), names, control),
    )
    with whole_file(aggregated) as partial:
        adata.write_h5ad(partial)


def _maps(
    genes: pd.DataFrame, maps: pd.DataFrame, names: Sequence[str], control: int
) -> Mapping[str, np.ndarray]:
    """Return the places on the map of each space, as obsm has them."""
    profiles = genes[(genes["cells"] == "all") & ~genes["is_ntc"]].set_index("gene")
    placed, found = maps[maps["level"] == "gene"], {}
    for space, columns in spaces_of(genes.columns).items():
        latent = profiles[columns].reindex(names).to_numpy(float)
        latent[control] = 0
        suffix = "" if space == "combined" else f"_{space}"
        of_space = placed[placed["space"] == space]
        found[f"X_umap{suffix}"] = map_of(of_space, names, latent, control)
    return found
