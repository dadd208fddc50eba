"""The explorer: crops beside controls of their wells, and a page that works from a file."""

import base64
import re
from io import BytesIO, StringIO
from pathlib import Path
from types import SimpleNamespace

import axe_core_python
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mcvae_ops.figures import style
from mcvae_ops.figures.figs_counterfactuals import KINDS
from mcvae_ops.profiles.aggregate import gene_profiles, guide_profiles
from mcvae_ops.report import gene_pictures
from mcvae_ops.report.altered_words import altered_words
from mcvae_ops.report.control_reach import control_reach
from mcvae_ops.report.counterfactual_pictures import coloured
from mcvae_ops.report.explorer import choose_crops, explorer, points, write_pictures
from mcvae_ops.report.gene_links import pages_of_genes
from mcvae_ops.report.hit_similarity import similarity
from mcvae_ops.shards.crops import Crops
from mcvae_ops.shards.training_cells import read_training_cells
from tests.conftest import OUTPUT
from tests.helpers import browser, figure_tables, report_inputs
from tests.helpers.fake_shards import write_fake_screen

SCREEN = report_inputs.CONFIGURATION["screen"] | {"name": "fake"}
LATENT = ["s_00", "s_01", "z_00"]
N = 5
HITS = figure_tables.hits().assign(gene=[f"GENE{k}" for k in range(1, 31)])
ALTERED = [
    ("GENE1", 1, "DAPI_Intensity_MeanIntensity", 2.34),
    ("GENE1", 2, "GFP_contrast_3_00_256", -1.52),
    ("GENE1", 3, "GFP_contrast_3_01_256", -1.5),
    ("GENE1", 4, "no_known_name", 1.0),
]
FEATURES = pd.DataFrame(ALTERED, columns=["gene", "rank", "feature", "robust_z"]).assign(guide="")


def write_profiles(index: Path, folder: Path) -> dict[str, str]:
    """Write profiles of random latents, a map of them, groups and hits; return the paths."""
    rng = np.random.default_rng(0)
    cells = pd.read_parquet(index)
    guides = guide_profiles(cells, rng.normal(size=(len(cells), 3)).astype(np.float32))
    guides.columns = [*guides.columns[:4], *LATENT]
    tables = {"guide": guides, "gene": gene_profiles(guides, LATENT)}
    maps = [
        pd.DataFrame({"level": level, "name": table[level], "space": space, "x": x, "y": -x})
        for level, table in tables.items()
        for space in ("combined", "salient", "background")
        for x in [np.arange(len(table)) / 10]
    ]
    groups = pd.DataFrame({"gene": ["GENE1", "GENE2"], "group": ["tubulin", "DNA damage"]})
    names = ("guides", "genes", "maps", "groups", "hits", "features")
    paths = {name: str(folder / f"{name}.parquet") for name in names}
    for level, table in tables.items():
        named = table.assign(model="mcvae", seed=0, cells="all")
        named.to_parquet(paths[f"{level}s"])
    pd.concat(maps).to_parquet(paths["maps"])
    groups.to_parquet(paths["groups"])
    HITS.to_parquet(paths["hits"])
    FEATURES.to_parquet(paths["features"])
    return paths


def write_counterfactuals(folder: Path) -> list[str]:
    """Write the tables of Fig. S8; return their paths."""
    folder.mkdir(parents=True)
    paths = []
    for name in ("counterfactuals", "counterfactual_cells", "metrics"):
        paths.append(str(folder / f"{name}.parquet"))
        getattr(figure_tables, name)().to_parquet(paths[-1])
    return paths


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> dict:
    """Arguments of `explorer`, its outputs written."""
    root = tmp_path_factory.mktemp("run")
    shards = write_fake_screen(root)
    index = shards / "index.parquet"
    made = write_profiles(index, root)
    made |= {
        "index": str(index),
        "cells": str(shards / "cells.arrow"),
        "source": "archive",
        "screen": SCREEN,
        "crops_per_gene": N,
        "given": None,
        "archive": {},
        "counterfactuals": write_counterfactuals(root / "benchmarks/mcvae/0"),
    }
    made |= {"html": str(root / "explorer.html"), "pictures": str(root / "explorer")}
    explorer(**made)
    return made


