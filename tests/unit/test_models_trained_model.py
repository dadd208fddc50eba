"""A trained model in three lines: embed, reconstruct, alter cells."""

import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import mcvae_ops
from mcvae_ops.errors import InputError
from mcvae_ops.models.preprocess import Preprocessing, batch_scale
from mcvae_ops.shards.crops import Crops
from mcvae_ops.shards.training_cells import read_training_cells
from mcvae_ops.training.embed import embed_cells
from mcvae_ops.training.train import train_model
from tests.conftest import ROOT
from tests.helpers.fake_shards import (
    CHANNELS,
    MCVAE,
    TRAINING,
    train_model_arguments,
    write_fake_screen,
)


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """Crops, cells, and the arguments of a training that brings the genes into s."""
    root = tmp_path_factory.mktemp("screen")
    shards = write_fake_screen(root, n_cells=480)
    settings = TRAINING | {"epochs": 32, "base_width": 8, "normalise_batches": True}
    settings |= {"label_weight": 500.0, "separation_weight": 300.0}
    arguments = train_model_arguments(shards, root / "trained", MCVAE, settings)
    train_model(**arguments)
    cells = read_training_cells(arguments["cells"])
    return Crops(root, cells).read(np.arange(len(cells))), cells, arguments


@pytest.fixture(scope="module")
def model(screen):
    return mcvae_ops.load(screen[2]["weights"])


def batches_of(cells) -> list[str]:
    return [cells.batches[k] for k in cells.batch]


def test_the_names_of_the_training_are_kept(model, screen):
    assert (model.name, model.seed, model.channels) == ("mcvae", 0, CHANNELS)
    assert model.labels == ["NTC", "GENE1", "GENE2", "GENE3", "GENE4"]
    assert model.batches == ["P/A1", "P/A2"]


def test_embedding_is_that_of_the_rule_whatever_the_order_of_the_channels(model, screen, tmp_path):
    crops, cells, arguments = screen
    names = ("index", "cells", "weights", "model", "training", "model_name", "seed")
    embedding = str(tmp_path / "embedding.parquet")
    kept = {name: arguments[name] for name in names} | {"part": 0, "parts": 1}
    embed_cells(**kept, log_variance=False, embedding=embedding)
    table = pq.read_table(embedding)
    latent = model.embed(crops[:, ::-1], CHANNELS[::-1], batches_of(cells))
    for space, values in latent.items():
        names = [name for name in table.column_names if name.startswith(f"{space}_")]
        np.testing.assert_allclose(values, np.array([table[n] for n in names]).T, atol=1e-5)


def test_counts_come_back_from_the_scale_of_the_networks():
    counts = torch.randint(100, 4000, (5, 2, 8, 8), generator=torch.Generator().manual_seed(0))
    low, high = torch.tensor([[120.0, 90.0], [200.0, 95.0]]), torch.tensor([[900.0, 700.0]] * 2)
    preprocessing = Preprocessing(8, 250.0, 1.5, 2.5, False, *batch_scale(low, high))
    batch = torch.tensor([0, 1, 1, 0, 1])
    back = preprocessing.to_counts(preprocessing(counts, batch), batch)
    torch.testing.assert_close(back, counts.float(), atol=0.1, rtol=1e-4)


def test_controls_with_the_salient_state_of_a_gene_show_its_ring(model, screen):
    # Gene k has a ring at .05 k of the crop's edge, in the first and the last channel.
    crops, cells, _ = screen
    is_control, is_gene = cells.label == 0, cells.label == 4
    names = np.array(batches_of(cells))
    s = model.embed(crops[is_gene], batch=names[is_gene])["s"].mean(axis=0)
    arguments = {"crops": crops[is_control], "batch": names[is_control]}
    added = model.counterfactual(s=s, **arguments) - model.counterfactual(s=0 * s, **arguments)
    y, x = np.mgrid[:16, :16] / 16 - 0.5 + 0.5 / 16
    ring = np.abs(np.hypot(y, x) - 0.2) < 0.05
    outside = np.hypot(y, x) > 0.35
    with_ring, without = added.mean(axis=0)[[0, 3]], added.mean(axis=0)[[1, 2]]
    assert with_ring[:, ring].mean() > 400
    assert abs(with_ring[:, outside].mean()) < 0.2 * with_ring[:, ring].mean()
    assert abs(without[:, ring].mean()) < 0.25 * with_ring[:, ring].mean()


def test_the_example_of_the_documentation_runs(screen):
    crops, cells, arguments = screen
    plain = train_model_arguments(
        Path(arguments["index"]).parent, Path(arguments["weights"]).parent / "plain", MCVAE,
        TRAINING | {"epochs": 1},
    )  # fmt: skip
    train_model(**plain)
    text = (ROOT / "docs/models.md").read_text()
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    example = example.replace("results/simulated/models/mcvae/0/weights.pt", plain["weights"])
    names = {"crops": crops[cells.label == 1], "controls": crops[cells.label == 0]}
    exec(example, names)
    assert names["altered"].shape == (120, 4, 16, 16)


def test_own_salient_state_gives_the_reconstruction(model, screen):
    crops, cells, _ = screen
    some = {"crops": crops[-20:], "batch": batches_of(cells)[-20:]}
    reconstructed = model.reconstruct(**some)
    np.testing.assert_allclose(
        model.counterfactual(s=model.embed(**some)["s"], **some), reconstructed, rtol=1e-5
    )
    errors = np.abs(reconstructed - crops[-20:, :, 2:18, 2:18]).mean()
    assert errors < np.abs(crops[-20:] - crops[-20:].mean()).mean()


def test_a_batch_of_another_gain_is_normalised_by_its_own_controls(model, screen):
    crops, cells, _ = screen
    in_batch = cells.batch == 0
    brighter = (crops[in_batch] * 1.7 + 60).astype(np.uint16)
    is_control = cells.label[in_batch] == 0
    other = model.with_controls({"new/B2": brighter[is_control]})
    same = model.with_controls({"new/B2": crops[in_batch][is_control]})
    expected = same.embed(crops[in_batch], batch="new/B2")
    embedded = other.embed(brighter, batch="new/B2")
    for space, values in embedded.items():
        assert np.abs(values - expected[space]).max() < 0.05 * expected[space].std()


def test_what_does_not_fit_is_refused(model, screen, tmp_path):
    crops = screen[0][:3]
    for call, sentence in (
        (lambda: model.embed(crops), "batch: found none, expected one of P/A1, P/A2"),
        (lambda: model.embed(crops, batch="P/B9"), "found 'P/B9'"),
        (lambda: model.embed(crops[:, :3], batch="P/A1"), r"shape \(3, 3, 20, 20\)"),
        (lambda: model.embed(crops, [*"wxyz"], "P/A1"), "channel A594 is missing"),
        (lambda: model.counterfactual(crops, np.zeros(3), batch="P/A1"), r"shape \(3,\)"),
    ):
        with pytest.raises(InputError, match=sentence):
            call()
    damaged = tmp_path / "weights.pt"
    damaged.write_bytes(Path(screen[2]["weights"]).read_bytes()[:5000])
    with pytest.raises(InputError, match="found damage"):
        mcvae_ops.load(damaged)
