"""Runs of the workflow in a folder of their own."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.conftest import ROOT


def tiny_configuration() -> dict:
    """The default configuration, made small: 2 wells, 4 groups, 3 models, 1 epoch, 9 panels."""
    config = copy.deepcopy(yaml.safe_load((ROOT / "config/config.yaml").read_text()))
    config["screen"]["name"] = "tiny"
    config["screen"]["plates"] = {"20260105_6W-SIM001A": ["A1", "A2"]}
    config["screen"]["tile_size_px"] = 320
    config["screen"]["z_planes"] = 2
    config["alignment"]["consensus_tiles"] = 6
    config["crop"]["tiles_per_chunk"] = 11
    library = config["simulate"]["library"]
    library["groups"] = [library["groups"][k] for k in (0, 1, 6, 7)]
    library["genes_without_effect"] = 4
    library["guides_per_gene"] = 2
    config["simulate"]["well"]["cells_per_tile"] = 40
    del config["models"]["cvae_prior_s"], config["models"]["cvae_prior_z"]
    drawn = ("fig1", "fig2a", "fig3b", "fig4b", "fig4e", "fig5b", "fig5c", "figs1", "figs2")
    config["figures"]["panels"] = list(drawn)
    config["training"] |= {"seeds": [0], "epochs": 1, "base_width": 4, "kl_warmup_steps": 10}
    config["profiles"] |= {"cellprofiler_components": 16, "permutations": 100}
    benchmarks = config["benchmarks"]
    benchmarks["complexes"] |= {"bootstrap": 20, "permutations": 20}
    benchmarks["covariates"]["cells_per_batch"] = 200
    benchmarks["functions"] |= {"max_p_value": 1.0, "repeats": 1, "folds": 3}
    for kind, groups in (("shifting_groups", slice(0, 2)), ("novel_groups", slice(2, 4))):
        benchmarks["features"][kind] = [group["name"] for group in library["groups"][groups]]
    benchmarks["mitosis"]["bootstrap"] = 20
    benchmarks["umap"]["cell_fraction"] = 0.3
    return config


def write_configuration(config: dict, folder: Path) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def command(folder: Path, *arguments: str) -> list[str]:
    return [
        sys.executable, "-m", "snakemake",
        "--snakefile", str(ROOT / "Snakefile"),
        "--directory", str(folder),
        "--configfile", str(folder / "config.yaml"),
        "--workflow-profile", str(ROOT / "workflow/profiles/default"),
        *arguments,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """A process without the variables of the test runner; one thread per job."""
    return os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake to its end; standard output and error come together as text."""
    return subprocess.run(
        command(folder, *arguments),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(),
    )  # fmt: skip


def jobs(folder: Path, *arguments: str) -> dict[str, int]:
    """Count the jobs that a dry run would start, by rule."""
    done = snakemake(folder, *arguments, "--dry-run", "--quiet", "rules")
    assert done.returncode == 0, done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
