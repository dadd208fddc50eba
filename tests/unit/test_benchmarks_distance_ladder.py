"""The ladder: what a batch alone shares helps in it; what is in the cells helps everywhere."""

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.benchmarks.replicates.distance_ladder import (
    ELSEWHERE,
    OTHER,
    PAIRS_OF_BATCHES,
    RUNGS,
    SAME,
    distance_ladder,
    halves,
    rungs_of,
)
from mcvae_ops.files import write_parquet
from tests.helpers.embedded_screen import write_screen


def test_cells_are_halved_within_each_batch():
    batch_of = np.repeat([0, 1, 2], [10, 21, 2])
    half_of = halves(batch_of, 0)
    assert (half_of // 2 == batch_of).all()
    assert np.bincount(half_of).tolist() == [5, 5, 11, 10, 1, 1]
    assert (halves(batch_of, 0) == half_of).all() and (halves(batch_of, 1) != half_of).any()


def test_rungs_pair_the_first_half_of_a_batch_with_the_second_of_another():
    rungs = rungs_of(np.array([0, 1, 2, 3, 4, 5]), np.array(["P1", "P1", "P2"]), 0)
    assert rungs[SAME] == [(0, 1), (2, 3), (4, 5)]
    assert rungs[OTHER] == [(0, 3), (2, 1)]
    assert rungs[ELSEWHERE] == [(0, 5), (2, 5), (4, 1), (4, 3)]
    # A batch without controls in one half has no column for it.
    assert rungs_of(np.array([0, 2, 3]), np.array(["P1", "P1"]), 0) == {
        SAME: [(1, 2)],
        OTHER: [(0, 2)],
    }
    many = rungs_of(np.arange(40), np.array(["P"] * 20), 0)
    assert {name: len(pairs) for name, pairs in many.items()} == {
        SAME: PAIRS_OF_BATCHES, OTHER: PAIRS_OF_BATCHES
    }  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> pd.DataFrame:
    """The true embedding, and one in which a complex looks different in each batch."""
    folder = write_screen(tmp_path_factory.mktemp("ladder"))
    cells = pd.read_parquet(folder / "index.parquet")
    rng, names = np.random.default_rng(0), cells["gene"].str[0] + cells["batch"]
    kinds, number = np.unique(names, return_inverse=True)
    effects = rng.normal(size=(len(kinds), 8))[number] * ~cells["is_ntc"].to_numpy()[:, None]
    vectors = effects + rng.normal(size=effects.shape)
    columns = {f"z_{k:02d}": column.astype(np.float32) for k, column in enumerate(vectors.T)}
    table = pd.DataFrame({"cell_id": cells["cell_id"]} | columns)
    metadata = {"model": "of_batch", "seed": "0"}
    write_parquet(table, folder / "of_batch.parquet", metadata)
    files = [str(folder / f"{name}.parquet") for name in ("index", "splits")]
    embeddings = [str(folder / f"{name}.parquet") for name in ("true", "of_batch")]
    out = str(folder / "ladder.parquet")
    distance_ladder(*files, embeddings, str(folder / "complexes.parquet"), 100, 0, out)
    return pd.read_parquet(out)


@pytest.mark.parametrize(
    ("metric", "chance"), [("mean_reciprocal_rank", 0.13), ("average_precision", 0.08)]
)
def test_only_what_is_in_the_cells_stands_on_every_rung(found, metric, chance):
    rows = found[(found["metric"] == metric) & (found["cells"] == "all")]
    scores = rows.set_index(["model", "against"])["value"]
    true, of_batch = (scores[model][list(RUNGS)].to_numpy() for model in ("true", "of_batch"))
    assert true.min() > 2 * chance and np.ptp(true) < 0.15
    # Few complexes: by chance some look alike in two batches.
    assert of_batch[0] > 2 * chance and (of_batch[1:] < 0.4 * of_batch[0]).all()
    rows = rows[rows["value"] < 1]  # all found, in every round: no interval
    assert rows["low"].lt(rows["value"]).all() and rows["high"].gt(rows["value"]).all()
