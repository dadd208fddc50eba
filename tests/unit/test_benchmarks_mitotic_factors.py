"""Fig. 5: hand-computed norms, scikit-learn's AUROC, planted factors, the authors' real table."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.roc import auroc
from mcvae_ops.benchmarks.mitosis import mitotic_factors as benchmark
from mcvae_ops.benchmarks.mitosis.group_auroc import group_auroc_rows
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet
from mcvae_ops.profiles.published_profiles import gene_table, mitotic_table

SETTINGS = {"null_percentile": 99.9, "threshold_percent": None}
CLASSES = {"shifting_groups": ["shape", "size"], "novel_groups": ["foci", "holes"]}


def genes_of(salient, background, names):
    head = {"model": "mcvae", "seed": 0, "cells": "all", "gene": [*names, "NTC"]}
    frame = pd.DataFrame(head)
    frame["is_ntc"] = frame["gene"] == "NTC"
    return frame.assign(s_00=[*salient, 0.0], s_01=0.0, z_00=[*background, 0.0])


def index_of(names, percent, null=()):
    level = ["gene"] * len(names) + ["ntc_guide"] * len(null)
    names = [*names, *(f"n{k}" for k in range(len(null)))]
    values = {"level": level, "name": names, "mitotic_index_percent": [*percent, *null]}
    return pd.DataFrame(values).assign(cells="all", n_cells=10, mitotic_fraction=0.1)


def row(**values):
    same = {"benchmark": "mitosis", "model": "m", "space": "combined", "seed": 0, "cells": "all"}
    return table.row(**same, **values)


def test_norms_and_ratio_by_hand():
    genes = genes_of([1, 2], [3, 0], ["A", "B&C"])
    points = benchmark.effect_points(genes, index_of(["A", "B&C"], [5, -7]), {"C"})
    # squared 1, 4 and 9, 0; means over three rows, NTC included
    np.testing.assert_allclose(points["salient_norm"], [1 / (5 / 3), 4 / (5 / 3)])
    np.testing.assert_allclose(points["background_norm"], [9 / 3, 0])
    np.testing.assert_allclose(points["relative_background"], [3 / 3.6, 0])
    assert points["is_mitotic_factor"].tolist() == [False, True]
    assert points["mitotic_index_percent"].tolist() == [5, -7]


def test_strict_norms_are_without_noise_where_it_is_known():
    genes = genes_of([2, 1, 1], [3, 1, 2], ["A", "B", "C"])
    noise = {"salient_noise": [1.0, 2.0, 1.0, 0.0], "background_noise": [1.0, 3.0, 0.0, 0.0]}
    salient, background = benchmark.squared_norms(genes.assign(**noise), without_noise=True)
    assert salient.tolist() == [3, 0, 0, 0] and background.tolist() == [8, 0, 4, 0]
    index = index_of(["A", "B", "C"], [5, 6, 7])
    points = benchmark.effect_points(genes.assign(**noise), index, set(), without_noise=True)
    share = points["relative_background"].tolist()
    # over their means, 3/4 and 12/4; what is noise in both spaces has no share
    assert share[0] == pytest.approx((8 / 3) / (8 / 3 + 4))
    assert np.isnan(share[1]) and share[2] == 1


def test_missing_indices_nan_profiles_and_genes_without_effect(caplog):
    genes = genes_of([1, np.nan, 0, 2], [3, 1, 0, 1], list("ABCD"))
    points = benchmark.effect_points(genes, index_of(["A", "B", "C"], [1, 2, 3]), set())
    assert points["gene"].tolist() == ["A", "C"]
    assert np.isnan(points["relative_background"][1])
    assert "without a finite profile are left out: B" in caplog.text
    assert "1 genes without a mitotic index" in caplog.text


def test_a_collapsed_space_carries_no_information():
    genes = genes_of([0, 0, 0], [1, 2, 3], list("ABC"))
    points = benchmark.effect_points(genes, index_of("ABC", [9, 9, 9]), {"A"})
    rows = table.to_frame(benchmark.published_rows(points, 1.0, row)).set_index("item")
    assert rows.loc["relative_background", "value"] == 0.5


def test_a_model_with_one_space_is_refused():
    genes = genes_of([1], [1], ["A"]).drop(columns=["s_00", "s_01"])
    with pytest.raises(InputError, match="one latent space"):
        benchmark.effect_points(genes, index_of(["A"], [1]), set())


def test_threshold_is_the_percentile_of_ntc_guides():
    index = index_of(["A"], [1], null=[-50.0, 10.0, 20.0])
    assert benchmark.threshold_percent(index, SETTINGS, 50, signed=True) == 10
    assert benchmark.threshold_percent(index, SETTINGS, 50, signed=False) == 20
    given = SETTINGS | {"threshold_percent": 77}
    assert benchmark.threshold_percent(index, given, 50, signed=True) == 77
    with pytest.raises(InputError, match="threshold_percent"):
        benchmark.threshold_percent(index_of(["A"], [1]), SETTINGS, 50, signed=True)


def test_auroc_equals_scikit_learn_with_ties_and_weights():
    rng = np.random.default_rng(0)
    scores = np.round(rng.normal(size=(2, 50)), 1)
    positive = rng.random(50) < 0.3
    values, terms = auroc(scores, positive)
    for k in range(2):
        assert values[k] == pytest.approx(roc_auc_score(positive, scores[k]))
    n, m = positive.sum(), (~positive).sum()
    wins = scores[0, positive][:, None] > scores[0, ~positive]
    wins = wins + 0.5 * (scores[0, positive][:, None] == scores[0, ~positive])
    assert terms[0, positive] == pytest.approx((wins.mean(axis=1) - values[0]) / n)
    assert terms[0, ~positive] == pytest.approx((wins.mean(axis=0) - values[0]) / m)


@pytest.mark.parametrize("positive", [np.zeros(4, bool), np.ones(4, bool)])
def test_auroc_of_one_class_is_undefined(positive):
    values, terms = auroc(np.ones((2, 4)), positive)
    assert np.isnan(values).all()
    assert np.isnan(terms).all()


def simulate(seed, effect, n=300):
    rng = np.random.default_rng(seed)
    names = [f"g{k}" for k in range(n)]
    factor = np.arange(n) < n // 3
    genes = genes_of(
        rng.exponential(size=n) + 0.1,
        (rng.exponential(size=n) + 0.1) * (1 + effect * factor),
        names,
    )
    percent = rng.normal(100, 30, size=n)
    return genes, index_of(names, percent, null=rng.normal(0, 5, 50)), set(np.array(names)[factor])


def difference_of(seed, effect):
    genes, index, factors = simulate(seed, effect)
    points = benchmark.effect_points(genes, index, factors)
    rows = table.to_frame(benchmark.strict_rows(points, 20.0, row))
    return rows[rows["metric"] == "auroc_difference"].iloc[0]


def test_a_planted_difference_is_found_and_none_is_not():
    assert difference_of(0, 6.0)["low"] > 0
    covered = [(d := difference_of(seed, 0.0))["low"] <= 0 <= d["high"] for seed in range(40)]
    assert np.mean(covered) > 0.85


def test_scales_do_not_change_the_auroc():
    genes, index, factors = simulate(1, 2.0)
    points = benchmark.effect_points(genes, index, factors)
    other = points.assign(
        relative_background=benchmark.relative_background(
            points["salient_norm"] / points["salient_norm"].median(), points["background_norm"]
        )
    )
    first, second = (pd.DataFrame(benchmark.strict_rows(p, 20.0, row)) for p in (points, other))
    pd.testing.assert_series_equal(first["value"], second["value"])


def test_background_tells_shifting_from_novel_groups_by_hand():
    group_of = {"A": "shape", "B": "size", "C": "size", "D": "foci", "E&F": "holes", "G": "else"}
    groups = pd.DataFrame({"gene": ["A", "B", "C", "D", "F", "G"], "group": [*group_of.values()]})
    points = pd.DataFrame({"gene": [*group_of, "H", "I"]})
    points["relative_background"] = [0.9, 0.5, 0.2, 0.3, 0.5, 0.0, 0.0, np.nan]
    rows = group_auroc_rows(points, groups, CLASSES, row)
    found = table.to_frame(rows).iloc[0]
    # of six pairs .9 wins two, .5 wins one and ties one, .2 none
    assert found["value"] == pytest.approx(3.5 / 6)
    assert found[["metric", "item", "against", "n"]].tolist() == [
        "group_auroc", "shifting groups", "novel groups", 5,
    ]  # fmt: skip
    assert np.isnan(found["low"])  # two against three genes have no interval
    assert group_auroc_rows(points[:3], groups, CLASSES, row) == []
    assert group_auroc_rows(points, groups[:0], CLASSES, row) == []


def test_rule_writes_points_and_rows_of_the_models_asked_for(tmp_path):
    genes, index, factors = simulate(0, 6.0)
    write_parquet(genes, tmp_path / "genes.parquet")
    other = genes.drop(columns=["s_00", "s_01"]).assign(model="vae", z_01=1.0)
    write_parquet(other, tmp_path / "vae.parquet")
    beside = genes.assign(model="cvae", z_00=0.0, z_01=0.0)  # of another latent size
    write_parquet(beside, tmp_path / "cvae.parquet")
    write_parquet(index, tmp_path / "index.parquet")
    write_parquet(pd.DataFrame({"gene": sorted(factors)}), tmp_path / "factors.parquet")
    wider = pd.DataFrame({"gene": sorted(factors | {"g290&X", "g299"})})
    write_parquet(wider, tmp_path / "wider.parquet")
    groups = pd.DataFrame({"gene": ["g0", "g1", "g2"], "group": ["shape", "size", "foci"]})
    write_parquet(groups, tmp_path / "groups.parquet")
    settings = SETTINGS | CLASSES
    names = ("index", "factors", "wider", "groups", "rows", "points")
    paths = [str(tmp_path / f"{n}.parquet") for n in names]
    tables = [str(tmp_path / f"{name}.parquet") for name in ("vae", "genes", "cvae")]
    benchmark.mitosis(tables, *paths[:4], settings, ["mcvae"], *paths[4:])
    rows, points = pd.read_parquet(paths[4]), pd.read_parquet(paths[5])
    assert set(rows["model"]) == set(points["model"]) == {"mcvae"}
    assert points.columns.tolist() == [
        *("gene", "salient_norm", "background_norm", "relative_background"),
        *("mitotic_index_percent", "is_mitotic_factor", "model", "seed", "significant"),
    ]
    main = rows[(rows["metric"] == "auroc_difference") & (rows["against"] == "")]
    assert len(main) == 1
    counts = rows[(rows["metric"] == "n_mitotic_factors") & (rows["protocol"] == "strict")]
    counts = counts.set_index("against")["value"]
    assert counts[benchmark.WIDER_LIST] == counts[""] + 1  # a merged symbol in a list names none
    assert len(rows[rows["metric"] == "group_auroc"]) == 1
    benchmark.mitosis(tables, *paths[:4], settings, ["mcvae", "cvae"], *paths[4:])
    both, more = pd.read_parquet(paths[4]), pd.read_parquet(paths[5])
    of_main = both[both["model"] == "mcvae"].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_main, rows)
    assert (more["model"].value_counts() == len(points)).all()
    auroc = both[(both["model"] == "cvae") & (both["item"] == "relative_background")]
    assert (auroc.loc[auroc["metric"] == "auroc", "value"] == 0.5).all()  # no background at all


def authors_tables(shared):
    """The authors' embedding, and it as tables of profiles and of the mitotic index."""
    folder = shared / "data" / "published"
    embedding = pd.read_parquet(folder / "gene_embedding_run_44m9h8fu.parquet")
    table = embedding.reset_index(drop=True)
    names = pd.Series(np.where(embedding.index == "nontargeting", "NTC", embedding.index))
    spaces = {"salient": [str(k) for k in range(32)], "background": [str(k) for k in range(32, 64)]}
    genes = gene_table(table, names, spaces, "mcvae", 0)
    return embedding, genes, mitotic_table(names, table["mitotic_index"])


