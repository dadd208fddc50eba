"""The first screen of the report: grades follow numbers, sentences follow tables."""

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.report import first_screen, quality_checks
from mcvae_ops.report.notices import DROPPED, Notice, graded, worst_first


@pytest.mark.parametrize(("value", "grade"), [(0.05, "good"), (0.06, "look"), (0.6, "bad")])
def test_grades(value, grade):
    assert graded(value, DROPPED) == grade


def alignment(n_failed: int) -> pd.DataFrame:
    """Fifty tiles of two channels, of which `n_failed` are out of focus."""
    return pd.DataFrame(
        {"plate": "P", "well": "A1", "tile": np.repeat(range(50), 2),
         "channel": ["DAPI", "GFP"] * 50}
    ).assign(
        passed=lambda table: table["tile"] >= n_failed,
        reason=lambda table: np.where(
            table["passed"], "", "channel GFP is out of focus: 0.050, 0.110 on its plate"
        ),
        method=["reference", "measured"] * 50,
        dy_px=1.0, dx_px=1.0, confidence=0.9,
    )  # fmt: skip


def known_shifts(error_px: float, confidence: float = 0.9) -> pd.DataFrame:
    return pd.DataFrame(
        {"plate": "P", "check": "planted shift", "channel": "GFP", "against": "DAPI",
         "error_px": [0.0] * 10 + [error_px] * 10, "confidence": confidence}
    )  # fmt: skip


def row_counts(n_lost: int) -> pd.DataFrame:
    """100 used rows of two plates, 500 of tiles that the screen does not name, some lost."""
    fates = [("A", "used", 60, False), ("B", "used", 40, False), ("A", "of tiles", 500, False)]
    fates += [("B", "without a position", n_lost, True)] * (n_lost > 0)
    return pd.DataFrame(fates, columns=["plate", "reason", "n_rows", "is_lost"])


def covariates(auroc: float) -> pd.DataFrame:
    return pd.DataFrame(
        {"protocol": "strict", "model": ["mcvae", "vae"], "space": "combined", "item": "batch",
         "metric": "auroc", "value": [auroc, 0.99]}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("n_dropped", "n_failed", "error_px", "auroc", "confounded", "grades"),
    [
        (0, 0, 0.1, 0.5, [], ["good"] * 7),
        (10, 1, 0.4, 0.8, [], ["look"] * 6 + ["good"]),
        (101, 11, 0.6, 0.95, ["confounded"], ["bad"] * 7),
    ],
)
def test_data_are_as_good_as_their_numbers(
    n_dropped, n_failed, error_px, auroc, confounded, grades
):
    rows, dropped = row_counts(n_dropped), pd.DataFrame({"n_cells": [n_dropped]})
    tiles, shifts = alignment(n_failed), known_shifts(error_px)
    answers = first_screen.data_answers(
        rows, dropped, 100, tiles, shifts, covariates(auroc), "mcvae", confounded, ["figqc2"]
    )
    assert [answer.grade for answer in answers] == grades
    said = [answer.words for answer in answers]
    lost = f"{n_dropped / (100 + n_dropped):.1%} lost: {n_dropped} without a position"
    assert said[0] == f"100 cells of the tables used, {lost if n_dropped else 'none lost'}"
    assert (f"{n_failed / 50:.1%} could not be used" if n_failed else "all could") in said[2]
    assert said[3] == f"focus: {n_failed} of 50 tiles far less sharp than usual on their plate"
    assert said[4] == (
        "alignment: 20 of 20 known shifts are found, 95% of them to within "
        f"{error_px:.2f} px (in the worst channel)"
    )
    assert f"AUROC of {auroc:.2f}" in said[5]
    assert [answers[4].link, answers[5].link] == ["#figqc2", "#quality"]  # figure 3B is not drawn


def test_an_alignment_that_was_hardly_measured_is_not_good():
    def answer(tiles: pd.DataFrame, shifts: pd.DataFrame) -> first_screen.Answer:
        return first_screen.data_answers(
            row_counts(0), None, 0, tiles, shifts, None, "mcvae", [], []
        )[3]

    tiles = alignment(0)
    unsure = answer(tiles, known_shifts(0.1, confidence=0.2))
    assert (unsure.grade, unsure.words, unsure.link) == (
        "bad", "alignment: 0 of 20 known shifts are found", "#alignment",
    )  # fmt: skip
    usual = tiles.assign(method=["reference", "consensus", "reference", "measured"] * 25)
    found = answer(usual, known_shifts(0.1))
    assert found.grade == "look"
    assert found.words.endswith("; 50.0% of the tiles take the usual shift of their plate")


def test_of_given_crops_focus_and_alignment_are_not_known():
    tiles = alignment(0).assign(method="given")
    answers = first_screen.data_answers(
        row_counts(0), None, 0, tiles, known_shifts(0.1)[:0], None, "mcvae", [], []
    )
    assert [answer.words.partition(" ")[0] for answer in answers] == ["100", "50", "NTC"]


def test_rows_that_the_configuration_leaves_out_are_no_lost_cells():
    assert quality_checks.lost_rows(row_counts(0)) == (0, "")
    assert quality_checks.lost_row_warnings(row_counts(5)) == []
    share, words = quality_checks.lost_rows(row_counts(300))
    assert (share, words) == (0.75, "300 without a position")
    (warning,) = quality_checks.lost_row_warnings(row_counts(300))
    assert (warning.grade, warning.link) == ("bad", "#cell-rows")
    assert warning.words == "75.0% of the cells in the tables are lost: 300 without a position."


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
