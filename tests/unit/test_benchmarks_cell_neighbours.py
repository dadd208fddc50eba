"""What is told of single cells, from planted embeddings; the digits that it is told of."""

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.benchmarks import cell_neighbours as module
from mcvae_ops.benchmarks.cell_neighbours import cell_neighbours
from mcvae_ops.evaluation.score_card import card_of
from mcvae_ops.figures.figs_cells import figs9
from mcvae_ops.figures.style import house
from mcvae_ops.simulate.digits import CONTROLS, REPEATS, SIZE_PX, draw_digits
from tests.helpers.configurations import checked, merged

N = 1200
STAGES = ["mitotic", "interphase"]  # of the other cells, it is not known


def accuracies(tmp_path, log_variance: float | None) -> pd.Series:
    """s holds gene and stage, z the well; a collapsed dimension of z holds gene and arm, too."""
    rng = np.random.default_rng(0)
    gene, well = rng.integers(0, 5, N), rng.integers(0, 3, N)
    cells = pd.DataFrame({
        "cell_id": [f"c{k}" for k in range(N)], "gene": [f"g{k}" for k in gene],
        "well": [f"A{k}" for k in well], "is_ntc": np.arange(N) % 3 == 0,
        "cell_cycle_stage": np.select([rng.random(N) < 0.1, rng.random(N) < 0.5], STAGES, None),
    })  # fmt: skip
    latent = rng.normal(size=(N, 4))
    latent[:, 1] += 6 * cells["cell_cycle_stage"].eq("mitotic")
    latent[:, 0] += 6 * gene
    latent[:, 2] += 6 * well
    latent[:, 3] = 1e-3 * (gene + 5 * cells["is_ntc"] + 0.1 * latent[:, 3])
    names = ["s_00", "s_01", "z_00", "z_01"]
    table = cells[["cell_id"]].join(pd.DataFrame(latent, columns=names))
    if log_variance is not None:
        table = table.assign(**{f"log_variance_{name}": log_variance for name in names})
    split = np.where(rng.random(N) < 0.5, "train", "test")
    (tmp_path / "mcvae").mkdir()
    cells.to_parquet(tmp_path / "index.parquet")
    cells[["cell_id"]].assign(split=split).to_parquet(tmp_path / "splits.parquet")
    table.to_parquet(tmp_path / "mcvae/0.parquet")
    paths = [str(tmp_path / f"{name}.parquet") for name in ("index", "splits", "mcvae/0", "out")]
    cell_neighbours(paths[0], paths[1], [paths[2]], 0, paths[3])
    return pd.read_parquet(paths[3]).set_index(["item", "space", "metric", "against"])["value"]


def test_what_is_planted_is_told(tmp_path):
    found = accuracies(tmp_path, 0.0)
    assert found["gene", "salient", "knn_accuracy", "means"] > 0.95
    assert found["well", "background", "knn_accuracy", "means"] > 0.95
    # Only the probe on standardised dimensions reads the collapsed one, and no sample knows it.
    assert found["gene", "background", "knn_accuracy", "means"] < 0.35
    assert found["gene", "background", "probe_accuracy", "means"] > 0.8
    assert found["gene", "background", "probe_accuracy", "samples"] < 0.35
    assert found["gene", "combined", "chance", ""] == pytest.approx(0.2, abs=0.05)
    assert found["arm", "background", "probe_auroc", "means"] > 0.95
    for space, form in (("background", "samples"), ("salient", "means")):
        assert found["arm", space, "probe_auroc", form] == pytest.approx(0.5, abs=0.1)
    assert found["arm", "combined", "chance", ""] == 0.5


def test_the_stage_is_told_among_cells_of_which_it_is_known(tmp_path):
    found = accuracies(tmp_path, None)
    assert found["stage", "salient", "probe_auroc", "means"] > 0.95
    assert found["stage", "background", "probe_auroc", "means"] == pytest.approx(0.5, abs=0.15)
    assert found["stage", "combined", "chance", ""] == 0.5  # as many mitotic cells as others
    index, splits = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("index", "splits"))
    n_mitotic = (index["cell_cycle_stage"].eq("mitotic") & splits["split"].eq("test")).sum()
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert (table["n"][table["item"] == "stage"] == 2 * n_mitotic).all()


