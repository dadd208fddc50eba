"""What the workflow plans to do, without doing it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mcvae_ops.workflow import growing
from tests.conftest import ROOT
from tests.workflow.runs import (
    command,
    environment,
    jobs,
    snakemake,
    tiny_configuration,
    write_configuration,
)


def test_default_plans_every_stage(tmp_path):
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    write_configuration(config, tmp_path)
    planned = jobs(tmp_path)
    n_trainings = len(config["models"]) * len(config["training"]["seeds"])
    assert planned["draw_figure"] == len(config["figures"]["panels"])
    assert planned["train_model"] == n_trainings
    assert planned["crop_chunk"] == 8
    assert planned["aggregate_profiles"] == n_trainings + 2
    assert planned["explorer"] == planned["umap_profiles"] == planned["export_anndata"] == 1
    assert jobs(tmp_path, "cells_h5ad")["export_cells"] == 8
    assert jobs(tmp_path, "ome_zarr")["export_ome_zarr"] == 16


def test_one_figure_needs_only_its_chain(tmp_path):
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    write_configuration(config, tmp_path)
    planned = jobs(tmp_path, "results/simulated/figures/fig3b.pdf")
    assert planned["draw_figure"] == 1
    assert planned["train_model"] == len(config["training"]["seeds"])
    assert "complexes" not in planned


def test_commercial_use_leaves_the_panels_of_complexes_out_and_says_so(tmp_path):
    config = tiny_configuration() | {"commercial_use": True}
    write_configuration(config, tmp_path)
    drawn = [panel for panel in config["figures"]["panels"] if not panel.startswith("fig2")]
    assert jobs(tmp_path)["draw_figure"] == len(drawn)
    assert "left out of this run are its complexes and fig2a" in snakemake(tmp_path, "-n").stdout


@pytest.fixture
def real_study(shared, tmp_path):
    """Function that writes a configuration of the real study, with its real manifest."""

    def write(name: str) -> Path:
        config = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())
        config["archive"]["files"] = str(shared / "data/archive/s-biad394_six_plates.parquet")
        for key in ("functional_groups", "mitotic_factors"):
            relative = config["archive"]["annotations"][key].removeprefix("../shared/")
            config["archive"]["annotations"][key] = str(shared / relative)
        write_configuration(config, tmp_path)
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


@pytest.mark.parametrize(("targets", "seconds"), [([], 10), (SINGLE, 3)], ids=["all", "one well"])
def test_the_whole_study_is_planned_in_seconds_and_little_memory(targets, seconds, real_study):
    arguments = command(real_study("funk2022"), *targets, "--dry-run", "--quiet", "rules")
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments],
        stdout=subprocess.PIPE, text=True, env=environment(), check=True,
    )  # fmt: skip
    status, processor_s, peak_mb = json.loads(measured.stdout)
    assert status == 0
    # Processor time, since other processes may keep this one waiting.
    assert processor_s < seconds
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


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c["crop"].update(sise_px=3), "unknown key 'sise_px'"),
        (lambda c: c["training"].update(epochs="ten"), "found 'ten', expected integer"),
        (lambda c: c["alignment"].update(reference="DAPPI"), "channel 'DAPPI'"),
        (lambda c: c.update(source="archive"), "which does not exist"),
    ],
    ids=["unknown key", "wrong type", "channel", "missing file"],
)
def test_wrong_configuration_stops_before_the_first_job(change, sentence, tmp_path):
    config = tiny_configuration()
    change(config)
    write_configuration(config, tmp_path)
    done = snakemake(tmp_path, "--dry-run", "--quiet", "rules")
    assert done.returncode != 0
    assert sentence in done.stdout
    assert "Traceback" not in done.stdout
