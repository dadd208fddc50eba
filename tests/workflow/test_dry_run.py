"""What the workflow plans to do, without doing it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.utils import update_config

from mcvae_ops.embeddings.spaces import CELL_SHORTCUTS
from mcvae_ops.workflow.drawn_panels import DrawnPanels
from mcvae_ops.workflow.names import Embeddings, Places
from mcvae_ops.workflow.panel_inputs import benchmark_tables
from mcvae_ops.workflow.panels import PANELS
from mcvae_ops.workflow.shorthand import in_full
from mcvae_ops.workflow.snakefile import growing
from tests.conftest import ROOT
from tests.helpers.configurations import merged, tables_of_the_paper, whole
from tests.helpers.runs import (
    command,
    environment,
    evaluation_of,
    jobs,
    snakemake,
    tiny_configuration,
    write_configuration,
)


def test_without_a_file_every_stage_of_the_simulated_screen_is_planned(tmp_path):
    config = whole(merged("config"))
    planned = jobs(tmp_path)
    n_trainings = len(config["models"]) * len(config["training"]["seeds"])
    n_shortcuts = len(config["benchmarks"]["shortcuts"])
    assert planned["shortcut_embedding"] == n_shortcuts == 3
    assert planned["draw_figure"] == len(panels_of(config).drawn) == len(PANELS) - 1  # no doses
    assert planned["train_model"] == n_trainings
    assert planned["crop_chunk"] == 8
    assert planned["aggregate_profiles"] == n_trainings + 2 + n_shortcuts
    assert planned["correct_profiles"] == len(config["training"]["seeds"]) + 1 + n_shortcuts
    assert planned["explorer"] == planned["umap_profiles"] == 1
    assert planned["export_anndata"] == len({"guides", "genes"})
    assert jobs(tmp_path, "cells_h5ad")["export_cells"] == 8
    assert jobs(tmp_path, "ome_zarr")["export_ome_zarr"] == 16
    standard = jobs(tmp_path, "ops_standard")
    assert {name: standard[name] for name in standard if name.startswith("ops_")} == {
        "ops_metadata": 1, "ops_library": 1, "ops_cells": 1, "ops_aggregated": 1,
        "ops_examples": 1, "ops_images": 8, "ops_plate": 2, "ops_reading": 1, "ops_standard": 1,
    }  # fmt: skip


def test_one_figure_needs_only_its_chain(tmp_path):
    config = whole(merged("config"))
    planned = jobs(tmp_path, "results/simulated/figures/fig3b.pdf")
    assert planned["draw_figure"] == 1
    assert planned["train_model"] == len(config["training"]["seeds"])
    assert "complexes" not in planned


def test_an_overlay_adds_a_model_to_a_screen(tmp_path):
    files = [str(ROOT / f"config/{name}.yaml") for name in ("config", "dcvae")]
    config = whole(merged("config", "dcvae"))
    planned = jobs(tmp_path, "--configfile", *files)
    assert "dcvae" in config["models"]
    assert planned["train_model"] == len(config["models"]) * len(config["training"]["seeds"])


def test_compared_models_are_shown_like_the_main_one(tmp_path):
    config = tiny_configuration()
    config["figures"]["panels"] += ["fig3a", "fig4a", "figqc6"]
    write_configuration(config, tmp_path)
    alone = jobs(tmp_path)
    config["profiles"]["compared_models"] = ["cvae"]
    write_configuration(config, tmp_path)
    beside = jobs(tmp_path)
    maps = {"umap_cells", "umap_guides"}
    assert {name: beside[name] - alone[name] for name in alone if beside[name] != alone[name]} == {
        **dict.fromkeys(maps, 1), "correct_profiles": 1, "total": 3
    }  # fmt: skip
    names = Embeddings(config)
    assert names.shown_models == ["mcvae", "cvae"]
    assert names.shown_trainings == ["mcvae/0", "cvae/0"] and names.main == "mcvae/0"
    assert set(names.shown["model"]) == {"mcvae", "cvae", "cellprofiler", *CELL_SHORTCUTS}
    alone = Embeddings(tiny_configuration())
    assert set(alone.shown["model"]) == {"mcvae", "cellprofiler", *CELL_SHORTCUTS}


def test_models_are_compared_on_screens_of_which_each_is_a_run(tmp_path):
    comparison = "results/evaluation/model_comparison.tsv"
    config = tiny_configuration() | {"evaluation": evaluation_of("tiny", "other")}
    write_configuration(config, tmp_path)
    planned = jobs(tmp_path, "results/tiny/measures.parquet")
    assert planned["screen_measures"] == 1 and planned["train_model"] == len(config["models"])
    missing = snakemake(tmp_path, comparison, "--dry-run")
    assert missing.returncode != 0 and "results/other/measures.parquet" in missing.stdout
    other = tmp_path / "results/other/measures.parquet"
    other.parent.mkdir(parents=True)
    other.touch()
    assert jobs(tmp_path, comparison)["compare_models"] == 1


def test_cells_are_embedded_in_as_many_jobs_as_asked_for(tmp_path):
    config = tiny_configuration()
    write_configuration(config, tmp_path)
    n_trainings = len(config["models"]) * len(config["training"]["seeds"])
    for n_jobs in (1, 3):
        config["profiles"]["embedding_jobs"] = n_jobs
        write_configuration(config, tmp_path)
        planned = jobs(tmp_path)
        assert planned["embed_cells"] == n_jobs * n_trainings
        assert planned["join_embeddings"] == n_trainings


def test_commercial_use_leaves_the_panels_of_complexes_out_and_says_so(tmp_path):
    config = tiny_configuration() | {"commercial_use": True}
    write_configuration(config, tmp_path)
    drawn = [panel for panel in config["figures"]["panels"] if panel not in ("fig2a", "figs2")]
    assert jobs(tmp_path)["draw_figure"] == len(drawn)
    sentence = (
        "Left out of this run because commercial_use is true and corum is for non-commercial use "
        "only: fig2a, figs2."
    )
    assert sentence in snakemake(tmp_path, "-n").stdout


def test_a_run_that_would_draw_nothing_stops(tmp_path):
    config = tiny_configuration() | {"commercial_use": True}
    config["figures"]["panels"] = ["fig2a", "figs2"]
    write_configuration(config, tmp_path)
    done = snakemake(tmp_path, "-n")
    assert done.returncode != 0
    assert "figures.panels: no panel can be drawn (commercial_use is true and corum " in done.stdout


def test_names_of_wells_chunks_and_shards():
    config = tiny_configuration()
    config["screen"] |= {"plates": {"P": ["A1", "B2"], "Q": ["A1"]}, "tiles": "0-2, 5"}
    config["crop"]["tiles_per_chunk"] = 3
    places = Places(config)
    assert places.wells == {"plate": ["P", "P", "Q"], "well": ["A1", "B2", "A1"]}
    assert places.chunks["chunk"] == ["000", "001"] * 3
    assert places.shards["arm"] == ["ntc", "perturbed"] * 6
    assert places.shards["plate"] == ["P"] * 8 + ["Q"] * 4


def test_uneven_light_is_estimated_for_each_well_if_it_is_to_be_taken_out(tmp_path):
    config = tiny_configuration()
    config["crop"]["illumination"] = {"tiles": 9, "smoothing_px": 200, "offset_counts": 100}
    write_configuration(config, tmp_path)
    n_wells = sum(map(len, config["screen"]["plates"].values()))
    planned = jobs(tmp_path)
    assert planned["well_illumination"] == n_wells and planned["crop_chunk"] >= n_wells


def panels_of(config: dict) -> DrawnPanels:
    return DrawnPanels(in_full(config), Embeddings(config).shown_trainings)


def test_what_lacks_its_annotation_is_left_out_with_the_reason():
    config = tiny_configuration()
    assert panels_of(config).left_out == {}
    tables = set(benchmark_tables(in_full(config)))
    annotations = config["archive"]["annotations"]
    annotations |= {"corum": None, "mitotic_factors": None}
    panels = panels_of(config)
    assert panels.drawn == [
        "fig1",
        "fig3b",
        "fig4b",
        "fig4e",
        "figs1",
        "figs3",
        "figs4",
        "figs5",
        "figs6",
    ]
    assert panels.left_out == {
        "fig2a": "archive.annotations.corum is null",
        "figs2": "archive.annotations.corum is null",
        "fig5b": "archive.annotations.mitotic_factors is null",
        "fig5c": "archive.annotations.mitotic_factors is null",
    }
    assert tables - set(benchmark_tables(in_full(config))) == {
        "complexes",
        "corrections",
        "mitosis",
    }
    annotations["pairs"] = {"Reactome": "pairs.txt"}  # complexes are not the only pairs of genes
    assert "complexes" in benchmark_tables(in_full(config))


def test_panels_of_cells_need_cells_and_those_of_shifts_a_shift():
    config = tiny_configuration()
    config["figures"]["panels"] = ["fig1", "fig3a", "fig3b", "fig4e", "figqc3", "figqc5"]
    config["alignment"]["measure"] = {}
    assert set(panels_of(config).left_out) == {"figqc3"}
    config["source"] = "profiles"
    genes = {"table": "map.parquet", "spaces": {"combined": "0-31"}}
    config["archive"]["profiles"] = {"genes": genes, "guide_significance": None}
    config["profiles"]["main_model"] = "map"
    assert panels_of(config).drawn == ["fig1"]


@pytest.fixture
def real_study(shared, tmp_path):
    """Function that writes a configuration of the real study, with its real manifest."""

    def write(name: str) -> Path:
        config = merged(name)
        update_config(config, tables_of_the_paper(shared))
        config["archive"]["files"] = str(shared / "data/archive/s-biad394_six_plates.parquet")
        write_configuration(whole(config), tmp_path)
        return tmp_path

    return write


@pytest.mark.parametrize(("name", "chunks"), [("funk2022", 714), ("funk2022_pilot", 8)])
def test_real_study_is_planned_from_its_real_manifest(name, chunks, real_study):
    planned = jobs(real_study(name))
    assert planned["crop_chunk"] == chunks
    assert planned["total"] < 2000


# A process of its own: the peak memory of a child begins with that of the process it is forked
# from, and pytest is large.
MEASURE = """
import json, resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([status, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""
WELL = "results/funk2022/crops/20200202_6W-LaC024A/A1"
SINGLE = [f"{WELL}/{chunk:03d}.ntc.npy" for chunk in range(21)]


def measured(*arguments: str) -> tuple[float, float]:
    """Processor time (s) and peak memory (MB) of a command that must succeed."""
    ended = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments],
        stdout=subprocess.PIPE, text=True, env=environment(), check=True,
    )  # fmt: skip
    status, processor_s, peak_mb = json.loads(ended.stdout)
    assert status == 0
    return processor_s, peak_mb


