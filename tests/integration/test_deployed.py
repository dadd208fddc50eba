"""The workflow in a folder that `snakedeploy deploy-workflow` has written, from a forge.

The Snakefile is what snakedeploy 0.17 writes, which also copies config/. The forge is a git
repository on this machine, under the address of the real one.
"""

import shutil
import subprocess
import sys

import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.helpers.recipes import copy_repository
from tests.helpers.runs import environment, tiny_configuration, write_configuration

FORGE = "https://github.com/"
SNAKEFILE = """
from snakemake.utils import min_version


min_version("6.10.0")


configfile: "config/config.yaml"


# declare https://github.com/OWNER/mcvae-ops as a module
module mcvae_ops:
    snakefile:
        github("OWNER/mcvae-ops", path="workflow/Snakefile", tag="v1")
    config:
        config


# use all rules from https://github.com/OWNER/mcvae-ops
use rule * from mcvae_ops
"""


@pytest.fixture(scope="module")
def forge(tmp_path_factory) -> dict[str, str]:
    """Variables by which git finds the repository here, and Snakemake a cache of its own."""
    folder = tmp_path_factory.mktemp("forge")
    repository = folder / "OWNER/mcvae-ops"
    repository.mkdir(parents=True)
    copy_repository(repository)
    name = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    for command in (("init",), ("add", "--all"), (*name, "commit", "-m", "all"), ("tag", "v1")):
        subprocess.run(["git", *command], cwd=repository, check=True, capture_output=True)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{folder.as_uri()}/.insteadOf",
        "GIT_CONFIG_VALUE_0": FORGE,
        "XDG_CACHE_HOME": str(folder / "cache"),
    }


def test_a_deployed_folder_runs(forge, tmp_path):
    (tmp_path / "workflow").mkdir()
    (tmp_path / "workflow/Snakefile").write_text(SNAKEFILE)
    shutil.copytree(ROOT / "config", tmp_path / "config")
    write_configuration(tiny_configuration(), tmp_path / "config")
    # What the rules include, their scripts, the defaults, and a table that a script reads.
    made = [f"results/tiny/{name}" for name in ("study/library.csv", "annotations/licences.tsv")]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", *made],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment() | forge,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert len(pd.read_csv(tmp_path / made[0])) > 10
    assert set(pd.read_csv(tmp_path / made[1], sep="\t")["checksum"]) == {"not recorded"}
