"""Score cards expose embeddings that do not look at cells; only equal tasks are compared."""

import copy
import json

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.benchmarks.complexes.complex_retrieval import complexes
from mcvae_ops.benchmarks.contents import (
    contents,
    explained_by,
    explained_by_groups,
    label_recalls,
)
from mcvae_ops.benchmarks.guide_consistency import guide_consistency
from mcvae_ops.embeddings.baselines import random_embedding
from mcvae_ops.embeddings.shortcuts import shortcut_embedding
from mcvae_ops.embeddings.spaces import CELL_SHORTCUTS
from mcvae_ops.errors import InputError
from mcvae_ops.evaluation.leaderboard import as_table, check_card, merged
from mcvae_ops.evaluation.score_card import score_card, split_hash
from mcvae_ops.files import write_parquet
from mcvae_ops.profiles.aggregate import aggregate_profiles
from mcvae_ops.report.leaderboard_page import leaderboard
from tests.helpers import browser
from tests.helpers.embedded_screen import write_screen

GIVEN = ("true", "dense", "batched", "labelled", "gene_labelled", "hidden")
SETTINGS = {"seed": 0, "functions": {}, "mitosis": {}, "covariates": {}}
COMPLEXES, HELD_OUT = "complexes/held-out cells", "test"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Judge the embeddings and the shortcuts of a tiny screen, as the workflow does."""
    folder = write_screen(tmp_path_factory.mktemp("judged"))
    cells = [str(folder / f"{name}.parquet") for name in ("index", "splits")]
    random_embedding(cells[0], 8, 0, str(folder / "random.parquet"))
    for name in CELL_SHORTCUTS:
        shortcut_embedding(cells[0], name, None, str(folder / f"{name}.parquet"))
    names = [*GIVEN, "random", *CELL_SHORTCUTS]
    profiles = {level: [str(folder / f"{name}.{level}.parquet") for name in names]
                for level in ("guides", "genes")}  # fmt: skip
    for name, *paths in zip(names, *profiles.values(), strict=True):
        aggregate_profiles(*cells, str(folder / f"{name}.parquet"), *paths)
    benchmarks = folder / "benchmarks"
    benchmarks.mkdir()
    settings = {"first_percentile": 95, "last_percentile": 95, "bootstrap": 50, "permutations": 20}
    lists = [str(folder / f"{name}.parquet") for name in ("complexes", "pairs")]
    complexes(profiles["genes"], *lists, settings, 0, str(benchmarks / "complexes.parquet"))
    guide_consistency(profiles["guides"], 20, 0, str(benchmarks / "guides.parquet"))
    embeddings = [str(folder / f"{name}.parquet") for name in names]
    contents(*cells, embeddings, None, 0, str(benchmarks / "contents.parquet"))
    write_card(folder)
    return folder


def write_card(folder, to: str = "card.json", screen: str = "judged") -> None:
    tables = [str(path) for path in sorted((folder / "benchmarks").glob("*.parquet"))]
    lists = [str(folder / f"{name}.parquet") for name in ("complexes", "pairs")]
    cells = [str(folder / f"{name}.parquet") for name in ("index", "splits")]
    models = {name: {"kind": "given"} for name in GIVEN}
    score_card(*cells, None, tables, lists, [], screen, SETTINGS, models, str(folder / to))


@pytest.fixture(scope="module")
def card(folder) -> dict:
    return json.loads((folder / "card.json").read_text())


def of_model(card: dict, model: str) -> dict:
    return next(one for one in card["representations"] if one["model"] == model)


@pytest.mark.parametrize(
    ("model", "flags"),
    [
        ("true", []),
        ("dense", ["density"]),
        ("batched", ["batch"]),
        ("labelled", ["label"]),
        ("gene_labelled", ["label"]),
        ("hidden", ["label"]),
        ("random", []),
        ("density", ["density"]),
        ("position", ["position"]),
    ],
)
def test_what_an_embedding_is_made_of_is_flagged(card, model, flags):
    assert of_model(card, model)["flags"] == flags


def test_only_the_true_embedding_beats_every_shortcut(card):
    true = of_model(card, "true")["scores"][COMPLEXES]
    assert true["excess_low"] > 0 and true["value"] > 0.3
    for model in ("dense", "batched"):
        score = of_model(card, model)["scores"][COMPLEXES]
        assert not score["excess_low"] > 0 and score["excess"] < 0.1
    # A label in it helps guides to find their gene: without the flag, the score would be believed.
    label = of_model(card, "gene_labelled")["scores"]["guides/held-out cells"]
    assert label["value"] > 0.95 and label["excess"] > 0.5


def test_shares_of_variance_are_those_that_were_planted():
    rng = np.random.default_rng(0)
    group, x = rng.integers(0, 4, 4000), rng.normal(size=(4000, 3))
    noise = rng.normal(size=(4000, 2))
    in_groups = 2 * np.array([-1, 1, -1, 1])[group][:, None] + noise
    assert explained_by_groups(in_groups, group) == pytest.approx(0.8, abs=0.02)
    assert explained_by(x @ np.ones((3, 2)) + noise, x) == pytest.approx(0.75, abs=0.02)
    assert explained_by_groups(noise, group) == pytest.approx(0, abs=0.005)
    assert explained_by(noise, x) == pytest.approx(0, abs=0.005)


def test_labels_are_recognised_by_discriminants_and_not_by_chance():
    rng = np.random.default_rng(0)
    label, noise = np.repeat(np.arange(10), 40), rng.normal(size=(400, 6))
    assert abs(label_recalls(noise, label, rng).mean()) < 0.05
    apart = noise @ rng.normal(size=(6, 6))
    apart[:, 0] = label
    assert label_recalls(apart, label, rng).min() > 0.95
    assert label_recalls(np.eye(10)[label], label, rng).min() == 1  # no spread within labels


def test_the_split_has_one_hash_in_any_order(folder, tmp_path):
    index, splits = (pd.read_parquet(folder / f"{n}.parquet") for n in ("index", "splits"))
    order = np.random.default_rng(0).permutation(len(index))

    def hash_of(splits: pd.DataFrame) -> str:
        paths = [str(tmp_path / name) for name in ("index", "splits")]
        for table, path in zip((index, splits), paths, strict=True):
            write_parquet(table.iloc[order], path)
        return split_hash(*paths)

    files = [str(folder / f"{name}.parquet") for name in ("index", "splits")]
    assert hash_of(splits) == split_hash(*files)
    other = splits.copy()
    other.loc[0, "split"] = "held_out_gene"
    assert hash_of(other) != split_hash(*files)


def test_tasks_are_counted_on_which_a_shortcut_is_better(card):
    boards, _ = merged({"ours": card})
    true = of_model(boards[0], "true")
    asked = [score for score in true["scores"].values() if score.get("excess_low") is not None]
    above = sum(score["excess_low"] > 0 for score in asked)
    assert true["against"] == {"above": above, "open": len(asked) - above, "below": 0} and above > 2
    assert of_model(boards[0], "density")["against"]["below"] > 0


def test_an_equal_card_adds_representations_and_takes_the_excess_anew(card):
    sent = copy.deepcopy(card)
    sent["representations"] = [copy.deepcopy(of_model(card, "true")) | {"model": "sent"}]
    boards, apart = merged({"ours": card, "theirs": sent})
    assert len(boards) == 1 and apart == []
    rows = as_table(boards)
    found = rows[(rows["task"] == COMPLEXES) & rows["model"].isin(["true", "sent"])]
    assert found["excess"].nunique() == 1 and (found["rank"] == found["rank"].iloc[0]).all()
    assert len(boards[0]["representations"]) == len(card["representations"]) + 1


def only(card: dict, keep: str) -> dict:
    """Return a card of the tasks of one family, as of a run that had no list for the others."""
    part = copy.deepcopy(card)
    part["tasks"] = {key: task for key, task in part["tasks"].items() if task["family"] == keep}
    for one in part["representations"]:
        one["scores"] = {key: of for key, of in one["scores"].items() if key in part["tasks"]}
    return part


def test_scores_that_only_a_later_card_has_are_kept(card):
    (alone,), _ = merged({"ours": card})
    (board,), apart = merged({"first": only(card, "guides"), "ours": card})
    assert apart == []
    pd.testing.assert_frame_equal(as_table([board]), as_table([alone]))
    names = [(one["model"], one["space"]) for one in board["representations"]]
    assert len(set(names)) == len(names) == len(card["representations"])


def test_flags_that_only_a_later_card_has_are_kept(card):
    first = copy.deepcopy(card)
    for one in first["representations"]:
        one["flags"] = []
    (board,), _ = merged({"first": first, "ours": card})
    assert of_model(board, "hidden")["flags"] == ["label"]
    assert of_model(board, "hidden")["place"] is None


def test_equal_names_without_a_common_task_are_not_taken_for_one(card):
    first, second = (only(card, family) for family in ("guides", "complexes"))
    (board,), _ = merged({"first": first, "second": second})
    assert set(of_model(board, "true")["scores"]) == set(first["tasks"])
    assert set(of_model(board, "true (second)")["scores"]) == set(second["tasks"])
    # Shortcuts are the same on the same cells.
    both = {*first["tasks"], *second["tasks"]}
    assert set(of_model(board, "density")["scores"]) == both


def test_only_equal_tasks_are_compared_and_others_say_why(card):
    sent, other = copy.deepcopy(card), copy.deepcopy(card)
    sent["tasks"][COMPLEXES]["definition"] = "another"
    sent["representations"] = [copy.deepcopy(of_model(card, "true")) | {"model": "sent"}]
    other["split"] = "other"
    boards, apart = merged({"ours": card, "sent": sent, "other": other})
    assert [board["split"] for board in boards] == [card["split"], "other"]
    rows = as_table(boards)
    assert COMPLEXES not in set(rows[rows["model"] == "sent"]["task"])
    assert "guides/held-out cells" in set(rows[rows["model"] == "sent"]["task"])
    assert [(one["card"], one["what"]) for one in apart] == [
        ("sent", COMPLEXES), ("other", "screen judged")
    ]  # fmt: skip
    assert "another definition" in apart[0]["reason"] and "another split" in apart[1]["reason"]


def test_a_list_or_a_setting_makes_another_task(folder, card):
    changed = pd.read_parquet(folder / "complexes.parquet")
    try:
        write_parquet(changed.iloc[:-1], folder / "complexes.parquet")
        write_card(folder, "other.json")
    finally:
        write_parquet(changed, folder / "complexes.parquet")
    other = json.loads((folder / "other.json").read_text())
    assert other["tasks"][COMPLEXES]["definition"] != card["tasks"][COMPLEXES]["definition"]
    guides = "guides/held-out cells"
    assert other["tasks"][guides] == card["tasks"][guides]


def test_the_page_and_the_table_hold_the_same_board(folder, tmp_path):
    page, table = tmp_path / "leaderboard.html", tmp_path / "leaderboard.tsv"
    leaderboard([str(folder / "card.json")], str(page), str(table))
    rows = pd.read_csv(table, sep="\t")
    assert set(rows["model"]) == {*GIVEN, "random", *CELL_SHORTCUTS}
    assert (rows.groupby("task")["rank"].min() == 1).all()
    # What may hold the label has no rank.
    is_labelled = rows["flags"].str.contains("label", na=False)
    assert (rows["rank"].isna() == is_labelled).all() and is_labelled.any()
    assert "10.1101/2023.11.28.569094" in page.read_text()
    assert "</script" not in page.read_text().split("const DATA = ")[1].split("\n")[0]


def test_several_screens_stand_side_by_side_by_their_mean_places(folder, card, tmp_path):
    paths = []
    for k, screen in enumerate("abc"):
        one = copy.deepcopy(card) | {"screen": screen, "split": f"{k}"}
        if k:  # on the other two screens the true embedding loses every task
            for model, value in (("batched", 2.0), ("true", -1.0)):
                for score in of_model(one, model)["scores"].values():
                    score["value"] = value
        paths.append(str(tmp_path / f"{screen}.json"))
        (tmp_path / f"{screen}.json").write_text(json.dumps(one))
    path = tmp_path / "leaderboard.html"
    leaderboard(paths, str(path), str(tmp_path / "leaderboard.tsv"))
    with browser.page(tmp_path / "profile") as page:
        page.open(path, 1400)
        assert page.value("[...$('heads').rows[0].cells].map((one) => one.textContent).join()") == (
            "Representation,Mean place (0 % is first),a,b,c"
        )
        assert page.value("$('rows').rows.length") == len(card["representations"])
        assert page.value("$('rows').rows[0].cells[0].textContent").startswith("batched")
        assert page.value("$('climb').hidden && $('families').hidden")
        page.value("$('board').value = '0'; $('board').onchange()")
        assert page.value("$('rows').rows[0].cells[0].textContent").startswith("true")
    assert page.problems == []


@pytest.mark.parametrize("content", ["{}", "[]", '{"format": "mcvae-ops score card 0"}', "no"])
def test_a_file_that_is_no_card_is_told(content, tmp_path):
    path = tmp_path / "card.json"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        leaderboard([str(path)], str(tmp_path / "a"), str(tmp_path / "b"))
    assert str(path) in str(caught.value)
    with pytest.raises(InputError):
        check_card({"format": "other"}, "x")


def test_the_page_in_a_browser(folder, tmp_path):
    path, headings = tmp_path / "leaderboard.html", "document.querySelectorAll('#heads th')"
    leaderboard([str(folder / "card.json")], str(path), str(tmp_path / "leaderboard.tsv"))
    first = "document.querySelector('#rows td').textContent"
    with browser.page(tmp_path / "profile") as page:
        for width in (1400, 800, 390):
            page.open(path, width)
            assert page.value("document.querySelectorAll('#rows tr').length") == 10
            assert page.value("document.documentElement.scrollWidth") <= width
            assert page.value(first).startswith("true")
        page.value(f"{headings}[2].querySelector('button').click()")  # guides: the best first
        assert page.value(first).startswith("gene_labelled")
        page.value(f"{headings}[2].querySelector('button').click()")
        assert page.value(f"{headings}[2].ariaSort") == "ascending"
        assert not page.value(first).startswith("gene_labelled")
        page.value("$('family').value = 'complexes'; $('family').onchange()")
        ladder = page.value(f"[...{headings}].map((one) => one.textContent).join()")
        assert "held-out cells, without the 5 largest complexes" in ladder
        ladder = "document.querySelectorAll('#ladder polyline')"
        n_ranked = "board().representations.filter((one) => one.place !== null).length"
        assert page.value(f"{ladder}.length") == page.value(n_ranked) > 5
        true = "[...$('rows').rows].find((row) => row.textContent.startsWith('true'))"
        assert page.value(f"{true}.querySelector('.tally .above').style.width") == "100%"
    assert page.problems == []
    assert all(address.startswith(("file://", "data:")) for address in page.addresses)
