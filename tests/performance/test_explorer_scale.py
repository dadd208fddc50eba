"""The explorer with as many guides as the paper's screen has, and as many genes."""

import time

from mcvae_ops.report.explorer import explorer
from tests.helpers import browser
from tests.helpers.fake_shards import write_fake_screen
from tests.unit.test_report_explorer import SCREEN, write_profiles

N_GENES = 20_000  # of one guide each
DRAW_MS = (
    "(() => { const from = performance.now(); for (let k = 0; k < 20; k++) {"
    "draw(); pen.getImageData(0, 0, 1, 1); } return (performance.now() - from) / 20; })()"
)


def test_twenty_thousand_guides_stay_fluid(tmp_path):
    shards = write_fake_screen(tmp_path, n_cells=80_000, n_genes=N_GENES)
    index = shards / "index.parquet"
    paths = write_profiles(index, tmp_path)
    html = tmp_path / "explorer.html"
    started_s = time.perf_counter()
    explorer(
        **paths, index=str(index), cells=str(shards / "cells.arrow"), source="archive",
        counterfactuals=[], screen=SCREEN, crops_per_gene=12, given=None, archive={},
        html=str(html), pictures=str(tmp_path / "explorer"),
    )  # fmt: skip
    written_s = time.perf_counter() - started_s
    with browser.page(tmp_path / "profile") as page:
        started_s = time.perf_counter()
        page.open(html, 1400, fragment="#level=guide&gene=GENE77")
        page.until("document.getElementById('details').dataset.shown === 'GENE77'")
        opened_s = time.perf_counter() - started_s
        draw_ms = page.value(DRAW_MS)
        assert page.value("points().name.length") > 0.9 * N_GENES
        assert page.problems == []
    size_mb = html.stat().st_size / 1e6
    print(
        f"\nwritten in {written_s:.0f} s, {size_mb:.1f} MB, opened with crops in {opened_s:.1f} s, "
        f"drawn in {draw_ms:.0f} ms"
    )
    assert size_mb < 10 and opened_s < 5 and draw_ms < 100
