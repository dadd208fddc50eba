"""Genes that nobody trains on: their cells, their profiles, and benchmarks of few genes."""

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.benchmarks import corrections, guide_consistency
from mcvae_ops.benchmarks.complexes import complex_retrieval
from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.functions import function_prediction
from mcvae_ops.benchmarks.mitosis import mitotic_factors
from mcvae_ops.embeddings.embedded_cells import groups_of
from mcvae_ops.errors import InputError
from mcvae_ops.profiles.aggregate import GUIDE_KEYS, ProfileSums, cell_sets
from mcvae_ops.profiles.mitotic_index import mitotic_indices
from mcvae_ops.shards.split import check_genes, split_by_names

SPLIT = {
    "by": "cell",
    "seed": 0,
    "fractions": {"train": 0.7, "validation": 0.1, "test": 0.2},
    "held_out_guides_per_gene": 1,
    "held_out_wells": [],
    "held_out_genes": [],
}
COMPLEXES = pd.DataFrame(
    {"complex": np.repeat([f"complex {k}" for k in range(6)], 3),
     "gene": [f"{k}{member}" for k in range(6) for member in "ABC"]}
)  # fmt: skip
SETTINGS = {
    "first_percentile": 80, "last_percentile": 99, "bootstrap": 30, "permutations": 30,
    "level": "guide", "max_p_value": 1.1, "folds": 3, "repeats": 2, "test_fraction": 0.4,
    "shifting_groups": ["group 0"], "novel_groups": ["group 1"],
}  # fmt: skip
NO_PAIRS = pd.DataFrame(columns=["source", "gene_a", "gene_b"])


def screen(seed=0):
    """Six complexes of three genes of three guides, 20 cells each; half a group each complex."""
    rng = np.random.default_rng(seed)
    gene = np.repeat([*COMPLEXES["gene"], "NTC"], 60)
    cells = pd.DataFrame({"gene": gene, "is_ntc": gene == "NTC", "plate": "P1"})
    cells["cell_id"] = [f"c{k:04d}" for k in range(len(gene))]
    cells["guide"] = [f"{g}-{k % 3}" for k, g in enumerate(gene)]
    cells["well"] = rng.choice(["A1", "A2"], len(gene))
    cells["cell_cycle_stage"] = np.where(rng.random(len(gene)) < 0.3, "mitotic", "interphase")
    of_complex = np.array([int(name[0]) if name != "NTC" else 6 for name in gene])
    centre = np.vstack([3 * rng.normal(size=(6, 4)), np.zeros(4)])
    return cells, centre[of_complex] + rng.normal(size=(len(gene), 4))


def split_of(cells, **settings):
    columns = {name: cells[name].to_numpy() for name in cells}
    return split_by_names(columns, SPLIT | settings)


def test_all_cells_of_a_held_out_gene_are_one_set_and_no_others_change():
    cells, _ = screen()
    without = split_of(cells)
    splits = split_of(cells, held_out_genes=["0A", "3C"])
    chosen = cells["gene"].isin(["0A", "3C"]).to_numpy()
    np.testing.assert_array_equal(splits == "held_out_gene", chosen)
    np.testing.assert_array_equal(splits[~chosen], without[~chosen])


def test_a_held_out_gene_comes_before_a_well_and_a_well_before_a_guide():
    cells, _ = screen()
    splits = split_of(cells, held_out_genes=["0A"], held_out_wells=["P1/A2"])
    gene, well = (cells["gene"] == "0A").to_numpy(), (cells["well"] == "A2").to_numpy()
    assert (splits[gene] == "held_out_gene").all()
    assert (splits[well & ~gene] == "held_out_well").all()
    assert set(splits[~well & ~gene]) == {"train", "validation", "test", "held_out_guide"}


def test_controls_are_never_a_held_out_gene():
    cells, _ = screen()
    assert not (split_of(cells, held_out_genes=["NTC"]) == "held_out_gene").any()


