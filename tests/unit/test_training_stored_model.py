"""A model that another run has trained: its header, its export, its use on another screen."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mcvae_ops
from mcvae_ops.errors import InputError
from mcvae_ops.models.safetensors_files import export_weights
from mcvae_ops.shards.crops import Crops
from mcvae_ops.shards.training_cells import read_training_cells
from mcvae_ops.training.embed import embed_cells
from mcvae_ops.training.stored_model import take_model
from mcvae_ops.training.train import train_model
from mcvae_ops.weights_header import check_fit, read_header
from tests.helpers.configurations import checked, merged
from tests.helpers.fake_shards import (
    CHANNELS,
    MCVAE,
    TRAINING,
    train_model_arguments,
    write_fake_screen,
)

SETTINGS = TRAINING | {"normalise_batches": True, "label_weight": 10.0, "technical_latent": 2}
OF_EMBEDDING = ("index", "cells", "weights", "model", "training", "model_name", "seed")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> str:
    """The weights of a training on the plate P."""
    root = tmp_path_factory.mktemp("trained")
    arguments = train_model_arguments(write_fake_screen(root), root / "out", MCVAE, SETTINGS)
    train_model(**arguments)
    return arguments["weights"]


@pytest.fixture(scope="module")
def export(trained) -> str:
    path = trained.replace(".pt", ".safetensors")
    export_weights(trained, path)
    return path


@pytest.fixture(scope="module")
def new_plate(tmp_path_factory) -> tuple[Path, dict]:
    """A plate of other light, two more genes, its channels in another order."""
    root = tmp_path_factory.mktemp("new")
    channels = CHANNELS[::-1]
    shards = write_fake_screen(root, n_genes=6, plate="Q", gain=1.6, channels=channels)
    arguments = train_model_arguments(shards, root / "out", MCVAE, SETTINGS)
    for name in ("checkpoint_dir", "tensorboard_dir", "threads", "memory_mb"):
        del arguments[name]
    return root, arguments | {"channels": channels, "model_name": "stored"}


def embedding_of(arguments: dict, folder: Path) -> np.ndarray:
    """Embed all cells by the rules' functions; (cell, latent)."""
    take_model(**arguments)
    path = str(folder / "embedding.parquet")
    kept = {name: arguments[name] for name in OF_EMBEDDING} | {"part": 0, "parts": 1}
    embed_cells(**kept, log_variance=False, embedding=path)
    table = pq.read_table(path)
    return np.array([table[name] for name in table.column_names[1:]]).T


def test_the_header_is_what_the_weights_hold(trained, export):
    content = torch.load(trained, weights_only=True)
    for path in (trained, export):
        header = read_header(path)
        for key in ("model", "seed", "channels", "labels", "batches", "crop", "settings", "family"):
            assert header[key] == content[key], key
        assert header["crop"] == {"size_px": 20, "pixel_size_um": 0.65}
        assert header["preprocessing"]["gain"] is None and len(header["sha256"]) == 64


def test_the_export_gives_the_same_model(trained, export):
    first, second = mcvae_ops.load(trained), mcvae_ops.load(export)
    states = first.network.state_dict(), second.network.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    for name in ("gain", "shift_counts", "reference_counts"):
        assert torch.equal(getattr(first.preprocessing, name), getattr(second.preprocessing, name))
    names = ("name", "seed", "channels", "labels", "batches", "crop", "settings", "origin")
    assert all(getattr(first, name) == getattr(second, name) for name in names)


@pytest.mark.parametrize("form", ["pt", "safetensors"])
def test_a_new_plate_is_embedded_as_its_controls_say(form, trained, export, new_plate, tmp_path):
    root, arguments = new_plate
    stored = {"pt": trained, "safetensors": export}[form]
    latent = embedding_of(arguments | {"stored": stored}, tmp_path)
    cells = read_training_cells(arguments["cells"])
    crops = Crops(root, cells).read(np.arange(len(cells)))
    # The same in a few lines of Python: levelled by the training split's controls of each batch.
    batch = np.array([cells.batches[k] for k in cells.batch])
    trains = np.isin(np.arange(len(cells)), cells.in_split("train")) & (cells.label == 0)
    own_order = crops[:, ::-1]
    controls = {name: own_order[trains & (batch == name)] for name in cells.batches}
    expected = mcvae_ops.load(stored).with_controls(controls).embed(own_order, batch=batch)
    expected = np.concatenate([*expected.values()], axis=1)
    # Percentiles of the rule are counts that occur; those of NumPy lie between them.
    assert np.abs(latent - expected).max() < 0.02 * expected.std()

    used = mcvae_ops.load(arguments["weights"])
    assert used.origin == {k: read_header(stored)[k] for k in ("model", "seed", "sha256")}
    assert (used.name, used.channels, used.batches) == ("stored", CHANNELS[::-1], ["Q/A1", "Q/A2"])
    assert used.labels == ["NTC", *(f"GENE{k}" for k in range(1, 7))]
    of_training, here = mcvae_ops.load(stored).network.prior_s.weight, used.network.prior_s.weight
    torch.testing.assert_close(here[:5], of_training)
    torch.testing.assert_close(here[6], of_training[1:].mean(dim=0))
    (row,) = pq.read_table(arguments["metrics"]).to_pylist()
    assert row["phase"] == "validation" and row["kl_s"] > 0 and row["step"] == 0
    assert set(pq.read_table(arguments["samples"])["channel"].to_pylist()) == set(CHANNELS)


