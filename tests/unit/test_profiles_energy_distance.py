"""Energy distance from NTC: by hand and by scipy, under the null, with planted effects."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import energy_distance, kstest

from mcvae_ops.files import write_parquet
from mcvae_ops.profiles.energy_distance import energy_exchange, energy_from_controls
from mcvae_ops.profiles.exchange import distance_of_means
from mcvae_ops.profiles.significance import exchanged_units, guide_significance


def one_batch(latent):
    return np.zeros(len(latent), int)


def by_hand(x, y):
    def mean(a, b):
        return np.mean([np.sqrt(((p - q) ** 2).sum()) for p, q in itertools.product(a, b)])

    return 2 * mean(x, y) - mean(x, x) - mean(y, y)


@pytest.mark.parametrize(("n", "m"), [(1, 30), (7, 20), (25, 4)])
def test_the_statistic_is_the_energy_distance(n, m):
    rng = np.random.default_rng(n)
    x, y = rng.normal(0.5, 1, (n, 4)), rng.normal(size=(m, 4))
    assert energy_exchange([(x, y)]).statistic == pytest.approx(by_hand(x, y), rel=1e-5)
    first, second = x[:, :1], y[:, :1]
    expected = energy_distance(first[:, 0], second[:, 0]) ** 2
    assert energy_exchange([(first, second)]).statistic == pytest.approx(expected, rel=1e-4)


def test_p_value_agrees_with_every_exchange():
    rng = np.random.default_rng(1)
    pooled = rng.normal(size=(9, 2))
    pooled[:4] += 0.9
    chosen = [list(c) for c in itertools.combinations(range(9), 4)]
    every = [by_hand(pooled[c], np.delete(pooled, c, axis=0)) for c in chosen]
    expected = np.mean(np.array(every) >= every[0] - 1e-9)
    test = energy_exchange([(pooled[:4], pooled[4:])])
    share = test.as_far(4000, np.random.default_rng(0)).mean()
    assert share == pytest.approx(expected, abs=0.02)


def test_uniform_under_the_null_and_small_for_a_change_of_spread_alone():
    rng = np.random.default_rng(2)
    n_guides, size = 150, 12
    guide_of = np.r_[np.zeros(300, int), 1 + np.repeat(np.arange(n_guides), size)]
    latent, is_ntc = rng.normal(size=(len(guide_of), 3)), guide_of == 0
    wide = guide_of == n_guides
    latent[wide] *= 4  # the mean stays where it was
    _, p_values = energy_from_controls(latent, one_batch(latent), is_ntc, guide_of, 200, 0)
    assert p_values[n_guides] < 0.001  # what others spare is spent on it
    assert np.isnan(p_values[0])  # the only NTC guide has no other to be compared with
    assert kstest(p_values[1:n_guides], "uniform").pvalue > 0.01


def test_guides_do_not_depend_on_each_other_and_identical_cells_tie():
    rng = np.random.default_rng(3)
    latent, guide_of = rng.normal(size=(60, 2)), np.repeat(np.arange(6), 10)
    is_ntc = guide_of < 3
    whole = energy_from_controls(latent, one_batch(latent), is_ntc, guide_of, 50, 0)
    moved = np.where(guide_of[:, None] == 5, latent + 1, latent)
    np.testing.assert_array_equal(
        energy_from_controls(moved, one_batch(moved), is_ntc, guide_of, 50, 0)[1][:5], whole[1][:5]
    )
    same = energy_exchange([(np.ones((3, 2)), np.ones((5, 2)))])
    assert same.statistic == 0 and same.as_far(20, np.random.default_rng(0)).all()


@pytest.mark.parametrize("statistic", ["mean", "energy"])
def test_a_trained_model_is_tested_on_cells_it_never_saw(tmp_path, statistic):
    rng = np.random.default_rng(4)
    guide = np.r_[np.repeat(["n0", "n1", "n2"], 60), np.repeat(["learned", "true", "new"], 40)]
    cells = pd.DataFrame({"cell_id": [f"c{k}" for k in range(300)], "guide": guide})
    cells = cells.assign(plate="P", well="A1", batch="P/A1", is_ntc=[*[True] * 180, *[False] * 120])
    cells["gene"] = np.where(cells["is_ntc"], "NTC", cells["guide"])
    seen = (np.arange(300) % 2 == 0) & (guide != "new")
    z = rng.normal(size=(300, 2))
    z[(guide == "learned") & seen] += 3  # what a model can do for the cells that it was trained on
    z[np.isin(guide, ["true", "new"])] += 3
    z[7] = np.nan
    write_parquet(cells, tmp_path / "index.parquet")
    split = np.where(seen, "train", np.where(guide == "new", "held_out_guide", "test"))
    write_parquet(cells[["cell_id"]].assign(split=split), tmp_path / "splits.parquet")
    embedding = cells[["cell_id"]].assign(z_00=z[:, 0], z_01=z[:, 1])
    write_parquet(embedding, tmp_path / "e.parquet", {"model": "mcvae", "seed": "0"})
    p_values = {}
    for trained in (True, False):
        out = str(tmp_path / "out.parquet")
        paths = [str(tmp_path / f"{n}.parquet") for n in ("index", "splits", "e")]
        guide_significance(*paths, trained, statistic, 200, 0, 1, out)
        table = pd.read_parquet(out).set_index("guide")
        p_values[trained] = table["p_value"]
        assert table.loc["new", "n_cells"] == 40
        assert table.loc["true", "n_cells"] == (20 if trained else 40)
    assert p_values[False]["learned"] < 0.01 < p_values[True]["learned"]
    for guide in ("true", "new"):
        assert p_values[True][guide] < 0.01


@pytest.mark.parametrize("n_wells", [1, 6])
def test_wells_are_exchanged_where_a_batch_holds_several(n_wells):
    """Wells that differ without any effect: their cells are no witnesses, the wells are."""
    rng, p_values = np.random.default_rng(7), []
    for world in range(60):
        well = np.repeat(np.arange(12 + n_wells), 40)
        cells = pd.DataFrame({"plate": "P", "well": well.astype(str), "batch": "P"})
        cells["is_ntc"] = well < 12
        latent = rng.normal(size=(len(cells), 4)) + rng.normal(size=(12 + n_wells, 4))[well]
        units = exchanged_units(cells, latent, (well >= 12).astype(int))
        assert len(units.latent) == 12 + n_wells
        p_values.append(distance_of_means(*units, 199, world)[1][1])
    assert (np.array(p_values) < 0.2).mean() < 0.4  # of cells alone all would be below .01
    pooled = cells.assign(batch="P/" + cells["well"])
    assert exchanged_units(pooled, latent, well)[0] is latent
