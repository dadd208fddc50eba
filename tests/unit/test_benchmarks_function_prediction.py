"""Functional groups from profiles: planted groups, leaks between guides, null, small cases."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.functional_groups import (
    NOVEL,
    SHIFTING,
    genes_of_group,
    group_of_genes,
    label_profiles,
    significant_names,
)
from mcvae_ops.benchmarks.functions.function_prediction import (
    function_rows,
    functions,
    predict_published,
    predict_strict,
)
from mcvae_ops.benchmarks.functions.group_recall import (
    Predictions,
    confusion,
    recall_rows,
    recalls,
)
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet

SETTINGS = {
    "level": "guide",
    "max_p_value": 0.01,
    "folds": 5,
    "repeats": 3,
    "test_fraction": 0.4,
    "shifting_groups": ["group 0", "group 1"],
    "novel_groups": ["group 2", "missing group"],
}


def planted_profiles(spread=3.0, gene_spread=0.0, n_groups=4, seed=0, cells=("all",)):
    """Four groups of six genes of four guides; the group lies in z, s is noise."""
    rng = np.random.default_rng(seed)
    n = n_groups * 24
    group, gene = np.arange(n) // 24, np.arange(n) // 4
    z = spread * np.eye(n_groups)[group] + gene_spread * rng.normal(size=(n, n_groups))[4 * gene]
    parts = []
    for which in cells:
        s, noise = rng.normal(size=(n, 4)), rng.normal(size=(n, n_groups))
        part = pd.DataFrame({f"s_{k:02d}": s[:, k] for k in range(4)})
        part = part.assign(**{f"z_{k:02d}": (z + noise)[:, k] for k in range(n_groups)})
        parts.append(part.assign(cells=which))
    profiles = pd.concat(parts, ignore_index=True)
    labels = dict(
        model="mcvae", seed=1, is_ntc=False, gene=np.tile([f"G{g:02d}" for g in gene], len(parts))
    )
    profiles = profiles.assign(guide=np.tile([f"g{k}" for k in range(n)], len(parts)), **labels)
    groups = pd.DataFrame({"gene": [f"G{g:02d}" for g in range(n // 4)]})
    groups["group"] = [f"group {g // 6}" for g in range(n // 4)]
    significance = profiles[["guide", "gene"]].drop_duplicates().assign(p_value=0.001)
    return profiles, groups, significance


def pick(rows, **wanted):
    found = table.to_frame(rows)
    for column, value in wanted.items():
        found = found[found[column] == value]
    return found


def test_planted_groups_are_found_in_the_background():
    profiles, groups, significance = planted_profiles()
    rows = function_rows(profiles, groups, significance, SETTINGS, seed=0)
    for protocol in table.PROTOCOLS:
        macro = pick(rows, protocol=protocol, metric="macro_recall").set_index("space")["value"]
        assert macro["background"] > 0.85 and macro["combined"] > 0.85
        assert macro["salient"] < 0.45
    difference = pick(rows, protocol="strict", metric="recall_difference")
    assert difference["item"].tolist() == [f"group {k}" for k in range(4)]
    assert (difference["low"] > 0).all() and (difference["low"] <= difference["value"]).all()
    recall = pick(rows, protocol="strict", metric="recall").set_index(["space", "item"])["value"]
    expected = recall["background"] - recall["salient"]
    np.testing.assert_allclose(difference.set_index("item")["value"], expected)
    assert (pick(rows, metric="chance_recall")["value"] == 0.25).all()


def test_means_over_classes_of_groups_with_an_interval():
    profiles, groups, significance = planted_profiles()
    rows = function_rows(profiles, groups, significance, SETTINGS, seed=0)
    each = pick(rows, protocol="strict", metric="recall_difference").set_index("item")
    kinds = pick(rows, protocol="strict", metric="mean_recall_difference").set_index("item")
    expected = each.loc[["group 0", "group 1"], "value"].mean()
    assert kinds.loc[SHIFTING, "value"] == pytest.approx(expected)
    assert kinds.loc[SHIFTING, "low"] > 0.4 and kinds.loc[SHIFTING, "n"] == 48
    width = (kinds["high"] - kinds["low"])[SHIFTING]
    assert width < (each["high"] - each["low"])[["group 0", "group 1"]].max()
    # a group that the library lacks is left out of the mean
    assert kinds.loc[NOVEL, "value"] == pytest.approx(each.loc["group 2", "value"])


def test_guides_of_one_gene_leak_only_into_the_published_protocol():
    profiles, groups, significance = planted_profiles(spread=0.0, gene_spread=6.0, n_groups=6)
    rows = function_rows(profiles, groups, significance, SETTINGS, seed=0)
    macro = pick(rows, space="background", metric="macro_recall").set_index("protocol")
    assert macro["value"]["published"] > macro["value"]["strict"] + 0.15
    assert macro["low"]["strict"] < 1 / 6 < macro["high"]["strict"]


def test_intervals_cover_chance_when_nothing_is_planted():
    covered = []
    for seed in range(8):
        planted = planted_profiles(spread=0.0, seed=seed)
        rows = function_rows(*planted, SETTINGS | {"repeats": 2}, seed=seed)
        macro = pick(rows, protocol="strict", metric="macro_recall")
        covered += ((macro["low"] <= 0.25) & (macro["high"] >= 0.25)).tolist()
    assert np.mean(covered) > 0.8


def test_held_out_cells_stand_beside_all_in_the_strict_protocol_only():
    planted = planted_profiles(cells=("all", "test", "held_out_guide"))
    rows = function_rows(*planted, SETTINGS, seed=0)
    assert set(pick(rows, protocol="published")["cells"]) == {"all"}
    assert set(pick(rows, protocol="strict")["cells"]) == {"all", "test", "held_out_guide"}


def test_confusion_and_recall_agree_with_scikit_learn():
    profiles, groups, significance = planted_profiles(spread=1.5)
    labelled = label_profiles(profiles, groups, significance, SETTINGS, split_merged=False)
    x, labels = labelled.filter(like="z_").to_numpy(), labelled["group"].to_numpy(str)
    made = predict_published(x, labels, labelled["gene"].to_numpy(str), SETTINGS, seed=0)
    assert len(made.truth) == round(0.4 * 24) * 4
    expected = confusion_matrix(made.truth, made.predicted[0], normalize="true")
    np.testing.assert_allclose(confusion(made), expected)
    macro = pick(
        recall_rows(made, dict(benchmark="functions", protocol="published", model="m",
                                   space="background", seed=0, cells="all")),
        metric="macro_recall",
    )  # fmt: skip
    expected = balanced_accuracy_score(made.truth, made.predicted[0])
    assert macro["value"].item() == pytest.approx(expected)


def test_strict_predicts_each_profile_without_its_gene():
    profiles, _, _ = planted_profiles(spread=0.0)
    genes = profiles["gene"].to_numpy(str)
    labels = np.where(genes < "G12", "a", "b")
    x = np.random.default_rng(1).normal(size=(24, 30))[np.unique(genes, return_inverse=True)[1]]
    made = predict_strict(x, labels, genes, SETTINGS, seed=0)
    assert made.predicted.shape == (3, 96)
    assert (made.predicted == made.truth).mean() < 0.75  # 1 if a gene's own guides were seen


def test_the_terms_of_genes_are_those_of_a_ratio():
    genes = np.array(["a", "a", "b", "c", "c"])
    truth = np.array([0, 0, 0, 1, 1])
    predicted = np.array([[0, 0, 1, 1, 1], [0, 0, 1, 1, 1]])
    found = recalls(Predictions(np.array(["x", "y"]), truth, genes, predicted))
    assert found.value.tolist() == pytest.approx([2 / 3, 1])
    # hits less recall times profiles, over the profiles of the group
    assert found.terms.tolist() == pytest.approx([(2 - 4 / 3) / 3, (0 - 2 / 3) / 3, 0])
    assert found.group_of.tolist() == [0, 0, 1]


def test_small_groups_missing_values_and_too_few_groups(caplog):
    profiles, groups, significance = planted_profiles()
    groups.loc[groups["gene"] == "G00", "group"] = "alone"
    profiles.loc[5, "z_00"] = np.nan
    profiles["z_03"] = 1.0
    rows = function_rows(profiles, groups, significance, SETTINGS, seed=0)
    assert "alone" in set(pick(rows, protocol="published")["item"])
    strict = pick(rows, protocol="strict", metric="recall", space="combined")
    assert "alone" not in set(strict["item"]) and "alone" in caplog.text
    assert strict.set_index("item")["n"]["group 0"] == 19
    one = groups[groups["group"] == "group 1"]
    assert function_rows(profiles, one, significance, SETTINGS, seed=0) == []


def test_guides_are_filtered_by_p_value_and_level():
    significance = pd.DataFrame(
        {"guide": ["g1", "g2", "g3"], "gene": ["A", "A", "B"], "p_value": [0.001, 0.5, 0.01]}
    )
    assert significant_names(significance, "guide", 0.01) == {"g1"}
    assert significant_names(significance, "gene", 0.01) == {"A"}


def test_merged_and_ambiguous_symbols(caplog):
    groups = pd.DataFrame({"gene": ["A", "C", "D"], "group": ["x", "x", "y"]})
    genes = ["A", "B&A", "C&D", "E"]
    split = group_of_genes(genes, groups, split_merged=True)
    assert split == {"A": "x", "B&A": "x", "C&D": "", "E": ""}
    assert "C&D" in caplog.text
    whole = group_of_genes(genes, groups, split_merged=False)
    assert whole == {"A": "x", "B&A": "", "C&D": "", "E": ""}


def test_unknown_group_and_wrong_level():
    groups = pd.DataFrame({"gene": ["A"], "group": ["tubulin"]})
    with pytest.raises(InputError, match="one of tubulin"):
        genes_of_group("tubuline", groups)
    profiles = pd.DataFrame({"gene": ["A"], "is_ntc": [False], "z_00": [0.0]})
    with pytest.raises(InputError, match="column 'guide' is missing"):
        label_profiles(profiles, groups, groups, SETTINGS, split_merged=False)


def authors_tables(shared):
    """The authors' real gene embedding, functional groups and guide significance."""
    folder = shared / "data" / "published"
    embedding = pd.read_parquet(folder / "gene_embedding_run_44m9h8fu.parquet")
    names = {str(k): f"s_{k:02d}" if k < 32 else f"z_{k - 32:02d}" for k in range(64)}
    genes = embedding.rename(columns=names)[list(names.values())].reset_index(names="gene")
    genes = genes.assign(model="mcvae", seed=0, cells="all", is_ntc=genes["gene"] == "nontargeting")
    groups = pd.read_csv(folder / "functional_groups_894.tsv", sep="\t")
    significance = pd.read_parquet(folder / "guide_significance_cellprofiler.parquet")
    renamed = {"sgRNA_0": "guide", "gene_symbol_0": "gene", "pvalue": "p_value"}
    return genes, groups, significance.rename(columns=renamed)


