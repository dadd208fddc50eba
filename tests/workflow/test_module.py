"""The workflow as a module of another Snakefile, in a folder of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.conftest import ROOT
from tests.helpers.runs import environment, tiny_configuration

CALLER = """
configfile: "screens.yaml"

module first:
    snakefile: {snakefile!r}
    config: config["first"]

use rule * from first as first_*

module second:
    snakefile: {snakefile!r}
    config: config["second"]

use rule * from second as second_*
"""


@pytest.fixture
def caller(tmp_path) -> Path:
    """Folder with a Snakefile that uses the workflow for two screens."""
    configurations = {"first": tiny_configuration(), "second": tiny_configuration()}
    configurations["second"]["screen"]["name"] = "other"
    configurations["second"]["figures"]["published_values"] = "resources/published_figures"
    text = CALLER.format(snakefile=str(ROOT / "workflow/Snakefile"))
    (tmp_path / "Snakefile").write_text(text)
    (tmp_path / "screens.yaml").write_text(yaml.safe_dump(configurations))
    return tmp_path


def snakemake(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", *arguments],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_two_screens_are_planned_side_by_side(caller):
    reports = [f"results/{screen}/report.html" for screen in ("tiny", "other")]
    printed = snakemake(caller, *reports, "--dry-run")
    jobs = re.findall(r"\n(?:local)?rule (.*?)\n    jobid", printed, re.DOTALL)
    for name, screen, another in (("first", "tiny", "other"), ("second", "other", "tiny")):
        own = [text for text in jobs if text.startswith(f"{name}_")]
        assert any(f"results/{screen}/shards/index.parquet" in text for text in own)
        assert not [text for text in own if f"results/{another}/" in text]
    # The paper's numbers are found in the repository, because the caller's folder has none.
    assert str(ROOT / "resources/published_figures") in printed


def test_results_are_in_the_folder_of_the_caller(caller):
    targets = ("results/tiny/annotations/licences.tsv", "results/tiny/figures/fig1.pdf")
    snakemake(caller, *targets)
    licences = pd.read_csv(caller / targets[0], sep="\t")
    # The table of the repository was found, and the simulated lists are none of its files.
    assert set(licences["checksum"]) == {"not recorded"}
    assert (caller / targets[1]).stat().st_size > 1000
    assert (caller / "logs/tiny/draw_figure/fig1.log").exists()
    assert "Nothing to be done" in snakemake(caller, *targets, "--dry-run")