def test_one_space_and_shortcuts_are_asked_for_the_stage_on_the_card(tmp_path):
    accuracies(tmp_path, None)
    given, paths = pd.read_parquet(tmp_path / "mcvae/0.parquet"), []
    noise = np.random.default_rng(1).normal(size=(2, N))
    dino, density = (given.assign(s_01=of) for of in (given["s_01"] + 2 * noise[0], noise[1]))
    for model, latent in (("dino", dino), ("density", density)):
        (tmp_path / model).mkdir()
        latent = latent[["cell_id", "s_01"]].rename(columns={"s_01": "z_00"})
        latent.loc[:9, "z_00"] = np.nan  # the vectors of some cells are not known
        paths.append(str(tmp_path / f"{model}/0.parquet"))
        latent.to_parquet(paths[-1])
    cells = [str(tmp_path / f"{name}.parquet") for name in ("index", "splits")]
    cell_neighbours(*cells, paths, 0, str(tmp_path / "out.parquet"))
    card = card_of({"cell_neighbours": pd.read_parquet(tmp_path / "out.parquet")}, {}, {}, {})
    scores = {one["model"]: one["scores"] for one in card["representations"]}
    assert scores.keys() == {"dino", "density"}
    stage = scores["dino"]["stage/held-out cells"]
    assert stage["shortcut"] == "density" and stage["excess_low"] > 0.1 and stage["value"] > 0.9


def test_without_log_variances_there_are_no_samples(tmp_path):
    assert set(accuracies(tmp_path, None).index.get_level_values("against")) == {"", "means"}


def test_the_figure_shows_every_space_and_says_where_nothing_can_be_told(tmp_path):
    accuracies(tmp_path, 0.0)
    table = pd.read_parquet(tmp_path / "out.parquet")
    with house({"perturbation": "gene", "guide": "guide", "control": "NTC"}):
        figure, data = figs9({"cell_neighbours": table}, {}, {})
        empty, _ = figs9({"cell_neighbours": table[:0]}, {}, {})
        fewer, _ = figs9({"cell_neighbours": table[table["item"] != "stage"]}, {}, {})
        chance = table.assign(model="random")
        alone, _ = figs9({"cell_neighbours": pd.concat([table, chance])}, {}, {})
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["mcVAE, combined", "mcVAE, salient", "mcVAE, background"]
    assert names == [label.get_text() for label in alone.axes[0].get_yticklabels()]
    assert len(data) == len(table)
    assert [len(one.axes) for one in (figure, fewer)] == [4, 3]
    assert "too few cells" in empty.axes[0].get_title()


def test_of_many_genes_some_are_drawn_the_same_to_fit_and_to_test(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_GENES", 2)
    found = accuracies(tmp_path, None)
    assert found["gene", "combined", "chance", ""] == pytest.approx(0.5, abs=0.05)
    assert found["gene", "salient", "knn_accuracy", "means"] > 0.95


def test_a_task_without_enough_cells_is_left_out(tmp_path):
    accuracies(tmp_path, None)
    splits = pd.read_parquet(tmp_path / "splits.parquet")
    is_ntc = pd.read_parquet(tmp_path / "index.parquet")["is_ntc"]
    splits.loc[is_ntc, "split"] = "validation"
    splits.to_parquet(tmp_path / "splits.parquet")
    paths = [str(tmp_path / f"{name}.parquet") for name in ("index", "splits", "mcvae/0", "out")]
    cell_neighbours(paths[0], paths[1], [paths[2]], 0, paths[3])
    assert set(pd.read_parquet(paths[3])["item"]) == {"gene", "stage"}
    splits.assign(split="test").to_parquet(tmp_path / "splits.parquet")
    cell_neighbours(paths[0], paths[1], [paths[2]], 0, paths[3])
    assert pd.read_parquet(paths[3]).empty


def test_a_control_is_texture_alone_and_a_handwriting_is_one_guide():
    crops, cells = draw_digits(0)
    assert crops.shape == (len(cells), 1, SIZE_PX, SIZE_PX) and crops.dtype == np.uint16
    assert (cells["gene"] == "texture").sum() == CONTROLS
    digits = cells[cells["gene"] != "texture"]
    assert digits.groupby("guide").size().eq(REPEATS).all()
    assert digits.groupby("guide")[["gene", "well"]].nunique().eq([1, REPEATS]).all().all()
    # A digit's middle is brighter than that of a control of the same texture.
    middle = crops[:, 0, 5:11, 5:11].mean(axis=(1, 2))
    for well in ("A1", "A2", "A3"):
        of_well = (cells["well"] == well).to_numpy()
        is_digit = of_well & (cells["gene"] != "texture").to_numpy()
        assert middle[is_digit].mean() > middle[of_well & ~is_digit].mean() + 500


def test_the_configuration_is_whole(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/digits_archive").mkdir(parents=True)
    (tmp_path / "results/digits_archive/cells.parquet").touch()
    config = checked(merged("digits"))
    assert [*config["models"]] == ["vae", "cvae", "mcvae", "dcvae", "separated"]
