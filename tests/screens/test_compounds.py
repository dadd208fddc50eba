"""What was planted in the screen of compounds is found in the results of `make screens`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.benchmarks.doses.dose_trend import trend_test
from mcvae_ops.embeddings.spaces import SHORTCUTS
from mcvae_ops.profiles.significance import q_values
from mcvae_ops.simulate.library import AXES, EFFECTS
from mcvae_ops.workflow.drawn_panels import DrawnPanels
from mcvae_ops.workflow.panels import PANELS
from tests.conftest import ROOT
from tests.helpers.configurations import checked, merged

RESULTS = ROOT / "results/compounds"
CONFIG = checked(merged("compounds"))


@pytest.fixture(autouse=True, scope="module")
def results() -> Path:
    if not (RESULTS / "report.html").exists():
        pytest.skip("no results of `make screens`")
    return RESULTS


def test_every_panel_is_drawn_but_those_of_complexes():
    drawn = {path.stem for path in (RESULTS / "figures").glob("*.png")}
    assert drawn == set(DrawnPanels(CONFIG, []).drawn)
    assert set(PANELS) - drawn == {"fig2a", "fig2b", "fig2c", "figs2"}
    report = (RESULTS / "report.html").read_text()
    assert "fig2a: archive.annotations.corum is null" in report


def test_figures_speak_of_compounds_doses_and_dmso():
    drawn = "".join(path.read_text() for path in (RESULTS / "figures").glob("*.svg"))
    for word in ("compounds", "DMSO"):
        assert word in drawn
    for word in (" genes", "NTC", "guide"):
        assert f"{word} " not in drawn and f"{word}<" not in drawn, word


def test_shifts_are_the_planted_ones():
    found = pd.read_parquet(RESULTS / "qc/alignment.parquet")
    planted = pd.concat(map(pd.read_parquet, (RESULTS / "truth/tiles").glob("*.parquet")))
    both = found.merge(planted, on=["plate", "well", "tile", "channel"], suffixes=("", "_planted"))
    assert len(both) == len(found)
    error_px = (both[["dy_px", "dx_px"]] - both[["dy_px_planted", "dx_px_planted"]].values).abs()
    assert (error_px.max(axis=1) < 0.5).mean() >= 0.99


def test_mechanisms_are_told_far_beyond_chance():
    table = pd.read_parquet(RESULTS / "benchmarks/functions.parquet")
    recall = table[(table["metric"] == "macro_recall") & (table["protocol"] == "strict")]
    recall = recall[(recall["space"] == "combined") & (recall["cells"] == "all")]
    chance = 1 / len(CONFIG["simulate"]["library"]["groups"])
    is_shortcut = recall["model"].isin(SHORTCUTS)
    assert set(recall["model"][~is_shortcut]) == {"mcvae", "cellprofiler"} and is_shortcut.any()
    assert (recall["low"][~is_shortcut] > 1.5 * chance).all()
    # Neither density nor place nor their number tells mechanisms.
    assert (recall["low"][is_shortcut] < chance).all()


def test_higher_doses_do_more():
    guides = pd.read_parquet(RESULTS / "profiles/cellprofiler/0/guides.parquet")
    guides = guides[(guides["cells"] == "all") & ~guides["is_ntc"]]
    guides = guides[~guides["gene"].str.startswith("NUL")]
    latent = [column for column in guides if column.startswith("z_")]
    effect = (guides[latent] ** 2).sum(axis=1) ** 0.5
    dose_um = guides["guide"].str.extract(r" ([\d.]+) uM")[0].astype(float)
    mean = effect.groupby(dose_um.to_numpy()).mean()
    assert mean.iloc[-1] > 1.5 * mean.iloc[0]


def planted_trend_q() -> pd.Series:
    """Return q of the same test where the state of every cell is known, by compound."""
    effects = pd.read_parquet(RESULTS / "truth/effects.parquet")
    directions = effects[~effects["is_ntc"]].groupby("gene")[EFFECTS].sum()
    cells = pd.concat(map(pd.read_parquet, sorted((RESULTS / "truth/cells").glob("*.parquet"))))
    batch = cells["plate"] + cells["well"]
    dose = cells["guide"].str.extract(r" ([\d.]+) uM$")[0].astype(float)
    p_values = {}
    for compound, direction in directions[directions.any(axis=1)].iterrows():
        own = (cells["gene"] == compound).to_numpy()
        score = cells.loc[own, list(AXES)].to_numpy() @ direction.to_numpy()
        p_values[compound] = trend_test(score, dose[own].to_numpy(), batch[own].to_numpy())[1]
    q = q_values(np.array(list(p_values.values())), np.ones(len(p_values), bool))
    return pd.Series(q, list(p_values))


def test_doses_of_active_compounds_have_a_trend_and_planted_mechanisms_are_found():
    table = pd.read_parquet(RESULTS / "benchmarks/doses.parquet")
    table = table[(table["space"] == "combined") & (table["model"] == "cellprofiler")]
    q = table[table["metric"] == "trend_q_value"].set_index("item")["value"]
    has_trend, planted = q < 0.05, planted_trend_q().reindex(q.index) < 0.05
    assert has_trend[planted].mean() > 0.7 and has_trend[~planted].sum() <= 1
    overall = table[(table["item"] == "") & table["level"].isna()].set_index("metric")["value"]
    assert overall["mechanism_precision"] > 1.5 * overall["mechanism_precision_null"]
    assert overall["mechanism_precision_p_value"] < 0.01
