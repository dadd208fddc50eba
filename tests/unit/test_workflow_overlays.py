"""Files of a configuration, laid over one another."""

import copy

import pytest

from mcvae_ops.errors import InputError
from mcvae_ops.workflow.overlays import check_overlays, lay_over

# Sections with fixed keys, a section whose entries the user names, and one deeper.
SCHEMA = {
    "properties": {
        "training": {"properties": {"epochs": {}, "seeds": {}}},
        "models": {"additionalProperties": {"type": "object"}},
        "alignment": {"properties": {"measure": {"additionalProperties": {"type": "string"}}}},
        "simulate": {"properties": {"seed": {}, "cell": {}}},
    }
}
DEFAULTS = {
    "training": {"epochs": 10, "seeds": [0, 1]},
    "models": {"vae": {"latent": 2, "training": {}}, "mcvae": {"latent": 4, "training": {}}},
    "alignment": {"measure": {"A": "D", "B": "D"}},
    "simulate": {"cell": {"size": 3}},
}
PLAIN = {key: section for key, section in DEFAULTS.items() if key != "simulate"}


@pytest.mark.parametrize(
    ("upper", "changed"),
    [
        ({}, {}),
        ({"training": {"epochs": 20}}, {"training": {"epochs": 20, "seeds": [0, 1]}}),
        ({"training": {"seeds": [7]}}, {"training": {"epochs": 10, "seeds": [7]}}),
        ({"training": {"epochs": None}}, {"training": {"epochs": None, "seeds": [0, 1]}}),
        ({"models": {"vae": None}}, {"models": {"mcvae": DEFAULTS["models"]["mcvae"]}}),
        (
            {"models": {"vae": {"latent": 3}}},
            {"models": DEFAULTS["models"] | {"vae": {"latent": 3, "training": {}}}},
        ),
        ({"models": None}, {"models": {}}),
        ({"models": {"vae": None, "mcvae": None, 1: {}}}, {"models": {"1": {}}}),
        (
            {"alignment": {"measure": {"A": None, "C": "D"}}},
            {"alignment": {"measure": {"B": "D", "C": "D"}}},
        ),
        ({"alignment": {"measure": None}}, {"alignment": {"measure": {}}}),
        ({"simulate": {"seed": 1}}, {"simulate": {"seed": 1, "cell": {"size": 3}}}),
        # What is wrong stays as it is: the schema says so.
        ({"models": "all"}, {"models": "all"}),
        ({"alignment": None}, {"alignment": None}),
    ],
)
def test_what_merges_replaces_and_drops(upper, changed):
    lower, given = copy.deepcopy(DEFAULTS), copy.deepcopy(upper)
    assert lay_over(lower, given, SCHEMA) == PLAIN | changed
    assert lower == DEFAULTS and given == upper


def test_order_of_entries_is_that_of_the_lower_file_then_of_the_upper():
    upper = {"models": {"new": {}, "mcvae": {"latent": 1}, "vae": {}}}
    assert list(lay_over(DEFAULTS, upper, SCHEMA)["models"]) == ["vae", "mcvae", "new"]


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        (
            [{"models": {"vea": None}}],
            "configuration key models.vea: found null, which drops nothing, expected the name of "
            "an entry below (vae, mcvae); correct the name, or leave it out.",
        ),
        (
            [{"models": {"mine": {"latent": 1}}}, {"models": {"mine2": None}}],
            "configuration key models.mine2: found null, which drops nothing, expected the name "
            "of an entry below (vae, mcvae, mine); correct the name, or leave it out.",
        ),
        (
            [{"alignment": {"measure": {}}}],
            "configuration key alignment.measure: found {}, which changes nothing, expected "
            "entries that differ from those below (A, B); leave the key out, or write null to "
            "drop all entries.",
        ),
    ],
)
def test_an_overlay_that_changes_nothing_is_refused(layers, sentence):
    with pytest.raises(InputError) as caught:
        check_overlays([DEFAULTS, *layers], SCHEMA)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [{"models": {"vae": None}}],
        [{"models": {"mine": {}}}, {"models": {"mine": None}}],
        [{"alignment": {"measure": None}}, {"alignment": {"measure": {}}}],
        [{"models": "all"}, {"models": {"mine": {}}}],
        [{"training": None}],
    ],
)
def test_an_overlay_that_changes_something_passes(layers):
    check_overlays([DEFAULTS, *layers], SCHEMA)
