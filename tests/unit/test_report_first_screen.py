"""The first screen of the report: grades follow numbers, sentences follow tables."""

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.report import first_screen
from mcvae_ops.report.notices import DROPPED, Notice, graded, worst_first


@pytest.mark.parametrize(("value", "grade"), [(0.05, "good"), (0.06, "look"), (0.6, "bad")])
def test_grades(value, grade):
    assert graded(value, DROPPED) == grade


def alignment(n_failed: int) -> pd.DataFrame:
    """Fifty tiles of two channels, of which `n_failed` could not be used."""
    return pd.DataFrame(
        {"plate": "P", "well": "A1", "tile": np.repeat(range(50), 2), "passed": True}
    ).assign(passed=lambda table: table["tile"] >= n_failed)


def covariates(auroc: float) -> pd.DataFrame:
    return pd.DataFrame(
        {"protocol": "strict", "model": ["mcvae", "vae"], "space": "combined", "item": "batch",
         "metric": "auroc", "value": [auroc, 0.99]}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("n_dropped", "n_failed", "auroc", "confounded", "grades"),
    [
        (0, 0, 0.5, [], ["good", "good", "good", "good"]),
        (10, 1, 0.8, [], ["look", "look", "look", "good"]),
        (101, 11, 0.95, ["confounded"], ["bad", "bad", "bad", "bad"]),
    ],
)
def test_data_are_as_good_as_their_numbers(n_dropped, n_failed, auroc, confounded, grades):
    dropped = pd.DataFrame({"n_cells": [n_dropped]})
    answers = first_screen.data_answers(
        dropped, 100, alignment(n_failed), covariates(auroc), "mcvae", confounded
    )
    assert [answer.grade for answer in answers] == grades
    unused = f"{n_failed / 50:.1%} could not be used" if n_failed else "all could be used"
    assert unused in answers[1].words
    assert f"AUROC of {auroc:.2f}" in answers[2].words
    without = first_screen.data_answers(dropped, 100, alignment(0), None, "mcvae", [])
    assert len(without) == 3


def test_steps_come_from_hits_and_warnings_the_gravest_first_and_each_once():
    hits = pd.DataFrame({"is_hit": [True, True], "survives_confounders": [True, False]})
    dead = Notice("bad", "cVAE: s is dead", "Train again.", "#training")
    tiles = [Notice("look", f"plate {k}", "Look at tiles.", "#alignment") for k in range(2)]
    steps = first_screen.next_steps(hits, worst_first([*tiles, dead]), [])
    assert [(step.grade, step.words[:10], step.link) for step in steps] == [
        ("bad", "Train agai", "#training"),
        ("look", "1 hit may ", "#hits"),
        ("look", "Look at ti", "#alignment"),
    ]
    mixed = [dead, *tiles, Notice("look", "VAE", "Train again.")]  # one step, of two grades
    assert [step.grade for step in first_screen.next_steps(None, mixed, [])] == ["bad", "look"]
    assert first_screen.next_steps(None, mixed, [])[0].words == "Train again."
    (none,) = first_screen.next_steps(hits.assign(is_hit=False), [], [])
    assert none.words.startswith("There is no hit")
    (wells,) = first_screen.next_steps(hits.assign(is_hit=False), [], [dead])
    assert "more wells of each gene" in wells.words
    many = [Notice("look", "", str(k)) for k in range(20)]
    assert len(first_screen.next_steps(None, many, [])) == 20  # none is cut


def test_a_sentence_says_what_a_hit_does_and_what_is_counted():
    row = {"q_combined": 2e-5, "n_guides": 4, "n_guides_agree": 2, "neighbours": "",
           "survives_confounders": True, "effect": "novel"}  # fmt: skip
    altered = ["mean DNA", 2.3, "mean alpha-tubulin", -1.5, "texture", 1.0]
    assert first_screen.in_words(row, altered) == (
        "a phenotype that NTC cells do not show; most altered (robust z): mean DNA +2.3, "
        "mean alpha-tubulin −1.5; q = 2e-05; 2 of 4 guides show it alone (p below 0.05) and agree."
    )
    unknown = first_screen.in_words(row | {"effect": "", "survives_confounders": False}, [])
    assert unknown.startswith("an effect of either kind; q = ")
    assert unknown.endswith("may be an effect of density or place alone.")


def test_a_picture_has_cells_on_the_left_and_controls_on_the_right_in_their_colours():
    size, n = 4, 5
    sprite = np.zeros((2, 2, size, n, size), np.uint8)  # channel, arm, y, cell, x
    sprite[0, 0, :, 1] = 255  # first channel, second cell
    sprite[1, 1, 2, 3, 1] = 255  # second channel, fourth control, one pixel
    picture = first_screen.composite(sprite.reshape(2 * 2 * size, n * size), ["#ff0000", "#0080ff"])
    pixels, half = np.asarray(picture), first_screen.CROPS * size
    cells, gap, controls = np.split(pixels, [half, half + first_screen.GAP_PX], axis=1)
    assert (gap == 255).all() and cells.shape == controls.shape == (size, half, 3)
    expected = np.zeros((2, size, half, 3), np.uint8)
    expected[0, :, size : 2 * size] = (255, 0, 0)
    expected[1, 2, 3 * size + 1] = (0, 128, 255)
    np.testing.assert_array_equal([cells, controls], expected)
