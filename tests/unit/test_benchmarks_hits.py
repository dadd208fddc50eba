"""Hits: false discoveries, power, replicates, norms, confounders, neighbours, conformal sets."""

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.benchmarks.hits.activity import ActivityTest, Screen, hit_rows
from mcvae_ops.benchmarks.hits.control_retrieval import retrieval_exchange, retrieval_from_controls
from mcvae_ops.benchmarks.hits.effect_norms import effect_of, moments_of, squared_norms
from mcvae_ops.benchmarks.hits.guide_rows import agreement_of, guide_rows
from mcvae_ops.benchmarks.hits.hit_table import add_annotations, add_doses, count_changes
from mcvae_ops.benchmarks.hits.neighbours import nearest_rows, predicted_groups
from mcvae_ops.benchmarks.hits.proximity import arm_resemblance
from mcvae_ops.profiles.centred import CentredCells
from mcvae_ops.profiles.exchange import strata_of
from mcvae_ops.screen import DOSE_OF_GUIDE
from tests.calibration import worlds

N_ACTIVE, N_GENES = 8, 20


def screen_of(seed, effect=0.9, d=8):
    """Eight genes with an effect, twelve without, in four wells that differ."""
    rng = np.random.default_rng(seed)
    gene = np.r_[np.full(240, -1), np.repeat(np.arange(N_GENES), 32)]
    guide = np.r_[np.repeat(np.arange(12), 20), 12 + np.arange(len(gene) - 240) // 8]
    batch_of = rng.integers(4, size=len(gene))
    directions = rng.normal(size=(N_GENES, d))
    directions *= effect / np.linalg.norm(directions, axis=1, keepdims=True)
    latent = rng.normal(size=(len(gene), d)) + 2 * rng.normal(size=(4, d))[batch_of]
    active = (gene >= 0) & (gene < N_ACTIVE)
    latent[active] += directions[gene[active]]
    cells = pd.DataFrame({"guide": [f"g{k:03d}" for k in guide], "plate": "P"})
    cells["batch"] = batch_of.astype(str)
    cells["gene"] = np.where(gene < 0, "NTC", [f"G{g:02d}" for g in gene])
    cells["well"], cells["is_ntc"] = batch_of.astype(str), gene < 0
    half = list(range(d // 2)), list(range(d // 2, d))
    spaces = {"combined": list(range(d)), "salient": half[0], "background": half[1]}
    return Screen(cells, latent, spaces, batch_of)


def hits_of(seed, **settings):
    screen = screen_of(seed, **settings)
    nothing = np.random.default_rng(seed).normal(size=(len(screen.cells), 4))
    return rows_of(screen, nothing, "gene", ActivityTest("mean", 199, seed))[0]


def rows_of(screen, confounders, level, tests):
    return hit_rows(screen, confounders, level, tests, guide_rows(screen, tests))


def test_false_discoveries_are_rare_and_most_effects_are_found():
    # The suite of tests/calibration has ten larger screens of the pipeline's own simulation.
    false, found = [], []
    for seed in range(3):
        table = hits_of(seed)
        planted = table["gene"] < f"G{N_ACTIVE:02d}"
        false.append((table["is_hit"] & ~planted).sum() / max(table["is_hit"].sum(), 1))
        found.append(table["is_hit"][planted].mean())
    assert np.mean(false) <= 0.15
    assert np.mean(found) > 0.7


def test_guides_batches_and_halves_agree_where_there_is_an_effect():
    table = hits_of(0, effect=2.5)
    planted = table["gene"] < f"G{N_ACTIVE:02d}"
    assert (table["n_guides"] == 4).all() and (table.loc[planted, "n_guides_agree"] == 4).all()
    assert table.loc[~planted, "n_guides_agree"].mean() < 1
    assert (table.loc[planted, "n_batches_agree"] == 4).all()
    assert table.loc[planted, "replicate_correlation"].min() > 0.5
    assert abs(table.loc[~planted, "replicate_correlation"].mean()) < 0.2
    truth = table["salient_norm"] + table["background_norm"]
    assert truth[planted].mean() == pytest.approx(2.5**2, rel=0.1)
    assert truth[~planted].mean() == pytest.approx(0, abs=0.05)


def test_a_row_for_each_guide_adds_up_to_those_of_the_genes():
    screen, tests = screen_of(0, effect=2.5), ActivityTest("mean", 199, 0)
    guides = guide_rows(screen, tests)
    assert guides["guide"].tolist() == sorted(screen.cells["guide"].unique(), key=guide_key(screen))
    controls = guides["is_ntc"]
    assert controls.sum() == 12 and guides.loc[controls, ["q_combined", "gene_rank"]].isna().all(
        None
    )
    assert (
        guides.loc[controls, "p_combined"].notna().all()
        and not guides.loc[controls, "agrees"].any()
    )
    planted = guides["gene"] < f"G{N_ACTIVE:02d}"
    assert (guides.loc[planted, "gene_rank"] == 1).all() and guides.loc[planted, "is_active"].all()
    assert guides.loc[~planted & ~controls, "gene_rank"].mean() > 3
    agreeing = guides[guides["is_active"] & guides["agrees"]].groupby("gene").size()
    hits = rows_of(screen, np.zeros((880, 4)), "gene", tests)[0].set_index("gene")
    assert hits["n_guides_agree"].to_dict() == agreeing.reindex(hits.index, fill_value=0).to_dict()


def test_the_table_of_guides_has_the_doses_of_compounds():
    guides = pd.DataFrame({"guide": ["taxol 0.3", "taxol 10", "DMSO"],
                           "gene": ["taxol", "taxol", "NTC"], "is_ntc": [False, False, True],
                           "n_cells": 5})  # fmt: skip
    table = add_doses(guides, DOSE_OF_GUIDE)
    assert table["dose"].tolist() == [0.3, 10, 0]
    assert table.columns.tolist() == ["guide", "gene", "is_ntc", "dose", "n_cells"]


def guide_key(screen):
    gene_of = dict(zip(screen.cells["guide"], screen.cells["gene"], strict=True))
    return lambda guide: (gene_of[guide], guide)


def test_a_guide_is_no_part_of_the_gene_that_it_looks_for():
    """By hand: the first guide of b points as a; the only guide of c has nothing to agree with."""
    means = np.array([[1.0, 0], [1, 0], [1, 0.1], [0, 1], [-1, 0]])
    found = agreement_of(means, np.array(["a", "a", "b", "b", "c"]))
    assert found["agreement"].tolist()[:2] == [1, 1] and np.isnan(found["agreement"][4])
    assert found["agreement"][2] == pytest.approx(0.1 / np.hypot(1, 0.1))
    assert found["gene_rank"].tolist()[:4] == [1, 1, 2, 1] and np.isnan(found["gene_rank"][4])


def test_an_effect_that_density_explains_does_not_survive():
    screen = screen_of(1, effect=0.0)
    rng = np.random.default_rng(0)
    density = rng.normal(size=len(screen.cells)) + 2.0 * (screen.cells["gene"] == "G00")
    screen.latent[:, 0] += density
    confounders = rng.normal(size=(len(density), 4))
    confounders[:, 1] = density
    table = rows_of(screen, confounders, "gene", ActivityTest("mean", 999, 0))[0].set_index("gene")
    assert table.loc["G00", "is_hit"] and not table.loc["G00", "survives_confounders"]
    assert table.loc["G00", "density_change_sd"] == pytest.approx(2, abs=0.4)
    assert table["density_change_sd"].iloc[1:].abs().max() < 1
    assert table["edge_change_sd"].abs().max() < 1


@pytest.mark.parametrize("effect", [0.0, 0.3])
def test_squared_norms_are_unbiased_and_covered(effect):
    values, covered = [], []
    for seed in range(80):
        world = dict(dimensions=8, controls=50, group=40, batches=4, batch_spread=1.0)
        latent, batch_of, is_control, group_of = worlds.cells(seed, **world, effect=effect)
        centred = CentredCells(latent, batch_of, is_control)
        pooled = np.concatenate(list(centred.controls.values()))
        strata = strata_of(group_of, batch_of, is_control)[1]
        effect_found = effect_of(centred, strata, pooled.T @ pooled / (len(pooled) - 4))
        value, low, high = squared_norms(np.array([moments_of(effect_found, range(8))]))[0]
        values.append(value)
        covered.append(low <= 8 * effect**2 <= high)
    assert np.mean(values) == pytest.approx(8 * effect**2, abs=0.05)
    assert np.mean(covered) > 0.88


def test_nearest_rows_and_the_chance_of_them():
    rng = np.random.default_rng(0)
    profiles = rng.normal(size=(30, 20))
    profiles[1] = profiles[0] + 0.1 * rng.normal(size=20)
    profiles[2] = profiles[1] + 0.1 * rng.normal(size=20)
    names = np.array([f"G{k:02d}" for k in range(30)])
    genes = names.copy()
    genes[2] = "G01"  # another dose of the second compound
    related = np.zeros((30, 30), bool)
    related[:3, :3] = True
    table = nearest_rows(profiles, names, genes, related)
    assert table["neighbours"][0].startswith(("G01; G02; ", "G02; G01; "))
    assert table["neighbours"][1].startswith("G00; ") and "G02" not in table["neighbours"][1]
    assert table["neighbour_p"][0] == 1 / 30
    assert table["neighbour_p"][3:].mean() > 0.3
    alone = nearest_rows(profiles[1:3], names[1:3], genes[1:3], related[1:3, 1:3])
    assert alone["neighbours"].tolist() == ["", ""] and alone["neighbour_p"].isna().all()


def test_the_chance_of_the_nearest_counted_by_hand_and_where_there_is_none():
    rng = np.random.default_rng(1)
    profiles, names = rng.normal(size=(25, 6)), np.arange(25).astype(str)
    related = np.zeros((25, 25), bool)
    related[0, 1] = related[1, 0] = True
    unit = profiles / np.linalg.norm(profiles, axis=1, keepdims=True)

    def score(row, allowed):
        unrelated = [unit[row] @ unit[k] for k in range(25) if k != row and not related[row, k]]
        nearest = max(unit[row] @ unit[k] for k in range(25) if k != row and allowed[k])
        return (nearest - np.mean(unrelated)) / np.std(unrelated)

    by_chance = [score(row, ~related[row]) for row in range(25)]
    table = nearest_rows(profiles, names, names, related)
    for row in range(25):
        own = score(row, np.ones(25, bool))
        beyond = sum(by_chance[k] >= own for k in range(25) if k != row)
        assert table["neighbour_p"][row] == pytest.approx((1 + beyond) / 25)
    few = nearest_rows(profiles[:19], names[:19], names[:19], related[:19, :19])
    assert few["neighbour_p"].isna().all() and (few["neighbours"] != "").all()


@pytest.mark.parametrize("common_axis", [False, True])
def test_a_gene_that_resembles_another_for_no_known_reason_is_found_on_a_common_axis(common_axis):
    p_values = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        profiles = rng.normal(size=(200, 16))
        profiles[:100, 0] += common_axis * rng.lognormal(size=100)
        profiles[-2:] += 4 * rng.normal(size=16)
        names = np.arange(200).astype(str)
        table = nearest_rows(profiles, names, names, np.zeros((200, 200), bool))
        p_values.append(table["neighbour_p"].iloc[-2:])
    assert np.mean(np.concatenate(p_values) < 0.05) > 0.9


def test_mean_average_precision_against_controls_is_that_of_copairs():
    from copairs.map import average_precision

    rng = np.random.default_rng(3)
    samples = [(rng.normal(0.7, 1, size=(n, 5)), rng.normal(size=(m, 5))) for n, m in
               ((3, 9), (4, 6), (1, 12))]  # fmt: skip
    score = retrieval_exchange(samples).statistic
    pools = [np.concatenate(pair) for pair in samples]
    meta = pd.concat(
        [pd.DataFrame({"batch": f"B{k}", "gene": ["A"] * len(a) + [f"NTC{k}_{i}" for i in
         range(len(b))], "kind": ["A"] * len(a) + ["NTC"] * len(b)})
         for k, (a, b) in enumerate(samples)], ignore_index=True)  # fmt: skip
    table = average_precision(
        meta, np.concatenate([pool - pool.mean(axis=0) for pool in pools]),
        ["gene"], [], ["batch"], ["kind"], batch_size=100, distance="cosine",
    )  # fmt: skip
    assert score == pytest.approx(table.loc[meta["kind"] == "A", "average_precision"].mean())


def test_retrieval_finds_an_effect_in_one_batch_of_four_and_none_where_none_is():
    world = dict(dimensions=8, controls=20, group=30, batches=4, batch_spread=3.0)
    found = [retrieval_from_controls(*worlds.cells(s, **world, effect=0.8), 199, s)[1][1]
             for s in range(5)]  # fmt: skip
    assert np.median(found) < 0.02
    latent, batch_of, is_control, group_of = worlds.cells(0, **world)
    group_of[np.flatnonzero(~is_control)[0]] = 2  # a single cell retrieves none
    scores, p_values = retrieval_from_controls(latent, batch_of, is_control, group_of, 99, 0)
    assert np.isnan([scores[2], p_values[2]]).all() and 0 < scores[1] < 1


def test_genes_that_resemble_their_chromosome_arm_are_flagged():
    rng = np.random.default_rng(0)
    profiles = rng.normal(size=(120, 12))
    arm_of = np.repeat([f"{k}q" for k in range(8)], 15)
    arm_of[-3:] = ["9p", "9p", ""]
    profiles[:15] += 1.5 * rng.normal(size=12)
    related = np.zeros((120, 120), bool)
    table = arm_resemblance(profiles, arm_of, related)
    assert table["proximity_bias"][:15].mean() > 0.8 and table["proximity_bias"][15:].mean() < 0.05
    assert table["proximity_p"][-3:].isna().all()
    related[:15, :15] = True  # members of one complex
    assert not arm_resemblance(profiles, arm_of, related)["proximity_bias"].any()
    assert not arm_resemblance(profiles, np.full(120, ""), related)["proximity_bias"].any()


def test_conformal_sets_hold_the_group_of_nine_genes_in_ten():
    rng = np.random.default_rng(1)
    group_of = np.repeat(["a", "b", "c", ""], 40)
    centres = 1.2 * rng.normal(size=(4, 6))
    profiles = centres[np.repeat(range(4), 40)] + rng.normal(size=(160, 6))
    genes = np.array([f"G{k:03d}" for k in range(160)])
    sets, coverage = predicted_groups(profiles, genes, group_of, 0)
    assert 0.82 < coverage < 0.97
    holds = [group in named.split("; ") for group, named in zip(group_of, sets, strict=True)]
    assert np.mean(holds[:120]) == pytest.approx(0.9, abs=0.03)
    assert predicted_groups(profiles[:3], genes[:3], group_of[:3], 0)[0] == ["", "", ""]


def test_annotations_and_counts():
    tests = ActivityTest("mean", 99, 0)
    table, profiles = rows_of(screen_of(2), np.zeros((880, 4)), "gene", tests)
    complexes = pd.DataFrame({"complex": ["one", "one", "two"], "gene": ["G00", "G01", "G00"]})
    empty = pd.DataFrame({"gene": [], "group": [], "arm": []}, dtype=str)
    arms = pd.DataFrame({"gene": [f"G{k:02d}" for k in range(20)], "arm": ["1p", "2q"] * 10})
    found = add_annotations(table, profiles, complexes, empty, arms, 0).set_index("gene")
    assert found.loc["G00", "complexes"] == "one; two" and found.loc["G05", "complexes"] == ""
    assert found.loc["G01", "arm"] == "2q" and found["proximity_p"].notna().all()
    cells = screen_of(2).cells
    few = cells[(cells["gene"] != "G00") | (np.arange(len(cells)) % 4 == 0)]
    change = count_changes(few, "gene").set_index("gene")["log2_cell_count"]
    assert change["G00"] == pytest.approx(np.log2(2 / 20)) and change["G01"] == np.log2(8 / 20)


def test_a_row_for_each_dose():
    table, profiles = rows_of(
        screen_of(2), np.zeros((880, 4)), "guide", ActivityTest("mean", 99, 0)
    )
    assert len(table) == len(profiles) == 4 * N_GENES and (table["n_guides"] == 4).all()
    assert table["guide"].is_unique and (table["n_cells"] == 8).all()
    empty = pd.DataFrame({"gene": [], "group": [], "arm": [], "complex": []}, dtype=str)
    found = add_annotations(table, profiles, empty, empty, empty, 0)
    gene_of = dict(zip(table["guide"], table["gene"], strict=True))
    for gene, named in zip(found["gene"], found["neighbours"], strict=True):
        assert gene not in {gene_of[name] for name in named.split("; ")}
    changes = count_changes(screen_of(2).cells, "guide")
    assert len(changes) == len(table) and (changes["log2_cell_count"] == np.log2(8 / 20)).all()
