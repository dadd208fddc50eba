"""Runs of the workflow in a folder of their own."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.conftest import ROOT
from tests.helpers.configurations import as_file, merged, whole


def tiny_configuration() -> dict:
    """The simulated screen, made small by tests/helpers/tiny.yaml."""
    return whole(merged("config", "../tests/helpers/tiny"))


def evaluation_of(*screens: str) -> dict:
    """Section ``evaluation``: mcVAE against CellProfiler on these screens, one aim."""
    profiles = {
        name: {"model": model, "space": "combined", "correction": "none"}
        for name, model in (("mcVAE", "mcvae"), ("CellProfiler", "cellprofiler"))
    }
    aims = [{"measure": "complexes_test", "over": "CellProfiler", "factor": 1}]
    return {"screens": list(screens), "ours": "mcVAE", "profiles": profiles, "aims": aims}


def write_configuration(config: dict, folder: Path) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(as_file(config), sort_keys=False))
    return path


def command(folder: Path, *arguments: str, clone: Path = ROOT) -> list[str]:
    """Snakemake of a clone in a folder, with the configuration that was written there."""
    path = folder / "config.yaml"
    return [
        sys.executable, "-m", "snakemake",
        "--snakefile", str(clone / "Snakefile"),
        "--directory", str(folder),
        *(("--configfile", str(path)) if path.exists() else ()),
        "--workflow-profile", str(clone / "workflow/profiles/default"),
        *arguments,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """A process without the variables of the test runner; one thread per job."""
    return os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}


def snakemake(folder: Path, *arguments: str, clone: Path = ROOT) -> subprocess.CompletedProcess:
    """Run Snakemake to its end; standard output and error come together as text."""
    return subprocess.run(
        command(folder, *arguments, clone=clone),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(),
    )  # fmt: skip


def jobs(folder: Path, *arguments: str, clone: Path = ROOT) -> dict[str, int]:
    """Count the jobs that a dry run would start, by rule."""
    done = snakemake(folder, *arguments, "--dry-run", "--quiet", "rules", clone=clone)
    assert done.returncode == 0, done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
