"""Which classical features a hit alters: planted changes, by hand, in batches that differ."""

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.benchmarks.features.altered_features import (
    TOP,
    altered_features,
    feature_changes,
)
from mcvae_ops.files import write_parquet


def test_changes_are_those_worked_out_by_hand():
    """Controls 0 to 4: median 2, MAD 1. Cells at 5 and 7 are 4 MADs higher; a constant is none."""
    values = np.array([[0, 1], [1, 1], [2, 1], [3, 1], [4, 1], [5, 1], [7, 1], [9, 1]], float)
    cells = pd.DataFrame({"is_ntc": [True] * 5 + [False] * 3, "hit": [-1] * 5 + [0, 0, 1]})
    elsewhere = values * 10 + np.array([100, 0])  # another batch, on another scale
    change, n = feature_changes([(values, cells), (elsewhere, cells)], 2, 2)
    assert change[0, 0] == 4 and np.isnan(change[0, 1])  # the MAD of the second feature is 0
    assert n[0].tolist() == [2, 0]
    assert np.isnan(change[1]).all()  # one cell in a batch is not compared


@pytest.fixture
def screen(tmp_path):
    """Two plates of a batch each; gene A raises feature f1, lowers f2; guide a2 belongs to it."""
    rng = np.random.default_rng(0)
    index, paths = [], []
    for k in range(2):
        gene = np.repeat(["NTC", "A", "B"], [60, 40, 40])
        values = rng.normal(size=(140, 25)) * (1 + k) + 10 * k
        values[gene == "A", 1] += 3 * (1 + k)
        values[gene == "A", 2] -= 2 * (1 + k)
        ids = [f"P{k}_{i}" for i in range(140)]
        table = pd.DataFrame(values, columns=[f"f{i}" for i in range(25)])
        table.insert(0, "cell_id", ids)
        paths.append(str(tmp_path / f"P{k}.parquet"))
        write_parquet(table, paths[-1])
        guide = np.char.add(np.char.lower(gene), (np.arange(140) % 2 + 1).astype(str))
        cells = {"cell_id": ids, "plate": f"P{k}", "batch": f"P{k}", "gene": gene, "guide": guide}
        index.append(pd.DataFrame(cells | {"is_ntc": gene == "NTC"}))
    write_parquet(pd.concat(index), tmp_path / "index.parquet")
    return str(tmp_path / "index.parquet"), paths


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ([("A", "", True), ("B", "", False)], ("A", "")),
        ([("A", "a2", True), ("A", "a1", False), ("B", "b1", False)], ("A", "a2")),
    ],
)
def test_hits_alone_are_listed_with_what_they_change_most(screen, tmp_path, rows, name):
    hits, altered = tmp_path / "hits.parquet", tmp_path / "altered.parquet"
    write_parquet(pd.DataFrame(rows, columns=["gene", "guide", "is_hit"]), hits)
    altered_features(*screen, str(hits), str(altered))
    found = pd.read_parquet(altered)
    assert len(found) == TOP and set(zip(found["gene"], found["guide"], strict=True)) == {name}
    assert found["feature"].tolist()[:2] == ["f1", "f2"] and (found["n_batches"] == 2).all()
    assert found["rank"].tolist() == list(range(1, TOP + 1))
    # The MAD of a normal distribution is 0.6745 standard deviations.
    assert found["robust_z"].tolist()[:2] == pytest.approx([3 / 0.6745, -2 / 0.6745], rel=0.25)
    assert found["robust_z"].abs().is_monotonic_decreasing


def test_features_that_are_read_in_parts_give_the_same(screen, tmp_path, monkeypatch):
    hits = tmp_path / "hits.parquet"
    write_parquet(pd.DataFrame({"gene": ["A", "B"], "guide": "", "is_hit": True}), hits)
    found = []
    for n_features in (128, 7):
        monkeypatch.setattr("mcvae_ops.benchmarks.features.altered_features.FEATURES", n_features)
        altered_features(*screen, str(hits), str(tmp_path / "altered.parquet"))
        found.append(pd.read_parquet(tmp_path / "altered.parquet"))
    pd.testing.assert_frame_equal(*found)


def test_without_a_hit_the_table_is_empty_and_keeps_its_types(screen, tmp_path):
    hits, altered = tmp_path / "hits.parquet", tmp_path / "altered.parquet"
    write_parquet(pd.DataFrame({"gene": ["A"], "guide": "", "is_hit": False}), hits)
    altered_features(*screen, str(hits), str(altered))
    found = pd.read_parquet(altered)
    assert found.empty and found["robust_z"].dtype == float and found["rank"].dtype == int
