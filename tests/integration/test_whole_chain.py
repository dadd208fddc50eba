"""The tiny screen from archive to report, then again, changed, and killed."""

import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mcvae_ops
from mcvae_ops.errors import InputError
from tests.conftest import ROOT
from tests.helpers.interruptions import digests, interrupt
from tests.helpers.runs import (
    jobs,
    snakemake,
    tiny_configuration,
    write_configuration,
)

PANELS = tiny_configuration()["figures"]["panels"]


def results(folder: Path) -> Path:
    return folder / "results/tiny"


def test_every_figure_exists_with_its_data(tiny_run):
    for panel in PANELS:
        for suffix in ("pdf", "svg", "png", "csv"):
            path = results(tiny_run) / f"figures/{panel}.{suffix}"
            assert path.stat().st_size > 100, path
        assert "mathdefault" not in path.with_suffix(".svg").read_text(), panel
    assert (results(tiny_run) / "report.html").stat().st_size > 100_000


def test_the_explorer_has_a_picture_of_every_gene(tiny_run):
    genes = pd.read_parquet(results(tiny_run) / "profiles/mcvae/0/genes.parquet")
    n_genes = genes.loc[~genes["is_ntc"], "gene"].nunique()
    assert len(list((results(tiny_run) / "explorer").glob("*.js"))) == n_genes
    assert 'href="explorer.html"' in (results(tiny_run) / "report.html").read_text()


def test_snakemake_s_own_report_has_every_figure_with_caption_and_label(tiny_run, tmp_path):
    done = snakemake(tiny_run, "--report", str(tmp_path / "report.html"))
    assert done.returncode == 0, done.stdout[-3000:]
    page = (tmp_path / "report.html").read_text()
    found = re.findall(r'"labels": {"panel": "(\w+)"}, "size": "[^"]+", "caption": "<p>\w', page)
    assert sorted(found) == sorted(PANELS)


def test_claims_have_a_row_each(tiny_run):
    claims = pd.read_csv(results(tiny_run) / "claims.tsv", sep="\t")
    assert {f"C{k}" for k in range(1, 8)} <= set(claims["claim"])
    verdicts = {"holds", "does not hold", "undecided", "not tested", "better", "about", "worse"}
    assert set(claims["verdict"]) <= verdicts


def test_shifts_are_the_planted_ones(tiny_run):
    found = pd.read_parquet(results(tiny_run) / "qc/alignment.parquet")
    paths = (results(tiny_run) / "truth/tiles").glob("*.parquet")
    planted = pd.concat(map(pd.read_parquet, paths))
    both = found.merge(planted, on=["plate", "well", "tile", "channel"], suffixes=("", "_planted"))
    assert len(both) == len(found)
    error_px = (both[["dy_px", "dx_px"]] - both[["dy_px_planted", "dx_px_planted"]].values).abs()
    assert (error_px.max(axis=1) < 0.5).mean() >= 0.99


def test_results_are_opened_in_python(tiny_run, tmp_path):
    copy = shutil.copytree(results(tiny_run), tmp_path / "copy")
    screen = mcvae_ops.open(copy)
    assert screen.configuration["crop"] == tiny_configuration()["crop"]
    gene = screen.hits.index[0]
    assert 0 < screen.hits.loc[gene, "n_cells"] <= screen.genes.loc[gene, "n_cells"]
    assert set(screen.guides["gene"]) == set(screen.genes.index)
    crops = screen.crops(gene, n=3)
    assert crops.shape[:2] == (3, len(screen.channels))
    of_gene = screen.cells[screen.cells["gene"] == gene]
    everyone = screen.crops(of_gene)
    assert all(any(np.array_equal(crop, other) for other in everyone) for crop in crops)
    latent = screen.model("vae", 0).embed(everyone[:5])["z"]
    table = screen.embedding("vae", 0).loc[of_gene.index[:5]]
    np.testing.assert_allclose(latent, table.filter(regex="^z_"), atol=1e-4)
    test = screen.profiles("genes", "vae", 0, cells="test")
    assert (test["n_cells"] <= screen.genes["n_cells"].reindex(test.index)).all()
    with pytest.raises(InputError, match="every cell of 'NO-SUCH' is missing"):
        screen.crops("NO-SUCH")
    with pytest.raises(InputError, match="the file is missing"):
        mcvae_ops.open(copy / "figures")


def test_nothing_is_left_to_do(tiny_run):
    assert jobs(tiny_run) == {}


