"""Wrong configurations end in one sentence that names the key and the way out."""

import copy
import re

import numpy as np
import pytest
from snakemake.utils import update_config

from mcvae_ops.errors import InputError
from mcvae_ops.simulate.library import draw_genes
from mcvae_ops.workflow.configuration import read_yaml
from mcvae_ops.workflow.overlays import named_sections
from mcvae_ops.workflow.reference import reference
from mcvae_ops.workflow.schema import RENAMED, REWRITTEN
from tests.conftest import ROOT
from tests.helpers.configurations import (
    DEFAULTS,
    SCHEMA,
    checked,
    merged,
    tables_of_the_paper,
)

KINDS = ("shifting_groups", "novel_groups")
SCREENS = ("config", "compounds", "funk2022", "funk2022_pilot", "published")


@pytest.fixture
def config() -> dict:
    """The simulated screen, under a name of which no run has results here."""
    config = merged("config")
    config["screen"]["name"] = "untried"
    return config


def change(config: dict, key: str, value) -> dict:
    config = copy.deepcopy(config)
    *parents, last = key.split(".")
    section = config
    for parent in parents:
        section = section.setdefault(parent, {})
    section[last] = value
    return config


@pytest.mark.parametrize(
    ("size_px", "crops", "words"),
    [(300, 60, "figures.crops_per_gene: found 60"), (2100, 2, "crop.size_px: found 2100")],
)
def test_pictures_that_no_file_can_hold_are_refused(config, size_px, crops, words):
    config = change(change(config, "screen.tile_size_px", 4000), "crop.size_px", size_px)
    with pytest.raises(InputError, match=words):
        checked(change(config, "figures.crops_per_gene", crops))
    checked(change(config, "crop.size_px", 100))


@pytest.mark.parametrize("plates", [{"": ["A1"]}, {"P": [""]}, {"P": ["A1", ""]}, {"P": ""}])
def test_plates_and_wells_have_names(config, plates):
    config["screen"]["plates"] = plates
    with pytest.raises(InputError, match=r"screen\.plates"):
        checked(config)


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_screens_of_the_evaluation_hold_a_third_of_their_genes_out(name):
    """Whole complexes, of groups that keep another one, and genes without effect."""
    config = checked(merged("config", "dcvae", "evaluation/evaluation", f"evaluation/{name}"))
    dcvae, head = (config["models"][model]["training"] for model in ("dcvae", "dcvae_head"))
    assert head == dcvae | {"likelihood_weight": 0.0}
    assert "mcvae" in config["models"] and len(config["training"]["seeds"]) == 3
    genes = draw_genes(config["simulate"]["library"], np.random.default_rng(0))
    held_out = config["split"]["held_out_genes"]
    assert set(held_out) <= set(genes["gene"]) and len(held_out) == len(genes) / 3
    is_held_out = genes["gene"].isin(held_out)
    for kind, share in is_held_out.groupby(genes["kind"]):
        assert 0.2 < share.mean() < 0.4, kind
    planted = genes["complex"] != ""
    shares = is_held_out[planted].groupby(genes["complex"][planted]).mean()
    assert set(shares) == {0, 1} and shares.sum() >= 6
    kept = genes.loc[planted & ~is_held_out, "group"]
    named = {key: config["benchmarks"]["features"][key] for key in KINDS}
    assert {group for groups in named.values() for group in groups} == set(kept)
    for kind, key in zip(("shift", "novel"), KINDS, strict=True):
        assert set(genes.loc[genes["kind"] == kind, "group"]) == set(named[key])


