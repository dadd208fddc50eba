"""Profiles: means over cells, guides and genes, against hand-computed values."""

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.embeddings.spaces import finite_profiles, spaces_of
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet
from mcvae_ops.profiles.aggregate import aggregate_profiles, cell_set, gene_profiles, guide_profiles
from mcvae_ops.profiles.mitotic_index import mitotic_indices
from mcvae_ops.profiles.normalise import zscore_features

INDEXED = ["cell_id", "plate", "well", "batch", "guide", "gene", "is_ntc"]
CELLS = pd.DataFrame(
    {
        "cell_id": [f"c{k}" for k in range(8)],
        "plate": "P1",
        "well": "A1",
        "batch": "P1/A1",
        "guide": ["a1", "a1", "a1", "a2", "b1", "b1", "n1", "n2"],
        "gene": ["A", "A", "A", "A", "B", "B", "NTC", "NTC"],
        "is_ntc": [False] * 6 + [True] * 2,
        "cell_cycle_stage": np.where([1, 0, 0, 0, 0, 1, 1, 0], "mitotic", "interphase"),
        "split": [
            "train",
            "test",
            "train",
            "held_out_guide",
            "validation",
            "test",
            "test",
            "train",
        ],
    }
)
LATENT = np.array([[1, 0], [2, 0], [3, 3], [10, 5], [4, 4], [6, 8], [1, 1], [3, 1]], np.float32)


def test_a_guide_is_the_mean_of_its_cells_and_one_cell_is_enough():
    guides = guide_profiles(CELLS, LATENT).set_index("guide")
    assert guides["n_cells"].to_dict() == {"a1": 3, "a2": 1, "b1": 2, "n1": 1, "n2": 1}
    np.testing.assert_allclose(guides.loc["a1", [0, 1]].astype(float), [2, 1])
    np.testing.assert_allclose(guides.loc["a2", [0, 1]].astype(float), [10, 5])


def test_a_gene_is_the_unweighted_mean_of_its_guides_minus_ntc():
    genes = gene_profiles(guide_profiles(CELLS, LATENT), [0, 1]).set_index("gene")
    np.testing.assert_allclose(genes.loc["A", [0, 1]].astype(float), [6 - 2, 3 - 1])
    np.testing.assert_allclose(genes.loc["B", [0, 1]].astype(float), [5 - 2, 6 - 1])
    np.testing.assert_allclose(genes.loc["NTC", [0, 1]].astype(float), [0, 0])
    assert genes.loc["A", "n_guides"] == 2
    assert genes.loc["A", "n_cells"] == 4


def test_noise_of_means_by_hand():
    guides = guide_profiles(CELLS, LATENT, {"salient": [0], "both": [0, 1]})
    # variances 1 and 3 of three cells, 2 and 8 of two; within all (8 + 10) / 3 for a single cell
    both = guides.set_index("guide")["both_noise"]
    assert both.to_dict() == pytest.approx({"a1": 4 / 3, "a2": 6, "b1": 5, "n1": 6, "n2": 6})
    assert guides["salient_noise"].iloc[0] == pytest.approx(1 / 3)
    genes = gene_profiles(guides, [0, 1]).set_index("gene")["both_noise"]
    assert genes.to_dict() == pytest.approx({"A": (4 / 3 + 6) / 4 + 3, "B": 5 + 3, "NTC": 0})