@pytest.mark.parametrize(("name", "fix"), [("0AA", "write '0A' instead"), ("Q", "leave it out")])
def test_a_gene_that_is_not_in_the_screen_is_named(name, fix):
    with pytest.raises(InputError, match=f"split.held_out_genes: found {name!r}.*{fix}"):
        check_genes([name], COMPLEXES["gene"].to_numpy())


def pair_sets_of(library):
    return complex_retrieval.build_pair_sets(library, COMPLEXES, NO_PAIRS, SETTINGS["bootstrap"], 0)


def benchmark_rows(held_out):
    """Return the profiles, and the rows of every benchmark of profiles, of held-out genes alone."""
    cells, latent = screen()
    split = pd.Series(split_of(cells, held_out_genes=held_out))
    columns = ["s_00", "s_01", "z_00", "z_01"]
    named = {"model": "m", "seed": 0}
    sums = ProfileSums(groups_of(cells, GUIDE_KEYS), cell_sets(cells, split), columns)
    sums.add(slice(0, len(cells)), latent.astype(np.float32))
    of_guides, of_genes = (
        profiles[profiles["cells"] == "held_out_gene"] for profiles in sums.tables(named)
    )
    groups = pd.DataFrame({"gene": COMPLEXES["gene"]})
    groups["group"] = [f"group {name[0]}" for name in groups["gene"]]
    p_values = of_guides[["guide", "gene"]].assign(p_value=0.0)
    index = mitotic_indices(cells, split)
    index = index[index["cells"] == "held_out_gene"]
    points = mitotic_factors.effect_points(of_genes, index, {"0A"})

    def row(**values):
        same = {"model": "m", "seed": 0, "cells": "held_out_gene"}
        return table.row(**same | {"benchmark": "any", "space": "combined"} | values)

    def strict(**values):
        return row(protocol="strict", **values)

    twice = pd.concat([of_genes.assign(correction=name) for name in ("none", "tvn")])
    rows = {
        "complexes": complex_retrieval.retrieval_rows(of_genes, pair_sets_of, SETTINGS, 0)[0],
        "corrections": corrections.corrected_complex_rows(twice, COMPLEXES, 30, 0, strict),
        "functions": function_prediction.function_rows(of_guides, groups, p_values, SETTINGS, 0),
        "guides": guide_consistency.consistency_rows(of_guides, 30, 0),
        "mitosis": mitotic_factors.strict_rows(points, 0.0, row),
    }
    return of_genes, {name: table.to_frame(found) for name, found in rows.items()}


def test_two_complexes_of_unseen_genes_are_found(caplog):
    genes, rows = benchmark_rows([*(f"0{m}" for m in "ABC"), *(f"4{m}" for m in "ABC")])
    assert sorted(genes["gene"]) == ["0A", "0B", "0C", "4A", "4B", "4C", "NTC"]
    assert (genes.loc[genes["gene"] == "NTC", ["s_00", "z_01"]] == 0).all(axis=None)
    for name, metric in (("complexes", "average_precision"), ("corrections", "average_precision")):
        found = rows[name][(rows[name]["metric"] == metric) & (rows[name]["space"] == "combined")]
        np.testing.assert_allclose(found["value"], 1)  # planted far apart
        assert (found["n"] == 6).all()
    recall = rows["functions"][rows["functions"]["metric"] == "macro_recall"]
    assert len(recall) == 3 and (recall["value"] > 0.9)[recall["space"] == "combined"].all()
    assert len(rows["guides"]) and len(rows["mitosis"])


@pytest.mark.parametrize("held_out", [["2A"], ["2A", "2B", "2C"], ["0A", "1A", "2A"]])
def test_too_few_unseen_genes_leave_a_table_out_and_break_nothing(held_out, caplog):
    _, rows = benchmark_rows(held_out)
    assert rows["complexes"].empty and rows["corrections"].empty
    together = len({name[0] for name in held_out}) == 1 and len(held_out) > 1
    reason = "its 3 genes all belong together" if together else "no two genes of the library"
    assert f"CORUM: {reason}" in caplog.text
    # Guides of one gene are all of one gene: nothing to find, nothing to classify.
    assert rows["functions"].empty
    assert set(rows["mitosis"]["cells"]) == {"held_out_gene"}
