"""Controls with the salient state of a gene: matching, the blind classifier, and a planted ring."""

import numpy as np
import pandas as pd
import pytest
import torch

from mcvae_ops.benchmarks import counterfactuals as module
from mcvae_ops.benchmarks.counterfactuals import (
    called_gene,
    counterfactuals,
    matched_controls,
    ring_features,
)
from mcvae_ops.errors import InputError
from mcvae_ops.figures import style
from mcvae_ops.figures.figs_counterfactuals import figs8, use_of_s
from mcvae_ops.training.train import train_model
from tests.helpers.fake_shards import (
    MCVAE,
    TRAINING,
    VAE,
    train_model_arguments,
    write_fake_screen,
)


def test_controls_are_of_the_batches_of_the_cells():
    rng = np.random.default_rng(0)
    batch = rng.integers(0, 5, 400)
    gene, controls = np.arange(0, 60), np.arange(100, 400)
    own, beside = matched_controls(gene, controls[batch[controls] != 3], batch, rng)
    assert (batch[own] == batch[beside]).all() and 3 not in batch[own]
    assert len({*own}) == len(own) and len({*beside}) == len(beside)
    assert set(own) == {k for k in gene if batch[k] != 3}


def test_turned_and_mirrored_cells_have_the_same_features():
    images = np.random.default_rng(0).normal(size=(5, 3, 16, 16))
    features = ring_features(images)
    for turned in (np.rot90(images, axes=(2, 3)), images[:, :, ::-1], images[..., ::-1]):
        np.testing.assert_allclose(ring_features(turned), features)
    assert features.shape == (5, 3 * (2 * 6 + 1))


def test_the_classifier_takes_what_is_like_the_gene_for_it():
    rng = np.random.default_rng(0)
    gene, controls = rng.normal(1.5, 1, (100, 8)), rng.normal(0, 1, (100, 8))
    altered = {"like": controls + 1.5, "unlike": controls.copy()}
    called = {kind: values.mean() for kind, values in called_gene(gene, controls, altered).items()}
    assert called["gene"] > 0.9 and called["like"] > 0.9 and called["control"] < 0.1
    # The very controls, judged by classifiers that did not see them.
    assert called["unlike"] == called["control"]
    alike = called_gene(rng.normal(size=(200, 8)), rng.normal(size=(200, 8)), {})
    assert alike["gene"].mean() == pytest.approx(alike["control"].mean(), abs=0.15)


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    root = tmp_path_factory.mktemp("screen")
    shards = write_fake_screen(root, n_cells=640, n_genes=4)
    hits = pd.DataFrame({"gene": [f"GENE{k}" for k in (4, 3, 2, 1)], "q_combined": 0.001,
                         "distance_combined": [4.0, 3.0, 2.0, 1.0]})  # fmt: skip
    hits.to_parquet(root / "hits.parquet")
    return root, shards


def given(screen, model: dict, training: dict, folder) -> dict:
    root, shards = screen
    arguments = train_model_arguments(shards, folder, model, training)
    train_model(**arguments)
    names = ("index", "cells", "weights", "model_name", "seed")
    out = {name: str(folder / f"{name}.parquet") for name in ("benchmark", "pictures")}
    return {name: arguments[name] for name in names} | {"hits": str(root / "hits.parquet")} | out


class Drawn:
    """Stands for a trained model: a disc from z, and the ring of the gene from s or from z."""

    def __init__(self, ring_from: str, unaffected: int = 0) -> None:
        y, x = np.mgrid[:16, :16] - 7.5
        self._distance, self._ring_from = np.hypot(y, x), ring_from
        self._unaffected = unaffected
        self.ring = np.exp(-((self._distance - 5) ** 2)) * np.array([1, 0])[:, None, None]

    def encode(self, positions: np.ndarray) -> tuple[np.ndarray, dict[str, torch.Tensor]]:
        """Cells from 100 on are controls, whose ring has no height, as that of the unaffected."""
        rng = np.random.default_rng(positions[0])
        radius, height = rng.normal(4, 1, len(positions)), rng.normal(0, 0.2, len(positions))
        height += (positions >= self._unaffected) & (positions < 100)
        z = torch.from_numpy(np.stack([radius, height], axis=1))
        latent = {"s": torch.from_numpy(height)[:, None], "z": z}
        return self.decode(latent, positions), latent

    def decode(
        self, latent: dict[str, torch.Tensor], positions: np.ndarray, s: torch.Tensor | None = None
    ) -> np.ndarray:
        given = latent["s"] if s is None else s.expand_as(latent["s"])
        height = {"s": given[:, 0], "z": latent["z"][:, 1]}[self._ring_from].numpy()
        disc = self._distance < latent["z"].numpy()[:, 0, None, None]
        return disc[:, None] + height[:, None, None, None] * self.ring


