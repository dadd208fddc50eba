"""Hits: false discoveries, power, replicates, norms, confounders, neighbours, conformal sets."""

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.benchmarks.hits.effect_norms import effect_of, squared_norm
from mcvae_ops.benchmarks.hits.hit_table import Screen, add_annotations, count_changes, hit_rows
from mcvae_ops.benchmarks.hits.neighbours import nearest_genes, predicted_groups
from mcvae_ops.profiles.exchange import centre_on_controls, strata_of
from tests.calibration import worlds

N_ACTIVE, N_GENES = 10, 40


def screen_of(seed, effect=0.9, d=8):
    """Ten genes with an effect, thirty without, in four wells that differ."""
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
    nothing = np.random.default_rng(seed).normal(size=(len(screen.cells), 2))
    return hit_rows(screen, nothing, "mean", 999, seed)[0]


def test_false_discoveries_are_as_rare_as_q_says_and_most_effects_are_found():
    false, found = [], []
    for seed in range(10):
        table = hits_of(seed)
        planted = table["gene"] < f"G{N_ACTIVE:02d}"
        false.append((table["is_hit"] & ~planted).sum() / max(table["is_hit"].sum(), 1))
        found.append(table["is_hit"][planted].mean())
    assert np.mean(false) <= 0.07
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


def test_an_effect_that_density_explains_does_not_survive():
    screen = screen_of(1, effect=0.0)
    rng = np.random.default_rng(0)
    density = rng.normal(size=len(screen.cells)) + 2.0 * (screen.cells["gene"] == "G00")
    screen.latent[:, 0] += density
    table = hit_rows(screen, density.to_numpy()[:, None], "mean", 999, 0)[0].set_index("gene")
    assert table.loc["G00", "is_hit"] and not table.loc["G00", "survives_confounders"]


@pytest.mark.parametrize("effect", [0.0, 0.3])
def test_squared_norms_are_unbiased_and_covered(effect):
    values, covered = [], []
    for seed in range(80):
        world = dict(dimensions=8, controls=50, group=40, batches=4, batch_spread=1.0)
        latent, batch_of, is_control, group_of = worlds.cells(seed, **world, effect=effect)
        centred, controls = centre_on_controls(latent, batch_of, is_control)
        pooled = np.concatenate(list(controls.values()))
        strata = strata_of(group_of, batch_of, is_control)[1]
        value, low, high = squared_norm(
            effect_of(centred, strata, pooled.T @ pooled / (len(pooled) - 4))
        )
        values.append(value)
        covered.append(low <= 8 * effect**2 <= high)
    assert np.mean(values) == pytest.approx(8 * effect**2, abs=0.05)
    assert np.mean(covered) > 0.88


def test_nearest_genes_and_the_chance_of_them():
    rng = np.random.default_rng(0)
    profiles = rng.normal(size=(30, 20))
    profiles[1] = profiles[0] + 0.1 * rng.normal(size=20)
    genes = np.array([f"G{k:02d}" for k in range(30)])
    related = np.zeros((30, 30), bool)
    related[0, 1] = related[1, 0] = True
    table = nearest_genes(profiles, genes, related)
    assert table["neighbours"][0].startswith("G01; ") and table["neighbour_p"][0] < 0.1
    assert table["neighbour_p"][2:].mean() > 0.3


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
    assert predicted_groups(profiles[:3], genes[:3], group_of[:3], 0)[0].tolist() == ["", "", ""]


def test_annotations_and_counts():
    table, profiles = hit_rows(screen_of(2), np.zeros((1520, 1)), "mean", 99, 0)
    complexes = pd.DataFrame({"complex": ["one", "one", "two"], "gene": ["G00", "G01", "G00"]})
    empty = pd.DataFrame({"gene": [], "group": []}, dtype=str)
    found = add_annotations(table, profiles, complexes, empty, 0).set_index("gene")
    assert found.loc["G00", "complexes"] == "one; two" and found.loc["G05", "complexes"] == ""
    cells = screen_of(2).cells
    few = cells[(cells["gene"] != "G00") | (np.arange(len(cells)) % 4 == 0)]
    change = count_changes(few)
    assert change["G00"] == pytest.approx(np.log2(2 / 20)) and change["G01"] == np.log2(8 / 20)
