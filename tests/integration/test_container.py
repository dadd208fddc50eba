"""Snakemake runs a job in the container, with a stand-in for the engine."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers.container import build
from tests.helpers.runs import snakemake, tiny_configuration, write_configuration

# Notes what it is asked to do, and does it here, with the package of the image.
ENGINE = """#!{shell}
echo "$@" >> {asked}
if [ "$1" = --version ]; then echo "apptainer version 1.4.0"; exit; fi
while [ "$1" != {image} ]; do shift; done
shift
export PYTHONPATH={image} PATH={programs}:$PATH
exec "$@"
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """Folder with the package, installed by the recipe's steps."""
    folder = tmp_path_factory.mktemp("image")
    build(tmp_path_factory.mktemp("context"), folder)
    return folder


def test_snakemake_runs_a_job_in_the_image(image, tmp_path, monkeypatch):
    asked, engine = tmp_path / "asked", tmp_path / "bin" / "apptainer"
    engine.parent.mkdir()
    places = {"asked": asked, "image": image, "programs": Path(sys.executable).parent}
    engine.write_text(ENGINE.format(shell=shutil.which("bash"), **places))
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{engine.parent}:{os.environ['PATH']}")
    # The workflow is planned by the package of the image, too.
    monkeypatch.setenv("PYTHONPATH", str(image))
    write_configuration(tiny_configuration() | {"container": str(image)}, tmp_path)
    options = ("--sdm", "apptainer", "--apptainer-args=--nv", "--cores", "1")
    library = "results/tiny/study/library.csv"
    done = snakemake(tmp_path, *options, library)
    assert done.returncode == 0, done.stdout[-3000:]
    assert len(pd.read_csv(tmp_path / library)) > 10
    version, job = asked.read_text().splitlines()
    assert version == "--version"
    assert re.match(rf"exec --home {tmp_path} --nv .*{image} bash -c .*python .*\.py$", job)
    where = "import mcvae_ops; print(mcvae_ops.__file__)"
    found = subprocess.check_output([engine, "exec", image, "python", "-c", where], text=True)
    assert Path(found).is_relative_to(image)
