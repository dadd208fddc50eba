"""Every panel: drawn from its tables, complete in its source data, the same bytes twice."""

import copy
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from PIL import Image
from torch import nn

from mcvae_ops.errors import InputError
from mcvae_ops.figures import style
from mcvae_ops.figures.draw import draw_figure, drawing_of
from mcvae_ops.figures.layers import build_model, decoder_layers, encoder_layers, layers_of
from mcvae_ops.figures.paper_values import FILES, read_published
from mcvae_ops.figures.plate_maps import well_places
from mcvae_ops.figures.source_data import average_seeds, choose
from mcvae_ops.models.networks import n_parameters
from mcvae_ops.workflow.panel_inputs import panel_settings, panel_values
from mcvae_ops.workflow.panels import PANELS
from tests.helpers import report_inputs


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, str]:
    return report_inputs.write_tables(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module")
def drawn(tables, tmp_path_factory) -> dict[str, dict[str, str]]:
    """Every panel, drawn once: panel -> kind -> path."""
    folder = tmp_path_factory.mktemp("figures")
    return {panel: report_inputs.draw(panel, tables, folder) for panel in PANELS}


@pytest.mark.parametrize("panel", PANELS)
def test_text_stays_text_and_there_is_no_date(panel, drawn):
    contents = {kind: Path(path).read_bytes() for kind, path in drawn[panel].items()}
    assert b"<text" in contents["svg"] and b"<dc:date>" not in contents["svg"]
    assert b"/Type3" not in contents["pdf"] and b"CreationDate" not in contents["pdf"]
    with Image.open(drawn[panel]["png"]) as image:
        assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)
        assert set(image.info) == {"dpi"}
    assert len(pd.read_csv(drawn[panel]["csv"])) > 0


@pytest.mark.parametrize(
    "panel", ["fig1", "fig2a", "fig3a", "fig4b", "fig4e", "fig5b", "figqc1", "figqc3", "figqc6"]
)
def test_same_bytes_on_a_second_run(panel, drawn, tables, tmp_path):
    again = report_inputs.draw(panel, tables, tmp_path)
    for kind, path in drawn[panel].items():
        assert Path(path).read_bytes() == Path(again[kind]).read_bytes(), kind


@pytest.mark.parametrize("panel", ["fig2b", "fig3b", "fig4c", "fig4d", "fig5b", "fig5c"])
def test_the_papers_values_are_overlaid(panel, tables, tmp_path, shared):
    if panel == "fig4d":  # of the same group alone
        groups = {"actin & adhesion": "Actin cytoskeleton & Adhesion", "tubulin": "Tubulin"}
        path = str(tmp_path / "features.parquet")
        pd.read_parquet(tables["features"]).replace({"item": groups}).to_parquet(path)
        tables = tables | {"features": path}
    targets = report_inputs.draw(panel, tables, tmp_path, str(shared / "reference"))
    assert set(pd.read_csv(targets["csv"])["source"]) == {"this run", "paper"}
    assert b">paper" in Path(targets["svg"]).read_bytes() or panel == "fig5c"


def test_a_panel_is_given_the_papers_values_that_it_overlays(shared):
    given = {panel: panel_values(str(shared / "reference"), panel) for panel in PANELS}
    read = {panel: [Path(path).name for path in paths] for panel, paths in given.items() if paths}
    curves = [FILES["curves"][0]]
    assert read == {
        "fig2a": curves, "fig2b": curves, "fig2c": curves,
        "fig3b": [FILES["covariates"][0]],
        "fig4b": [FILES["confusion"][0]], "fig4c": [FILES["recall_difference"][0]],
        "fig4d": [FILES["variance"][0]],
        "fig5b": [FILES["points"][0]], "fig5c": [FILES["auroc"][0]],
    }  # fmt: skip


