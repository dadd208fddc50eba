"""The explorer: crops beside controls of their wells, and a page that works from a file."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mcvae_ops.figures import style
from mcvae_ops.profiles.aggregate import gene_profiles, guide_profiles
from mcvae_ops.report import gene_pictures
from mcvae_ops.report.explorer import choose_crops, explorer, points, write_pictures
from mcvae_ops.shards.crops import Crops
from mcvae_ops.shards.training_cells import read_training_cells
from tests.conftest import OUTPUT
from tests.helpers import browser, figure_tables, report_inputs
from tests.helpers.fake_shards import write_fake_screen

SCREEN = report_inputs.CONFIGURATION["screen"] | {"name": "fake"}
LATENT = ["s_00", "s_01", "z_00"]
N = 5
HITS = figure_tables.hits().assign(gene=[f"GENE{k}" for k in range(1, 31)])


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
    paths = {
        name: str(folder / f"{name}.parquet")
        for name in ("guides", "genes", "maps", "groups", "hits")
    }
    for level, table in tables.items():
        named = table.assign(model="mcvae", seed=0, cells="all")
        named.to_parquet(paths[f"{level}s"])
    pd.concat(maps).to_parquet(paths["maps"])
    groups.to_parquet(paths["groups"])
    HITS.to_parquet(paths["hits"])
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
        "screen": SCREEN,
        "crops_per_gene": N,
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
    with Image.open(Path(run["pictures"]) / "0000.webp") as picture:
        shown = np.asarray(picture.convert("L")).reshape(4, 2, 20, N, 20)  # channel, arm, y, n, x
    for row, positions in zip((0, 1), (chosen.positions, chosen.controls), strict=True):
        found = shown[:, row].transpose(2, 0, 1, 3).astype(float)
        assert np.abs(found - painter.paint(positions[first])).mean() < 5  # WebP is lossy
    assert len(list(Path(run["pictures"]).glob("*.webp"))) == 4


def test_distances_are_from_the_mean_control_guide():
    guides = pd.DataFrame(
        {"guide": ["a", "n1", "n2"], "gene": ["A", "NTC", "NTC"], "is_ntc": [False, True, True]}
        | {"n_cells": 9, "s_00": [4.0, 1.0, 3.0], "z_00": [5.0, 1.0, 1.0]}
    )
    maps = pd.DataFrame({"name": ["a"], "space": "salient", "x": 1.5, "y": 2.0})
    found = points(guides, maps, "guide")
    assert found["distance"]["salient"] == [2.0, 1.0, 1.0]
    assert found["distance"]["combined"] == [4.4721, 1.0, 1.0]
    assert found["xy"]["salient"] == [1.5, 2.0, None, None, None, None]


def test_same_bytes_twice(run, tmp_path):
    again = run | {"html": str(tmp_path / "e.html"), "pictures": str(tmp_path / "explorer")}
    explorer(**again)
    assert Path(again["html"]).read_bytes() == Path(run["html"]).read_bytes()
    for path in Path(run["pictures"]).iterdir():
        assert (tmp_path / "explorer" / path.name).read_bytes() == path.read_bytes()


def brightness(page: browser.Page, folder: Path) -> float:
    """Return the mean brightness, 0 to 255, of the first crop that is shown."""
    box = page.value(
        "(() => { const b = document.querySelector('.crops canvas').getBoundingClientRect();"
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
        page.value("document.querySelectorAll('.channels input').forEach(e => e.click())")
        assert brightness(page, tmp_path) == 0
        page.value("document.querySelectorAll('.channels input')[2].click()")
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
        farthest = HITS.loc[HITS["distance_combined"].idxmax(), "gene"]
        assert page.value(shown)[0].startswith(farthest)
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
        text = page.value("document.querySelector('main').innerText")
        assert "compounds" in text and "distance from DMSO, salient" in text
        assert not re.search(r"\b(genes?|guides?|NTC)\b", text, re.IGNORECASE)


def test_a_lost_folder_is_named(run, tmp_path):
    copy = tmp_path / "explorer.html"
    copy.write_bytes(Path(run["html"]).read_bytes())
    with browser.page(tmp_path / "profile") as page:
        page.open(copy, 1400, fragment="#gene=GENE1")
        page.until("document.getElementById('problem').textContent.includes('is missing')")


def test_the_page_draws_every_marker_of_a_group():
    source = (Path(gene_pictures.__file__).parent / "explorer.js").read_text()
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
