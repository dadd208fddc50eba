"""Covariates from control cells: planted leaks of batch, position and density are found."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score

from mcvae_ops.benchmarks.covariates.covariate_fits import score, tasks
from mcvae_ops.benchmarks.covariates.covariate_prediction import (
    CovariateEstimate,
    covariates,
    sample_controls,
    summarise_fits,
)
from mcvae_ops.benchmarks.covariates.positions import cell_positions
from mcvae_ops.embeddings.density import density_features
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet

SCREEN = {
    "tile_size_px": 640,
    "well_grid": {
        "first_tile": 0,
        "column_heights": [3, 5, 5, 5, 3],
        "centre_tiles": 5,
        "published_centre_tiles": 5,
    },
}
SETTINGS = {
    "cells_per_batch": 1000,
    "fov_centre_fraction": 0.2,
    "fov_edge_fraction": 0.35,
    "test_fraction": 0.4,
}


def planted_cells(n_per_tile=50, batches=4, seed=0):
    """Cells spread evenly over 21 tiles a batch, half of them controls."""
    rng = np.random.default_rng(seed)
    n = n_per_tile * 21 * batches
    batch, tile = np.divmod(np.arange(n) // n_per_tile, 21)
    cells = pd.DataFrame(
        {
            "cell_id": [f"c{k}" for k in range(n)],
            "plate": np.where(batch < 2, "P1", "P2"),
            "well": np.where(batch % 2, "A2", "A1"),
            "batch": np.array(["P1/A1", "P1/A2", "P2/A1", "P2/A2"])[batch],
            "tile": tile.astype(np.int32),
            "y_px": rng.uniform(0, 640, n).astype(np.float32),
            "x_px": rng.uniform(0, 640, n).astype(np.float32),
            "is_ntc": rng.random(n) < 0.5,
        }
    )
    return cells, batch


def described_cells(cells):
    return cell_positions(cells, SCREEN, SETTINGS, "strict").assign(tile=cells["tile"])


def split_of(cells):
    """Every third cell is held out."""
    held_out = np.arange(len(cells)) % 3 == 0
    return cells[["cell_id"]].assign(split=np.where(held_out, "test", "train"))


def write_embedding(cells, s, z, path, model="mcvae"):
    columns = {"cell_id": cells["cell_id"]}
    columns |= {f"s_{k:02d}": values for k, values in enumerate(s.T)}
    columns |= {f"z_{k:02d}": values for k, values in enumerate(z.T)}
    write_parquet(pd.DataFrame(columns), path, {"model": model, "seed": "3"})


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Batch, position and well planted in z; s and a second model are noise."""
    folder = tmp_path_factory.mktemp("covariates")
    cells, batch = planted_cells()
    write_parquet(cells, folder / "index.parquet")
    write_parquet(split_of(cells), folder / "splits.parquet")
    rng = np.random.default_rng(1)
    positions = cell_positions(cells, SCREEN, SETTINGS, "strict")
    planted = np.column_stack(
        [
            np.eye(4)[batch],
            positions["position_in_fov"] == "edge",
            positions["position_in_well"] == "edge",
        ]
    ).astype(float)
    z = 4 * planted + rng.normal(size=(len(cells), 6))
    noise = rng.normal(size=(len(cells), 6))
    write_embedding(cells, noise, z, folder / "mcvae.parquet")
    write_embedding(cells, noise[:, :0], noise[:, :3], folder / "other.parquet", "cellprofiler")
    covariates(
        index=str(folder / "index.parquet"),
        splits=str(folder / "splits.parquet"),
        embeddings=[str(folder / "mcvae.parquet"), str(folder / "other.parquet")],
        screen=SCREEN,
        settings=SETTINGS,
        seed=0,
        threads=2,
        benchmark=str(folder / "out.parquet"),
    )
    return pd.read_parquet(folder / "out.parquet")


def pick(table, **wanted):
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


@pytest.mark.parametrize("protocol", ["published", "strict"])
@pytest.mark.parametrize("item", ["batch", "position_in_fov", "position_in_well"])
def test_planted_covariates_are_found_and_noise_is_chance(table, protocol, item):
    drawn = pick(table, protocol=protocol, item=item, against="", metric="auroc", cells="all")
    found = drawn.set_index(["model", "space"])["value"]
    assert found["mcvae", "background"] > 0.95 and found["mcvae", "combined"] > 0.95
    assert abs(found["mcvae", "salient"] - 0.5) < 0.08
    assert abs(found["cellprofiler", "combined"] - 0.5) < 0.08
    assert set(drawn["seed"]) <= {0, 3}