def test_source_data_hold_what_is_drawn(drawn, tables):
    data = pd.read_csv(drawn["fig2a"]["csv"])
    table = pd.read_parquet(tables["complexes"])
    rows = table[(table["model"] == "mcvae") & (table["space"] == "combined")]
    rows = rows[(rows["metric"] == "recall") & (rows["level"] == 95)]
    mine = data[(data["model"] == "mcvae") & (data["level"] == 95)]
    assert mine["recall"].item() == pytest.approx(rows["value"].mean(), rel=1e-5)
    assert mine["n_seeds"].item() == 2
    assert set(data["model"]) == {"vae", "cvae", "mcvae", "cellprofiler", "random"}


def test_without_correction_s2_shows_what_2a_and_s1_show(drawn, tables):
    data = pd.read_csv(drawn["figs2"]["csv"])
    plain = data[(data["item"] == "none") & (data["model"] == "mcvae")]
    keys = ["space", "cells"]
    for name, metric, item, shown in (
        ("complexes", "average_precision", "CORUM", "average_precision"),
        ("guides", "mean_average_precision", "", "guide_consistency"),
    ):
        rows = choose(pd.read_parquet(tables[name]), protocol="strict", model="mcvae")
        there = average_seeds(choose(rows, metric=metric, item=item), keys)
        both = choose(plain, metric=shown).merge(there, on=keys, suffixes=("", "_there"))
        assert len(both) == 6  # three spaces, all cells and held-out cells
        for end in ("value", "low", "high"):
            np.testing.assert_allclose(both[end], both[f"{end}_there"], rtol=1e-5)


def test_a_percentile_at_which_no_pair_is_similar_is_left_out(tables, tmp_path):
    few = str(tmp_path / "complexes.parquet")  # of 72 genes, 1 % of all distances is one zero each
    pd.read_parquet(tables["complexes"]).assign(n=72).to_parquet(few)
    data = pd.read_csv(report_inputs.draw("fig2a", {"complexes": few}, tmp_path)["csv"])
    assert data["level"].max() == 98


def test_fig4e_lists_one_measure_at_several_angles_once(tables, tmp_path):
    path = str(tmp_path / "features.parquet")
    table = pd.read_parquet(tables["features"])
    angle = table["metric"].isin(["robust_z", "n_batches"]) & table["level"].between(1, 4)
    angles = "DAPI_Variance_3_0" + table["level"].astype(int).sub(1).astype(str) + "_256"
    table.assign(against=table["against"].mask(angle, angles)).to_parquet(path)
    listed = pd.read_csv(report_inputs.draw("fig4e", {"features": path}, tmp_path)["csv"])
    for _, of_group in listed.groupby("item"):
        assert of_group["level"].tolist() == [1, 5, 6, 7, 8]


@pytest.mark.parametrize(("size_um", "words"), [(0.325, " Bar: 5 µm."), (None, "")])
def test_a_bar_says_how_long_it_is(size_um, words):
    axes = style.new_figure(2, 2).subplots()
    axes.imshow(np.zeros((48, 48)))
    assert style.scale_bar(axes, 48, size_um) == words
    assert [np.ptp(line.get_xdata()) for line in axes.lines] == ([5 / 0.325] if size_um else [])


def test_two_seeds_are_dots_and_no_interval(drawn, tables, tmp_path):
    data = pd.read_csv(drawn["fig3b"]["csv"])
    dots = data[data["seed"].notna()]
    assert set(dots["seed"]) == {0, 1} and set(dots["protocol"]) == {"strict"}
    note = " ".join(re.findall(r"<text[^>]*>([^<]*)<", Path(drawn["fig3b"]["svg"]).read_text()))
    assert "Small dots, in place of a line: the two seeds" in note and "and seeds." not in note
    one = str(tmp_path / "covariates.parquet")
    table = pd.read_parquet(tables["covariates"])
    table[table["seed"] == 0].to_parquet(one)
    data = pd.read_csv(report_inputs.draw("fig3b", {"covariates": one}, tmp_path)["csv"])
    assert "seed" not in data or data["seed"].isna().all()


