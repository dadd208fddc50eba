"""docs/explore_results.ipynb runs on the results of the tiny screen, and says what is true."""

import shutil

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest

import mcvae_ops
from mcvae_ops.shards.ome_zarr import export_ome_zarr
from tests.conftest import ROOT

NOTEBOOK = nbformat.read(ROOT / "docs/explore_results.ipynb", as_version=4)
CODE = [cell.source for cell in NOTEBOOK.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def executed(tiny_run, tmp_path_factory) -> dict:
    """The names that the cells of code leave behind, run one after the other."""
    results = tmp_path_factory.mktemp("notebook") / "tiny"
    shutil.copytree(tiny_run / "results/tiny", results)
    crops = next(results.glob("crops/*/*/*.perturbed.npy"))
    target = results / f"ome_zarr/{'/'.join(crops.parts[-3:-1])}/{crops.stem}.ome.zarr"
    channels = mcvae_ops.open(results).configuration["screen"]["channels"]
    export_ome_zarr(str(crops), channels, None, "0.5", str(target))
    names = {}
    for code in CODE:
        exec(code.replace('"results/simulated"', repr(str(results))), names)
    plt.close("all")
    return names


def test_the_notebook_has_no_outputs():
    for cell in NOTEBOOK.cells:
        assert cell.get("outputs", []) == [] and cell.get("execution_count") is None


def test_neighbours_of_a_gene_are_the_nearest_other_genes(executed):
    genes = executed["screen"].genes
    salient = genes.filter(regex="^s_")
    unit = salient.div(np.linalg.norm(salient, axis=1), axis=0)[~genes["is_ntc"].astype(bool)]
    distances = 1 - unit @ unit.loc[executed["strongest"]]
    nearest = distances.drop(executed["strongest"]).nsmallest(4)
    assert executed["nearest"].index.tolist() == nearest.index.tolist()
    np.testing.assert_allclose(executed["nearest"], nearest, atol=1e-5)


def test_what_is_shown_is_what_it_is_called(executed):
    screen, strongest = executed["screen"], executed["strongest"]
    assert strongest in screen.hits.index and len(executed["hits"]) == len(screen.hits)
    assert (executed["of_gene"]["gene"] == strongest).all()
    assert executed["controls"]["is_ntc"].all()
    assert executed["altered"].shape == executed["decoded"].shape
    assert not np.allclose(executed["altered"], executed["decoded"])
    (path,) = executed["images"]
    table = pd.DataFrame(executed["labels"]["properties"])
    assert len(table) == executed["image"]["0"].shape[0] and not table["is_ntc"].any()
    assert executed["channels"] == screen.channels, path
