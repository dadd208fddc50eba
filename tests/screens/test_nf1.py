"""docs/tutorial.md, followed literally on its real images: from an address to the report.

No file is renamed or cut. The forge is a git repository on this machine, under the address of the
real one; the plate map is that of the authors.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.helpers.recipes import copy_repository
from tests.helpers.runs import environment

GENOTYPES = {"B7": "Null", "D6": "WT", "D7": "Null", "F7": "Null", "H12": "Null"}
PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ADDRESS = "https://github.com/cytomining/CytoDataFrame"
FOLDER = re.search(r"sparse-checkout set (\S+)", PAGE)[1]
COMMIT = re.search(r"checkout (\w{40})", PAGE)[1]


def git(*arguments: str, folder: Path) -> str:
    name = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    return subprocess.check_output(["git", *name, *arguments], cwd=folder, text=True).strip()


@pytest.fixture(scope="module")
def forge(shared, tmp_path_factory) -> tuple[Path, str]:
    """Repository with the files in their places, and its commit."""
    repository = tmp_path_factory.mktemp("forge")
    for source, target in (("images", "Plate_2_images"), ("masks", "Plate_2_masks")):
        shutil.copytree(shared / "data/real/nf1" / source, repository / FOLDER / target)
    table = "Plate_2_with_image_data_shrunken.parquet"
    shutil.copy(shared / "data/real/nf1/Plate_2_cells.parquet", repository / FOLDER / table)
    git("init", "--quiet", folder=repository)
    git("add", "--all", folder=repository)
    git("commit", "--quiet", "--message", "all", folder=repository)
    return repository, git("rev-parse", "HEAD", folder=repository)


@pytest.fixture(scope="module")
def results(forge, tmp_path_factory) -> Path:
    """The results of a run in a clone, where the page's blocks were run one after the other."""
    repository, commit = forge
    clone = copy_repository(tmp_path_factory.mktemp("clone"))
    variables = environment() | {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": ADDRESS,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(clone / "src"),
    }
    programs = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
    for language, text in BLOCKS:
        done = subprocess.run(
            [*programs[language], text.replace(COMMIT, commit)], cwd=clone, env=variables,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert done.returncode == 0, text + done.stdout[-6000:]
    return clone / "results/nf1_tutorial"


def test_the_doctor_asks_what_the_page_answers(results):
    text = (results.parents[1] / "config/nf1_tutorial.yaml").read_text()
    asked = re.findall(r"QUESTION: (how large is a pixel|did one camera|what was done|how large is "
                       r"the square)", text)  # fmt: skip
    assert len(asked) == text.count("QUESTION: ") == 4


def test_the_nuclei_of_the_masks_have_crops(results):
    cells = pd.read_parquet(results / "shards/index.parquet")
    assert cells["batch"].unique().tolist() == ["Plate_2"]
    label = cells["gene"].where(~cells["is_ntc"], "WT")
    assert (label == cells["well"].map(GENOTYPES)).all()
    # 23 to 29 nuclei a site, without those at the border of the image.
    assert cells.groupby("well").size().between(10, 30).all()


def test_the_report_says_what_follows_where_well_and_genotype_are_one(results):
    report = re.sub(r"\s+", " ", (results / "report.html").read_text())
    for sentence in (
        "Perturbation and well are confounded",
        "in wells of their own (1 of 5 wells)",
        "the exchange of cells is left out",
        "figqc5: screen.well_grid is null",
        "pixel size not known",
    ):
        assert sentence in report, sentence
    assert (results / "explorer.html").exists()