def test_guides_take_turns_and_controls_are_of_the_same_batch():
    rng = np.random.default_rng(0)
    n = 4000
    label, batch = rng.integers(0, 4, n), rng.integers(0, 3, n)
    label[(batch == 2) & (label == 0)] = 1  # a batch without controls
    guide = 10 * label + rng.choice(3, n, p=[0.9, 0.05, 0.05])
    order = rng.permutation(n)
    controls = gene_pictures.choose_controls(label, batch, order)
    chosen = gene_pictures.choose_cells(label, guide, batch, controls, order, 6)
    assert [len(part) for part in controls] == [gene_pictures.REFERENCE_CELLS] * 2 + [0]
    assert np.bincount(chosen.label).tolist() == [0, 6, 6, 6]
    assert set(np.unique(guide[chosen.positions], return_counts=True)[1]) == {2}
    assert not (batch[chosen.positions] == 2).any()
    np.testing.assert_array_equal(batch[chosen.controls], batch[chosen.positions])
    for gene in (1, 2, 3):
        assert len(set(chosen.controls[chosen.label == gene])) == 6
    again = gene_pictures.choose_cells(label, guide, batch, controls, order, 3)
    assert set(again.positions) < set(chosen.positions)


def test_an_arrayed_screen_shows_controls_of_the_plate_and_none_of_the_well(tmp_path):
    """Control cells and perturbed cells in wells of their own, as on every Cell Painting plate."""
    label, order = np.repeat([0, 1], [20, 60]), np.arange(80)
    of_well = np.repeat([0, 1, 2], [20, 30, 30])
    for batch, n_shown in ((of_well, 0), (np.zeros(80, int), 12)):
        controls = gene_pictures.choose_controls(label, batch, order)
        chosen = gene_pictures.choose_cells(label, np.zeros(80, int), batch, controls, order, 12)
        assert len(chosen.label) == n_shown and (label[chosen.controls] == 0).all()
        painter = SimpleNamespace(paint=lambda rows: np.zeros((len(rows), 1, 4, 4), np.uint8))
        pictures = write_pictures(chosen, painter, ["NTC", "Null"], tmp_path)
        assert pictures == ({"Null": 0} if n_shown else {})


def test_counts_are_on_the_scale_of_the_controls():
    crops = np.array([100, 300, 200, 0, 500, 200]).reshape(3, 2, 1, 1)
    low, high = np.full((3, 2), 100), np.full((3, 2), [300, 500])
    painted = gene_pictures.to_grey(crops, low, high)[..., 0, 0]
    np.testing.assert_array_equal(painted, [[0, 128], [128, 0], [255, 64]])


def test_a_picture_holds_the_crops_and_below_them_their_controls(run):
    cells = read_training_cells(run["cells"])
    crops = Crops(Path(run["index"]).parents[1], cells)
    guide = np.zeros(len(cells), int)
    chosen, controls = choose_crops(cells, guide, N)
    painter = gene_pictures.Painter(crops, controls)
    low, high = np.percentile(crops.read(controls[1]), gene_pictures.SHOWN, axis=(0, 2, 3))
    np.testing.assert_allclose([painter.low[1], painter.high[1]], [low, high])
    first = chosen.label == 1
    picture = gene_pictures.read_picture(Path(run["pictures"]), 0)
    shown = picture.reshape(4, 2, 20, N, 20)  # channel, arm, y, n, x
    for row, positions in zip((0, 1), (chosen.positions, chosen.controls), strict=True):
        found = shown[:, row].transpose(2, 0, 1, 3).astype(float)
        assert np.abs(found - painter.paint(positions[first])).mean() < 5  # WebP is lossy
    assert len(list(Path(run["pictures"]).glob("*.js"))) == 4


