"""The library holds what the configuration plants, and its annotations read as the archive's."""

import copy

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from mcvae_ops.archive.annotations.annotation_tables import COLUMNS, annotations
from mcvae_ops.errors import InputError
from mcvae_ops.simulate.library import (
    AXES,
    EFFECTS,
    NATURAL_AXES,
    corum_table,
    draw_genes,
    draw_guides,
)
from mcvae_ops.simulate.self_check import effect_recovery, pair_average_precision
from tests.conftest import ROOT
from tests.helpers.simulated import DEFAULT, draw_library

LIBRARY = DEFAULT["simulate"]["library"]
NOVEL_EFFECTS = EFFECTS[len(NATURAL_AXES) :]


def draw(library: dict = LIBRARY, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return draw_guides(draw_genes(library, rng), library, rng)


def test_counts():
    guides = draw()
    n_genes = 12 * 2 * 3 + 24
    assert len(guides) == 4 * n_genes + 12
    targeting = guides[~guides["is_ntc"]]
    assert (targeting.groupby("gene").size() == 4).all()
    assert targeting["gene"].nunique() == n_genes
    in_complexes = targeting[targeting["complex"] != ""]
    assert (in_complexes.groupby("complex")["gene"].nunique() == 3).all()
    assert (in_complexes.groupby("group")["complex"].nunique() == 2).all()
    assert in_complexes["group"].nunique() == 12
    assert guides["guide"].is_unique
    assert guides["guide"].str.fullmatch("[ACGT]{20}").all()


def test_kinds_of_effect():
    guides = draw()
    of_kind = {kind: rows for kind, rows in guides.groupby("kind")}
    assert (of_kind["none"][EFFECTS] == 0).all(axis=None)
    assert set(of_kind["none"]["gene"].str[:3]) == {"NUL", "NTC"}
    assert (of_kind["shift"][NOVEL_EFFECTS] == 0).all(axis=None)
    assert (of_kind["novel"][NOVEL_EFFECTS].abs().max(axis=1) > 0.1).mean() > 0.9
    assert guides.loc[guides["is_ntc"], "penetrance"].eq(0).all()


def test_an_effect_is_weight_times_strength_times_efficacy():
    exact = LIBRARY | {"gene_spread": 0.0}
    guides = draw(exact)
    for group in exact["groups"]:
        for number, weights in enumerate(group["complexes"], start=1):
            rows = guides[guides["complex"] == f"{group['name']} complex {number}"]
            planted = np.array([weights.get(axis, 0.0) for axis in AXES])
            expected = np.outer(rows["strength"] * rows["efficacy"], planted)
            np.testing.assert_allclose(rows[EFFECTS], expected)


def test_draws_keep_to_their_distributions():
    guides = draw(LIBRARY | {"genes_per_complex": 26, "guides_per_gene": 20})
    targeting = guides[~guides["is_ntc"]]
    for name in ("strength", "penetrance"):
        assert targeting[name].between(*LIBRARY[name]).all()
        assert targeting[name].mean() == pytest.approx(np.mean(LIBRARY[name]), abs=0.02)
    a, b = LIBRARY["efficacy"]
    assert targeting["efficacy"].mean() == pytest.approx(a / (a + b), abs=0.01)


def test_higher_doses_of_a_compound_do_more_and_half_at_its_ec50():
    doses_um = [0.1, 1.0, 10.0]
    guides = draw(LIBRARY | {"doses_um": doses_um, "guides_per_gene": None, "efficacy": None})
    compounds = guides[~guides["is_ntc"]].groupby("gene", sort=False)
    for compound, rows in compounds:
        assert rows["guide"].tolist() == [f"{compound} {dose:g} uM" for dose in doses_um]
        ec50 = doses_um * (1 / rows["efficacy"].to_numpy() - 1)
        np.testing.assert_allclose(ec50, ec50[0])
        assert 0.1 <= ec50[0] <= 10
    assert guides["guide"].is_unique
    assert guides.loc[guides["is_ntc"], "guide"].str.startswith("control ").all()


def test_true_effects_recover_the_complexes():
    assert effect_recovery(draw()) > 0.9


def test_recovery_copes_with_axes_that_no_gene_uses():
    groups = [
        {"name": "a", "symbol": "AAA", "complexes": [{"size": 1.0}, {"size": -1.0}]},
        {"name": "b", "symbol": "BBB", "complexes": [{"mitosis": 1.0}, {"mitosis": -1.0}]},
    ]
    assert effect_recovery(draw(LIBRARY | {"groups": groups})) > 0.9


def test_pair_average_precision_is_scikit_learns():
    rng = np.random.default_rng(0)
    profiles, complexes = rng.normal(size=(40, 6)), rng.integers(0, 8, 40)
    unit = profiles / np.linalg.norm(profiles, axis=1, keepdims=True)
    first, second = np.triu_indices(40, k=1)
    expected = average_precision_score(
        complexes[first] == complexes[second], (unit[first] * unit[second]).sum(axis=1)
    )
    assert pair_average_precision(profiles, complexes) == pytest.approx(expected)


def test_groups_with_one_symbol_are_refused():
    groups = copy.deepcopy(LIBRARY["groups"])
    groups[1]["symbol"] = groups[0]["symbol"]
    with pytest.raises(InputError, match=r"simulate\.library\.groups"):
        draw(LIBRARY | {"groups": groups})


def test_a_seed_fixes_the_bytes_and_another_gives_another_library(tmp_path):
    config = copy.deepcopy(DEFAULT)
    first, again = (draw_library(config, tmp_path / name) for name in ("first", "again"))
    for name, path in first.items():
        assert path.read_bytes() == again[name].read_bytes()
    config["simulate"]["seed"] += 1
    other = draw_library(config, tmp_path / "other")
    for name in ("library", "truth"):
        assert first[name].read_bytes() != other[name].read_bytes()


def test_the_public_library_spells_controls_as_the_screen_does(tmp_path):
    public = pd.read_csv(draw_library(DEFAULT, tmp_path)["library"])
    assert list(public.columns) == ["sgRNA", "gene_symbol"]
    assert (public["gene_symbol"] == "nontargeting").sum() == 12
    assert "NTC" not in set(public["gene_symbol"])


def test_comments_with_line_breaks():
    text = corum_table(draw())
    assert '"Planted.\nSecond line."' in text
    assert text.count("\n") == 1 + 2 * (24 + 1)


def test_annotations_are_read_back(tmp_path):
    paths = draw_library(DEFAULT, tmp_path)
    truth = pd.read_parquet(paths["truth"])
    sources = {"corum": str(paths["corum"]), "pairs": {}}
    sources |= {name: str(paths[name]) for name in ("functional_groups", "mitotic_factors")}
    sources["wider_mitotic_factors"] = None
    read = {name: tmp_path / f"{name}.parquet" for name in COLUMNS}
    annotations(
        sources,
        "human",
        False,
        {"streams": 1, "retries": 0, "timeout_s": 5, "keep_raw": False},
        str(ROOT / "resources/SOURCES.tsv"),
        [str(path) for path in read.values()],
        str(tmp_path / "licences.tsv"),
    )
    table = {name: pd.read_parquet(path) for name, path in read.items()}

    genes = truth[truth["complex"] != ""].drop_duplicates("gene")
    planted = set(zip(genes["complex"], genes["gene"], strict=True))
    complexes = table["complexes"]
    in_library = complexes[complexes["gene"].isin(truth["gene"])]
    assert set(in_library.itertuples(index=False, name=None)) == planted
    assert not complexes.duplicated().any()
    outside = complexes[~complexes["gene"].isin(truth["gene"])]
    assert outside.groupby("complex").size().to_dict() == (
        dict.fromkeys(genes["complex"].unique(), 1) | {"outside the library": 3}
    )
    groups = table["functional_groups"].set_index("gene")["group"]
    assert groups.to_dict() == genes.set_index("gene")["group"].to_dict()
    assert table["pairs"].empty

    mitotic = {
        gene
        for gene in genes["gene"]
        if gene.startswith(("CAL-1", "CAL-2", "REP-2", "DEG-1"))  # natural axes alone, to mitosis
    }
    assert set(table["mitotic_factors"]["gene"]) == mitotic
