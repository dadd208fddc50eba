"""Encoders that others trained stand beside the models: what is planned, and mistakes."""

import re

import pytest
from snakemake.exceptions import WorkflowError

from mcvae_ops.workflow.names import Embeddings
from mcvae_ops.workflow.snakefile import read_configuration
from tests.conftest import ROOT
from tests.helpers.configurations import DEFAULTS, SCHEMA
from tests.helpers.runs import jobs, tiny_configuration, write_configuration

ENCODER = {
    "file": "vit.pt2",
    "input": {"size_px": 224, "repeat": 3},
    "licence": "CC BY-NC 4.0",
    "commercial": False,
}


def read(encoder: dict, **changed) -> dict:
    config = tiny_configuration() | changed
    config["models"] = config["models"] | {"vit": {"encoder": encoder}}
    return read_configuration(config, DEFAULTS, SCHEMA, ROOT)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("vit.pt2", "vit.py"):
        (tmp_path / name).touch()
    (tmp_path / "weights.onnx").write_bytes(b"\n\x08location\x12\x11weights.onnx.data")
    return tmp_path


def test_an_encoder_is_a_further_model_that_is_not_trained(here):
    config = read(ENCODER)
    names = Embeddings(config)
    assert "vit" not in config["models"] and "vit" not in names.trained["model"]
    assert "vit" in names.all["model"] and "vit" in names.shown["model"]
    known = {"kind": "encoder", "licence": "CC BY-NC 4.0", "commercial": False}
    assert not names.is_trained("vit") and names.kinds["vit"] == known
    filled = {"channels": "per_channel", "join": "concatenate", "range": "crop"}
    assert config["encoders"]["vit"]["input"].items() >= filled.items()


def test_commercial_use_leaves_out_what_its_licence_forbids(here):
    assert Embeddings(read(ENCODER, commercial_use=True)).encoders == []
    allowed = read(ENCODER | {"commercial": True}, commercial_use=True)
    assert Embeddings(allowed).encoders == ["vit"]


def test_cells_are_encoded_and_shortcuts_of_crops_are_made(here):
    config = tiny_configuration()
    config["models"] |= {"vit": {"encoder": ENCODER}}
    config["profiles"]["embedding_jobs"] = 2
    config["benchmarks"]["shortcuts"] = ["density", "surroundings", "random_pixels", "untrained"]
    write_configuration(config, here)
    planned = jobs(here, "leaderboard")
    assert planned["encode_cells"] == planned["embed_untrained"] == 2
    assert planned["project_pixels"] == 4 and planned["shortcut_embedding"] == 1
    n_wells = sum(map(len, config["screen"]["plates"].values()))
    assert planned["list_masks"] == 1 and planned["cut_outlines"] == n_wells
    assert planned["score_card"] == planned["contents"] == planned["distance_ladder"] == 1


def test_another_licence_is_a_reason_for_another_card_alone(here):
    """What a job of encode_cells is told of its encoder is what changes vectors."""
    rule = (ROOT / "workflow/rules/embeddings.smk").read_text().partition("rule encode_cells:")[2]
    told = re.search(r'"encoders"\]\[wildcards.model\], ([^)]*)\n', rule)[1]
    assert told == '"file", "input"'


@pytest.mark.parametrize("file", ["torch:mean", "mcvae_ops.training.random_vit:random_vit"])
def test_a_function_of_a_package_needs_no_file(file, here):
    assert read(ENCODER | {"file": file})["encoders"]["vit"]["file"] == file


@pytest.mark.parametrize(
    ("encoder", "sentence"),
    [
        (ENCODER | {"file": "gone.onnx"},
         "configuration key models.vit.encoder.file: the file gone.onnx is missing"),
        (ENCODER | {"file": "weights.onnx"},
         "configuration key models.vit.encoder.file: the file weights.onnx.data is missing"),
        (ENCODER | {"file": "vit.py"},
         "configuration key models.vit.encoder.file: found vit.py, expected a file whose name ends "
         "in .pt2, .ts, .pt, .onnx, or package:function"),
        (ENCODER | {"file": "no_such_package:encode"},
         "configuration key models.vit.encoder.file: found no_such_package:encode, whose package "
         "is not installed"),
        (ENCODER | {"licence": None}, "configuration key encoders.vit.licence: found None"),
        ({key: ENCODER[key] for key in ("file", "licence", "commercial")},
         "configuration key encoders.vit.input: a value is missing"),
        (ENCODER | {"input": {}},
         "configuration key encoders.vit.input.size_px: a value is missing"),
        (ENCODER | {"input": {"size_px": 8, "join": "sum"}},
         "configuration key encoders.vit.input.join: found 'sum'"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(encoder, sentence, here):
    with pytest.raises(WorkflowError) as caught:
        read(encoder)
    assert str(caught.value).startswith(sentence)
