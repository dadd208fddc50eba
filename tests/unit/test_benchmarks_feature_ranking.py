"""Feature ranking: planted features, Welch and Bonferroni against scipy and statsmodels."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import median_abs_deviation, ttest_ind
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler
from statsmodels.stats.multitest import multipletests

from mcvae_ops.benchmarks.estimates.functional_groups import NOVEL, SHIFTING
from mcvae_ops.benchmarks.features.control_variance import explained_variance, moments, pool_moments
from mcvae_ops.benchmarks.features.feature_ranking import feature_ranking
from mcvae_ops.benchmarks.features.feature_tests import (
    Comparison,
    compare_with_controls,
    nan_median,
    rank_published,
    rank_strict,
    robust_z,
    welch_bonferroni,
)
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet

SETTINGS = {
    "shifting_groups": ["actin"],
    "novel_groups": ["tubulin"],
    "top": 4,
    "max_features": 15,
}


def test_welch_and_bonferroni_agree_with_scipy_and_statsmodels():
    rng = np.random.default_rng(0)
    controls, group = rng.normal(size=(50, 12)), rng.normal(0.4, 2, size=(9, 12))
    p = ttest_ind(group, controls, equal_var=False).pvalue
    expected = multipletests(p, method="bonferroni")[1]
    np.testing.assert_allclose(welch_bonferroni(group, controls), expected)


def test_missing_values_are_left_out_feature_by_feature():
    rng = np.random.default_rng(1)
    controls, group = rng.normal(size=(50, 3)), rng.normal(1, 1, size=(20, 3))
    group[:5, 1], controls[7, 1], group[:, 2] = np.nan, np.nan, np.nan
    p = ttest_ind(group[:, :2], controls[:, :2], equal_var=False, nan_policy="omit").pvalue
    np.testing.assert_allclose(welch_bonferroni(group, controls)[:2], np.minimum(2 * p, 1))
    assert np.isnan(welch_bonferroni(group, controls)[2])
    assert np.isnan(robust_z(group, controls)[2])


def test_robust_z_by_hand_and_by_scipy():
    controls, group = np.array([[0.0], [1], [2], [4]]), np.array([[7.5], [3.5]])
    assert robust_z(group, controls).item() == pytest.approx((5.5 - 1.5) / 1.0)
    controls = np.random.default_rng(2).normal(size=(30, 4))
    expected = (group - np.median(controls, axis=0)).mean(axis=0) / median_abs_deviation(controls)
    np.testing.assert_allclose(robust_z(np.tile(group, 4), controls), expected)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 700])
def test_medians_are_those_of_numpy(n):
    values = np.random.default_rng(n).normal(size=(n, 40))
    values[np.random.default_rng(n).random((n, 40)) < 0.2] = np.nan
    values[:, 3], values[: n // 3, 4] = np.nan, np.inf
    known = np.isfinite(values).any(axis=0)
    expected = np.full(40, np.nan)
    expected[known] = np.nanmedian(values[:, known], axis=0)
    np.testing.assert_array_equal(nan_median(values), expected)


def test_constant_features_and_zero_mad():
    rng = np.random.default_rng(3)
    controls, group = rng.normal(size=(40, 4)), rng.normal(size=(30, 4))
    controls[:, 0] = group[:, 0] = 2.0  # constant in both
    controls[:, 1], controls[0, 1], group[:, 1] = 0.0, 1e-3, 1 + 0.1 * group[:, 1]  # MAD is zero
    group[:, 2] += 3
    one = compare_with_controls(group, controls)
    assert np.isnan(one.p_adjusted[0]) and np.isnan(one.z[0])
    assert np.isinf(one.z[1]) and one.p_adjusted[1] < 1e-6
    assert rank_published([one] * 3, top=1)[0].tolist() == [1]  # as the authors had it
    assert rank_strict([one] * 3)[0].tolist() == [2]


def test_order_of_features_by_hand():
    z = np.array([[5.0, -9, 1, 0.1], [4.0, -9, 1, 0.1], [2.0, 0.5, 3, 0.1]])
    p = np.array([[0.01, 0.01, 0.01, 0.9]] * 2 + [[0.01, 0.9, 0.01, 0.9]])
    batches = [Comparison(*each) for each in zip(z, p, strict=True)]
    order, count = rank_published(batches, top=2)
    # signed: feature 1, of z -9, never scores but where it is .5 and not among the first two
    assert order.tolist() == [0, 2] and count.tolist() == [3, 0, 3, 0]
    order, significant = rank_strict(batches)
    assert order.tolist() == [1, 0, 2] and significant.tolist() == [3, 2, 3, 0]


def test_explained_variance_agrees_with_scikit_learn():
    rng = np.random.default_rng(4)
    mixing = rng.normal(size=(3, 8))
    x = rng.normal(size=(300, 3)) @ mixing + 0.3 * rng.normal(size=(300, 8)) + 5
    x[:, 6] = 1.0  # constant: passed over
    order = np.array([6, 2, 0, 5])
    train, test = x[:200], x[200:]
    scaler = StandardScaler().fit(train)
    scaled, held_out = (scaler.transform(part)[:, np.arange(8) != 6] for part in (train, test))
    component = PCA(1).fit(scaled)
    for part, cells, other in ((train, scaled, train), (test, held_out, test)):
        expected = []
        for k in (1, 2, 3):
            few = [2, 0, 5][:k]
            model = LinearRegression().fit(scaled[:, few], component.transform(scaled)[:, 0])
            expected.append(model.score(cells[:, few], component.transform(cells)[:, 0]))
        halves = pool_moments([moments(train[:80]), moments(train[80:])])
        found = explained_variance(halves, moments(part), order, 15)
        np.testing.assert_allclose(found, expected, atol=1e-8)
        assert other is part


def test_missing_control_values_count_as_the_mean():
    x = np.array([[1.0, 2], [np.nan, 4], [3, 6]])
    np.testing.assert_allclose(moments(x).total, [6, 12])
    assert moments(np.full((2, 1), np.nan)).total.item() == 0


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """Six batches; actin moves f00..f02, which carry PC1 of controls; tubulin moves f10..f12."""
    folder = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(5)
    cells, paths = [], []
    for batch in range(6):
        n = 300
        gene = np.array(["NTC"] * 200 + ["ACTB&ACTX"] * 40 + ["TUBB"] * 40 + ["OTHER"] * 20)
        x = rng.normal(size=(n, 20))
        x[:, :8] += 2 * rng.normal(size=(n, 1))
        x[:, :3] += 6 * (gene == "ACTB&ACTX")[:, None] * np.array([1, -0.9, 0.8])
        x[:, 10:13] += 3 * (gene == "TUBB")[:, None] * np.array([1, -0.9, 0.8])
        x[:, 19] = 1.0
        x[rng.random(n) < 0.02, 5] = np.nan
        x[rng.random(n) < 0.02, 6] = np.inf
        part = pd.DataFrame({"cell_id": [f"b{batch}_{k}" for k in range(n)], "gene": gene})
        part["plate"], part["batch"] = str(batch), f"P/A{batch}"
        part["is_ntc"] = part["gene"] == "NTC"
        table = pd.DataFrame(x.astype(np.float32), columns=[f"f{k:02d}" for k in range(20)])
        table.insert(0, "cell_id", part["cell_id"])
        paths.append(str(folder / f"{batch}.parquet"))
        write_parquet(table, paths[-1])
        cells.append(part.sample(frac=0.9, random_state=batch))  # shuffled, some without crop
    write_parquet(pd.concat(cells), folder / "index.parquet")
    groups = pd.DataFrame({"gene": ["ACTB", "TUBB"], "group": ["actin", "tubulin"]})
    write_parquet(groups, folder / "groups.parquet")
    return folder, paths


def rank(screen, **changes):
    folder, paths = screen
    feature_ranking(
        **dict(
            index=str(folder / "index.parquet"),
            features=paths,
            groups=str(folder / "groups.parquet"),
            settings=SETTINGS,
            benchmark=str(folder / "out.parquet"),
        )
        | changes
    )
    return pd.read_parquet(folder / "out.parquet")


@pytest.mark.parametrize("protocol", ["published", "strict"])
def test_planted_features_are_ranked_first_and_explain(screen, protocol):
    found = rank(screen)
    found = found[found["protocol"] == protocol]
    z = found[found["metric"] == "robust_z"].sort_values("level").groupby("item")
    first = z["against"].agg(lambda names: list(names)[:3])
    if protocol == "strict":
        assert first["actin"] == ["f00", "f01", "f02"] and first["tubulin"] == ["f10", "f11", "f12"]
        assert (z["value"].agg(list)["tubulin"][1]) < 0
    else:  # by signed z, as the authors: the feature that falls is not among the first
        assert first["actin"][:2] == ["f00", "f02"] and first["tubulin"][:2] == ["f10", "f12"]
    r2 = found[found["metric"] == "r2"].set_index(["item", "level"])["value"]
    assert r2["actin", 3] > 0.8 and r2["tubulin", 3] < 0.1
    assert (found[found["metric"] == "n_batches"].groupby("item")["value"].max() == 6).all()
    more = found[found["metric"] == "r2_difference"].set_index("level")
    assert len(more) == (0 if protocol == "published" else more.index.max())
    assert protocol == "published" or more.loc[3, "value"] > 0.5
    # one group of each class says nothing of the spread between groups
    assert more["low"].isna().all() and set(more["n"]) <= {2}
    has_interval = found.loc[found["metric"].isin(["r2", "robust_z"]), "low"].notna()
    assert has_interval.all() if protocol == "strict" else not has_interval.any()


def test_means_over_classes_of_groups(screen):
    folder, _ = screen
    groups = pd.DataFrame(
        {"gene": ["ACTB", "TUBB", "OTHER"], "group": ["actin", "tubulin", "same"]}
    )
    write_parquet(groups, folder / "three.parquet")
    lists = {"shifting_groups": ["actin"], "novel_groups": ["tubulin", "same"]}
    found = rank(screen, groups=str(folder / "three.parquet"), settings=SETTINGS | lists)
    r2 = found[(found["metric"] == "r2") & (found["protocol"] == "strict")]
    assert dict(zip(r2["item"], r2["against"], strict=True)) == {
        "actin": SHIFTING,
        "tubulin": NOVEL,
    }
    difference = found[found["metric"] == "r2_difference"].set_index("level")["value"]
    at = r2[r2["level"] == 3].set_index("item")["value"]
    assert difference[3] == pytest.approx(at["actin"] - at["tubulin"])


def test_a_group_like_the_controls_has_no_altered_feature(screen):
    folder, _ = screen
    groups = pd.DataFrame({"gene": ["OTHER", "TUBB"], "group": ["actin", "tubulin"]})
    write_parquet(groups, folder / "null.parquet")
    found = rank(screen, groups=str(folder / "null.parquet"))
    strict = found[found["protocol"] == "strict"]
    assert set(strict["item"]) == {"tubulin", "novel groups"}


def test_one_batch_has_no_held_out_variance(screen):
    found = rank(screen, features=screen[1][:1])
    assert set(found.loc[found["metric"] == "r2", "protocol"]) == {"published"}


def test_group_without_cells_and_unknown_group(screen):
    folder, _ = screen
    groups = pd.DataFrame({"gene": ["ACTB", "NONE"], "group": ["actin", "tubulin"]})
    write_parquet(groups, folder / "few.parquet")
    found = rank(screen, groups=str(folder / "few.parquet"))
    assert set(found["item"]) == {"actin", "shifting groups"}
    with pytest.raises(InputError, match="one of actin, tubulin"):
        rank(screen, settings=SETTINGS | {"novel_groups": ["microtubules"]})


def test_tables_of_different_features(screen, tmp_path):
    short = pd.read_parquet(screen[1][1]).drop(columns="f07")
    write_parquet(short, tmp_path / "1.parquet")
    with pytest.raises(InputError, match="found 19 features"):
        rank(screen, features=[screen[1][0], str(tmp_path / "1.parquet")])
