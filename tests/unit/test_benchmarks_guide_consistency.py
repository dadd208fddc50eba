"""Guides of one gene, and what batch correction does: copairs, planted, null, edge cases."""

import numpy as np
import pandas as pd
import pytest
from copairs import map as copairs

from mcvae_ops.benchmarks.corrections import corrected_complex_rows, corrections
from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.guide_consistency import consistency_rows, gene_scores
from mcvae_ops.files import write_parquet


def planted(effect, n_genes=30, per_gene=4, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    gene = np.repeat(np.arange(n_genes), per_gene)
    z = effect * rng.normal(size=(n_genes, 6))[gene] + noise * rng.normal(size=(len(gene), 6))
    profiles = pd.DataFrame(z, columns=[f"z_{k:02d}" for k in range(6)])
    profiles = profiles.assign(s_00=rng.normal(size=len(gene)), s_01=rng.normal(size=len(gene)))
    named = {"model": "mcvae", "seed": 0, "cells": "all", "is_ntc": False}
    profiles = profiles.assign(gene=[f"G{g:02d}" for g in gene], **named)
    return profiles.assign(guide=[f"g{k}" for k in range(len(gene))])


def pick(rows, **wanted):
    found = table.to_frame(rows)
    for column, value in wanted.items():
        found = found[found[column] == value]
    return found


@pytest.mark.parametrize("sizes", [(4, 4, 4, 4, 4), (2, 3, 5, 1, 4)])
def test_scores_equal_copairs(sizes):
    rng = np.random.default_rng(len(set(sizes)))
    gene = np.repeat([f"G{k}" for k in range(len(sizes))], sizes)
    features = rng.normal(size=(len(gene), 5))
    found = gene_scores(features, gene)
    meta = pd.DataFrame({"gene": gene, "guide": np.arange(len(gene))})
    each = copairs.average_precision(
        meta, features, pos_sameby=["gene"], pos_diffby=[], neg_sameby=[], neg_diffby=["gene"],
        distance="cosine", progress_bar=False,
    )  # fmt: skip
    expected = each.groupby("gene")["average_precision"].mean().dropna()
    assert found["score"].to_dict() == pytest.approx(expected.to_dict())
    assert found["n_guides"].tolist() == [n for n in sizes if n > 1]


def test_ranks_by_hand_with_ties():
    profiles = np.array([[1.0, 0], [1, 0], [1, 0], [0, 1]])
    scores = gene_scores(profiles, np.array(["a", "a", "b", "b"]))["score"]
    assert scores.tolist() == pytest.approx([1 / 2, 1 / 3])


def test_planted_genes_are_found_in_the_background_alone():
    rows = consistency_rows(planted(3.0), 400, 0)
    fraction = pick(rows, metric="consistent_fraction").set_index("space")["value"]
    assert fraction["background"] > 0.9 and fraction["salient"] < 0.1
    score = pick(rows, metric="mean_average_precision", item="").set_index("space")
    null = pick(rows, metric="mean_average_precision_null").set_index("space")["value"]
    assert score.loc["background", "low"] > 3 * null["background"]
    each = pick(rows, metric="mean_average_precision_p_value", space="background")
    assert len(each) == 30 and (each["value"] < 0.05).mean() > 0.9


def test_without_an_effect_intervals_cover_chance_and_p_values_are_not_small():
    covered, p_values = [], []
    for seed in range(12):
        rows = consistency_rows(planted(0.0, seed=seed), 200, 0)
        score = pick(rows, metric="mean_average_precision", item="", space="combined").iloc[0]
        null = pick(rows, metric="mean_average_precision_null", space="combined")["value"].item()
        covered.append(score["low"] <= null <= score["high"])
        p_values.append(pick(rows, metric="mean_average_precision_p_value", space="combined"))
    assert np.mean(covered) > 0.7
    assert 0.02 < (pd.concat(p_values)["value"] < 0.05).mean() < 0.08


def test_single_guides_ntc_and_nan_are_left_out(caplog):
    profiles = planted(3.0, n_genes=6)
    profiles.loc[0, "gene"] = "ALONE"
    profiles.loc[1, "z_00"] = np.nan
    ntc = profiles.iloc[-4:].assign(gene="NTC", is_ntc=True)
    rows = consistency_rows(pd.concat([profiles, ntc]), 100, 0)
    genes = pick(rows, metric="mean_average_precision", space="combined").set_index("item")["n"]
    assert "1 guides without a finite profile" in caplog.text
    assert set(genes.index) == {"", *(f"G{k:02d}" for k in range(6))} and genes["G00"] == 2
    one_each = profiles.drop_duplicates("gene")
    assert consistency_rows(one_each, 100, 0) == [] and "no gene has two guides" in caplog.text
    caplog.clear()
    with caplog.at_level("WARNING"):  # one guide of a gene is held out: that is no warning
        assert consistency_rows(one_each.assign(cells="held_out_guide"), 100, 0) == []
    assert "no gene has two guides" not in caplog.text


def test_a_correction_that_helps_is_seen_and_one_that_does_nothing_is_not(tmp_path):
    complexes = pd.DataFrame(
        {"complex": [f"c{k // 3}" for k in range(30)], "gene": [f"G{k:02d}" for k in range(30)]}
    )
    rng = np.random.default_rng(0)
    of_complex = rng.normal(size=(10, 6))[np.repeat(np.arange(10), 12)]
    names = [f"z_{k:02d}" for k in range(6)]
    clean = planted(0.0, noise=0.3)
    clean[names] += of_complex
    noisy = clean.copy()
    noisy[names] += 1.5 * rng.normal(size=(120, 6))
    genes, better = (
        t.groupby(["model", "seed", "cells", "gene", "is_ntc"])[["s_00", "s_01", *names]]
        .mean().reset_index() for t in (noisy, clean)
    )  # fmt: skip
    corrected = pd.concat([t.assign(correction=n) for t, n in ((better, "tvn"), (genes, "centre"))])
    of_guides = pd.concat([clean.assign(correction="tvn"), noisy.assign(correction="centre")])
    tables = (genes, corrected, noisy, of_guides, complexes)
    paths = [str(tmp_path / f"{k}.parquet") for k in range(6)]
    for one, path in zip(tables, paths, strict=False):
        write_parquet(one, path)
    corrections(*([p] for p in paths[:4]), paths[4], 200, 0, paths[5])
    found = pd.read_parquet(paths[5])
    gain = found[found["metric"] == "average_precision_difference"].set_index(["item", "space"])
    assert gain.loc[("tvn", "background"), "low"] > 0
    nothing = gain.loc[("centre", "background")]
    assert nothing["value"] == 0 and np.isnan(nothing[["low", "high"]].astype(float)).all()
    score = found[found["metric"] == "guide_consistency"].set_index(["item", "space"])["value"]
    assert score["tvn", "background"] > score["none", "background"] == score["centre", "background"]


def test_an_annotation_without_library_genes_gives_no_row(caplog):
    genes = planted(0.0).drop_duplicates("gene").assign(correction="none")
    strangers = pd.DataFrame({"complex": ["a", "a"], "gene": ["X", "Y"]})
    assert corrected_complex_rows(genes, strangers, 20, 0, table.row) == []
    assert "no two genes of the library" in caplog.text