def test_distances_are_multiples_of_what_control_guides_do_not_reach():
    """By hand: control guides at 0 to 19, so that each lies 20/19 |k - 9.5| from the others."""
    rows = [("a", "A", False, 30.0)] + [(f"n{k}", "NTC", True, float(k)) for k in range(20)]
    guides = pd.DataFrame(rows, columns=["guide", "gene", "is_ntc", "s_00"])
    guides = guides.assign(n_cells=9, z_00=0.0)
    maps = pd.DataFrame({"name": ["a"], "space": "salient", "x": 1.5, "y": 2.0})
    controls = guides[guides["is_ntc"]]
    reach = np.percentile(20 / 19 * np.abs(np.arange(20) - 9.5), 95)
    found = points(guides, maps, "guide", controls)
    assert found["distance"]["salient"][:2] == pytest.approx([20.5 / reach, 9.5 / reach], abs=1e-4)
    assert found["distance"]["combined"] == found["distance"]["salient"]
    assert found["xy"]["salient"] == [1.5, 2.0] + 40 * [None]
    few = points(guides[:4], maps, "guide", controls[:3])
    assert few["distance"]["salient"] == [29.0, 1.0, 0.0, 1.0]  # latent units
    # The mean of four guides varies half as much: a gene of four guides is held against that.
    many = np.random.default_rng(0).normal(size=(400, 3))
    single, of_four = control_reach(many, [1, 4]).values()
    assert single / of_four == pytest.approx(2, rel=0.1)


def test_hits_that_resemble_one_another_are_neighbours_in_the_heat_map():
    names, axes = list("abcdef"), np.eye(3)
    profiles = axes[[0, 1, 2, 0, 1, 2]] * np.arange(1, 7)[:, None] + 0.01
    found = similarity(names, profiles)
    pairs = ["".join(sorted(found["name"][k : k + 2])) for k in (0, 2, 4)]
    assert sorted(pairs) == ["ad", "be", "cf"]
    order = [names.index(name) for name in found["name"]]
    unit = profiles / np.linalg.norm(profiles, axis=1, keepdims=True)
    expected = (unit @ unit.T)[np.ix_(order, order)]
    np.testing.assert_allclose(np.reshape(found["cosine"], (6, 6)), expected, atol=0.006)
    assert similarity(["a"], profiles[:1]) == {"name": [], "cosine": []}


def test_altered_features_are_said_in_words_and_once():
    channels = SCREEN["channels"]
    stain = {channel["name"]: channel["stain"] for channel in channels}
    found = altered_words(FEATURES, channels)
    assert found == {
        "GENE1": [
            f"mean {stain['DAPI']}", 2.3,
            f"texture of {stain['GFP']} at 3 px: contrast", -1.5, "no_known_name", 1.0,
        ]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "organism", "word", "is_linked"),
    [
        ("archive", "human", "gene", True), ("archive", 9606, "gene", True),
        ("archive", "Homo sapiens", "gene", True), ("archive", "mouse", "gene", False),
        ("archive", "human", "compound", False), ("simulated", "human", "gene", False),
    ],
)  # fmt: skip
def test_pages_are_linked_for_human_genes_alone(source, organism, word, is_linked):
    words = {"perturbation": word, "guide": "guide", "control": "NTC"}
    assert set(pages_of_genes(source, organism, words)) == (
        {"HGNC", "UniProt"} if is_linked else set()
    )


def test_the_page_shows_the_figure_of_the_hits_and_says_how_many(run):
    page = Path(run["html"]).read_text()
    n = int(HITS["is_hit"].sum())
    assert f" {n} of {len(HITS)} genes are hits" in page
    encoded = page.split("data:image/png;base64,")[1].split('"')[0]
    picture = Image.open(BytesIO(base64.b64decode(encoded)))
    assert picture.width > 1500 and len(np.unique(np.asarray(picture))) > 20


