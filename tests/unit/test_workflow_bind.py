"""The arguments of a rule's function: by name, with their types, or one sentence."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from snakemake.iocontainers import Namedlist

from mcvae_ops.errors import InputError
from mcvae_ops.workflow.bind import bind

WHERE = "rule embed"


def embed(
    cells: Sequence[str],
    light: str | None,
    screen: dict,
    seed: int,
    plate: str,
    embedding: str,
    archive: dict | None = None,
) -> None:
    raise AssertionError("bound, not called")


def named(**files) -> Namedlist:
    """What Snakemake makes of named files: one stands for itself, several for a list."""
    found = Namedlist()
    for name, value in files.items():
        first = len(found)
        found.extend(value if isinstance(value, list) else [value])
        found._set_name(name, first, end=len(found) if isinstance(value, list) else None)
    return found


def rule(**changes) -> SimpleNamespace:
    sections = {
        "input": named(cells=["a", "b"], light=[]),
        "output": named(embedding="e.parquet"),
        "params": Namedlist(fromdict={"screen": {"name": "tiny"}}),
        "wildcards": Namedlist(fromdict={"screen": "tiny", "plate": "P1", "seed": "07"}),
    }
    return SimpleNamespace(**sections | changes)


EXPECTED = {
    "cells": ["a", "b"], "light": None, "screen": {"name": "tiny"}, "seed": 7, "plate": "P1",
    "embedding": "e.parquet",
}  # fmt: skip


def test_names_of_the_rule_become_arguments_and_wildcards_fill_the_rest():
    found = bind(embed, rule(), WHERE, {})
    assert found == EXPECTED
    assert type(found["cells"]) is list and type(found["seed"]) is int


def test_one_file_of_a_list_stays_a_list_and_files_without_a_name_are_not_passed():
    unnamed = named(cells=["a"], light="light.npy")
    unnamed.append("only for its order.parquet")
    found = bind(embed, rule(input=unnamed), WHERE, {})
    assert found == EXPECTED | {"cells": ["a"], "light": "light.npy"}


def test_an_override_takes_the_place_of_the_rule_s_value_or_adds_one():
    overrides = {"archive": {"streams": 8}, "screen": {"name": "other"}, "seed": 1}
    assert bind(embed, rule(), WHERE, overrides) == EXPECTED | overrides


MISTAKES = {
    "a name that is no parameter": (
        rule(output=named(embeding="e.parquet")),
        {},
        "found the name 'embeding', expected a parameter of embed (cells, light, screen, seed, "
        "plate, embedding, archive); rename it in the rule, or the parameter.",
    ),
    "an override that is no parameter": (
        rule(),
        {"archives": {}},
        "found the name 'archives', expected a parameter of embed (cells, light, screen, seed, "
        "plate, embedding, archive); rename it in the rule, or the parameter.",
    ),
    "a parameter without a value": (
        rule(output=named()),
        {},
        "the argument 'embedding' of embed is missing; it has no default; give the rule an input, "
        "output or param embedding.",
    ),
    "a name twice": (
        rule(params=Namedlist(fromdict={"screen": {}, "cells": []})),
        {},
        "the name 'cells' among input, output and params is defined twice; rename one of the two.",
    ),
    "one file for a list": (
        rule(input=named(cells="a", light=[])),
        {},
        "found one value for 'cells', expected a list; correct the rule, or the annotation of the "
        "parameter.",
    ),
    "several files for one": (
        rule(input=named(cells=["a"], light=["b", "c"])),
        {},
        "found a list for 'light', expected one value; correct the rule, or the annotation of the "
        "parameter.",
    ),
    "no file for one that is needed": (
        rule(output=named(embedding=[])),
        {},
        "found a list for 'embedding', expected one value; correct the rule, or the annotation of "
        "the parameter.",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_rule_that_does_not_fit_its_function_is_named(mistake):
    snakemake, overrides, sentence = MISTAKES[mistake]
    with pytest.raises(InputError) as caught:
        bind(embed, snakemake, WHERE, overrides)
    assert str(caught.value) == f"{WHERE}: {sentence}"
