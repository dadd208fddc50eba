"""Replicates, batch integration and power: against hand-made truth and other libraries."""

import numpy as np
import pandas as pd
import pytest
from harmonypy import compute_lisi
from sklearn.metrics import silhouette_score

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.integration.batch_integration import (
    draw_evenly,
    halves_of,
    mixing_rows,
)
from mcvae_ops.benchmarks.integration.batch_mixing import mixing_of
from mcvae_ops.benchmarks.replicates.power_curve import (
    draw_rows,
    drawn_genes,
    mean_over_draws,
    thinned,
)
from mcvae_ops.benchmarks.replicates.replicate_correlation import replicate_correlations
from mcvae_ops.benchmarks.replicates.replicate_profiles import Replicates, replicate_profiles
from mcvae_ops.benchmarks.replicates.replicate_retrieval import gene_queries, guide_queries


def test_the_share_of_hits_is_that_of_the_genes_that_are_tested(monkeypatch):
    monkeypatch.setattr("mcvae_ops.benchmarks.replicates.power_curve.MOST_TESTED", 20)
    tested, rng = drawn_genes(40, 0), np.random.default_rng(0)
    assert len(set(tested)) == 20 and tested.max() < 40
    gene_of = np.repeat(np.append(np.arange(40), -1), [16] * 40 + [600])
    latent = rng.normal(size=(len(gene_of), 2)) + 3.0 * np.isin(gene_of, tested[:5])[:, None]
    batch_of = rng.integers(0, 2, len(gene_of))
    found = draw_rows(latent, batch_of, gene_of, [f"g{k}" for k in range(40)], None, 200, 0)
    whole = found[found["level"] == 16].iloc[0]
    assert (whole["n"], whole["units"]) == (20, "20 genes")
    assert 0.25 <= whole["value"] <= 0.3  # five have an effect; a false discovery may be beside


def row(**values) -> dict:
    where = dict(benchmark="", protocol="strict", model="", space="", seed=0, cells="all")
    return table.row(**(where | values))