def test_copied_results_go_on_in_a_new_clone(tiny_run, tmp_path):
    clone = tmp_path / "clone"
    # git gives every file of a clone a new time.
    for name in ("workflow", "config", "resources", "docs"):
        shutil.copytree(ROOT / name, clone / name, copy_function=shutil.copyfile)
    shutil.copyfile(ROOT / "Snakefile", clone / "Snakefile")
    copy = Path(shutil.copytree(tiny_run, tmp_path / "copy"))
    assert jobs(copy, clone=clone) == {}


def test_a_deleted_figure_is_drawn_alone(tiny_run):
    figure = results(tiny_run) / "figures/fig2a.pdf"
    before = figure.read_bytes()
    figure.unlink()
    assert jobs(tiny_run, str(figure.relative_to(tiny_run))) == {"draw_figure": 1, "total": 1}
    assert jobs(tiny_run, "fig2a") == {"draw_figure": 1, "fig2a": 1, "total": 2}
    assert jobs(tiny_run)["draw_figure"] == 1
    done = snakemake(tiny_run, "fig2a", "--cores", "1")
    assert done.returncode == 0, done.stdout[-3000:]
    assert figure.read_bytes() == before
    lines = done.stdout.splitlines()
    assert any(line.startswith("[1/2] draw figure: fig2a ") for line in lines)
    assert any(line.startswith("  2 of 2 steps done in ") for line in lines)
    assert len(lines) < 20


def test_what_is_deleted_of_the_results_is_made_again_and_nothing_else(tiny_run, tmp_path):
    folder = results(tiny_run)
    for name in ("figures", "claims.tsv", "explorer.html"):
        (folder / name).rename(tmp_path / name)
    try:
        planned = jobs(tiny_run)
    finally:
        for name in ("figures", "claims.tsv", "explorer.html"):
            (tmp_path / name).rename(folder / name)
    assert set(planned) == {"draw_figure", "claims", "explorer", "report", "all", "total"}
    assert planned["draw_figure"] == len(list((folder / "figures").glob("*.pdf")))


def test_streams_a_device_and_a_colour_crop_and_train_nothing_again(tiny_run):
    config = tiny_configuration()
    config["archive"] |= {"streams": 7, "retries": 1, "timeout_s": 9, "keep_raw": True}
    config["screen"]["channels"][0]["colour"] = "#123456"
    config["training"] |= {"device": "cpu", "checkpoint_minutes": 3}
    write_configuration(config, tiny_run)
    try:
        planned = jobs(tiny_run)
    finally:
        write_configuration(tiny_configuration(), tiny_run)
    pages = {"draw_figure", "explorer", "report", "store_configuration"}
    assert set(planned) <= pages | {"all", "total"}


def test_a_model_s_learning_rate_reruns_its_chain_alone(tiny_run):
    config = tiny_configuration()
    config["models"]["cvae"]["training"] = {"learning_rate": 0.001}
    write_configuration(config, tiny_run)
    try:
        planned = jobs(tiny_run)
    finally:
        write_configuration(tiny_configuration(), tiny_run)
    assert planned["train_model"] == 1
    assert planned["embed_cells"] == 1
    assert planned["aggregate_profiles"] == 1
    assert planned["draw_figure"] == len({"fig2a", "figs1", "figs2"} & set(PANELS))
    assert "mitosis" not in planned
    assert not {"crop_chunk", "simulate_plate", "measure_features", "covariates"} & set(planned)


def test_other_corrections_rewrite_no_plain_profile(tiny_run):
    config = tiny_configuration()
    config["profiles"]["corrections"] = ["centre"]
    write_configuration(config, tiny_run)
    try:
        planned = jobs(tiny_run)
    finally:
        write_configuration(tiny_configuration(), tiny_run)
    assert planned["correct_profiles"] == 5  # the main model, CellProfiler, three shortcuts
    changed = {
        "correct_profiles",
        "corrections",
        "batch_integration",
        "claims",
        "draw_figure",
        "model_cards",
        "store_configuration",
        "report",
        "all",
        "total",
    }
    assert set(planned) == changed and planned["draw_figure"] == 1


