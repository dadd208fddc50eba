"""What was planted in the simulated screen is found in the results of `make demo`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.report.build import read_metrics
from mcvae_ops.report.quality_checks import training_summary
from mcvae_ops.simulate.self_check import effect_recovery
from mcvae_ops.training.diagnostics import salient_warnings
from tests.conftest import ROOT

RESULTS = ROOT / "results/simulated"
PLACE = ["plate", "well", "tile"]
BLIND = ["random", "density", "position", "cell_count"]  # see no image


@pytest.fixture(autouse=True, scope="module")
def results() -> Path:
    if not (RESULTS / "report.html").exists():
        pytest.skip("no results of `make demo`")
    return RESULTS


def planted(name: str) -> pd.DataFrame:
    return pd.concat(map(pd.read_parquet, sorted((RESULTS / "truth" / name).glob("*.parquet"))))


def test_shifts():
    found = pd.read_parquet(RESULTS / "qc/alignment.parquet")
    both = found.merge(planted("tiles"), on=[*PLACE, "channel"], suffixes=("", "_planted"))
    assert len(both) == len(found)
    error_px = (both[["dy_px", "dx_px"]] - both[["dy_px_planted", "dx_px_planted"]].values).abs()
    per_tile_px = error_px.max(axis=1).groupby([both[key] for key in PLACE]).max()
    assert (per_tile_px < 0.5).mean() >= 0.99


def test_crops_are_centred_on_planted_cells():
    index = pd.read_parquet(RESULTS / "shards/index.parquet")
    cells = dict(iter(planted("cells").groupby(PLACE)))
    nearest_px = []
    for key, called in index.groupby(PLACE):
        places = cells[key][["y_px", "x_px"]].to_numpy()
        offsets = called[["y_px", "x_px"]].to_numpy()[:, None] - places[None]
        nearest_px.append(np.hypot(*np.moveaxis(offsets, -1, 0)).min(axis=1))
    assert np.quantile(np.concatenate(nearest_px), 0.99) < 1.5

    shard = RESULTS / index["shard"].iloc[0]
    nuclei = np.load(shard)[:, 2].astype(float)
    bright = np.clip(nuclei - np.median(nuclei, axis=(1, 2), keepdims=True), 0, None)
    middle = nuclei.shape[-1] // 2
    around = slice(middle - 8, middle + 9)
    window = bright[:, around, around]
    grid = np.arange(-8, 9)
    total = window.sum(axis=(1, 2))
    dy_px = (window.sum(axis=2) * grid).sum(axis=1) / total
    dx_px = (window.sum(axis=1) * grid).sum(axis=1) / total
    assert abs(np.median(dy_px)) < 0.5
    assert abs(np.median(dx_px)) < 0.5


def test_true_effects_find_the_complexes():
    assert effect_recovery(pd.read_parquet(RESULTS / "truth/effects.parquet")) > 0.9


def test_every_trained_model_finds_complexes_far_beyond_chance():
    table = pd.read_parquet(RESULTS / "benchmarks/complexes.parquet")
    strict = table[(table["protocol"] == "strict") & (table["item"] == "CORUM")]
    strict = strict[(strict["space"] == "combined") & (strict["seed"] >= 0)]
    keys = ["model", "seed", "cells"]
    found = strict[strict["metric"] == "average_precision"].set_index(keys).sort_index()
    null = strict[strict["metric"] == "average_precision_null"].set_index(keys).sort_index()
    blind = found.index.unique("model").intersection(BLIND)
    trained = found.index.unique("model").difference(BLIND)
    assert {"vae", "cvae", "cvae_prior_s", "cvae_prior_z", "mcvae"} <= set(trained)
    for key in found.index:
        if key[0] in trained:
            assert found.loc[key, "value"] > null.loc[key, "high"], key
        if key[0] in trained and key[2] == "all":
            assert found.loc[key, "low"] > 3 * null.loc[key, "high"], key
    assert len(blind) == len(BLIND)
    assert (found.loc[blind, "value"] < 3 * null.loc[blind, "value"]).all()


def test_no_salient_space_has_collapsed():
    paths = sorted(RESULTS.glob("models/*/*/metrics.parquet"))
    summary = training_summary(read_metrics(paths))
    assert summary["nats_without_s"].notna().sum() >= 4
    for one in summary.to_dict("records"):
        assert salient_warnings(one) == {}, one


def test_guides_of_a_gene_agree_where_cells_are_seen_and_not_in_a_random_network():
    table = pd.read_parquet(RESULTS / "benchmarks/guides.parquet")
    share = table[(table["metric"] == "consistent_fraction") & (table["cells"] == "all")]
    share = share[share["space"] == "combined"].groupby("model")["value"].mean()
    assert share.drop(BLIND).min() > 0.2 and share[BLIND].max() < 0.05