def test_same_bytes_twice(run, tmp_path):
    again = run | {"html": str(tmp_path / "e.html"), "pictures": str(tmp_path / "explorer")}
    explorer(**again)
    assert Path(again["html"]).read_bytes() == Path(run["html"]).read_bytes()
    for path in Path(run["pictures"]).iterdir():
        assert (tmp_path / "explorer" / path.name).read_bytes() == path.read_bytes()


def brightness(page: browser.Page, folder: Path) -> float:
    """Return the mean brightness, 0 to 255, of the second crop: the first has the scale bar."""
    box = page.value(
        "(() => { const b = document.querySelectorAll('.crops canvas')[1].getBoundingClientRect();"
        "return [b.left + 4, b.top + scrollY + 4, b.right - 4, b.bottom + scrollY - 4]; })()"
    )
    page.screenshot(folder / "crop.png")
    with Image.open(folder / "crop.png") as picture:
        return float(np.asarray(picture.crop(tuple(map(int, box))).convert("L")).mean())


def test_a_gene_is_searched_and_its_crops_are_seen(run, tmp_path):
    path = Path(run["html"])
    with browser.page(tmp_path) as page:
        for width in (1400, 800):
            page.open(path, width)
            page.type("#search", "gene3")
            page.until("document.getElementById('details').dataset.shown === 'GENE3'")
            assert page.value("document.querySelectorAll('.crops canvas').length") == 2 * N
            assert page.value("document.documentElement.scrollWidth") <= width
            details = page.value("document.getElementById('details').textContent")
            assert "yes, q = 0.001" in details and "guides that agree3 of 4" in details
            page.screenshot(OUTPUT / f"explorer_{width}.png")
            assert brightness(page, tmp_path) > 10
        page.value("document.querySelectorAll('#channels input').forEach(e => e.click())")
        assert brightness(page, tmp_path) == 0
        page.value("document.querySelectorAll('#channels input')[2].click()")
        assert brightness(page, tmp_path) > 1
        page.type("#search", "no such gene")
        page.until("document.getElementById('problem').textContent.startsWith('No gene')")
        # A point is found where it is drawn, and named under the mouse.
        page.value("document.querySelector('input[value=guide]').click()")
        x, y = page.value(
            "(() => { const box = canvas.getBoundingClientRect();"
            "return [box.x + screenXY[2], box.y + screenXY[3]]; })()"
        )
        page.mouse("mouseMoved", x, y)
        page.until("document.getElementById('tip').textContent.startsWith('GENE2\\n')")
        page.mouse("click", x, y)
        page.until("document.getElementById('details').dataset.shown === 'GENE2'")
        assert page.value("document.querySelector('h2').textContent") == "guide GENE2"
        assert "DNA damage" in page.value("document.getElementById('details').textContent")
        fragment = "#gene=GENE4&space=background&colour=salient"
        page.open(path, 1400, fragment=fragment)
        page.until("document.getElementById('details').dataset.shown === 'GENE4'")
        assert page.value("state.space") == "background"
    assert page.problems == []
    assert all(address.startswith(("file://", "data:")) for address in page.addresses)