@pytest.mark.parametrize(
    "files", [*((name,) for name in SCREENS), ("config", "claims"), ("funk2022", "dcvae")]
)
def test_shipped_configurations_hold(files, shared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no path but those that are given
    config = merged(*files)
    if config["source"] != "simulated":
        update_config(config, tables_of_the_paper(shared))
    assert "{screen}" not in str(checked(config)["archive"])


@pytest.mark.parametrize("name", ["config", "compounds", "funk2022", "funk2022_pilot"])
def test_a_screen_needs_no_file_beside_the_repository(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert checked(merged(name))["screen"]["name"]


@pytest.mark.parametrize("name", ["funk2022", "funk2022_pilot", "published"])
def test_the_papers_screen_needs_no_file_of_a_user(name):
    """Its lists and profiles are addresses at a fixed commit, with their checksums."""
    archive = checked(merged(name))["archive"]
    lists = [*archive["annotations"].values(), *archive["annotations"]["pairs"].values()]
    lists += (archive["profiles"] or {}).values()
    named = [entry for entry in lists if isinstance(entry, dict) and "table" in entry]
    assert len(named) >= 3
    for entry in named:
        assert re.match(
            r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/", entry["table"]
        )
        assert len(entry["sha256"]) == 64


@pytest.mark.parametrize(
    ("lists", "sentence"),
    [
        ({"functional_groups": "ragged.csv"}, "ragged.csv, line 2: found 3 fields"),
        ({"functional_groups": {"table": "empty.csv"}}, "empty.csv: found an empty file"),
        ({"mitotic_factors": "none.csv"}, "mitotic_factors: the file .*none.csv is missing"),
        ({"pairs": {"Reactome": "ragged.csv"}}, "expected a column 'gene_a'"),
        ({"pairs": {"CORUM": "ragged.csv"}}, "pairs.CORUM: the list CORUM is defined twice"),
        (
            {"corum": {"table": "ragged.csv", "sha256": "0" * 64}},
            "ragged.csv: found sha256 [0-9a-f]{64}, expected 0{64}",
        ),
        ({"corum": {"file": "ragged.csv"}}, "unknown key 'file', expected one of columns, sha256"),
    ],
)
def test_lists_are_checked_before_the_first_job(lists, sentence, tmp_path):
    (tmp_path / "ragged.csv").write_text("gene,group\nA,b,c\n" if "pairs" not in lists else "a,b\n")
    (tmp_path / "empty.csv").write_text("")

    def placed(entry):
        if isinstance(entry, str):
            return str(tmp_path / entry) if entry.endswith(".csv") else entry
        return {key: placed(value) for key, value in entry.items()}

    config = merged("published")
    config["archive"]["profiles"]["genes"]["table"] = "https://host/map.parquet"
    config["archive"]["profiles"]["guide_significance"]["table"] = "https://host/g.parquet"
    config["archive"]["annotations"] |= placed(lists)
    with pytest.raises(InputError, match=sentence):
        checked(config)


def test_files_of_the_papers_screen_describe_one_screen():
    """They are three, so that each can be run alone."""
    screens = [merged(name)["screen"] for name in ("funk2022", "funk2022_pilot", "published")]
    own = ("name", "plates", "tiles")
    first, *others = [{key: screen[key] for key in screen if key not in own} for screen in screens]
    assert others == [first, first]
    assert screens[0]["plates"] == screens[2]["plates"]


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
        ("benchmarks.features.novel_groups", [], ["novel_groups: a functional group is missing"]),
        ("models", None, ["models", "at least 1 of them"]),
        ("screen.plates", {"20260105_6W-SIM001A": None}, ["screen.plates", "at least 1 of them"]),
        ("screen", {"name": "x"}, ["key screen.plates: a value is missing"]),
        ("crop.illumination", {"tiles": 4}, ["crop.illumination.smoothing_px: a value is missing"]),
        ("screen.channels", [{"stain": "A"}], ["screen.channels.0.name: a value is missing"]),
        ("source", "archive", ["archive.root: the file", "S-SIM1.json is missing"]),
    ],
)
def test_mistake_is_named(config, key, value, words):
    with pytest.raises(InputError) as caught:
        checked(change(config, key, value))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_a_model_that_is_null_is_left_out(config):
    models = checked(change(config, "models.vae", None))["models"]
    assert list(models) == ["cvae", "cvae_prior_s", "cvae_prior_z", "mcvae"]


def test_every_key_has_a_description():
    def walk(entry: dict, where: str):
        for name, child in entry.get("properties", {}).items():
            assert "description" in child or "$ref" in child, f"{where}.{name}"
            walk(child, f"{where}.{name}")
            walk(child.get("items", {}), f"{where}.{name}[]")

    walk(read_yaml(SCHEMA), "")


def test_reference_is_up_to_date():
    page = reference(read_yaml(SCHEMA), read_yaml(DEFAULTS))
    assert (ROOT / "config/README.md").read_text() == page


def test_every_key_of_the_method_has_a_default():
    """A new key touches the schema and the defaults; only keys that describe a screen have none."""
    schema, defaults = read_yaml(SCHEMA), read_yaml(DEFAULTS)
    assert set(without_default(schema, defaults)) == {
        "source", "screen.name", "screen.plates", "screen.tile_size_px",
        "screen.images", "screen.channels", "screen.control", "alignment.reference", "crop.size_px",
        "simulate.seed", "simulate.library",
    }  # fmt: skip


def without_default(schema: dict, defaults: dict, prefix: str = ""):
    """Yield the dotted names of the keys that have no default; not those of sections without."""
    for key, entry in schema.get("properties", {}).items():
        if key not in defaults:
            yield f"{prefix}{key}"
        elif isinstance(defaults[key], dict):
            yield from without_default(entry, defaults[key], f"{prefix}{key}.")


def test_no_file_repeats_a_default():
    defaults = dict(leaves(read_yaml(DEFAULTS)))
    for name in SCREENS:
        repeated = {key for key, value in leaves(merged(name)) if defaults.get(key, ...) == value}
        # A null that says what can be set there.
        assert not {key for key in repeated if "archive." not in key}, name


def leaves(section: dict, prefix: str = ""):
    """Yield the dotted name and the value of every key that is no section."""
    for key, value in section.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def test_names_that_users_give_are_those_that_the_page_names():
    sections = {".".join(path) for path in named_sections(read_yaml(SCHEMA))}
    assert sections == {
        "screen.plates", "models", "encoders", "embeddings", "alignment.measure",
        "archive.annotations.pairs", "evaluation.profiles", "exports.ops_standard.metadata",
    }  # fmt: skip


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_name_gets_an_error_that_says_the_new_one(config, old):
    new = RENAMED[old]
    with pytest.raises(InputError) as caught:
        checked(change(config, old, 1))
    (section, name), is_moved = new.split("."), new.split(".")[0] != old.split(".")[0]
    expected = new if is_moved else name
    fix = "move it there (see config/README.md)" if is_moved else "rename it"
    fix = REWRITTEN.get(old, fix)
    assert str(caught.value) == (
        f"configuration key {old}: found the old name of this key, expected {expected}; {fix}."
    )
    entry = read_yaml(SCHEMA)["properties"][section]
    assert name in entry.get("items", entry)["properties"]
