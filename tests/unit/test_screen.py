"""What a screen calls things."""

from mcvae_ops.screen import reworded

COMPOUNDS = {"perturbation": "compound", "guide": "dose", "control": "DMSO"}
GENES = {"perturbation": "gene", "guide": "guide", "control": "NTC"}
TEXT = "Genes of one group, 4 guides per gene; NTC cells, general oNTCo, Guide"


def test_whole_words_are_replaced_in_number_and_case():
    expected = "Compounds of one group, 4 doses per compound; DMSO cells, general oNTCo, Dose"
    assert reworded(TEXT, COMPOUNDS) == expected


def test_a_genetic_screen_keeps_its_words():
    assert reworded(TEXT, GENES) == TEXT