def test_hits_are_sorted_filtered_and_walked_along(run, tmp_path):
    shown = "[...document.querySelectorAll('#rows tr')].map(row => row.textContent)"
    with browser.page(tmp_path) as page:
        page.open(Path(run["html"]), 390)
        # The page opens with the strongest hit, and moves nothing sideways on a phone.
        page.until(f"document.getElementById('details').dataset.shown === '{HITS['gene'][0]}'")
        assert page.value("document.documentElement.scrollWidth") == 390
        assert page.value("scrollY") == 0
        rows = page.value(shown)
        assert len(rows) == len(HITS) and rows[0].startswith("GENE1yes0.001")
        page.screenshot(OUTPUT / "explorer_390.png")
        for _ in range(2):
            page.value("[...document.querySelectorAll('#heads button')][3].click()")
        assert page.value("document.querySelector('[aria-sort]').ariaSort") == "descending"
        genes = page.value("DATA.gene")
        farthest = genes["name"][np.argmax(genes["distance"]["combined"])]
        assert page.value(shown)[0].startswith(farthest)
        last = page.value(
            "['hit', 'alone', 'tested cells', 'nearest', 'chance of one so near']"
            ".map((column) => DATA.table[column].at(-1))"
        )
        assert page.value("[5, 1200].map((v) => shownValue('n', v, false))") == ["5.00", "1,200"]
        assert page.value("[5, 1200].map((v) => shownValue('n', v, true))") == ["5", "1,200"]
        assert last == ["", "", 200, "GENE1", 0.02]  # no hit: no effect that could be alone
        page.value("$('filter').value = 'tubulin HIT'; $('filter').oninput; showRows()")
        wanted = HITS[(HITS["group"] == "tubulin") & HITS["is_hit"]]
        assert len(page.value(shown)) == len(wanted) > 0
        assert f"of {len(wanted)} rows" in page.value("$('counted').textContent")
        # A tap on a name shows its crops; a neighbour is a tap away.
        page.value("document.querySelector('#rows button').click()")
        assert page.value("state.chosen.name") in set(wanted["gene"])
        page.value("document.querySelector('#details dd button + button').click()")
        assert page.value("state.chosen.name") == "GENE2"
        page.until("scrollY > 0")
    assert page.problems == []


SHOWN = "document.getElementById('{}').dataset.shown === '{}'"
ALIKE = "document.getElementById('pair').textContent"


def test_two_genes_stand_side_by_side_and_the_address_keeps_both(run, tmp_path):
    html = Path(run["html"])
    with browser.page(tmp_path) as page:
        for width in (1400, 800, 390):
            page.open(html, width, fragment="#gene=GENE2")
            page.until(SHOWN.format("details", "GENE2"))
            page.value("document.querySelector('#details .head button').click()")
            page.type("#search", "GENE3")
            page.until(SHOWN.format("details", "GENE3") + "&&" + SHOWN.format("pinned", "GENE2"))
            assert page.value("location.hash").endswith("gene=GENE3&beside=GENE2")
            assert page.value("document.documentElement.scrollWidth") <= width
            page.screenshot(OUTPUT / f"explorer_pair_{width}.png")
        # Back leads to the pair before, and a link to the pair opens it.
        page.value("history.back()")
        page.until(SHOWN.format("details", "GENE2"))
        page.open(html, 1400, fragment="#gene=GENE1&beside=GENE4")
        page.until(SHOWN.format("details", "GENE1") + "&&" + SHOWN.format("pinned", "GENE4"))
        page.value("document.querySelector('#pinned .head button').click()")
        page.until("document.getElementById('pinned').hidden && !location.hash.includes('beside')")
    assert page.problems == []


def test_a_pair_of_the_heat_map_is_chosen_by_mouse_and_keys(run, tmp_path):
    with browser.page(tmp_path) as page:
        page.open(Path(run["html"]), 1400, 2600)
        page.until(SHOWN.format("details", "GENE1"))
        first, second, *_ = page.value("ALIKE.name")
        x, y = page.value(
            "(() => { const b = heat.getBoundingClientRect();"
            "return [b.x + margin + 1.5 * square, b.y + margin + .5 * square]; })()"
        )
        page.mouse("mouseMoved", x, y)
        page.until(f"{ALIKE}.startsWith('{first} and {second}: cosine')")
        page.mouse("click", x, y)
        page.until(SHOWN.format("details", first) + "&&" + SHOWN.format("pinned", second))
        page.mouse("mouseMoved", 1, 1)
        page.value("heat.blur(); heat.focus({focusVisible: true})")
        page.until(f"{ALIKE}.startsWith('{first} and {first}')")
        page.press("ArrowDown")
        page.until(f"{ALIKE}.startsWith('{second} and {first}')")
        page.press("Enter")
        page.until(SHOWN.format("details", second) + "&&" + SHOWN.format("pinned", first))
    assert page.problems == []