def test_fig4c_draws_a_bar_strong_only_where_the_strict_interval_excludes_0(tables):
    table = pd.read_parquet(tables["functions"])
    is_strict = (table["metric"] == "recall_difference") & (table["protocol"] == "strict")
    groups = sorted(set(table.loc[is_strict, "item"]))
    intervals = [(0.1, 0.3), (-0.3, 0.1), (np.nan, np.nan)]
    for group, (low, high) in zip(groups, intervals, strict=False):
        table.loc[is_strict & (table["item"] == group), ["low", "high"]] = low, high
    settings = panel_settings(report_inputs.CONFIGURATION, "fig4c")
    published = read_published([])
    with style.house(settings["screen"]["words"]):
        figure, _ = drawing_of("fig4c")({"functions": table}, published, settings)
    axes = figure.axes[0]
    bars = {round(bar.get_y() + 0.35): bar.get_facecolor()[3] for bar in axes.patches}
    names = [text.get_text().split(" (")[0] for text in axes.get_yticklabels()]
    strength = {name: bars[place] for place, name in enumerate(names)}
    assert [strength[group] for group in groups[:3]] == pytest.approx([0.8, 0.3, 0.3])


def test_what_s_adds_is_drawn_below_and_a_bar_is_as_long_as_the_screen_says(tables, tmp_path):
    """By hand: crops of 8 px that show 48 px of 0.325 um; a third of 15.6 um holds 5 um."""
    settings = panel_settings(report_inputs.CONFIGURATION, "figqc6")
    settings["screen"] = settings["screen"] | {"pixel_size_um": 0.325}
    settings["crop"] = {"size_px": 48}
    samples, metrics = (pd.read_parquet(tables[name]) for name in ("samples", "metrics"))
    read = {"samples": samples.assign(model="mcvae"), "metrics": metrics.assign(model="mcvae")}
    with style.house(settings["screen"]["words"]):
        figure, _ = drawing_of("figqc6")(read, {}, settings)
    every = {axes.get_ylabel(): axes for axes in figure.findobj(Axes)}
    shown = every["DAPI, what s adds"].images[0]
    cells = samples[(samples["channel"] == "DAPI") & samples["is_ntc"]]
    first = cells[cells["cell_id"] == cells["cell_id"].min()].sort_values(["y", "x"])
    difference = (first["reconstruction"] - first["without_s"]).to_numpy()
    width = samples["x"].nunique()
    np.testing.assert_allclose(shown.get_array()[:, :width].ravel(), difference)
    low, high = np.percentile(samples.loc[samples["channel"] == "DAPI", "input"], (1, 99.8))
    assert shown.get_clim() == pytest.approx((-(high - low) / 4, (high - low) / 4))
    (bar,) = next(iter(every.values())).lines
    assert np.ptp(bar.get_xdata()) == pytest.approx(5 / (0.325 * 48 / width))


def test_fig2c_holds_the_members_that_differ_in_priors_only(drawn):
    data = pd.read_csv(drawn["fig2c"]["csv"])
    assert set(data["model"]) == {"cvae", "cvae_prior_s", "cvae_prior_z", "mcvae"}


def test_a_screen_of_one_batch_has_no_bar_for_it(tables, tmp_path):
    one_batch = tmp_path / "covariates.parquet"
    rows = pd.read_parquet(tables["covariates"])
    rows[rows["item"] != "batch"].to_parquet(one_batch)
    data = report_inputs.draw("fig3b", {"covariates": str(one_batch)}, tmp_path)["csv"]
    assert set(pd.read_csv(data)["item"]) == {"position_in_fov", "position_in_well"}


def test_nothing_to_draw_is_said_in_one_sentence(tables, tmp_path):
    empty = tmp_path / "complexes.parquet"
    pd.read_parquet(tables["complexes"]).iloc[:0].to_parquet(empty)
    targets = {kind: str(tmp_path / f"x.{kind}") for kind in ("pdf", "svg", "png", "csv")}
    with pytest.raises(InputError, match="fig2b, table complexes: every row to draw is missing"):
        draw_figure("fig2b", [str(empty)], [], report_inputs.CONFIGURATION, **targets)


