"""The recipes of docs/adding.md work as they stand: followed literally, then run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.recipes import copy_repository, follow, recipe
from tests.helpers.runs import environment, tiny_configuration, write_configuration

FILES = {
    "A loss term": 3,
    "A benchmark with a figure": 7,
    "An alignment method": 3,
    "An archive": 2,
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """Copy of the repository in which every recipe was followed."""
    folder = copy_repository(tmp_path_factory.mktemp("repository"))
    for heading, n_files in FILES.items():
        assert len(follow(recipe(heading), folder)) == n_files, heading
    return folder


def run(repository: Path, *command: str) -> str:
    """Return what a command prints that uses the code of the copy."""
    code = {"PYTHONPATH": str(repository / "src")}
    done = subprocess.run(
        [sys.executable, *command], env=environment() | code, cwd=repository,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_what_was_added_is_configured_and_planned(repository, tmp_path):
    config = tiny_configuration()
    config["alignment"]["method"] = "skimage"
    config["training"]["size_of_z_weight"] = 1.0
    path = write_configuration(config, tmp_path)
    printed = run(
        repository, "-m", "snakemake", "--snakefile", "Snakefile", "--directory", str(tmp_path),
        "results/tiny/figures/figs11.pdf", "--configfile", str(path), "--dry-run",
    )  # fmt: skip
    assert "rule guide_norms:" in printed and "benchmarks/guide_norms.parquet" in printed


BENCHMARK = """
import sys
from types import SimpleNamespace
import numpy as np, pandas as pd
from mcvae_ops.benchmarks.guide_norms import guide_norms
from mcvae_ops.figures.draw import draw_figure
folder = sys.argv[1]
profiles = pd.DataFrame({"model": "mcvae", "seed": 0, "cells": "all", "guide": list("abc"),
    "gene": list("ABC"), "is_ntc": False, "s_00": [3.0, 0.0, 6.0], "z_00": [4.0, 1.0, 8.0]})
profiles.to_parquet(f"{folder}/guides.parquet")
table = f"{folder}/guide_norms.parquet"
guide_norms([f"{folder}/guides.parquet"], {"quantile": 0.5}, table)
print(pd.read_parquet(table).set_index("space")["value"].to_json())
words = {"perturbation": "gene", "guide": "guide", "control": "NTC"}
targets = (f"{folder}/figs11.{kind}" for kind in ("pdf", "svg", "png", "csv"))
draw_figure("figs11", [table], [], {"screen": {"words": words}}, *targets)
"""


def test_the_new_benchmark_measures_and_its_panel_draws(repository, tmp_path):
    printed = run(repository, "-c", BENCHMARK, str(tmp_path))
    values = json.loads(printed.splitlines()[-1])
    assert values == {"combined": 5.0, "salient": 3.0, "background": 4.0}
    assert (tmp_path / "figs11.pdf").stat().st_size > 1000


OTHERS = """
import numpy as np
from mcvae_ops.archive import sources, zenodo
from mcvae_ops.models.objective import term_names, weights_from
from mcvae_ops.tiles.registration import measure_shift, prepare_image
from scipy.ndimage import gaussian_filter, shift

assert "size_of_z" in term_names()

image = gaussian_filter(np.random.default_rng(0).uniform(0, 5000, (128, 128)), 2).astype(np.uint16)
moved = np.roll(image, (5, -3), axis=(0, 1))
alignment = {"method": "skimage", "upsample_factor": 10, "window_fraction": 1.0}
found = measure_shift(*(prepare_image(one, alignment) for one in (moved, image)), alignment)
assert np.allclose(found.px, (-5, 3), atol=0.2), found

zenodo.read_json = lambda place, archive: {"files": [{"key": "P1/A1_0.tif", "size": 7}]}
source = sources.Source("zenodo:1", None, {})
assert list(source.entries(None, [])) == [("P1/A1_0.tif", 7)]
assert source.address("P1/A1_0.tif") == "https://zenodo.org/records/1/files/P1/A1_0.tif"
"""


def test_the_new_term_method_and_archive_are_found(repository):
    run(repository, "-c", OTHERS)