def test_authors_guides(shared):
    """The paper classifies 2,750 guides; 13 more are of genes with merged symbols."""
    _, groups, significance = authors_tables(shared)
    profiles = significance[["guide", "gene"]].assign(is_ntc=False)
    labelled = label_profiles(profiles, groups, significance, SETTINGS, split_merged=False)
    assert len(labelled) == 2750 and labelled["group"].nunique() == 17
    split = label_profiles(profiles, groups, significance, SETTINGS, split_merged=True)
    assert len(split) == 2763


def test_authors_gene_embedding(shared, tmp_path):
    """On the real embedding every space is far above chance (1/17), combined above salient."""
    tables = dict(zip(("genes", "groups", "significance"), authors_tables(shared), strict=True))
    for name, frame in tables.items():
        write_parquet(frame, tmp_path / f"{name}.parquet")
    functions(
        profiles=[str(tmp_path / "genes.parquet")],
        groups=str(tmp_path / "groups.parquet"),
        significance=str(tmp_path / "significance.parquet"),
        settings=SETTINGS | {"level": "gene"},
        seed=0,
        benchmark=str(tmp_path / "out.parquet"),
    )
    found = pd.read_parquet(tmp_path / "out.parquet")
    macro = found[(found["metric"] == "macro_recall") & (found["protocol"] == "strict")]
    macro = macro.set_index("space")
    assert (macro["low"] > 1 / 17).all()
    assert macro["low"]["combined"] > macro["high"]["salient"]


def test_standardising_closes_much_of_the_gap_between_the_spaces(shared):
    """Known of the real embedding: salient accuracy .41 -> .56, background .50 -> .60."""
    labelled = label_profiles(
        *authors_tables(shared), SETTINGS | {"level": "gene"}, split_merged=False
    )
    labels, names = (labelled[column].to_numpy(str) for column in ("group", "gene"))
    accuracy = {}
    for prefix in ("s_", "z_"):
        x = labelled.filter(regex=f"^{prefix}").to_numpy()
        for scaling, features in {"as is": x, "standardised": (x - x.mean(0)) / x.std(0)}.items():
            made = [predict_published(features, labels, names, SETTINGS, seed) for seed in range(8)]
            accuracy[prefix, scaling] = np.mean([each.predicted == each.truth for each in made])
    assert accuracy["s_", "as is"] == pytest.approx(0.41, abs=0.02)
    assert accuracy["z_", "as is"] == pytest.approx(0.50, abs=0.02)
    assert accuracy["s_", "standardised"] == pytest.approx(0.56, abs=0.02)
    assert accuracy["z_", "standardised"] == pytest.approx(0.60, abs=0.02)
