"""Batch corrections: what they bring NTC cells to, and that they recover what a batch hid."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import median_abs_deviation

from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet
from mcvae_ops.profiles.correct import (
    CORRECTIONS,
    correct_batches,
    correct_profiles,
    whitened_cellprofiler,
)

COLUMNS = ["s_00", "s_01", "z_00", "z_01", "z_02"]


def planted(n=4000, n_batches=4, seed=0):
    """Cells of four batches that a shift, a scale and a rotation of each batch moved."""
    rng = np.random.default_rng(seed)
    well = rng.integers(n_batches, size=n)
    cells = pd.DataFrame({"batch": [f"P1/A{w}" for w in well], "split": "train"})
    cells["is_ntc"] = rng.random(n) < 0.5
    truth = rng.normal(size=(n, 5))
    truth[~cells["is_ntc"], 2] += 2
    latent = np.empty_like(truth)
    for batch in range(n_batches):
        rows = well == batch
        for part in (slice(0, 2), slice(2, 5)):
            mixed = np.eye(part.stop - part.start) + 0.2 * rng.normal(
                size=(part.stop - part.start,) * 2
            )
            latent[rows, part] = truth[rows, part] @ mixed + 3 * rng.normal(size=mixed.shape[0])
    return cells, latent.astype(np.float32)


def controls_of(cells, values):
    for batch, rows in cells.groupby("batch").indices.items():
        yield batch, values[rows[cells["is_ntc"].to_numpy()[rows]]]


def test_centre_and_robust_z_by_hand():
    cells, latent = planted()
    latent[3] = np.nan
    centred, scaled = (
        correct_batches(cells, latent, COLUMNS, name) for name in ("centre", "robust_z")
    )
    for (_, raw), (_, one), (_, other) in zip(
        *(controls_of(cells, values) for values in (latent, centred, scaled)), strict=True
    ):
        known = np.isfinite(raw).all(axis=1)
        raw, one, other = raw[known], one[known], other[known]
        np.testing.assert_allclose(one, raw - raw.mean(axis=0, dtype=float), atol=1e-5)
        middle = np.median(raw, axis=0)
        scale = 1.4826 * median_abs_deviation(raw, axis=0)
        np.testing.assert_allclose(other, (raw - middle) / scale, atol=1e-3)


def test_tvn_whitens_each_batch_and_keeps_the_axes_of_all():
    cells, latent = planted()
    white = correct_batches(cells, latent, COLUMNS, "tvn")
    for _, controls in controls_of(cells, white):
        np.testing.assert_allclose(controls.mean(axis=0), 0, atol=1e-3)
        for part in (slice(0, 2), slice(2, 5)):
            covariance = np.cov(controls[:, part], rowvar=False)
            np.testing.assert_allclose(covariance, np.eye(len(covariance)), atol=0.1)
    effects = np.stack(
        [white[rows][~cells["is_ntc"].to_numpy()[rows]].mean(axis=0)
         for rows in cells.groupby("batch").indices.values()]
    )  # fmt: skip
    np.testing.assert_allclose(np.linalg.norm(effects, axis=1), 2, atol=0.3)
    raw = np.stack(
        [latent[rows][~cells["is_ntc"].to_numpy()[rows]].mean(axis=0)
         for rows in cells.groupby("batch").indices.values()]
    )  # fmt: skip
    assert effects.std(axis=0).sum() < 0.4 * raw.std(axis=0).sum()


@pytest.mark.parametrize("name", CORRECTIONS)
def test_spaces_stay_apart_and_a_dead_dimension_stays_finite(name):
    cells, latent = planted(n=600)
    latent[:, 4] = 1.5
    found = correct_batches(cells, latent, COLUMNS, name)
    assert np.isfinite(found).all() and np.abs(found[:, 4]).max() < 1e-3
    moved = latent.copy()
    moved[:, 2:] *= 7
    np.testing.assert_allclose(correct_batches(cells, moved, COLUMNS, name)[:, :2], found[:, :2])
    alone = correct_batches(cells, latent[:, 2:], COLUMNS[2:], name)
    np.testing.assert_allclose(alone, found[:, 2:], atol=1e-5)


def test_a_batch_without_controls_cannot_be_corrected():
    cells, latent = planted(n=100)
    cells.loc[cells["batch"] == "P1/A2", "is_ntc"] = False
    with pytest.raises(InputError, match="0 NTC cells in batch P1/A2"):
        correct_batches(cells, latent, COLUMNS, "centre")


def test_transforms_are_those_of_training_cells_or_of_a_batch_that_is_held_out():
    cells, latent = planted(n=2000)
    cells.loc[(np.arange(2000) % 5 == 0) | (cells["batch"] == "P1/A3"), "split"] = "test"
    found = correct_batches(cells, latent, COLUMNS, "centre")
    for batch in ("P1/A0", "P1/A3"):
        fitted = (cells["batch"] == batch) & cells["is_ntc"]
        fitted &= (cells["split"] == "train") | (batch == "P1/A3")
        np.testing.assert_allclose(found[fitted].mean(axis=0, dtype=float), 0, atol=1e-5)


@pytest.mark.parametrize(
    "columns",
    [["s_00", "s_01", "z_00", "z_01", "t_00"], ["z_00", "z_01", "z_02", "t_00", "t_01"]],
    ids=["with s", "without s"],
)
def test_a_technical_space_is_corrected_as_well(columns):
    cells, latent = planted()
    for _, controls in controls_of(cells, correct_batches(cells, latent, columns, "centre")):
        np.testing.assert_allclose(controls.mean(axis=0, dtype=float), 0, atol=1e-5)


def test_profiles_of_corrected_cells_by_hand(tmp_path):
    cells, latent = planted(n=200)
    gene = np.where(cells["is_ntc"], "NTC", "A")
    cells = cells.assign(cell_id=[f"c{k}" for k in range(200)], guide=gene, gene=gene)
    cells[["plate", "well"]] = cells["batch"].str.split("/", expand=True)
    tables = {
        "index": cells,
        "splits": cells[["cell_id"]].assign(split="train"),
        "embedding": cells[["cell_id"]].join(pd.DataFrame(latent, columns=COLUMNS)),
    }
    for name, table in tables.items():
        write_parquet(table, tmp_path / name, {"model": "mcvae", "seed": "3"})
    paths = {name: str(tmp_path / name) for name in (*tables, "guides", "genes")}
    inputs, outputs = list(paths.values())[:3], list(paths.values())[3:]
    correct_profiles(*inputs, ["centre", "tvn"], *outputs)

    genes = pd.read_parquet(paths["genes"])
    assert list(genes.columns[:4]) == ["model", "seed", "correction", "cells"]
    assert set(genes["correction"]) == {"centre", "tvn"} and set(genes["seed"]) == {3}
    centred = latent - np.stack(
        [
            latent[(cells["batch"] == batch) & cells["is_ntc"]].mean(axis=0)
            for batch in cells["batch"]
        ]
    )
    found = genes[(genes["correction"] == "centre") & (genes["cells"] == "all")]
    expected = centred[~cells["is_ntc"]].mean(axis=0)
    profile = found.set_index("gene").loc["A", COLUMNS].to_numpy(float)
    np.testing.assert_allclose(profile, expected, atol=1e-5)
    # The same cells, as an embedding.
    whitened_cellprofiler(*inputs, str(tmp_path / "whitened"))
    table = pd.read_parquet(tmp_path / "whitened")
    expected = correct_batches(cells.assign(split="train"), latent, COLUMNS, "tvn")
    np.testing.assert_allclose(table[COLUMNS], expected, atol=1e-6)
    assert list(table["cell_id"]) == list(cells["cell_id"])
    with pytest.raises(InputError, match=r"profiles\.corrections: found an empty list"):
        correct_profiles(*inputs, [], *outputs)
