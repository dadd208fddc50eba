"""The baselines: principal components of classical features, and chance."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.decomposition import PCA

from mcvae_ops.embeddings.baselines import cellprofiler_pca, random_embedding
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet

N, N_FEATURES = 60, 6


def draw_values() -> np.ndarray:
    rng = np.random.default_rng(0)
    scales = np.array([5.0, 3.0, 2.0, 1.5, 1.2, 1.0])
    mixed = (rng.standard_normal((N, N_FEATURES)) * scales) @ rng.normal(
        size=(N_FEATURES, N_FEATURES)
    )
    return (10 + mixed).astype(np.float32)


def write_tables(
    folder, values: np.ndarray, plates=(0, 2, 25, N), split="train"
) -> tuple[str, str, list[str]]:
    """Write index, splits, features; plates hold the rows from one bound to the next, shuffled."""
    ids = [f"P_W_{k:04d}" for k in range(len(values))]
    sizes = np.diff(plates)
    index = pd.DataFrame(
        {"cell_id": ids, "plate": np.repeat([f"P{n}" for n in plates[:-1]], sizes)}
    )
    write_parquet(index, folder / "index.parquet")
    write_parquet(index[["cell_id"]].assign(split=split), folder / "splits.parquet")
    paths = []
    rng = np.random.default_rng(1)
    for first, last in pairwise(plates):
        order = rng.permutation(np.arange(first, last))
        table = pd.DataFrame(values[order], columns=[f"f{k}" for k in range(values.shape[1])])
        table.insert(0, "cell_id", [ids[k] for k in order])
        table.loc[len(table)] = ["elsewhere", *[1e6] * values.shape[1]]  # a cell that was dropped
        paths.append(str(folder / f"P{first}.parquet"))
        write_parquet(table.astype({c: np.float32 for c in table.columns[1:]}), paths[-1])
    return str(folder / "index.parquet"), str(folder / "splits.parquet"), paths


def embed(folder, values: np.ndarray, components: int = 3, **tables) -> pd.DataFrame:
    *tables, paths = write_tables(folder, values, **tables)
    cellprofiler_pca(*tables, paths, components, 5, str(folder / "z.parquet"))
    return pd.read_parquet(folder / "z.parquet")


def expected_components(values: np.ndarray, components: int) -> np.ndarray:
    values = values.astype(float)
    standardised = (values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0)
    return PCA(components, svd_solver="full").fit_transform(np.nan_to_num(standardised))


def same_up_to_sign(found: np.ndarray, expected: np.ndarray) -> bool:
    signs = np.sign((found * expected).sum(axis=0))
    return np.allclose(found * signs, expected, atol=1e-3)


@pytest.mark.parametrize("plates", [(0, N), (0, 2, 25, N), (0, 1, 2, 3, N)])
def test_components_are_scikit_learns_however_cells_are_spread_over_plates(tmp_path, plates):
    values = draw_values()
    table = embed(tmp_path, values, 4, plates=plates)
    assert list(table.columns) == ["cell_id", "z_00", "z_01", "z_02", "z_03"]
    assert (table.dtypes.iloc[1:] == np.float32).all()
    assert list(table["cell_id"]) == [f"P_W_{k:04d}" for k in range(N)]
    assert same_up_to_sign(table.iloc[:, 1:].to_numpy(), expected_components(values, 4))


def test_held_out_cells_are_projected_and_change_no_axis(tmp_path):
    values = draw_values()
    values[40:] += np.linspace(0, 50, 20)[:, None]
    split = np.where(np.arange(N) < 38, "train", np.where(np.arange(N) < 40, "validation", "test"))
    found = embed(tmp_path, values, 4, split=split).iloc[:, 1:].to_numpy()
    seen = values[:40].astype(float)
    fit = PCA(4, svd_solver="full").fit((seen - seen.mean(axis=0)) / seen.std(axis=0))
    expected = ((values - seen.mean(axis=0)) / seen.std(axis=0)) @ fit.components_.T
    assert same_up_to_sign(found, expected)


def test_all_components(tmp_path):
    values = draw_values()
    table = embed(tmp_path, values, N_FEATURES)
    expected = expected_components(values, N_FEATURES)
    assert same_up_to_sign(table.iloc[:, 1:].to_numpy(), expected)


def test_missing_values_count_as_the_mean(tmp_path):
    values = draw_values()
    values[3, 1] = np.nan
    values[30, 4] = np.inf
    table = embed(tmp_path, values)
    values[30, 4] = np.nan
    assert same_up_to_sign(table.iloc[:, 1:].to_numpy(), expected_components(values, 3))


def test_a_feature_that_a_whole_plate_lacks_is_kept(tmp_path):
    values = draw_values()
    values[:2, 0] = np.nan
    table = embed(tmp_path, values, N_FEATURES)
    expected = expected_components(values, N_FEATURES)
    assert same_up_to_sign(table.iloc[:, 1:].to_numpy(), expected)


def test_features_that_do_not_vary_or_are_often_missing_are_left_out(tmp_path):
    values = draw_values()
    often_missing = np.where(np.arange(N) < 4, np.nan, 50 * values[:, 0])  # 6.7 %
    more = np.column_stack([values, np.full(N, 0.1), often_missing]).astype(np.float32)
    table = embed(tmp_path, more)
    assert same_up_to_sign(table.iloc[:, 1:].to_numpy(), expected_components(values, 3))
    with pytest.raises(InputError, match="at most the 6 usable features"):
        embed(tmp_path, more, 7)


def test_cells_without_features_are_refused(tmp_path):
    index, splits, paths = write_tables(tmp_path, draw_values())
    with pytest.raises(InputError, match=f"{N} cells, 25 of them with features"):
        cellprofiler_pca(index, splits, paths[:2], 2, 0, str(tmp_path / "z.parquet"))


def test_model_and_seed_are_in_the_metadata(tmp_path):
    embed(tmp_path, draw_values())
    metadata = pq.read_schema(tmp_path / "z.parquet").metadata
    assert metadata[b"model"] == b"cellprofiler"
    assert metadata[b"seed"] == b"5"


def test_random_embedding_is_standard_normal_and_fixed_by_its_seed(tmp_path):
    index, *_ = write_tables(tmp_path, np.zeros((4000, 1), np.float32), plates=(0, 4000))
    paths = [tmp_path / f"{name}.parquet" for name in ("first", "again", "other")]
    for path, seed in zip(paths, (0, 0, 1), strict=True):
        random_embedding(index, 8, seed, str(path))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    first, other = (pd.read_parquet(path).iloc[:, 1:].to_numpy() for path in paths[::2])
    assert first.shape == (4000, 8)
    assert first.mean() == pytest.approx(0, abs=4.5 / np.sqrt(first.size))
    assert first.std() == pytest.approx(1, abs=4.5 / np.sqrt(2 * first.size))
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 4.5 / np.sqrt(first.size)
    assert pq.read_schema(paths[0]).metadata[b"model"] == b"random"