def small_screen() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Two batches, two controls in each, and a guide of either gene with one or two cells."""
    cells = pd.DataFrame(
        [
            ("n", "NTC", True), ("n", "NTC", True), ("a1", "A", False), ("a1", "A", False),
            ("n", "NTC", True), ("n", "NTC", True), ("a1", "A", False), ("b1", "B", False),
        ],
        columns=["guide", "gene", "is_ntc"],
    )  # fmt: skip
    latent = np.array([[9.0], [11], [12], [14], [-1], [1], [3], [-2]])
    return cells, latent, np.array([0, 0, 0, 0, 1, 1, 1, 1])


def test_sums_are_differences_from_the_controls_of_the_batch_in_their_deviations():
    found, batches = replicate_profiles(*small_screen(), np.ones(8, bool))
    assert batches.tolist() == [0, 1] and found.names["gene"].tolist() == ["A", "B"]
    assert found.n_cells.tolist() == [[2, 1], [0, 1]]
    # the deviation of controls within batches is 1
    assert found.sums[:, :, 0].tolist() == [[6.0, 3.0], [0.0, -2.0]]


def test_a_batch_without_controls_is_left_out():
    cells, latent, batch_of = small_screen()
    chosen = ~(cells["is_ntc"].to_numpy() & (batch_of == 1))
    found, batches = replicate_profiles(cells, latent, batch_of, chosen)
    assert batches.tolist() == [0] and found.n_cells.tolist() == [[2]]


def of_genes(sums: np.ndarray) -> Replicates:
    names = pd.DataFrame({"gene": [f"g{k}" for k in range(len(sums))]})
    return Replicates(names, sums, (np.abs(sums).sum(axis=2) > 0).astype(int))


def test_correlation_is_the_mean_over_pairs_and_non_replicates_are_all_other_pairs():
    rng = np.random.default_rng(0)
    replicates = of_genes(rng.normal(size=(5, 3, 4)))
    found = replicate_correlations(replicates, 99, 0)
    unit = replicates.sums / np.linalg.norm(replicates.sums, axis=2, keepdims=True)
    first, second = np.triu_indices(3, 1)
    assert found.score == pytest.approx([(u[first] * u[second]).sum(axis=1).mean() for u in unit])
    others = [
        np.mean([unit[g, i] @ unit[h, j] for h in range(5) if h != g
                 for i in range(3) for j in range(3) if i != j])
        for g in range(5)
    ]  # fmt: skip
    assert found.to_others == pytest.approx(others)


def test_replicates_of_equal_direction_have_the_smallest_p():
    rng = np.random.default_rng(1)
    same = np.repeat(rng.normal(size=(20, 1, 8)), 4, axis=1)
    found = replicate_correlations(of_genes(same), 199, 0)
    assert found.score == pytest.approx(np.ones(20)) and found.p_value.max() <= 0.01


def test_a_gene_that_is_itself_in_every_batch_is_found_first_and_a_lone_replicate_asks_nothing():
    sums = np.repeat(np.eye(4)[:, None, :], 3, axis=1)
    sums[3, 1:] = 0  # the last gene is in one batch only
    found = gene_queries(of_genes(sums))
    assert found.rank.tolist() == [1] * 9 and set(found.gene) == {0, 1, 2}


def test_a_guide_finds_the_other_guides_of_its_gene_in_other_batches():
    # guides 0, 1 of gene A agree across batches; guides 2, 3 of gene B only within a batch
    sums = np.zeros((4, 2, 4))
    sums[0, :, 0] = sums[1, :, 0] = 1
    sums[2, 0, 1] = sums[3, 0, 1] = 1
    sums[2, 1, 2] = sums[3, 1, 2] = 1
    names = pd.DataFrame({"guide": list("abcd"), "gene": ["A", "A", "B", "B"]})
    found = guide_queries(Replicates(names, sums, np.ones((4, 2), int)))
    ranks = pd.Series(found.rank).groupby(found.gene).agg(list)
    assert ranks[0] == [1] * 4 and ranks[1] == [2] * 4


def test_gains_without_a_gene_are_those_of_a_search_without_it():
    rng = np.random.default_rng(2)
    sums = rng.normal(size=(6, 3, 4))
    whole = gene_queries(of_genes(sums))
    for dropped in range(6):
        without = gene_queries(of_genes(np.delete(sums, dropped, axis=0)))
        kept = whole.gene != dropped
        for (metric, k), gain in whole.without.items():
            score = (lambda r: 1 / r) if metric != "recall" else (lambda r, k=k: r <= k)
            expected = score(without.rank).sum()
            assert score(whole.rank[kept]).sum() + gain[dropped] == pytest.approx(expected)


@pytest.mark.parametrize("apart", [0.0, 1.0, 2.0, 8.0])
@pytest.mark.parametrize("left_out", [None, 1])
def test_silhouette_is_that_of_scikit_learn_and_ilisi_that_of_harmonypy(apart, left_out):
    rng = np.random.default_rng(3)
    batch_of = np.repeat(np.arange(4), [110, 40, 60, 150])
    latent = rng.normal(size=(360, 4)) + apart * np.eye(4)[batch_of]
    kept = np.setdiff1d(np.arange(4), [left_out])
    at = np.isin(batch_of, kept)
    mixing = mixing_of(latent, batch_of)
    expected = silhouette_score(latent[at], batch_of[at])
    assert mixing.silhouette(batch_of, kept) == pytest.approx(expected)
    lisi = compute_lisi(latent[at], pd.DataFrame({"batch": batch_of[at]}), ["batch"])
    expected = (np.median(lisi) - 1) / (len(kept) - 1)
    assert mixing.ilisi(batch_of, kept) == pytest.approx(expected, abs=1e-5)


def test_a_batch_that_is_left_out_counts_as_if_it_had_never_been_there():
    rng = np.random.default_rng(4)
    batch_of = np.repeat(np.arange(3), 50)
    latent = rng.normal(size=(150, 4)) + 0.7 * np.eye(4)[batch_of]
    whole, kept = mixing_of(latent, batch_of), batch_of != 1
    part = mixing_of(latent[kept], batch_of[kept])
    for measure in ("silhouette", "ilisi"):
        without = getattr(whole, measure)(batch_of, np.array([0, 2]))
        assert without == pytest.approx(getattr(part, measure)(batch_of[kept], np.array([0, 2])))


def test_a_correction_is_not_judged_on_the_tiles_that_it_was_fitted_on():
    cells = pd.DataFrame({"tile": np.repeat(np.arange(10), 6), "is_ntc": np.arange(60) % 3 > 0})
    batch_of = np.repeat([0, 1], 30)
    fits, judges = halves_of(cells, batch_of, 0)
    assert not set(cells["tile"][fits]) & set(cells["tile"][judges])
    assert (fits | judges).tolist() == cells["is_ntc"].tolist()
    drawn = draw_evenly(batch_of, judges, 0)
    assert judges[drawn].all() and len(set(np.bincount(batch_of[drawn]))) == 1


def test_two_batches_have_no_interval_and_three_have_one():
    rng = np.random.default_rng(5)
    for n in (2, 3):
        batch_of = np.repeat(np.arange(n), 40)
        latent = rng.normal(size=(40 * n, 3)) + rng.normal(size=(n, 3))[batch_of]
        rows = pd.DataFrame(mixing_rows({"none": latent, "tvn": latent}, batch_of, 0, row))
        estimates = rows[~rows["metric"].str.endswith("_null")]
        assert np.isfinite(estimates["low"]).any() == (n == 3)
        same = rows[rows["metric"] == "ilisi_difference"]
        assert same["value"].tolist() == [0.0] and same["low"].isna().all()


def test_thinning_keeps_a_share_of_every_gene_rounded_up():
    gene_of = np.repeat([0, 1, 2], [8, 3, 1])
    rows = thinned(gene_of, 0.25, np.random.default_rng(0))
    assert np.bincount(gene_of[rows]).tolist() == [2, 1, 1]


def test_a_mean_over_draws_has_the_mean_width_and_the_spread_of_draws():
    draws = pd.DataFrame(
        {"metric": "x", "level": 4.0, "draw": [0, 1, 2], "value": [0.4, 0.5, 0.6],
         "low": [0.3, 0.4, 0.5], "high": [0.5, 0.6, 0.7], "n": 9, "units": "9 genes"}
    )  # fmt: skip
    found = mean_over_draws(draws).iloc[0]
    half = np.hypot(0.1, 4.3027 * 0.1 / np.sqrt(3))
    assert found["value"] == pytest.approx(0.5) and found["units"] == "9 genes, 3 draws"
    assert [found["low"], found["high"]] == pytest.approx([0.5 - half, 0.5 + half], abs=1e-4)
    unknown = mean_over_draws(draws.assign(low=[np.nan, 0.4, 0.5])).iloc[0]
    assert np.isnan(unknown["low"]) and np.isnan(unknown["high"])