def test_the_authors_table_gives_the_authors_norms(shared):
    folder = shared / "data" / "published"
    factors = set(pd.read_csv(folder / "mitotic_factors_146.tsv")["gene"])
    embedding, genes, index = authors_tables(shared)
    points = benchmark.effect_points(genes, index, factors).set_index("gene")
    shipped = embedding.loc[points.index]
    for ours, theirs in (
        ("salient_norm", "salient_mag"),
        ("background_norm", "background_mag"),
        ("relative_background", "background_contribution"),
    ):
        assert np.abs(points[ours] - shipped[theirs]).max() < 1e-3
    # as many genes as the paper, by the index of this table (guides with p < .01, not p < .05)
    rows = benchmark.published_rows(points.reset_index(), 84.4, row)
    values = table.to_frame(rows).set_index("item")["value"]
    assert table.to_frame(rows)["n"].iloc[0] == 112
    assert values["relative_background"] == pytest.approx(0.877, abs=0.002)
    assert values["mitotic_index"] == pytest.approx(0.765, abs=0.001)


def test_on_the_papers_own_genes_the_authors_table_gives_its_auroc(shared):
    """What is left of Fig. 5C is which genes are significant: the paper's index, of guides with
    p < .05, is not published; that of the table is of guides with p < .01."""
    factors = set(pd.read_csv(shared / "data/published/mitotic_factors_146.tsv")["gene"])
    paper = pd.read_csv(shared / "reference" / "fig5b_significant_genes.tsv", sep="\t")
    _, genes, index = authors_tables(shared)
    points = benchmark.effect_points(genes, index, factors)
    mine = points.set_index("gene").loc[paper["gene"]].reset_index()
    assert (mine["is_mitotic_factor"] == paper["is_mitotic_factor"].astype(bool)).all()
    difference = mine["relative_background"] - paper["relative_background_norm"]
    assert difference.abs().max() < 1e-3
    rows = table.to_frame(benchmark.published_rows(mine, 0.0, row)).set_index("item")["value"]
    assert rows["relative_background"] == pytest.approx(0.877, abs=5e-4)
    assert rows["mitotic_index"] == pytest.approx(0.796, abs=5e-4)


def test_the_paper_figures_own_points_give_its_auroc(shared):
    paper = pd.read_csv(shared / "reference" / "fig5b_significant_genes.tsv", sep="\t")
    points = paper.rename(columns={"relative_background_norm": "relative_background"}).assign(
        is_mitotic_factor=paper["is_mitotic_factor"].astype(bool)
    )
    rows = table.to_frame(benchmark.published_rows(points, 0.0, row)).set_index("item")["value"]
    assert rows["relative_background"] == pytest.approx(0.877, abs=5e-4)
    assert rows["mitotic_index"] == pytest.approx(0.789, abs=5e-4)
    strict = table.to_frame(benchmark.strict_rows(points, 0.0, row)).set_index("metric")
    difference = strict.loc["auroc_difference"]
    assert difference["low"] < 0 < difference["high"]