@pytest.mark.parametrize(("ring_from", "is_taken"), [("s", True), ("z", False)])
def test_a_control_gets_the_ring_of_the_gene_where_the_decoder_draws_it_from_s(ring_from, is_taken):
    decoder = Drawn(ring_from)
    called, shown = module._of_gene(
        decoder, np.arange(60), np.arange(100, 160), np.random.default_rng(0)
    )
    share = {kind: values.mean() for kind, values in called.items()}
    assert share["gene"] > 0.95 and share["control"] < 0.05
    for kind in ("mean", "axis", "cell", "affected"):
        assert share[kind] > 0.95 if is_taken else share[kind] == share["control"], kind
    shape = decoder.ring / decoder.ring.max()
    assert (shown["map_affected"].max() > 0.5) == is_taken
    np.testing.assert_allclose(
        shown["map_affected"][0], shape * shown["map_affected"].max(), atol=1e-9
    )
    inside = decoder.ring > 0.9
    assert shown["map_gene"][0][inside].mean() == pytest.approx(1, abs=0.35)


def test_affected_cells_of_a_gene_show_more_than_its_mean():
    decoder, genes, controls = Drawn("s", unaffected=45), np.arange(60), np.arange(100, 160)
    called, shown = module._of_gene(decoder, genes, controls, np.random.default_rng(0))
    share = {kind: values.mean() for kind, values in called.items()}
    assert share["gene"] < 0.5 and share["gene_affected"] == 1
    assert share["affected"] > 0.95 and share["axis"] > 0.95 > share["mean"]
    inside = decoder.ring[0] > 0.9
    height = {kind: image[:, 0][:, inside].mean(axis=1) for kind, image in shown.items()}
    # Each shown control has the ring of the affected cell that is shown at its place.
    added = height["affected"] - height["control_decoded"]
    own = height["gene"] - (shown["gene"][:, 1][:, inside] > 0).mean(axis=1)
    disc = (shown["control"][:, 1][:, inside] > 0).mean(axis=1)
    np.testing.assert_allclose(added + height["control"] - disc, own, atol=1e-9)


def test_affected_cells_are_those_furthest_along_the_axis():
    s_of_gene = np.array([[0, 9], [3, 0], [0, 0], [5, -9], [1, 0.5]], float)
    far = module.affected(s_of_gene, np.zeros((7, 2)))  # the axis: 9 / 5, 0.5 / 5
    assert far.tolist() == [3]
    assert module.affected(s_of_gene.repeat(2, axis=0), np.zeros((7, 2))).tolist() == [6, 7]


def test_the_rule_writes_cells_and_shares_of_each_gene(screen, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FEWEST_CELLS", 10)
    arguments = given(screen, MCVAE, TRAINING | {"epochs": 1}, tmp_path)
    counterfactuals(**arguments)
    rows = pd.read_parquet(arguments["benchmark"])
    assert list(rows["item"].unique()) == ["GENE4", "GENE3", "GENE2", "GENE1"]  # as hits
    assert set(rows["against"]) == {
        "gene", "gene_affected", "control", "mean", "axis", "cell", "affected"
    }  # fmt: skip
    n, share = rows["n"], rows["value"]
    middle = (share + 1.96**2 / (2 * n)) / (1 + 1.96**2 / n)  # of Wilson's interval
    np.testing.assert_allclose((rows["low"] + rows["high"]) / 2, middle, atol=1e-3)
    cells = pd.read_parquet(arguments["pictures"])
    assert cells.groupby(["gene", "kind", "cell", "channel"]).size().eq(16 * 16).all()
    control = cells[(cells["kind"] == "control") & (cells["cell"] == 0)]
    assert control["value"].between(-1, 1).mean() > 0.9


def test_without_enough_cells_tables_and_figure_are_empty(screen, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FEWEST_CELLS", 1000)
    arguments = given(screen, MCVAE, TRAINING | {"epochs": 1}, tmp_path)
    counterfactuals(**arguments)
    tables = {
        name: pd.read_parquet(arguments[key]).assign(model="mcvae")
        for name, key in (("counterfactuals", "benchmark"), ("counterfactual_cells", "pictures"))
    }
    assert all(table.empty for table in tables.values())
    with style.house({"perturbation": "gene", "guide": "guide", "control": "NTC"}):
        _, data = figs8(tables, {}, {"profiles": {"main_model": "mcvae"}})
    assert "no gene has" in data["note"].item()


def test_a_model_without_s_is_refused(screen, tmp_path):
    arguments = given(screen, VAE, TRAINING | {"epochs": 1}, tmp_path)
    with pytest.raises(InputError, match="a model without salient space"):
        counterfactuals(**arguments)


def test_the_figure_says_so_where_the_decoder_does_not_use_s():
    metrics = pd.DataFrame({"phase": "validation", "negative_elbo": [2.0, 1.0],
                            "nats_without_s": [300.0, 0.4], "kl_s": [20.0, 0.1]})  # fmt: skip
    assert "does not use s (a cell loses 0.4 nats" in use_of_s(metrics)
    assert "loses 300 nats: the decoder uses it" in use_of_s(metrics.iloc[:1])
