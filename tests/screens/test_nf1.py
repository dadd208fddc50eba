"""Real Cell Painting images from a folder to the report, as they came: no file is renamed or cut.

Five wells of the NF1 plate, 904 x 1224 px, cells from the masks of their nuclei. The genotype is in
no file, so the plate map here takes one by well.
"""

import re

import pandas as pd
import pytest
import yaml

from tests.conftest import ROOT
from tests.helpers.runs import snakemake

PLATE_MAP = {"B7": "WT", "D6": "WT", "D7": "Null", "F7": "Null", "H12": "Null"}
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


@pytest.fixture(scope="module")
def results(shared, tmp_path_factory):
    """The results of a run in a folder that links to the images."""
    folder = tmp_path_factory.mktemp("nf1")
    (folder / "nf1").mkdir()
    for name in ("images", "masks"):
        (folder / "nf1" / name).symlink_to(shared / "data/real/nf1" / name)
    table = pd.DataFrame({"well": list(PLATE_MAP), "genotype": list(PLATE_MAP.values())})
    table.to_csv(folder / "nf1/platemap.csv", index=False)
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    files = str(ROOT / "config/nf1.yaml"), str(folder / "small.yaml")
    done = snakemake(folder, "--cores", "2", "--configfile", *files)
    assert done.returncode == 0, done.stdout[-6000:]
    return folder / "results/nf1"


def test_the_nuclei_of_the_masks_have_crops(results):
    cells = pd.read_parquet(results / "shards/index.parquet")
    assert cells["batch"].unique().tolist() == ["Plate_2"]
    label = cells["gene"].where(~cells["is_ntc"], "WT")
    assert (label == cells["well"].map(PLATE_MAP)).all()
    # 23 to 29 nuclei a site, without those at the border of the image.
    assert cells.groupby("well").size().between(10, 30).all()


def test_the_report_says_what_follows_where_well_and_genotype_are_one(results):
    report = re.sub(r"\s+", " ", (results / "report.html").read_text())
    for sentence in (
        "genotype and well are confounded",
        "in wells of their own (2 of 5 wells)",
        "the exchange of cells is left out",
        "figqc5: screen.well_grid is null",
        "pixel size not known",
    ):
        assert sentence in report, sentence
    assert (results / "explorer.html").exists()
