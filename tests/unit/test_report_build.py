"""The report: complete, self-contained, and the same bytes twice."""

import re
from html.parser import HTMLParser
from pathlib import Path

import axe_core_python
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mcvae_ops.benchmarks.claims import claim_rows
from mcvae_ops.benchmarks.estimates.table import COLUMNS
from mcvae_ops.report import quality_checks
from mcvae_ops.report.build import hits_summary, report
from mcvae_ops.report.claims_in_words import VERDICTS, claims_in_words
from mcvae_ops.report.glossary import glossary
from mcvae_ops.report.paper_comparison import compare_with_paper
from mcvae_ops.report.templates import number
from mcvae_ops.report.timings import read_timings
from mcvae_ops.workflow.panels import PANELS
from tests.conftest import OUTPUT, ROOT
from tests.helpers import browser, figure_tables, report_inputs

DRAWN = ("fig2a", "fig5c")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict:
    """Arguments of `report` for a run that starts from cells."""
    root = tmp_path_factory.mktemp("run")
    tables = report_inputs.write_tables(root / "benchmarks")
    drawn = [report_inputs.draw(panel, tables, root / "figures") for panel in DRAWN]
    report_inputs.write_claims(root / "claims.tsv")
    report_inputs.write_licences(root / "licences.tsv")
    report_inputs.write_matched(root / "matched.tsv")
    report_inputs.write_timings(root / "timings")
    (root / "configuration.yaml").write_text("screen: {name: <b>mine</b>}\n")
    return {
        "screen": report_inputs.CONFIGURATION["screen"],
        "left_out": {},
        "claims": str(root / "claims.tsv"),
        "figures": [targets["png"] for targets in drawn],
        "data": [targets["csv"] for targets in drawn],
        "captions": {panel: PANELS[panel].caption for panel in DRAWN},
        "tables": list(tables.values()),
        "licences": str(root / "licences.tsv"),
        "matched": str(root / "matched.tsv"),
        "configuration": str(root / "configuration.yaml"),
        "architecture": str(ROOT / "docs/architecture.md"),
        "timings": str(root / "timings"),
        "hits": tables["hits"],
        "features": report_inputs.write_altered(root / "altered.parquet"),
        "explorer": str(root / "explorer.html"),
        "pictures": report_inputs.write_pictures(root / "explorer", ["GENE0", "GENE1"]),
        "main_model": "mcvae",
        **report_inputs.write_qc(root / "qc"),
    }


def text_of(page: str) -> str:
    """Return what a reader sees."""
    parser, parts = HTMLParser(), []
    parser.handle_data = parts.append
    parser.feed(page)
    return re.sub(r"\s+", " ", " ".join(parts))


def write(inputs: dict, path: Path) -> str:
    """Write the report and return the page."""
    report(**inputs, html=str(path))
    return path.read_text(encoding="utf-8")


def test_speaks_the_screen_s_words_and_says_what_was_not_drawn(inputs, tmp_path):
    words = {"perturbation": "compound", "guide": "dose", "control": "DMSO"}
    changed = {
        "screen": inputs["screen"] | {"words": words},
        "left_out": {"fig2a": "archive.annotations.corum is null"},
    }
    text = text_of(write(inputs | changed, tmp_path / "report.html"))
    for phrase in (
        "200 control (DMSO)",
        "|s| DMSO",
        "map of doses and compounds",
        " compounds, ",
        "fig2a: archive.annotations.corum is null",
    ):
        assert phrase in text, phrase


