"""A screen of crops and no images (files, an array, a Zarr array), from a folder to the report."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml
import zarr

from tests.conftest import ROOT
from tests.helpers.runs import snakemake

# A hundred cells: one small model, trained for seconds.
SMALL = {
    "models": dict.fromkeys(("vae", "cvae", "cvae_prior_s", "cvae_prior_z")),
    "training": {"base_width": 4, "epochs": 2, "batch_size": 16, "kl_warmup_steps": 4,
                 "input_size_px": 32, "device": "cpu"},
    "split": {"fractions": {"train": 0.6, "validation": 0.2, "test": 0.2}},
    "profiles": {"cellprofiler_components": 8, "permutations": 50},
    "benchmarks": {"complexes": {"bootstrap": 20, "permutations": 20}, "umap": {"cell_fraction": 1},
                   "covariates": {"cells_per_batch": 200}},
}  # fmt: skip

PLACES = {"A1": "crops/{0}.npy", "A2": "crops/A2.npy#{1}", "B1": "crops.zarr/B1#{1}"}
WELLS, GENES, N_CELLS, SIZE = list(PLACES), ["nontargeting", "G1", "G2"], 60, 40


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of a run on 180 cells in a folder, of which one has no crop."""
    folder = tmp_path_factory.mktemp("crops")
    (folder / "posh/crops").mkdir(parents=True)
    rng, rows, crops = np.random.default_rng(0), [], {well: [] for well in WELLS}
    y, x = np.indices((SIZE, SIZE)) - SIZE / 2
    for well in WELLS:
        for k in range(N_CELLS):
            gene = GENES[k % 3]
            radius = 8 + 3 * (gene == "G1") + rng.normal()
            disc = 2000 * (np.hypot(y, x) < radius) + rng.normal(300, 30, (5, SIZE, SIZE))
            crops[well].append(disc.astype(np.uint16))
            place = PLACES[well].format(name := f"P1_{well}_7_{k}", k)
            rows.append((name, place, f"{gene}_{k // 3 % 2}", gene))
    for (name, *_), crop in zip(rows, crops["A1"], strict=False):
        np.save(folder / f"posh/crops/{name}.npy", crop)
    np.save(folder / "posh/crops/A2.npy", crops["A2"])
    zarr.save_array(folder / "posh/crops.zarr", np.array(crops["B1"]), path="B1")
    pd.DataFrame(rows, columns=["ID", "path", "barcode", "gene_id"]).to_parquet(
        folder / "posh/cells.parquet"
    )
    (folder / "posh/crops/P1_A1_7_3.npy").unlink()
    here = {
        "screen": {"plates": {"P1": WELLS}}, "crop": {"size_px": 32},
        "archive": {"root": "posh"}, "cells": {"table": "cells.parquet"},
    }  # fmt: skip
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL | here))
    config = ROOT / "tests/screens/configurations/cp_posh.yaml"
    files = str(config), str(folder / "small.yaml")
    done = snakemake(folder, "--cores", "2", "--configfile", *files)
    assert done.returncode == 0, done.stdout[-6000:]
    return folder / "results/cp_posh"


def test_every_crop_but_the_missing_one_is_there(results):
    cells = pd.read_parquet(results / "shards/index.parquet")
    assert len(cells) == len(WELLS) * N_CELLS - 1 and cells["crop"].is_unique
    dropped = pd.read_parquet(results / "qc/dropped.parquet")
    assert dropped[["reason", "n_cells"]].to_numpy().tolist() == [["no crop", 1]]


def test_the_report_says_what_crops_alone_cannot_tell(results):
    report = re.sub(r"\s+", " ", (results / "report.html").read_text())
    for sentence in ("Cells came without positions", "whose crops were given", "no crop"):
        assert sentence in report, sentence
    assert (results / "explorer.html").exists()