def test_levelling_takes_the_gain_away(trained, new_plate, tmp_path):
    _, arguments = new_plate
    latent = embedding_of(arguments | {"stored": trained}, tmp_path)
    darker = write_fake_screen(
        tmp_path, n_genes=6, plate="Q", gain=0.8, channels=arguments["channels"]
    )
    files = {name: str(darker / Path(arguments[name]).name)
             for name in ("index", "cells", "statistics")}  # fmt: skip
    other = embedding_of(arguments | files | {"stored": trained}, tmp_path)
    assert np.abs(other - latent).max() < 0.1 * latent.std()


HEADER = {
    "channels": ["DAPI", "GFP"],
    "crop": {"size_px": 48, "pixel_size_um": None},
    "family": {"condition_on_batch": False},
}


@pytest.mark.parametrize(
    ("change", "screen", "sentence"),
    [
        ({}, {"channels": ["GFP", "DAPI"]}, None),
        ({}, {"channels": ["DAPI"]}, "channel GFP is missing"),
        ({}, {"channels": ["DAPI", "GFP", "AF750"]}, "a model without channel AF750"),
        ({}, {"size_px": 64}, "a model of crops of 48 px, expected one of 64 px"),
        ({}, {"pixel_size_um": 0.5}, None),
        ({"crop": {"size_px": 96, "pixel_size_um": 0.25}}, {"pixel_size_um": 0.5}, None),
        ({"crop": {"size_px": 48, "pixel_size_um": 0.25}}, {"pixel_size_um": 0.5},
         "crops of 12 um, expected one of 24 um"),
        ({"family": {"condition_on_batch": True}}, {}, "conditioned on the batches"),
    ],
)  # fmt: skip
def test_a_screen_that_does_not_fit_is_refused(change, screen, sentence):
    crop = {"size_px": 48, "pixel_size_um": None} | screen
    channels = crop.pop("channels", ["DAPI", "GFP"])
    arguments = ("key", HEADER | change, channels, crop)
    if sentence is None:
        return check_fit(*arguments)
    with pytest.raises(InputError, match=sentence):
        check_fit(*arguments)


def test_the_configuration_takes_what_the_file_says(trained):
    config = merged("config")
    config["crop"]["size_px"] = 20
    config["screen"]["pixel_size_um"] = 0.65
    names = [channel["name"] for channel in config["screen"]["channels"]]
    if sorted(names) != sorted(CHANNELS):
        pytest.fail("the simulated screen has other channels than the helper")
    config["models"] = {"mcvae": {"weights": trained}}
    model = checked(config)["models"]["mcvae"]
    assert (model["salient_latent"], model["background_latent"]) == (4, 5)
    assert model["training"]["label_weight"] == 10 and "seeds" not in model["training"]
    for change, sentence in (
        ({"training": {"epochs": 3}}, r"models\.mcvae\.training: found epochs"),
        ({"weights": "nowhere.pt"}, "nowhere.pt: the file is missing"),
        ({"weights": __file__}, "no weights that can be read"),
    ):
        with pytest.raises(InputError, match=sentence):
            checked(config | {"models": {"mcvae": {"weights": trained} | change}})
    with pytest.raises(InputError, match=r"mcvae\.weights: found a model of crops of 13 um"):
        checked(config | {"crop": config["crop"] | {"size_px": 48}})


def test_the_example_of_a_new_plate_takes_a_trained_model(trained):
    config = merged("config", "new_plate")
    assert config["models"]["mcvae"] == {"weights": "results/simulated/models/mcvae/0/weights.pt"}
    config["models"]["mcvae"] = {"weights": trained}
    config["crop"]["size_px"], config["screen"]["pixel_size_um"] = 20, 0.65
    found = checked(config)
    assert [*found["models"]] == ["mcvae", "retrained"]
    assert [*found["screen"]["plates"]] == ["20260112_6W-SIM001C"]


@given(data=st.data())
def test_damaged_files_end_in_a_sentence(data, trained, export, tmp_path_factory):
    source = Path(data.draw(st.sampled_from([trained, export])))
    content = bytearray(source.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, min(len(content), 4000) - 1))] ^= 255
    path = tmp_path_factory.getbasetemp() / f"damaged{source.suffix}"
    path.write_bytes(content)
    try:
        read_header(path)
        mcvae_ops.load(path)
    except InputError as error:
        assert str(path) in str(error)