def test_says_what_was_run_and_what_was_found(inputs, tmp_path):
    text = text_of(write(inputs, tmp_path / "report.html"))
    for phrase in (
        "2,000: 1,800 perturbed, 200 control (NTC), from 8 wells",
        "VAE (2 ×), cVAE (2 ×)",
        "holds: 1, does not hold: 1, undecided: 2",
        "2 of 168 tiles could not be used: 2 × file truncated.",
        "channel AF750: the shift of 28 of 84 tiles could not be measured reliably",
        "cVAE, seed 0: the salient space is dead: s saves 4.0 nats per perturbed cell and costs",
        "waiting tiles per minibatch",
        "1,234 0.020 58 8",
        "A594 on DAPI: 2 of 5 known shifts applied to tiles of this run were measured",
        "Models were trained with 1 seed:",
        "6.5% of the cells were dropped (138)",
        "window leaves the tile 20 2",
        "1 feature tells the well, not the cell (at least 95% of their variance lies between "
        "wells): lamp;",
        "feature 2 lamp, area named under columns 1 well",
        "CC BY-NC 4.0",
        "168 aligned and cropped, 2 failed",
        "15 of 30 genes change the cells at a false discovery rate of 5%; 10 of them also without",
        "average precision of the similar tail only",
        "good 2,138 cells of the tables used, 2.8% lost: 62 without a position",
        f"{next(iter(report_inputs.PLATES))} 62 2,203 without a position yes",
        "300 300 of other plates or wells no",
        "look 2,000 cells cropped, 6.5% dropped",
        "look 168 tiles, 1.2% could not be used",
        "good NTC cells share the wells",
        "bad Train again: the salient space of a model holds next to nothing.",
        "look 5 hits may be effects of density or place alone",
        "and 4 more",
        "warnings 10",
        "bad cVAE, seed 0: the salient space is dead",
        "GENE0 : a phenotype that NTC cells do not show; most altered (robust z): mean DNA +2.3, "
        "texture of alpha-tubulin at 3 px: contrast −1.5; q = 0.001; 3 of 4 guides show it alone",
    ):
        assert phrase in text


def test_hits_come_after_the_data_and_on_the_first_screen(inputs, tmp_path):
    write(inputs, tmp_path / "report.html")
    with browser.page(tmp_path / "profile") as page:
        page.open(tmp_path / "report.html", 1400)
        heads = page.value("[...document.querySelectorAll('.first h2')].map(e => e.textContent)")
        assert heads == ["Are the data good?", "What are the hits?", "Which representation?",
                         "What next?"]  # fmt: skip
        bottom = page.value("document.querySelector('.hit').getBoundingClientRect().bottom")
        assert bottom < 900


def test_the_configuration_is_shown_as_text(inputs, tmp_path):
    page = write(inputs, tmp_path / "report.html")
    assert "<pre>screen: {name: &lt;b&gt;mine&lt;/b&gt;}\n</pre>" in page


def test_claims_are_said_in_words_with_their_parts_behind():
    rows = pd.DataFrame(
        [("C4", "salient predicts batch worst; ...", "does not hold"),
         ("C4a", "salient predicts batch worst", "undecided"),
         ("C8", "dcvae salient > mcvae", "holds"), ("C8a", "dcvae salient > mcvae on it", "holds")],
        columns=["claim", "statement", "verdict"],
    )  # fmt: skip
    c4, c8 = claims_in_words(rows)
    assert c4["words"].startswith("The salient space knows least of batch and place")
    assert [part["words"] for part in c4["parts"]] == [
        "The salient space knows least of the batch."
    ]
    assert c8["parts"][0]["words"] == "dcvae salient > mcvae on it"
    assert set(rows["verdict"]) <= set(VERDICTS)


def test_the_words_of_a_claim_s_part_are_those_of_its_statement():
    nothing = pd.DataFrame(columns=COLUMNS).astype({"value": float})
    rows = claims_in_words(claim_rows(nothing, "mcvae", [], ["a"], ["b"]))
    words = {part["statement"]: part["words"] for row in rows for part in row["parts"]}
    for statement, named in {
        "cvae > vae": "Contrast", "mcvae > cvae": "Priors", "mcvae is about": "CellProfiler",
        "mcvae combined > mcvae salient": "than the salient",
        "mcvae > cvae_prior_s": "than that of the salient", "cvae_prior_z > cvae": "background",
        "salient predicts batch worst": "of the batch", "a (existing": "in the background",
        "salient predicts position in the well worst": "place in the well",
        "CellProfiler predicts position in the FOV": "CellProfiler knows the place in the field",
    }.items():  # fmt: skip
        assert any(named in words[said] for said in words if said.startswith(statement)), statement
    assert not set(words) & set(words.values())  # none is said in the words of the code


