"""UMAP tables: planted clusters stay apart, the same map twice, few points."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_score

from mcvae_ops.benchmarks.umap import map_points, umap_cells, umap_guides
from mcvae_ops.files import write_parquet
from tests.helpers.documented_tables import check_columns

SCREEN = {
    "tile_size_px": 64,
    "well_grid": {"first_tile": 0, "column_heights": [3, 3, 3], "published_centre_tiles": 1},
}
SETTINGS = {"cell_fraction": 0.5, "fov_centre_fraction": 0.2, "fov_edge_fraction": 0.4}


def planted_cells(n=240):
    rng = np.random.default_rng(0)
    batch = np.arange(n) // 3 % 2
    cells = pd.DataFrame({"cell_id": [f"c{k}" for k in range(n)], "plate": "P"})
    cells = cells.assign(
        well=np.where(batch, "A2", "A1"),
        batch=np.where(batch, "P/A2", "P/A1"),
        tile=np.arange(n) % 9,
        y_px=rng.uniform(0, 64, n),
        x_px=rng.uniform(0, 64, n),
        is_ntc=False,
    )
    z = 8 * np.eye(5)[batch] + rng.normal(size=(n, 5))
    columns = {f"s_{k:02d}": rng.normal(size=n).astype(np.float32) for k in range(5)}
    columns |= {f"z_{k:02d}": z[:, k].astype(np.float32) for k in range(5)}
    return cells, cells[["cell_id"]].assign(**columns)


def test_cells_of_two_batches_lie_apart_in_the_background(tmp_path):
    cells, embedding = planted_cells()
    write_parquet(cells, tmp_path / "index.parquet")
    write_parquet(embedding, tmp_path / "e.parquet", {"model": "mcvae", "seed": "0"})
    outputs = [str(tmp_path / name) for name in ("a.parquet", "b.parquet", "few.parquet")]
    for output, most in zip(outputs, (1000, 1000, 30), strict=True):
        umap_cells(
            index=str(tmp_path / "index.parquet"),
            embedding=str(tmp_path / "e.parquet"),
            screen=SCREEN,
            settings=SETTINGS | {"max_cells": most},
            seed=0,
            coordinates=output,
        )
    found, again, few = map(pd.read_parquet, outputs)
    pd.testing.assert_frame_equal(found, again)
    check_columns("benchmarks/{model}/{seed}/umap_cells.parquet", [Path(outputs[0])])
    assert len(found) == 240 and len(few) == 60
    score = found.groupby("space")[["x", "y", "batch"]].apply(
        lambda part: silhouette_score(part[["x", "y"]], part["batch"])
    )
    assert score["background"] > 0.5 and abs(score["salient"]) < 0.1


@pytest.mark.parametrize("level", ["guide", "gene"])
def test_guides_or_genes(tmp_path, level):
    rng = np.random.default_rng(1)
    names = [f"n{k}" for k in range(24)]
    profiles = pd.DataFrame({"gene": names, "is_ntc": False, "cells": "all"})
    profiles = profiles.assign(**{f"z_{k:02d}": rng.normal(size=24) for k in range(4)})
    significance = pd.DataFrame({"guide": names, "gene": names, "p_value": [0.001] * 20 + [1] * 4})
    if level == "guide":
        profiles["guide"] = names
    groups = pd.DataFrame({"gene": names, "group": ["a", "b"] * 12})
    for name, table in dict(p=profiles, g=groups, s=significance).items():
        write_parquet(table, tmp_path / f"{name}.parquet")
    umap_guides(
        profiles=str(tmp_path / "p.parquet"),
        groups=str(tmp_path / "g.parquet"),
        significance=str(tmp_path / "s.parquet"),
        settings={"level": level, "max_p_value": 0.01},
        seed=0,
        coordinates=str(tmp_path / "out.parquet"),
    )
    found = pd.read_parquet(tmp_path / "out.parquet")
    check_columns("benchmarks/{model}/{seed}/umap_guides.parquet", [tmp_path / "out.parquet"])
    assert found["guide"].tolist() == names[:20] and set(found["space"]) == {"combined"}
    assert np.isfinite(found[["x", "y"]]).all(axis=None)


def test_too_few_points():
    assert np.isnan(map_points(np.zeros((3, 4)), 0)).all()