def test_strict_intervals_and_differences(table):
    strict = pick(table, protocol="strict", against="", cells="all")
    given = strict["space"] == "chance"  # what guessing scores of a batch is known
    assert strict.loc[~given, "low"].notna().all()
    assert (strict["low"] < strict["high"]).sum() == strict["low"].notna().sum()
    units = strict[~given].groupby("item")["units"].agg(set)
    assert units["position_in_fov"] == {"4 batches"}
    assert all("tiles of 4 given batches" in each for each in units["batch"])
    difference = strict[strict["metric"].str.endswith("_difference")]
    assert len(difference) == 6 and (difference["low"] > 0).all()
    assert pick(table, protocol="published")["low"].isna().all()


@pytest.mark.parametrize("tiles, is_given", [(8, False), (16, True)])
def test_two_batches_of_few_tiles_have_no_interval(tiles, is_given):
    terms, strata = np.random.default_rng(0).normal(size=2 * tiles), np.repeat(["a", "b"], tiles)
    found = CovariateEstimate(0.7, np.array([0.7]), {}, 0.01 * terms, strata, 100).interval()
    assert np.isfinite([found["low"], found["high"]]).all() == is_given


def test_the_same_fits_are_scored_on_cells_that_were_not_trained_on(table):
    mine = pick(table, model="mcvae", protocol="strict", metric="auroc", against="")
    both = mine.pivot(index=["space", "item"], columns="cells", values=["value", "n"])
    assert len(both) == 9 and both["value"].notna().all(axis=None)
    share = both["n"]["test"] / both["n"]["all"]
    np.testing.assert_allclose(share.astype(float), 1 / 3, atol=0.04)
    planted = both["value"].loc["background"]
    assert (planted > 0.93).all(axis=None)
    noise = mine[mine["space"] == "salient"]
    assert (noise["low"] < 0.52).all() and (noise["high"] > 0.48).all()
    assert set(pick(table, protocol="published")["cells"]) == {"all"}


def test_held_out_cells_without_every_class_have_no_score():
    cells, _ = planted_cells(n_per_tile=6, batches=1)
    described = described_cells(cells)
    task = next(t for t in tasks(described, "strict", 0.4, 0) if t.covariate == "position_in_well")
    x = np.random.default_rng(0).normal(size=(len(cells), 3))
    one_class = (described["position_in_well"] == "edge").to_numpy()
    found = score(task, x, {"all": one_class | True, "test": one_class}, standardise=True)
    assert np.isfinite(found["all"].auroc).all() and np.isnan(found["test"].auroc).all()
    assert "test" not in {cells for *_, cells in summarise_fits([(task, found)], "strict")}


def test_baselines(table):
    chance = pick(table, space="chance", against="", cells="all")
    assert (pick(chance, metric="auroc")["value"] == 0.5).all()
    assert pick(chance, metric="macro_f1", item="batch")["value"].item() == pytest.approx(
        0.25, rel=0.05
    )
    density = pick(table, space="density", metric="auroc", against="", cells="all")
    assert len(density) == 3 and (np.abs(density["value"] - 0.5) < 0.12).all()
    assert set(pick(table, model="")["protocol"]) == {"strict"}


def test_the_drawn_value_is_the_median_over_batches_and_the_strict_one_the_mean(table):
    mine = pick(table, model="mcvae", space="salient", item="position_in_fov", metric="macro_f1")
    for (protocol, _), rows in mine.groupby(["protocol", "cells"]):
        per_batch = rows[rows["against"] != ""]
        assert len(per_batch) == 4
        expected = per_batch["value"].agg("median" if protocol == "published" else "mean")
        assert rows.loc[rows["against"] == "", "value"].item() == pytest.approx(expected)