def test_the_map_is_walked_by_keys_and_zoomed_by_two_fingers(run, tmp_path):
    with browser.page(tmp_path) as page:
        still = [{"name": "prefers-reduced-motion", "value": "reduce"}]  # the page does not glide
        page.call("Emulation.setEmulatedMedia", features=still)
        page.open(Path(run["html"]), 390, 800, fragment="#gene=GENE1")
        page.until(SHOWN.format("details", "GENE1"))
        page.value("canvas.focus({focusVisible: true})")
        page.until("$('said').textContent.startsWith('GENE1\\n')")
        page.press("ArrowRight")  # the map of the fake genes is a falling line
        page.until("$('said').textContent.startsWith('GENE2\\n')")
        page.press("Enter")
        page.until(SHOWN.format("details", "GENE2"))
        page.value("scrollTo(0, 0)")
        x, y = page.value(
            "(() => { const b = canvas.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        apart = ((20, 20), (60, 20), (60, 60))
        page.touch(*([(x - left, y), (x + right, y)] for left, right in apart))
        assert page.value("view.k") == pytest.approx(3, rel=0.1)
        page.value("zoomTo(WHOLE); draw()")
        assert page.value("canvas.style.touchAction") == "pan-y"
        x, y = page.value(
            "(() => { const box = canvas.getBoundingClientRect();"
            "return [box.x + screenXY[0], box.y + screenXY[1]]; })()"
        )
        page.touch([(x, y)])
        page.until(SHOWN.format("details", "GENE1"))
    assert page.problems == []


TARGETS = """
[...document.querySelectorAll('a, button, select, input')].filter((one) => one.offsetParent)
.map((one) => [one.outerHTML, (one.closest('label:not(.field)') || one).getBoundingClientRect()])
.filter(([, box]) => Math.min(box.width, box.height) < 24).map(([html]) => html)
"""
OVERFLOWING = """
[...document.querySelectorAll('main *, dialog[open] *')].filter((one) => {
  const box = one.getBoundingClientRect(), place = one.closest('.wide, dialog') || document.body;
  return box.width && !one.closest('.wide *') && !one.closest('.unseen, datalist')
    && box.right > place.getBoundingClientRect().right + 0.5;
}).map((one) => one.outerHTML)
"""


def test_a_finger_meets_every_target_and_nothing_leaves_the_page(run, tmp_path):
    elsewhere = "https://www.genenames.org/data/gene-symbol-report/#!/symbol/GENE1"
    with browser.page(tmp_path) as page:
        for width in (1400, 800, 390):
            page.open(Path(run["html"]), width, fragment="#gene=GENE1&beside=GENE2")
            page.until(SHOWN.format("details", "GENE1") + "&&" + SHOWN.format("pinned", "GENE2"))
            assert page.value("document.querySelector('#details dd a').href") == elsewhere
            assert page.value(TARGETS) == [] and page.value(OVERFLOWING) == []
            left, right = page.value(
                "['details', 'pinned'].map((id) => { const b = $(id).getBoundingClientRect();"
                "return [b.left, b.top]; })"
            )
            assert left[0] < right[0] and left[1] == right[1]  # beside each other, on a phone too
            page.value("enlarge('details', 0)")
            page.until("$('large').open")
            assert page.value(TARGETS) == [] and page.value(OVERFLOWING) == []
            page.screenshot(OUTPUT / f"explorer_large_{width}.png")
        # The name of a row stays where the table is moved sideways.
        moved = page.value(
            "(() => { $('large').close(); const table = $('rows').closest('.wide');"
            "table.scrollLeft = 200; const box = $('rows').querySelector('td');"
            "return [table.scrollLeft, box.getBoundingClientRect().left]; })()"
        )
        assert moved == [200, 16]
    assert page.problems == []


def test_a_tap_on_the_heat_map_names_a_pair_and_a_button_shows_it(run, tmp_path):
    with browser.page(tmp_path) as page:
        page.open(Path(run["html"]), 390, 844, fragment="#gene=GENE5")
        page.until("HITS > 2")
        page.value("heat.scrollIntoView()")
        x, y = page.value(
            "(() => { const b = heat.getBoundingClientRect();"
            "return [b.x + margin + 2.5 * square, b.y + margin + .5 * square]; })()"
        )
        first, _, third, *_ = page.value("ALIKE.name")
        page.touch([(x, y)])
        page.until(f"{ALIKE}.startsWith('{first} and {third}: cosine')")
        assert page.value("state.pinned") is None
        x, y = page.value(
            "(() => { const b = $('show-pair').getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        page.touch([(x, y)])
        page.until(f"state.chosen.name === '{first}' && state.pinned?.name === '{third}'")
    assert page.problems == []


def test_rings_of_two_genes_on_the_map_of_guides_differ_and_have_names(run, tmp_path):
    with browser.page(tmp_path) as page:
        page.open(Path(run["html"]), 1400, fragment="#level=guide&gene=GENE1&beside=GENE2")
        page.until(SHOWN.format("pinned", "GENE2"))
        drawn = page.value(
            "(() => { const seen = [];"
            "pen.fillText = (text) => seen.push(text);"
            "pen.setLineDash = (dash) => seen.push(dash.length);"
            "draw(); delete pen.fillText; delete pen.setLineDash; return seen; })()"
        )
        # Each ring sets its dash and unsets it: first the kept gene, dashed, then the chosen one.
        assert [one for one in drawn if one] == [2, "GENE2", "GENE1"]
    assert page.problems == []


def test_a_crop_is_enlarged_and_turned_and_escape_closes_it(run, tmp_path):
    with browser.page(tmp_path) as page:
        page.open(Path(run["html"]), 800, fragment="#gene=GENE1")
        page.until(SHOWN.format("details", "GENE1"))
        page.value("document.querySelector('.crops button').focus()")
        page.press("ArrowRight")
        page.press("Enter")
        page.until("$('large').open")
        title = page.value("$('large-title').textContent")
        assert "guide GENE1" in title and page.value("large.at") == 1
        assert page.value("$('large-channels').children.length") == 4
        assert page.value("$('large-bar').textContent") == "White bar: 5 µm."
        page.screenshot(OUTPUT / "explorer_large.png")
        for _ in range(2):
            page.press("ArrowLeft")  # the last control follows the first cell, in a ring
        assert page.value("$('large-title').textContent").startswith("control (NTC)")
        page.press("Escape")
        page.until("!$('large').open")
        assert page.value("document.activeElement.title") == title
    assert page.problems == []


def test_brighter_crops_are_brighter_and_what_is_shown_can_be_saved(run, tmp_path):
    with browser.page(tmp_path / "profile") as page:
        page.open(Path(run["html"]), 1400, fragment="#gene=GENE3&beside=GENE1")
        page.until(SHOWN.format("details", "GENE3") + "&&" + SHOWN.format("pinned", "GENE1"))
        plain = brightness(page, tmp_path)
        moved = "$('brightness').dispatchEvent(new Event('input', {bubbles: true}))"
        for step, is_brighter in ((1, True), (-1, False)):
            page.value(f"$('brightness').value = {step}; {moved}")
            assert (brightness(page, tmp_path) > plain) == is_brighter
        # The pixels may be read, although the page was opened from a folder.
        saved = page.value("cropsAsCanvas()[0].toDataURL('image/png')")
        with Image.open(BytesIO(base64.b64decode(saved.partition(",")[2]))) as picture:
            assert picture.width == 640 and picture.height > 4 * 96
            picture.save(OUTPUT / "explorer_crops.png")
        # The address of what is saved lives longer than the click.
        page.value(
            "{ const make = URL.createObjectURL;"
            "URL.createObjectURL = (blob) => (window.made = make(blob)); }"
            "save(new Blob(['kept']), 'kept.txt');"
            "fetch(made).then((answer) => answer.text()).then((text) => { window.got = text; }); 0"
        )
        page.until("window.got === 'kept'")
        page.value("$('filter').value = 'tubulin hit'; showRows()")
        table = pd.read_csv(StringIO(page.value("tableAsCsv()")))
        wanted = HITS[(HITS["group"] == "tubulin") & HITS["is_hit"]]
        assert set(table["name"]) == set(wanted["gene"]) and (table["q"] == 0.001).all()
        assert page.value("field('=1+1')") == "'=1+1"
        assert page.value("field('a, \"b\"')") == '"a, ""b"""'
    assert page.problems == []


def test_nothing_hinders_those_who_use_other_means_than_eyes_and_mouse(run, tmp_path):
    """axe-core: names of controls, contrast, order of headings, roles."""
    rules = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    with browser.page(tmp_path) as page:
        for width in (1400, 800, 390):
            page.open(Path(run["html"]), width, fragment="#gene=GENE1&beside=GENE2")
            page.until(SHOWN.format("details", "GENE1") + "&&" + SHOWN.format("pinned", "GENE2"))
            for is_open in (False, True):
                page.value(f"if ({str(is_open).lower()}) enlarge('details', 0)")
                page.value(rules + "; axe.run().then((found) => { window.found = found; }); 0")
                page.until("window.found", 30)
                hindrances = page.value("found.violations.map((v) => [v.id, v.nodes[0].html])")
                assert hindrances == []
                page.value("delete window.found")


def test_things_are_called_as_the_screen_calls_them(run, tmp_path):
    words = {"perturbation": "compound", "guide": "dose", "control": "DMSO"}
    html = tmp_path / "explorer.html"
    explorer(
        **run | {"screen": SCREEN | {"words": words}, "html": str(html)}
        | {"pictures": str(tmp_path / "explorer")}
    )  # fmt: skip
    with browser.page(tmp_path / "profile") as page:
        page.open(html, 1400, fragment="#gene=GENE1")
        page.until("document.getElementById('details').dataset.shown === 'GENE1'")
        text = page.value("document.querySelector('main').innerText").replace("guides.tsv", "")
        assert "compounds" in text and "distance from DMSO, salient" in text
        assert not re.search(r"\b(genes?|guides?|NTC)\b", text, re.IGNORECASE)


def test_controls_with_the_state_of_a_gene_stand_beside_its_cells(run, tmp_path):
    of_gene = figure_tables.counterfactual_cells().query("gene == 'GENE1'")
    shown = coloured(of_gene, SCREEN["channels"])
    assert list(shown) == list(KINDS) and shown["affected"].shape == (8, 18, 3)
    # What is altered is brighter in the middle of both cells, and black between them.
    middle = {kind: sheet[4, [4, 14]].sum() for kind, sheet in shown.items()}
    assert middle["affected"] > 2 * middle["control_decoded"]
    assert not shown["affected"][:, 8:10].any()
    with browser.page(tmp_path / "profile") as page:
        for gene, is_there in (("GENE1", True), ("GENE3", False)):
            page.open(Path(run["html"]), 1400, fragment=f"#gene={gene}")
            page.until(SHOWN.format("details", gene))
            text = page.value("$('details').innerText")
            assert ("NTC with the salient state of GENE1" in text) == is_there
            assert ("takes 75% (67% to 83%) of controls with s of an affected" in text) == is_there
            images = "[...document.querySelectorAll('.given img')]"
            loaded = page.value(f"{images}.filter((image) => image.naturalWidth).length")
            assert loaded == is_there * len(KINDS)
    assert page.problems == []


def test_a_lost_folder_is_named(run, tmp_path):
    copy = tmp_path / "explorer.html"
    copy.write_bytes(Path(run["html"]).read_bytes())
    with browser.page(tmp_path / "profile") as page:
        page.open(copy, 1400, fragment="#gene=GENE1")
        page.until("document.getElementById('problem').textContent.includes('is missing')")


def test_the_page_draws_every_marker_of_a_group():
    source = (Path(gene_pictures.__file__).parent / "map.js").read_text()
    for marker in style.MARKERS:
        assert f'{marker}: "M' in source or f'"{marker}": "M' in source


def test_without_a_browser_a_machine_skips_and_ci_fails(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no chromium"):
        browser.needed_browser()
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="CI must run this test"):
        browser.needed_browser()
