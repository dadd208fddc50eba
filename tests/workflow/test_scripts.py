"""Every script of the repository fits its rule: its function is bound, and not called."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from snakemake.api import SnakemakeApi
from snakemake.iocontainers import Snakemake
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    Quietness,
    ResourceSettings,
)

from mcvae_ops.training.train import train_model
from mcvae_ops.workflow import job as job_module
from mcvae_ops.workflow.bind import bind
from tests.conftest import ROOT
from tests.helpers.fake_shards import MCVAE, TRAINING, train_model_arguments, write_fake_screen
from tests.helpers.runs import evaluation_of, tiny_configuration, write_configuration

SCRIPTS = ROOT / "workflow/scripts"


def simulated(folder: Path) -> tuple[dict, set[str]]:
    """Return configuration and targets of a simulated screen, all that is made on demand too."""
    config = tiny_configuration()
    config["crop"]["illumination"] = {"tiles": 9, "smoothing_px": 200, "offset_counts": 100}
    config["figures"]["panels"] += ["fig3a", "fig4a", "figqc5", "figs7"]
    config["benchmarks"]["doses"]["pattern"] = r"(\d+)$"
    config["profiles"]["embedding_jobs"] = 2
    config["benchmarks"]["shortcuts"] = ["density", "surroundings", "untrained"]
    encoder = {"file": "torch:mean", "input": {"size_px": 16}, "licence": "MIT", "commercial": True}
    config["models"]["vit"] = {"encoder": encoder}
    config["profiles"]["whitened_cellprofiler"] = True
    config["evaluation"] = evaluation_of("tiny")
    comparison = "results/evaluation/model_comparison.md"
    return config, {
        "all",
        "plan",
        "print_resources",
        "verify",
        "cells_h5ad",
        "ome_zarr",
        "ops_standard",
        "leaderboard",
        comparison,
        "results/tiny/benchmarks/cell_neighbours.parquet",
        "results/tiny/models/mcvae/0/weights.safetensors",
        "results/tiny/benchmarks/mcvae/0/counterfactuals.parquet",
        "results/tiny/profiles/mcvae/0/genes.held_out_guide.h5ad",
    }


def stored(folder: Path) -> tuple[dict, set[str]]:
    """Return configuration and targets of a screen whose model another run has trained."""
    config = tiny_configuration()
    channels = [channel["name"] for channel in config["screen"]["channels"]]
    shards = write_fake_screen(
        folder / "other", channels=channels, size_px=config["crop"]["size_px"]
    )
    arguments = train_model_arguments(shards, folder / "trained", MCVAE, TRAINING | {"epochs": 1})
    of_screen = {"channels": channels, "pixel_size_um": config["screen"]["pixel_size_um"]}
    train_model(**arguments | of_screen)
    config["models"]["mcvae"] = {"weights": arguments["weights"]}
    return config, {"results/tiny/models/mcvae/0/weights.pt"}


def looked_at(folder: Path) -> tuple[dict, set[str]]:
    """Return configuration and targets of a look at a folder."""
    return {"look": str(folder)}, {"doctor"}


def published(folder: Path) -> tuple[dict, set[str]]:
    """Return configuration and targets of a screen of which others made the profiles."""
    config = tiny_configuration() | {"source": "profiles", "cells": None}
    config["profiles"]["main_model"] = "map"
    tables = {"genes": folder / "genes.parquet", "guide_significance": folder / "guides.parquet"}
    for path in tables.values():
        path.touch()
    config["archive"] |= {
        "root": None,
        "profiles": {
            "genes": {"table": str(tables["genes"]), "spaces": {"combined": "0-31"}},
            "guide_significance": {"table": str(tables["guide_significance"])},
        },
    }
    lists = dict.fromkeys(config["archive"]["annotations"])
    config["archive"]["annotations"] = lists | {"pairs": {}}
    return config, {
        "results/tiny/profiles/mitotic_index.parquet",
        "results/tiny/profiles/random/0/genes.parquet",
    }


def on_images(folder: Path) -> tuple[dict, set[str]]:
    """Return configuration and targets of a screen whose cells are those of masks."""
    (folder / "platemap.csv").write_text("well,gene\nA1,NTC\n")
    config = tiny_configuration() | {
        "source": "archive",
        "cells": [{"masks": "masks/{plate}/{well}_{tile}.tif"}],
        "labels": {"table": "platemap.csv"},
    }
    lists = dict.fromkeys(config["archive"]["annotations"]) | {"pairs": {}}
    config["archive"] |= {"root": str(folder), "annotations": lists}
    return config, {"results/tiny/qc/dropped.parquet"}


def given_crops(folder: Path) -> tuple[dict, set[str]]:
    """Return configuration and targets of a screen whose table names a crop of each cell."""
    config = tiny_configuration() | {
        "source": "crops",
        "cells": [{"table": str(folder / "{plate}.parquet"), "columns": {"crop": "path"}}],
    }
    for index, channel in enumerate(config["screen"]["channels"]):
        channel |= {"group": "image", "index": index}
    for key in ("images", "tile_size_px"):
        del config["screen"][key]
    config["alignment"] |= {"measure": {}}
    lists = dict.fromkeys(config["archive"]["annotations"]) | {"pairs": {}}
    config["archive"] |= {"root": str(folder), "annotations": lists}
    return config, {"results/tiny/shards/index.parquet"}


def embedded(folder: Path) -> tuple[dict, set[str]]:
    """Return configuration and targets of a screen whose embeddings others made."""
    config = tiny_configuration() | {
        "source": "embeddings",
        "cells": [{"table": str(folder / "{plate}.parquet")}],
        "embeddings": {"mcvae": {"spaces": {"salient": "s_*", "background": "z_*"}}},
    }
    lists = dict.fromkeys(config["archive"]["annotations"]) | {"pairs": {}}
    config["archive"] |= {"root": None, "annotations": lists}
    return config, {"results/tiny/hits.tsv"}


def planned(config: dict, targets: set[str], folder: Path) -> list[tuple[str, Snakemake]]:
    """Return of one job of each rule what its script would get, with the name of the script."""
    if "look" in config:
        settings = ConfigSettings(config=config)
    else:
        settings = ConfigSettings(configfiles=[write_configuration(config, folder)])
    quiet = OutputSettings(quiet={Quietness.ALL})
    with SnakemakeApi(quiet) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(),
            config_settings=settings,
            snakefile=ROOT / "Snakefile",
            workdir=folder,
        )
        workflow.dag(DAGSettings(targets=targets)).execute_workflow(executor="dryrun")
        jobs = {job.rule.name: job for job in workflow._workflow.dag.jobs if job.rule.script}
        return [
            (
                Path(job.rule.script).name,
                Snakemake(
                    job.input, job.output, job.params, job.wildcards, job.threads, job.resources,
                    job.log, job.rule.module_globals["config"], job.rule.name, 0,
                ),
            )
            for job in jobs.values()
        ]  # fmt: skip


@pytest.fixture
def bound(monkeypatch) -> Callable[[str, Snakemake], dict]:
    """Function that runs a script up to the call of its function, and returns the arguments."""
    calls = []

    def record(function, snakemake, **overrides) -> None:
        calls.append(bind(function, snakemake, snakemake.rule, overrides))

    monkeypatch.setattr(job_module, "run", record)

    def script(name: str, snakemake: Snakemake) -> dict:
        runpy.run_path(str(SCRIPTS / name), {"snakemake": snakemake}, "__main__")
        return calls.pop()

    return script


def test_every_script_fits_its_rule(bound, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["snakemake", "all"])  # pytest may have no argument
    arguments = {}
    for screen in (
        given_crops, embedded, simulated, stored, published, on_images, looked_at,
    ):  # fmt: skip
        for name, snakemake in planned(*screen(tmp_path), tmp_path):
            arguments[name] = bound(name, snakemake)
    assert set(arguments) == {path.name for path in SCRIPTS.glob("*.py")}

    training, part = arguments["train_model.py"], arguments["embed_cells.py"]
    assert training["seed"] == 0 and training["model"]["salient_latent"] >= 0
    assert training["training"]["device"] == part["training"]["device"] == "auto"
    assert part["part"] in (0, 1) and part["parts"] == 2
    # The seed of the benchmark, not of the training whose cells are drawn.
    seed = tiny_configuration()["benchmarks"]["seed"]
    assert arguments["umap_cells.py"]["seed"] == seed