def test_a_compared_model_is_benchmarked_and_drawn_without_a_training(tiny_run, tmp_path):
    folder = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    config = tiny_configuration()
    config["profiles"]["compared_models"] = ["cvae"]
    write_configuration(config, folder)
    figures = [f"results/tiny/figures/{panel}.csv" for panel in ("fig3b", "fig4b", "fig5c")]
    planned = jobs(folder, *figures)
    benchmarks = {"covariates", "functions", "mitosis"}
    assert set(planned) == {*benchmarks, "draw_figure", "total"} and planned["draw_figure"] == 3
    done = snakemake(folder, *figures, "--cores", "2")
    assert done.returncode == 0, done.stdout[-3000:]
    for figure in figures:
        assert {"mcvae", "cvae"} <= set(pd.read_csv(folder / figure)["model"])


def test_the_papers_values_redraw_the_panels_that_overlay_them(tiny_run, shared):
    config = tiny_configuration()
    config["figures"]["published_values"] = str(shared / "reference")
    write_configuration(config, tiny_run)
    try:
        planned = jobs(tiny_run)
    finally:
        write_configuration(tiny_configuration(), tiny_run)
    overlaid = {"fig2a", "fig3b", "fig4b", "fig5b", "fig5c"}
    assert planned == {
        "draw_figure": len(overlaid & set(PANELS)),
        "store_configuration": 1,
        "report": 1,
        "all": 1,
        "total": 8,
    }


def test_killed_and_stopped_by_ctrl_c_gives_the_same(tiny_run, tmp_path):
    write_configuration(tiny_configuration(), tmp_path)
    arguments = ("results/tiny/profiles/mcvae/0/genes.parquet", "--cores", "2")
    stopped = list(interrupt(tmp_path, 2, 0, *arguments, between=6))
    assert [number for _, number in stopped] == [signal.SIGKILL, signal.SIGINT]
    done = snakemake(tmp_path, *arguments)
    assert done.returncode == 0, done.stdout[-3000:]
    again = digests(results(tmp_path))
    assert len(again) > 50
    undisturbed = digests(results(tiny_run))
    assert {path: undisturbed[path] for path in again} == again
    assert not list(results(tmp_path).rglob(".*.*")), "a partial file was left behind"


@pytest.fixture
def copied_run(tiny_run, tmp_path) -> Path:
    """A copy of the finished run, to be broken; its manifests still name the original's files."""
    folder = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    shutil.rmtree(results(folder) / "manifest")
    return folder


def rerun(folder: Path, target: str, *arguments: str) -> str:
    """Ask for one file, without retries; return what the user sees of the failure."""
    target = f"results/tiny/{target}"
    done = snakemake(folder, target, "--cores", "2", "--retries", "0", *arguments)
    assert done.returncode != 0
    return done.stdout


WELL = "20260105_6W-SIM001A/A1"


def test_a_wrong_path_pattern_ends_in_one_sentence(copied_run):
    config = tiny_configuration()
    config["screen"]["images"] = "{plate}-{well}-{channel}-{tile}"
    write_configuration(config, copied_run)
    assert "screen.images" in rerun(copied_run, "manifest/files.parquet")


BROKEN_PARTS = {
    "missing column": (lambda part: part.drop(columns="sgRNA_0"), "sgRNA_0"),
    "no control": (lambda part: part.replace("nontargeting", "safe"), "'nontargeting'"),
    "no cell": (
        lambda part: part.assign(tile=part["tile"] + 500),
        "every cell of the screen is missing",
    ),
}


@pytest.mark.parametrize("case", BROKEN_PARTS)
def test_a_broken_feature_table_ends_in_one_sentence(case, copied_run):
    breaking, sentence = BROKEN_PARTS[case]
    for part in results(copied_run).glob("study/*-reclassified*/*.parquet"):
        breaking(pd.read_parquet(part)).to_parquet(part)
    cells = f"cells/{WELL.partition('/')[0]}.parquet"
    (results(copied_run) / cells).unlink()
    assert sentence in rerun(copied_run, cells)


def test_truncated_images_end_in_one_sentence(copied_run):
    for path in results(copied_run).glob("study/Files/**/*_A1_A594_Site-[0-4].tif"):
        os.truncate(path, path.stat().st_size // 2)
    (results(copied_run) / f"crops/{WELL}/000.ntc.npy").unlink()
    # The simulator would measure no cell on these images, and a tile without cells may be broken.
    rules = ("--allowed-rules", "list_files", "plate_shifts", "crop_chunk")
    assert "max_failed_fraction" in rerun(copied_run, f"crops/{WELL}/000.ntc.npy", *rules)