def test_the_table_of_hits_is_sorted_filtered_and_linked(inputs, tmp_path):
    write(inputs, tmp_path / "report.html")
    shown = "[...document.querySelectorAll('#rows tr')].map(row => row.innerText.split('\\t'))"
    with browser.page(tmp_path / "profile") as page:
        page.open(tmp_path / "report.html", 1400)
        rows = page.value(shown)
        assert len(rows) == 15 and rows[0][0] == "GENE0" and rows[0][3:] == [
            "0.0020", "3 of 4", "8 of 8", "no", "novel", "tubulin", "GENE1; GENE2; GENE3",
        ]  # fmt: skip
        page.value("document.querySelectorAll('#heads button')[2].click()")
        assert page.value("document.querySelector('[aria-sort]').ariaSort") == "ascending"
        distances = [float(row[2]) for row in page.value(shown)]
        assert distances == sorted(distances)
        page.type("#filter", "shift alone")
        assert {(row[6], row[7]) for row in page.value(shown)} == {("yes", "shift")}
        link = page.value("document.querySelector('#rows a').getAttribute('href')")
        assert link == f"explorer.html#gene={page.value(shown)[0][0]}"
    assert page.problems == []


def test_hits_of_one_batch_and_no_hits():
    table = figure_tables.hits().drop(columns="effect").assign(n_batches=1, n_batches_agree=np.nan)
    first = {name: column[0] for name, column in hits_summary(table)["table"].items()}
    assert (first["batches that agree"], first["name"]) == ("none of 1", "GENE0")
    assert "effect" not in first
    none = hits_summary(table.assign(is_hit=False, survives_confounders=False))
    assert none["table"]["name"] == [] and none["words"].startswith(
        "None of 30 genes change the cells"
    )


def test_hits_that_are_doses_stand_beside_crops_of_all_doses(inputs, tmp_path):
    doses = figure_tables.hits().assign(guide=[f"GENE{k}: 1 µM" for k in range(30)])
    doses.to_parquet(tmp_path / "hits.parquet")
    changed = {"hits": str(tmp_path / "hits.parquet"), "features": None}
    text = text_of(write(inputs | changed, tmp_path / "report.html"))
    assert "cells on the left (of all guides of the gene), NTC cells" in text
    assert "GENE0: 1 µM : a phenotype" in text


def test_needs_no_other_file_and_no_network(inputs, tmp_path):
    page = write(inputs, tmp_path / "report.html")
    assert page.count(' src="data:image/png;base64,') == len(DRAWN)
    assert all("." not in alt for alt in re.findall('alt="Figure ([^"]*)"', page))  # one sentence
    assert page.count(' src="data:image/webp;base64,') == 2  # the hits that have a picture
    assert not re.search(r'(src|href)="(https?:|//)', page)
    assert "<script src" not in page and "@import" not in page
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(re.findall(r' id="([^"]*)"', page))


def test_nothing_is_cut_in_a_wide_and_in_a_narrow_window(inputs, tmp_path):
    write(inputs, tmp_path / "report.html")
    with browser.page(tmp_path / "profile") as page:
        for width in (1400, 800, 390):
            page.open(tmp_path / "report.html", width)
            page.screenshot(OUTPUT / f"report_{width}.png")
            # On a phone a wide table is moved sideways, the page is not.
            looked_at = ".wide, html" if width > 390 else ".first .wide, .claims, html"
            cut = page.value(
                f"[...document.querySelectorAll('{looked_at}')].filter("
                "e => e.scrollWidth > e.clientWidth).map(e => e.textContent.slice(0, 80))"
            )
            assert cut == [], width
    assert page.problems == []


TIP = "[document.activeElement.textContent, tip.hidden ? null : tip.textContent]"