def test_norms_less_their_noise_are_those_of_the_planted_effect():
    rng, n_genes, sizes = np.random.default_rng(0), 200, (3, 12)
    guide = np.repeat(np.arange(2 * n_genes), np.tile(sizes, n_genes))
    cells = pd.DataFrame({"guide": guide, "gene": [f"G{k // 2:03d}" for k in guide]})
    cells = pd.concat([cells, pd.DataFrame({"guide": 1000 + np.arange(500) // 50, "gene": "NTC"})])
    cells = cells.assign(is_ntc=(cells["gene"] == "NTC").to_numpy()).reset_index(drop=True)
    latent = rng.normal(size=(len(cells), 8)) * rng.uniform(0.5, 2, size=(len(cells), 1))
    latent[~cells["is_ntc"], 0] += 1.5
    genes = gene_profiles(guide_profiles(cells, latent, {"all": list(range(8))}), list(range(8)))
    genes = genes[~genes["is_ntc"]]
    squared = (genes[list(range(8))] ** 2).sum(axis=1)
    assert squared.mean() > 1.5**2 + 1
    error = 3 * (squared - genes["all_noise"]).sem()
    assert (squared - genes["all_noise"]).mean() == pytest.approx(1.5**2, abs=error)


def test_cells_with_nan_are_left_out(caplog):
    latent = LATENT.copy()
    latent[0, 0] = np.nan
    guides = guide_profiles(CELLS, latent).set_index("guide")
    assert guides.loc["a1", "n_cells"] == 2
    np.testing.assert_allclose(guides.loc["a1", [0, 1]].astype(float), [2.5, 1.5])
    assert "1 cells without a finite embedding" in caplog.text


def test_without_ntc_there_is_no_profile():
    with pytest.raises(InputError, match="an NTC guide is missing"):
        gene_profiles(guide_profiles(CELLS[~CELLS["is_ntc"]], LATENT[:6]), [0, 1])


@pytest.mark.parametrize(
    ("name", "rows"),
    [("all", range(8)), ("train", [0, 2, 7]), ("test", [1, 5, 6]), ("held_out_guide", [3, 6])],
)
def test_sets_of_cells(name, rows):
    assert np.flatnonzero(cell_set(CELLS, CELLS["split"], name)).tolist() == list(rows)


def test_tables_on_disk_and_as_anndata(tmp_path):
    write_parquet(CELLS[INDEXED], tmp_path / "index.parquet")
    write_parquet(CELLS[["cell_id", "split"]], tmp_path / "splits.parquet")
    embedding = CELLS[["cell_id"]].assign(s_00=LATENT[:, 0], z_00=LATENT[:, 1])
    write_parquet(embedding, tmp_path / "e.parquet", {"model": "mcvae", "seed": "3"})
    aggregate_profiles(
        *(str(tmp_path / n) for n in ("index.parquet", "splits.parquet", "e.parquet")),
        guides=str(tmp_path / "guides.parquet"),
        genes=str(tmp_path / "genes.parquet"),
    )
    genes = pd.read_parquet(tmp_path / "genes.parquet")
    assert list(genes.columns) == [
        *("model", "seed", "cells", "gene", "is_ntc", "n_guides", "n_cells"),
        *("combined_noise", "salient_noise", "background_noise", "s_00", "z_00"),
    ]
    assert set(genes["cells"]) == {"all", "train", "test", "held_out_guide"}
    held_out = genes[(genes["cells"] == "held_out_guide") & (genes["gene"] == "A")].iloc[0]
    assert (held_out["seed"], held_out["s_00"], held_out["z_00"]) == (3, 9, 4)


def test_an_embedding_of_other_cells_is_refused(tmp_path):
    write_parquet(CELLS[INDEXED], tmp_path / "index.parquet")
    write_parquet(CELLS[["cell_id", "split"]], tmp_path / "splits.parquet")
    embedding = CELLS[["cell_id"]].assign(z_00=LATENT[:, 1])[::-1]
    write_parquet(embedding, tmp_path / "e.parquet", {"model": "vae", "seed": "0"})
    with pytest.raises(InputError, match="expected cell c0, as in the shard index"):
        aggregate_profiles(
            *(str(tmp_path / n) for n in ("index.parquet", "splits.parquet", "e.parquet")),
            guides=str(tmp_path / "guides.parquet"),
            genes=str(tmp_path / "genes.parquet"),
        )


def test_spaces_of_a_table():
    assert spaces_of(["gene", "z_00", "s_00", "s_sum"]) == {
        "combined": ["s_00", "z_00"],
        "salient": ["s_00"],
        "background": ["z_00"],
    }
    assert spaces_of(["z_00", "z_01"]) == {"combined": ["z_00", "z_01"]}
    technical = spaces_of(["s_00", "z_00", "t_00", "t_01"])
    assert technical["combined"] == ["s_00", "z_00"]
    assert technical["technical"] == ["t_00", "t_01"]
    with pytest.raises(InputError, match="column z_00 is missing"):
        spaces_of(["gene", "s_00"])


def test_genes_without_a_finite_profile_are_left_out_and_named(caplog):
    genes = pd.DataFrame(
        {"gene": ["A", "B", "NTC"], "is_ntc": [False, False, True], "z_00": [1, np.nan, 0]}
    )
    assert finite_profiles(genes)["gene"].tolist() == ["A"]
    assert "1 genes without a finite profile are left out: B" in caplog.text


def test_zscores_and_constant_features():
    values = np.array([[1.0, 0.1], [2.0, 0.1], [6.0, 0.1]])
    scores = zscore_features(values)
    np.testing.assert_allclose(scores[:, 0], (values[:, 0] - 3) / np.std(values[:, 0]))
    assert (scores[:, 1] == 0).all()


def test_mitotic_index_is_the_signed_change_against_ntc():
    split = pd.Series(["train"] * len(CELLS))
    both = mitotic_indices(CELLS, split)
    assert set(both["cells"]) == {"all", "train"}
    index = both[both["cells"] == "all"].set_index("name")
    assert index.loc["A", "mitotic_fraction"] == 0.25
    assert index.loc["A", "mitotic_index_percent"] == -50
    assert index.loc["B", "mitotic_index_percent"] == 0
    assert index.loc["n1", ["level", "mitotic_index_percent"]].tolist() == ["ntc_guide", 100]
    with pytest.raises(InputError, match="every mitotic cell among 2 NTC cells is missing"):
        mitotic_indices(CELLS.assign(cell_cycle_stage="interphase"), split)
