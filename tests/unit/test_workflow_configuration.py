"""Wrong configurations end in one sentence that names the key and the way out."""

import copy

import numpy as np
import pytest
import yaml
from snakemake.utils import update_config

from mcvae_ops.errors import InputError
from mcvae_ops.screen import tile_numbers
from mcvae_ops.simulate.library import draw_genes
from mcvae_ops.workflow.configuration import check_configuration, load_schema
from mcvae_ops.workflow.reference import reference
from tests.conftest import ROOT

SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"
KINDS = ("shifting_groups", "novel_groups")
CONFIGURATIONS = sorted((ROOT / "config").glob("*.yaml"))


@pytest.fixture
def config() -> dict:
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())


def change(config: dict, key: str, value) -> dict:
    config = copy.deepcopy(config)
    *parents, last = key.split(".")
    section = config
    for parent in parents:
        section = section[parent]
    section[last] = value
    return config


@pytest.mark.parametrize(
    ("size_px", "crops", "words"),
    [(300, 60, "figures.crops_per_gene: found 60"), (2100, 2, "crop.size_px: found 2100")],
)
def test_pictures_that_no_file_can_hold_are_refused(config, size_px, crops, words):
    config = change(change(config, "screen.tile_size_px", 4000), "crop.size_px", size_px)
    with pytest.raises(InputError, match=words):
        check_configuration(change(config, "figures.crops_per_gene", crops), SCHEMA)
    check_configuration(change(config, "crop.size_px", 100), SCHEMA)


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_screens_of_the_evaluation_hold_a_third_of_their_genes_out(config, name):
    """Whole complexes, of groups that keep another one, and genes without effect."""
    for path in ("dcvae", "evaluation/evaluation", f"evaluation/{name}"):
        update_config(config, yaml.safe_load((ROOT / f"config/{path}.yaml").read_text()))
    checked = check_configuration(config, SCHEMA)
    whole, head = (checked["models"][model]["training"] for model in ("dcvae", "dcvae_head"))
    assert head == whole | {"likelihood_weight": 0.0}
    assert "mcvae" in checked["models"] and len(checked["training"]["seeds"]) == 3
    genes = draw_genes(checked["simulate"]["library"], np.random.default_rng(0))
    held_out = checked["split"]["held_out_genes"]
    assert set(held_out) <= set(genes["gene"]) and len(held_out) == len(genes) / 3
    is_held_out = genes["gene"].isin(held_out)
    for kind, share in is_held_out.groupby(genes["kind"]):
        assert 0.2 < share.mean() < 0.4, kind
    planted = genes["complex"] != ""
    shares = is_held_out[planted].groupby(genes["complex"][planted]).mean()
    assert set(shares) == {0, 1} and shares.sum() >= 6
    kept = genes.loc[planted & ~is_held_out, "group"]
    named = {key: checked["benchmarks"]["features"][key] for key in KINDS}
    assert {group for groups in named.values() for group in groups} == set(kept)
    for kind, key in zip(("shift", "novel"), KINDS, strict=True):
        assert set(genes.loc[genes["kind"] == kind, "group"]) == set(named[key])


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_shipped_configurations_hold(path, shared, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = yaml.safe_load(path.read_text())
    if path.stem in ("claims", "dcvae"):  # what differs from the default
        changes, config = config, yaml.safe_load((ROOT / "config/config.yaml").read_text())
        update_config(config, changes)
    checked = check_configuration(config, SCHEMA)
    assert "{screen}" not in str(checked["archive"])


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("crop.sise_px", 48, ["crop", "unknown key 'sise_px'", "write 'size_px' instead"]),
        ("training.epochs", "ten", ["training.epochs", "'ten'", "integer"]),
        ("training.network", "conv65", ["training.network", "conv64, conv96"]),
        ("alignment.reference", "DAPPI", ["alignment.reference", "'DAPPI'", "A594, AF750, DAPI"]),
        ("alignment.measure", {"A594": "DAPY"}, ["alignment.measure", "'DAPY'"]),
        ("split.fractions", {"train": 0.9, "validation": 0.2, "test": 0.1}, ["sum of 1.2"]),
        ("split.held_out_wells", ["P/A9"], ["split.held_out_wells", "P/A9"]),
        ("profiles.main_model", "mcvea", ["profiles.main_model", "'mcvea'", "mcvae"]),
        ("profiles.compared_models", ["cvea"], ["compared_models: found 'cvea'", "vae, cvae,"]),
        ("profiles.compared_models", ["vae"], ["'vae', which has no salient latent"]),
        ("profiles.compared_models", ["cvae", "mcvae"], ["'mcvae', which is profiles.main_model"]),
        ("profiles.compared_models", ["cvae"] * 2, ["compared_models", "each of them once"]),
        ("benchmarks.functions.significance", "cp", ["benchmarks.functions.significance"]),
        ("screen.tiles", "0-3, 99", ["screen.tiles", "99", "0 to 20"]),
        ("screen.tiles", "9-1", ["'9-1'", "not above the last"]),
        ("screen.tiles", "0-x", ["screen.tiles", "'0-x'"]),
        ("crop.size_px", 4000, ["crop.size_px", "4000", "640"]),
        ("training.batch_size", 63, ["training.batch_size", "63"]),
        ("models.mcvae.training", {"seeds": [1]}, ["models.mcvae.training"]),
        ("models.cellprofiler", {}, ["models"]),
        ("models.mcvae", None, ["profiles.main_model", "'mcvae'", "one of models (vae, cvae,"]),
        ("split.held_out_genes", "ADH-1A", ["split.held_out_genes", "'ADH-1A'", "array"]),
    ],
)
def test_mistake_is_named(config, key, value, words):
    with pytest.raises(InputError) as caught:
        check_configuration(change(config, key, value), SCHEMA)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_a_model_that_is_null_is_left_out(config):
    checked = check_configuration(change(config, "models.vae", None), SCHEMA)
    assert list(checked["models"]) == ["cvae", "cvae_prior_s", "cvae_prior_z", "mcvae"]


def test_missing_key_is_named(config):
    del config["training"]["learning_rate"]
    with pytest.raises(InputError, match="training: found no key 'learning_rate'"):
        check_configuration(config, SCHEMA)


def test_missing_file_is_named(config):
    config = change(config, "source", "archive")
    config = change(config, "archive.study", "nowhere/S-X.json")
    with pytest.raises(InputError, match=r"nowhere/S-X\.json, which does not exist"):
        check_configuration(config, SCHEMA)


def test_every_key_has_a_description():
    def walk(entry: dict, where: str):
        for name, child in entry.get("properties", {}).items():
            assert "description" in child or "$ref" in child, f"{where}.{name}"
            walk(child, f"{where}.{name}")
            walk(child.get("items", {}), f"{where}.{name}[]")

    walk(load_schema(SCHEMA), "")


def test_reference_is_up_to_date():
    assert (ROOT / "config/README.md").read_text() == reference(load_schema(SCHEMA))


def test_ranges_of_tiles():
    assert tile_numbers("0-2, 7") == [0, 1, 2, 7]
    assert tile_numbers("5,3-4,4") == [3, 4, 5]
