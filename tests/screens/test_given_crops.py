"""A screen of crops, one file per cell and no images, from a folder to the report."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.conftest import ROOT
from tests.helpers.runs import snakemake
from tests.screens.test_nf1 import SMALL

WELLS, GENES, N_CELLS, SIZE = ["A1", "A2", "B1"], ["nontargeting", "G1", "G2"], 60, 40


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of a run on 180 cells in a folder, of which one has no crop."""
    folder = tmp_path_factory.mktemp("crops")
    (folder / "posh/crops").mkdir(parents=True)
    rng, rows = np.random.default_rng(0), []
    y, x = np.indices((SIZE, SIZE)) - SIZE / 2
    for well in WELLS:
        for k in range(N_CELLS):
            gene = GENES[k % 3]
            radius = 8 + 3 * (gene == "G1") + rng.normal()
            disc = 2000 * (np.hypot(y, x) < radius) + rng.normal(300, 30, (5, SIZE, SIZE))
            name = f"P1_{well}_7_{k}"
            np.save(folder / f"posh/crops/{name}.npy", disc.astype(np.uint16))
            rows.append((name, f"crops/{name}.npy", f"{gene}_{k // 3 % 2}", gene))
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
    for sentence in ("Crops came without positions", "whose crops were given", "no crop"):
        assert sentence in report, sentence
    assert (results / "explorer.html").exists()