@pytest.mark.parametrize(("targets", "times"), [([], 6), (SINGLE, 2)], ids=["all", "one well"])
def test_the_whole_study_is_planned_in_seconds_and_little_memory(targets, times, real_study):
    # Measured side by side with Snakemake's own start, since machines differ and are shared.
    start_s, _ = measured(sys.executable, "-m", "snakemake", "--version")
    arguments = command(real_study("funk2022"), *targets, "--dry-run", "--quiet", "rules")
    planning_s, peak_mb = measured(*arguments)
    assert planning_s < times * start_s
    assert peak_mb < 500


def test_slurm_profile_asks_for_gpus_where_they_are_used(tmp_path):
    write_configuration(tiny_configuration(), tmp_path)
    profile = str(ROOT / "workflow/profiles/slurm")
    several = ("--set-resources", "train_model:gpu=8", "train_model:nodes=2")
    for choice, gpus in (((), "gpu=1, nodes=1"), (several, "gpu=8, nodes=2")):
        target = "results/tiny/embeddings/mcvae/0.parquet"
        arguments = ("--workflow-profile", profile, target, *choice, "--dry-run")
        printed = snakemake(tmp_path, *arguments).stdout
        rules = {text.split(":")[0]: text for text in printed.split("\nrule ")[1:]}
        assert gpus in rules["train_model"]
        assert "slurm_partition=cpu" in rules["crop_chunk"] and "gpu" not in rules["crop_chunk"]


def test_memory_and_time_double_with_each_attempt():
    assert [growing(2000)(None, attempt) for attempt in (1, 2, 3)] == [2000, 4000, 8000]