def test_words_of_the_field_are_explained_on_hover_on_focus_and_on_tap(inputs, tmp_path):
    write(inputs, tmp_path / "report.html")
    words = glossary((ROOT / "docs/architecture.md").read_text(), inputs["screen"]["words"])
    middle = "(r => [r.x + r.width / 2, r.y + r.height / 2])({}.getBoundingClientRect())"
    term = "[...document.querySelectorAll('.term')].find(e => e.textContent === '{}')"
    with browser.page(tmp_path / "profile") as page:
        page.open(tmp_path / "report.html", 390)
        page.value(term.format("NTC") + ".focus()")
        assert page.value(TIP) == ["NTC", words["NTC"]]
        described = page.value("document.activeElement.getAttribute('aria-describedby')")
        assert page.value(f"document.getElementById('{described}') === tip")
        page.press("Escape")
        assert page.value(TIP) == ["NTC", None]
        page.value("document.activeElement.blur()")
        guides = term.format("guides")
        page.value(f"{guides}.scrollIntoView({{block: 'center'}})")
        page.mouse("mouseMoved", *page.value(middle.format(guides)))
        assert page.value(TIP)[1] == words["guide"]
        page.mouse("mouseMoved", *page.value(middle.format("tip")))  # it stays under the mouse
        assert page.value(TIP)[1] == words["guide"]
        page.mouse("mouseMoved", 1, 1)
        assert page.value(TIP)[1] is None
        page.call("Emulation.setTouchEmulationEnabled", enabled=True)
        page.value("document.querySelector('.scores').scrollIntoView({block: 'center'})")
        head = "document.querySelector('.scores .term')"
        page.touch([page.value(middle.format(head))])
        assert page.value(TIP)[1].startswith("How well genes of one complex resemble each other")
        assert page.value("document.documentElement.scrollWidth") == 390
        page.touch([page.value(middle.format("document.querySelector('.scores tbody td')"))])
        assert page.value(TIP)[1] is None
    assert page.problems == []


def test_a_word_is_explained_once_in_a_section_and_in_the_words_of_the_screen(inputs, tmp_path):
    words = {"perturbation": "compound", "guide": "dose", "control": "DMSO"}
    write(inputs | {"screen": inputs["screen"] | {"words": words}}, tmp_path / "report.html")
    marked = "[...document.querySelectorAll('{} .term')].map(e => e.textContent)"
    with browser.page(tmp_path / "profile") as page:
        page.open(tmp_path / "report.html", 1400)
        hits = page.value(marked.format(":is(.first .high > p, .first .high > .hit)"))
        assert hits.count("DMSO") == 1 and "doses" in hits and "guides" not in hits
        assert {"false discovery rate", "robust z"} <= set(hits)
        assert page.value(marked.format("a")) == page.value(marked.format("h2")) == []


def test_each_sentence_of_the_glossary_is_one_and_no_word_stands_twice():
    page = (ROOT / "docs/architecture.md").read_text()
    words = {"perturbation": "gene", "guide": "guide", "control": "NTC"}
    sentences = glossary(page, words)
    for word, sentence in sentences.items():
        assert sentence.endswith(".") and ". " not in sentence, word
        assert len(sentence) <= 130, word
    named = re.findall(r"^\| (?!word |-)([^|]+) \|", page.partition("## Glossary")[2], re.MULTILINE)
    forms = [form for names in named for form in names.split(", ")]
    assert len(forms) == len(set(forms)) and set(sentences) < set(forms)


def test_nothing_hinders_those_who_use_other_means_than_eyes_and_mouse(inputs, tmp_path):
    """axe-core: names of controls, contrast, order of headings, roles."""
    write(inputs, tmp_path / "report.html")
    rules = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    shown = "for (const e of document.querySelectorAll('details')) e.open = true;"
    with browser.page(tmp_path / "profile") as page:
        for width in (1400, 800, 390):
            page.open(tmp_path / "report.html", width)
            page.value(shown + "document.querySelector('.term').focus()")
            page.value(rules + "; axe.run().then((found) => { window.found = found; }); 0")
            page.until("window.found", 60)
            assert page.value("found.violations.map((v) => [v.id, v.nodes[0].html])") == []
    assert page.problems == []


def test_same_bytes_but_for_the_timings(inputs, tmp_path):
    other = tmp_path / "timings"
    report_inputs.write_timings(other)
    (other / "complexes.tsv").write_text(
        (other / "complexes.tsv").read_text().replace("12.5", "99")
    )
    first = write(inputs, tmp_path / "1.html")
    second = write(inputs | {"timings": str(other)}, tmp_path / "2.html")
    assert first != second
    timed = re.compile(r"<!-- timings -->.*?<!-- /timings -->", re.S)
    assert timed.sub("", first) == timed.sub("", second)


def test_a_run_from_profiles_says_what_it_lacks(inputs, tmp_path):
    absent = dict.fromkeys(
        ("alignment", "known_shifts", "row_counts", "dropped", "feature_list", "index", "splits",
         "explorer", "pictures", "hits", "features")
    ) | {"metrics": []}  # fmt: skip
    text = text_of(write(inputs | absent, tmp_path / "report.html"))
    assert text.count("This run starts from published profiles") == 6
    assert "What are the hits?" not in text
    assert "Numbers of the paper" not in text


