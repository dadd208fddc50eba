"""Exports, opened and drawn with scanpy as a user would."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import scanpy

from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet
from mcvae_ops.profiles.aggregate import aggregate_profiles
from mcvae_ops.profiles.export import export_anndata, export_cells

LATENT = ["s_00", "s_01", "z_00"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Index, splits, embedding, profiles and maps of 240 cells in three wells."""
    folder, rng, n = tmp_path_factory.mktemp("run"), np.random.default_rng(0), 240
    gene = rng.choice(["A", "B", "NTC"], n)
    cells = pd.DataFrame(
        {
            "shard": "x.npy", "row": np.arange(n), "cell_id": [f"c{k}" for k in range(n)],
            "plate": np.repeat(["P", "Q"], [160, 80]), "well": np.repeat(["A1", "B1", "A1"], 80),
            "batch": np.repeat(["P/A1", "P/B1", "Q/A1"], 80),
            "guide": [f"{g}{k}" for g, k in zip(gene, rng.integers(0, 2, n), strict=True)],
            "gene": gene, "is_ntc": gene == "NTC",
        }
    )  # fmt: skip
    latent = pd.DataFrame(rng.normal(size=(n, 3)), columns=LATENT, dtype=np.float32)
    cells.to_parquet(folder / "index.parquet", row_group_size=50)
    split = np.where(rng.random(n) < 0.8, "train", "test")
    cells[["cell_id"]].assign(split=split).to_parquet(folder / "splits.parquet")
    embedding = pd.concat([cells[["cell_id"]], latent], axis=1)
    write_parquet(embedding, folder / "e.parquet", {"model": "mcvae", "seed": "3"})
    inputs = [str(folder / f"{name}.parquet") for name in ("index", "splits", "e")]
    aggregate_profiles(*inputs, *(str(folder / f"{name}.parquet") for name in ("guides", "genes")))
    maps = [
        pd.DataFrame({"level": level, "name": names, "space": space, "x": 1.5, "y": 2.5})
        for level, names in (("guide", cells["guide"].unique()), ("gene", ["A", "B"]))
        for space in ("combined", "salient", "background")
    ]
    pd.concat(maps).to_parquet(folder / "maps.parquet")
    return folder


HITS = pd.DataFrame(
    {
        "gene": ["B", "A"], "guide": "", "n_cells": 1, "q_combined": [0.5, 0.01],
        "is_hit": [False, True], "n_guides": 2, "group": ["", "tubulin"],
    }
)  # fmt: skip


@pytest.fixture
def exported(run, tmp_path):
    """Return a function that exports a level of some cells and opens it with scanpy."""
    HITS.to_parquet(tmp_path / "hits.parquet")

    def export(level: str, cells: str = "all", **tables: str):
        target = str(tmp_path / f"{level}.{cells}.h5ad")
        export_anndata(str(run / f"{level}.parquet"), "fake", level, cells, target, **tables)
        return scanpy.read_h5ad(target)

    return export


def test_genes_are_a_row_each_with_what_is_known_of_them(run, exported, tmp_path):
    tables = {"maps": str(run / "maps.parquet"), "hits": str(tmp_path / "hits.parquet")}
    genes = exported("genes", **tables)
    before = (tmp_path / "genes.all.h5ad").read_bytes()
    exported("genes", **tables)
    assert (tmp_path / "genes.all.h5ad").read_bytes() == before

    table = pd.read_parquet(run / "genes.parquet").query("cells == 'all'").set_index("gene")
    assert genes.obs_names.tolist() == table.index.tolist()
    np.testing.assert_allclose(genes.X, table[LATENT])
    np.testing.assert_array_equal(genes.obsm["X_salient"], genes.X[:, :2])
    np.testing.assert_array_equal(genes.obsm["X_background"], genes.X[:, 2:])
    assert genes.var["space"].tolist() == ["salient", "salient", "background"]
    assert genes["A"].obsm["X_umap_salient"].tolist() == [[1.5, 2.5]]
    assert np.isnan(genes["NTC"].obsm["X_umap"]).all()
    assert genes.obs["n_cells"].tolist() == table["n_cells"].tolist()
    assert genes.obs["q_combined"][["A", "B"]].tolist() == [0.01, 0.5]
    assert genes.obs["is_hit"][["A", "B"]].tolist() == [True, False]
    assert genes.obs["group"][["A", "B", "NTC"]].tolist() == ["tubulin", "", ""]
    assert genes.obs[["q_combined", "is_hit"]].loc["NTC"].isna().all()
    found = genes.uns["provenance"]
    assert (found["screen"], found["model"], found["seed"]) == ("fake", "mcvae", 3)
    assert found["cells"] == "all" and "commit" in found["mcvae_ops"]
    scanpy.pp.neighbors(genes, n_neighbors=2, use_rep="X")
    assert genes.obsp["distances"].diagonal().sum() == 0 and genes.obs_names.is_unique


def test_guides_are_drawn_and_have_no_hits_of_genes(run, exported, tmp_path):
    tables = {"maps": str(run / "maps.parquet"), "hits": str(tmp_path / "hits.parquet")}
    guides = exported("guides", **tables)
    assert guides.obs_names.is_unique and "q_combined" not in guides.obs
    mpl.use("agg")
    for basis in ("umap", "umap_background", "salient"):
        axes = scanpy.pl.embedding(guides, basis, color="gene", show=False)
        assert {text.get_text() for text in axes.get_legend().get_texts()} == {"A", "B", "NTC"}
        axes.figure.savefig(tmp_path / "plot.png")


def test_cells_that_a_profile_is_of_can_be_chosen(run, exported):
    genes = exported("genes", "test")
    table = pd.read_parquet(run / "genes.parquet").query("cells == 'test'")
    np.testing.assert_allclose(genes.X, table[LATENT])
    with pytest.raises(InputError, match="every profile of the cells held_out_gene is missing"):
        exported("genes", "held_out_gene")


@pytest.mark.parametrize(
    ("plate", "well", "first"), [("P", "A1", 0), ("P", "B1", 80), ("Q", "A1", 160)]
)
def test_a_well_of_cells_is_that_well(run, tmp_path, plate, well, first):
    tables = [str(run / f"{name}.parquet") for name in ("index", "splits", "e")]
    target = str(tmp_path / "cells.h5ad")
    export_cells(*tables, "fake", plate, well, target)
    cells = scanpy.read_h5ad(target)
    rows = slice(first, first + 80)
    assert cells.obs_names.tolist() == [f"c{k}" for k in range(240)[rows]]
    np.testing.assert_array_equal(cells.X, pd.read_parquet(tables[2])[LATENT][rows])
    assert cells.obs["split"].tolist() == pd.read_parquet(tables[1])["split"][rows].tolist()
    assert cells.obsm["X_background"].shape == (80, 1)
    assert cells.uns["provenance"]["model"] == "mcvae"


def test_an_unknown_well_is_refused(run, tmp_path):
    tables = [str(run / f"{name}.parquet") for name in ("index", "splits", "e")]
    with pytest.raises(InputError, match="every cell of plate P, well Z9 is missing"):
        export_cells(*tables, "fake", "P", "Z9", str(tmp_path / "cells.h5ad"))