def test_published_score_agrees_with_scikit_learn():
    cells, batch = planted_cells(n_per_tile=6)
    x = np.eye(4)[batch] + np.random.default_rng(5).normal(size=(len(cells), 4))
    described = pd.concat(
        [cells[["tile"]], cell_positions(cells, SCREEN, SETTINGS, "strict")], axis=1
    )
    task = next(tasks(described, "published", 0.4, 0))
    (test,) = task.tests
    assert test.mean() == pytest.approx(0.4, abs=0.01)
    model = LogisticRegression(class_weight="balanced", max_iter=1000)
    model.fit(x[~test], task.labels[~test])
    every = {"all": np.ones(len(x), bool)}
    found = score(task, x, every, standardise=False)["all"]
    truth = task.labels[test]
    expected = f1_score(truth, model.predict(x[test]), average="macro")
    assert found.macro_f1 == pytest.approx(expected, abs=1e-6)
    area = roc_auc_score(truth, model.predict_proba(x[test]), multi_class="ovr")
    assert found.auroc == pytest.approx(area, abs=1e-4)


def test_strict_never_tears_a_tile_and_sees_through_tile_leaks():
    cells, _ = planted_cells(n_per_tile=20, batches=1, seed=6)
    described = pd.concat(
        [cells[["tile"]], cell_positions(cells, SCREEN, SETTINGS, "strict")], axis=1
    )
    fingerprint = np.random.default_rng(7).normal(size=(21, 40))[cells["tile"]]
    area, every = {}, {"all": np.ones(len(cells), bool)}
    for protocol in ("published", "strict"):
        found = [t for t in tasks(described, protocol, 0.4, 0) if t.covariate == "position_in_well"]
        tile = cells["tile"].to_numpy()[found[0].rows]
        for test in found[0].tests:
            assert bool(set(tile[test]) & set(tile[~test])) == (protocol == "published")
        area[protocol] = score(found[0], fingerprint, every, standardise=True)["all"].auroc
    assert area["published"] > 0.99 and area["strict"] < 0.9


def test_batch_without_the_classes_is_left_out():
    cells, _ = planted_cells(n_per_tile=2, batches=2)
    described = pd.concat(
        [cells[["tile"]], cell_positions(cells, SCREEN, SETTINGS, "strict")], axis=1
    )
    described.loc[described["batch"] == "P1/A1", "position_in_fov"] = "edge"
    found = [(t.covariate, t.batch) for t in tasks(described, "strict", 0.4, 0)]
    assert ("position_in_fov", "P1/A2") in found and ("position_in_fov", "P1/A1") not in found
    only = described[described["batch"] == "P1/A1"].assign(position_in_well="")
    assert not list(tasks(only.reset_index(drop=True), "strict", 0.4, 0))


def test_density_has_no_rim():
    cells, _ = planted_cells(n_per_tile=400, batches=1)
    density = density_features(cells, np.arange(len(cells)))
    position = cell_positions(cells, SCREEN, SETTINGS, "strict")["position_in_fov"]
    assert np.isfinite(density).all()
    for window in (1, 2):
        middle, rim = (density[position == where, window].mean() for where in ("centre", "edge"))
        assert rim / middle == pytest.approx(1, abs=0.12)  # without the clipping about 0.6
    np.testing.assert_allclose(density[:, 0], 400)
    some = np.arange(5, len(cells), 7)
    np.testing.assert_array_equal(density_features(cells, some), density[some])
    one = np.array([3])  # of one tile alone
    np.testing.assert_array_equal(density_features(cells, one), density[one])


def test_sample_is_bounded_and_the_same_for_each_batch_alone():
    cells, _ = planted_cells(n_per_tile=10)
    rows = sample_controls(cells, 50, 0)
    assert len(rows) == 200 and cells["is_ntc"].iloc[rows].all()
    first = cells[(cells["plate"] == "P1") & (cells["well"] == "A1")]
    np.testing.assert_array_equal(sample_controls(first, 50, 0), rows[:50])


def test_misaligned_embedding(tmp_path):
    cells, _ = planted_cells(n_per_tile=2)
    write_parquet(cells, tmp_path / "index.parquet")
    write_parquet(split_of(cells), tmp_path / "splits.parquet")
    x = np.zeros((len(cells), 2))
    write_embedding(cells.iloc[::-1], x[:, :0], x, tmp_path / "e.parquet")
    with pytest.raises(InputError, match="as in the shard index"):
        covariates(
            index=str(tmp_path / "index.parquet"),
            splits=str(tmp_path / "splits.parquet"),
            embeddings=[str(tmp_path / "e.parquet")],
            screen=SCREEN,
            settings=SETTINGS,
            seed=0,
            threads=1,
            benchmark=str(tmp_path / "out.parquet"),
        )