def test_lays_the_papers_numbers_beside_ours(shared, tmp_path):
    tables = report_inputs.write_tables(tmp_path)
    targets = report_inputs.draw("fig2a", tables, tmp_path, str(shared / "reference"))
    rows = compare_with_paper("fig2a", pd.read_csv(targets["csv"])).set_index("what")
    assert rows.loc["mcVAE, combined, recall", "theirs"] == pytest.approx(0.304, abs=1e-3)
    assert rows.loc["CellProfiler, combined, precision", "theirs"] == pytest.approx(0.071, abs=1e-3)
    assert len(rows) == 8


@pytest.mark.parametrize(
    ("value", "said"), [(2e-5, "2.0e−05"), (0.001, "0.001"), (0, "0.000"), (-1.5, "−1.500")]
)
def test_small_numbers_are_not_said_to_be_none(value, said):
    assert number(value) == said


def test_timings_are_summed_by_rule(tmp_path):
    report_inputs.write_timings(tmp_path)
    rows = read_timings(str(tmp_path)).set_index("rule")
    assert rows.loc["train_model"].tolist() == [2, 120.0, 61.0, 900.0]
    assert rows.index.tolist() == ["train_model", "complexes"]
    assert read_timings(str(tmp_path / "none")).empty


def test_known_shifts_that_hold_raise_no_warning_and_others_name_their_cause():
    sound = pd.DataFrame({"plate": "P", "check": "one file", "channel": "GFP", "against": "DAPI",
                          "error_px": [0.1, 0.2, 9.0], "confidence": [0.9, 0.9, 0.1]})  # fmt: skip
    assert quality_checks.known_shift_warnings(sound) == []
    apart = quality_checks.known_shift_warnings(sound.assign(error_px=3.0))
    assert len(apart) == 1 and "recorded in one file, but 3.0 px apart" in apart[0].words
    unsure = sound.assign(confidence=0.1)
    assert quality_checks.known_shift_warnings(unsure) == []
    unsure = quality_checks.known_shift_warnings(unsure.assign(check="planted shift"))
    assert len(unsure) == 1 and "only 0 of 3 known shifts" in unsure[0].words


@pytest.mark.parametrize(
    ("unfinished", "said"),
    [
        ([], []),
        ([1], ["mcVAE, seed 1: the last validation was the best; more epochs may help."]),
        ([0, 1, 2], ["All trainings: the last validation was the best; more epochs may help."]),
    ],
)
def test_a_sound_training_raises_no_warning_and_one_that_still_improves_is_named(unfinished, said):
    sound = {"nats_without_s": 200.0, "kl_s": 80.0, "mean_abs_s_ntc": 0.1,
             "mean_abs_s_perturbed": 0.6}  # fmt: skip
    rows = [
        {"model": "mcvae", "seed": seed, "step": 50 if seed in unfinished else 30, "last_step": 50}
        | sound
        for seed in range(3)
    ]
    warnings = quality_checks.training_warnings(pd.DataFrame(rows))
    assert [(warning.grade, warning.words) for warning in warnings] == [("look", w) for w in said]


def arrayed(genes_of: dict[str, str]) -> pa.Table:
    rows = [("P", well, gene, gene == "NTC") for well, genes in genes_of.items()
            for gene in genes.split()]  # fmt: skip
    return pa.Table.from_pandas(pd.DataFrame(rows, columns=["plate", "well", "gene", "is_ntc"]))


@pytest.mark.parametrize(
    ("wells", "said"),
    [
        ({"A1": "NTC G1", "A2": "NTC G2"}, None),
        ({"A1": "NTC G1", "A2": "G2"}, None),
        (
            {"A1": "NTC NTC", "A2": "G1", "A3": "G1", "A4": "G2"},
            "(1 of 4 wells), and 1 of 2 genes stand in one well alone",
        ),
    ],
)
def test_confounded_wells_are_said(wells, said):
    warnings = quality_checks.confounding_warnings(arrayed(wells), ["plate"])
    assert said in warnings[0].words if said else warnings == []
