"""What a screen calls things."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcvae_ops.embeddings.spaces import chosen_columns
from mcvae_ops.screen import is_like, reworded

COMPOUNDS = {"perturbation": "compound", "guide": "dose", "control": "DMSO"}
GENES = {"perturbation": "gene", "guide": "guide", "control": "NTC"}
TEXT = "Genes of one group, 4 guides per gene; NTC cells, general oNTCo, Guide"


def test_whole_words_are_replaced_in_number_and_case():
    expected = "Compounds of one group, 4 doses per compound; DMSO cells, general oNTCo, Dose"
    assert reworded(TEXT, COMPOUNDS) == expected


def test_a_genetic_screen_keeps_its_words():
    assert reworded(TEXT, GENES) == TEXT


@given(st.text())
def test_every_text_is_like_itself(text):
    assert is_like(text, [text]) and is_like(f"a{text}\nb", ["a*b"])


@pytest.mark.parametrize("name", ["DMSO [vehicle]", "Position X [µm]", "NT?", "siRNA[1-3]", "a.b"])
def test_only_the_asterisk_is_special_in_a_pattern(name):
    others = ["DMSO v", "Position X m", "NTX", "siRNA2", "aXb", name.swapcase(), f"{name} 2"]
    assert [text for text in [*others, name] if is_like(text, [name])] == [name]
    assert is_like(f"{name} 2", [f"{name}*"])
    assert chosen_columns({"combined": name}, [*others, name], "e", "k") == {"combined": [name]}