def test_layers_are_those_of_the_network():
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3, 2, 1), nn.GroupNorm(1, 3), nn.GELU(), nn.Flatten(), nn.Linear(48, 5)
    )
    first, last = layers_of(network, torch.zeros(1, 2, 8, 8))
    assert (first.kind, first.shape, first.followed_by) == ("Conv2d", (3, 4, 4), "GroupNorm GELU")
    assert first.n_parameters == 2 * 3 * 9 + 3 + 2 * 3
    assert (last.kind, last.shape, last.n_parameters) == ("Linear", (5,), 48 * 5 + 5)


def test_drawn_layers_hold_all_parameters_of_the_networks():
    model = build_model(report_inputs.CONFIGURATION, "mcvae")
    parts = [encoder_layers(model.salient_encoder, model.settings), decoder_layers(model)]
    parts.append(encoder_layers(model.background_encoder, model.settings))
    priors = n_parameters(model.prior_s) + n_parameters(model.prior_z)
    drawn = sum(layer.n_parameters for part in parts for layer in part)
    assert drawn == n_parameters(model) - priors


def test_the_papers_groups_are_those_of_its_tables(shared):
    ours = pd.read_csv(shared / "data" / "published" / "functional_groups_894.tsv", sep="\t")
    theirs = read_published(list(map(str, (shared / "reference").glob("*.tsv"))))
    assert set(theirs["recall_difference"]["group"]) == set(ours["group"])
    assert set(theirs["confusion"]["true_group"]) == set(ours["group"])


def test_wells_lie_where_their_names_say():
    assert well_places(["A1", "B3"]) == {"A1": (0, 0), "B3": (1, 2)}
    assert well_places(["left", "right"]) == {"left": (0, 0), "right": (0, 1)}


def test_colours_of_models_and_spaces_stay_apart_under_deuteranopia():
    # Machado et al. 2009, doi:10.1109/TVCG.2009.113, severity 1, on linear RGB.
    matrix = np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.01182, 0.04294, 0.968881],
        ]
    )
    for names in (
        ("vae", "cvae", "mcvae", "cellprofiler"),
        ("cvae", "cvae_prior_s", "cvae_prior_z", "mcvae"),
    ):
        assert_apart([style.MODEL_COLOURS[name] for name in names], matrix)
    assert_apart([*style.SPACE_COLOURS.values(), style.MODEL_COLOURS["cellprofiler"]], matrix)


def assert_apart(colours: list[str], matrix: np.ndarray) -> None:
    seen = np.array([matrix @ np.power(to_rgb(colour), 2.2) for colour in colours])
    seen = np.power(np.clip(seen, 0, 1), 1 / 2.2)
    distance = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
    assert distance[np.triu_indices(len(colours), 1)].min() > 0.12


def test_group_styles_are_unique():
    styles = style.group_styles([str(k) for k in range(40)])
    assert len(set(styles.values())) == 40


def test_the_kl_is_that_of_the_best_validation(drawn):
    found = pd.read_csv(drawn["figqc6"]["csv"]).dropna(subset="dimension")
    kl = dict(zip(found["dimension"], found["kl_nats"], strict=True))
    assert kl == {"s_00": 1.0, "s_01": 0.25, "z_00": 0.5, "z_01": 3.0}


@pytest.mark.parametrize("network", ["conv64", "resnet64"])
def test_no_label_lies_on_a_number_of_a_model_with_a_third_encoder(network):
    settings = copy.deepcopy(report_inputs.CONFIGURATION)
    settings["models"]["mcvae"]["training"] = {"technical_latent": 8, "network": network}
    with style.house(settings["screen"]["words"]):
        figure, _ = drawing_of("fig1")({}, {}, settings)
        figure.draw_without_rendering()
        texts = [text for text in figure.axes[0].texts if text.get_text().startswith("prior")]
        others = [text for text in figure.axes[0].texts if text not in texts and text.get_text()]
        for text in texts:
            place = text.get_window_extent()
            on = [other.get_text() for other in others if place.overlaps(other.get_window_extent())]
            assert len(texts) == 3 and on == []
