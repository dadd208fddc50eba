"""The authors' published tables in the pipeline's form (real data)."""

import pandas as pd
import pytest

from mcvae_ops.errors import InputError
from mcvae_ops.profiles.published_profiles import gene_table, published_profiles, significance_table

COLUMNS = {"guide": "sgRNA_0", "gene": "gene_symbol_0"}


def test_published_tables(shared, tmp_path):
    folder = shared / "data" / "published"
    published_profiles(
        embedding=str(folder / "gene_embedding_run_44m9h8fu.parquet"),
        significance=str(folder / "guide_significance_cellprofiler.parquet"),
        control="nontargeting",
        columns=COLUMNS,
        model="mcvae",
        seed=0,
        genes=[str(tmp_path / "genes.parquet")],
        mitotic_index=str(tmp_path / "mitotic_index.parquet"),
        guide_significance=str(tmp_path / "significance.parquet"),
    )
    genes = pd.read_parquet(tmp_path / "genes.parquet")
    assert len(genes) == 3090
    ntc = genes[genes["is_ntc"]]
    assert ntc["gene"].tolist() == ["NTC"]
    assert (ntc.filter(regex="^[sz]_") == 0).all(axis=None)
    assert genes["n_cells"].isna().all()
    assert genes["s_31"].dtype == genes["z_31"].dtype == "float64"
    assert len(pd.read_parquet(tmp_path / "mitotic_index.parquet")) == 3089
    significance = pd.read_parquet(tmp_path / "significance.parquet")
    assert (significance["p_value"] < 0.01).sum() == 7042
    assert (significance["gene"] == "NTC").sum() == 250


def test_the_salient_half_comes_first():
    table = gene_table(pd.DataFrame([[1, 2, 3, 4]], ["A"], list("0123")), "x", "m", 0)
    assert table[["s_00", "s_01", "z_00", "z_01"]].iloc[0].tolist() == [1, 2, 3, 4]
    with pytest.raises(InputError, match="3 columns named by a number"):
        gene_table(pd.DataFrame([[1, 2, 3]], ["A"], list("012")), "x", "m", 0)


def test_more_than_one_model_is_refused():
    with pytest.raises(InputError, match="2 models x seeds"):
        published_profiles("", "", "", {}, "m", 0, ["a", "b"], "", "")


def test_the_control_gets_the_pipelines_spelling():
    table = pd.DataFrame({"sgRNA_0": ["g"], "gene_symbol_0": ["c"], "stat": [1.0], "pvalue": [0.5]})
    assert significance_table(table, "c", COLUMNS)["gene"].tolist() == ["NTC"]
