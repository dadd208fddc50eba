"""Profiles that others made, in the pipeline's form: right, or one sentence."""

import gzip

import anndata
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse

from mcvae_ops.embeddings.spaces import latent_columns, spaces_of
from mcvae_ops.errors import InputError
from mcvae_ops.profiles.published_profiles import published_profiles, random_profiles
from tests.helpers.configurations import merged

ARCHIVE = {"streams": 1, "retries": 0, "timeout_s": 5, "keep_raw": False}
MITOTIC = {"columns": {"mitotic_index": "mitotic_index"}}
SPACES = {"salient": "0-1", "background": "2-3"}
GUIDES = pd.DataFrame(
    {"guide": ["g", "c"], "gene": ["G1", "NTC"], "statistic": 1.0, "p_value": 0.5}
)


def embedding(n=6):
    names = ["nontargeting", *(f"G{k}" for k in range(1, n))]
    values = np.arange(4 * n, dtype=np.float32).reshape(n, 4)
    frame = pd.DataFrame(values, names, columns=list("0123"))
    return frame.assign(mitotic_index=np.linspace(0, 100, n))


def write(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(frame.to_csv().encode()))
    else:
        frame.to_csv(path, sep="\t" if path.suffix == ".tsv" else ",")


@pytest.fixture
def enter(tmp_path):
    """Return what writes a table and reads what the rule makes of it."""

    def call(table, name="genes.parquet", significance=None, control="nontargeting", **entry):
        path = tmp_path / name
        if table is not None:
            write(table, path)
        guides = None
        if significance is not None:
            significance.to_parquet(tmp_path / "guides.parquet")
            guides = {"table": str(tmp_path / "guides.parquet")}
        profiles = {
            "genes": {"table": str(path), "spaces": SPACES} | entry,
            "guide_significance": guides,
        }
        targets = [str(tmp_path / f"{k}.out") for k in range(3)]
        published_profiles(profiles, control, ARCHIVE, "m", 0, *targets)
        return [pd.read_parquet(target) for target in targets]

    return call


def test_the_authors_tables(shared, tmp_path):
    folder = shared / "data" / "published"
    profiles = merged("published")["archive"]["profiles"]
    profiles["genes"]["table"] = str(folder / "gene_embedding_run_44m9h8fu.parquet")
    profiles["guide_significance"]["table"] = str(
        folder / "guide_significance_cellprofiler.parquet"
    )
    targets = [str(tmp_path / name) for name in ("genes", "index", "significance")]
    published_profiles(profiles, "nontargeting", ARCHIVE, "mcvae", 0, *targets)
    genes, index, significance = map(pd.read_parquet, targets)
    published = pd.read_parquet(profiles["genes"]["table"])
    assert len(genes) == 3090
    ntc = genes[genes["is_ntc"]]
    assert ntc["gene"].tolist() == ["NTC"]
    assert (ntc.filter(regex="^[sz]_") == 0).all(axis=None)
    assert genes["n_cells"].isna().all()
    assert genes["s_31"].dtype == genes["z_31"].dtype == "float64"
    for ours, theirs in {"s_00": "0", "s_31": "31", "z_00": "32", "z_31": "63"}.items():
        assert (genes[ours].to_numpy() == published[theirs].to_numpy(np.float64)).all()
    assert len(index) == 3089
    assert (significance["p_value"] < 0.01).sum() == 7042
    assert (significance["gene"] == "NTC").sum() == 250


@pytest.mark.parametrize("name", ["g.parquet", "g.csv", "g.tsv", "g.csv.gz"])
@pytest.mark.parametrize("as_column", [False, True])
def test_a_table_in_each_form(name, as_column, enter):
    table = embedding().rename_axis("Gene Symbol" if as_column else None)
    if name.endswith("parquet"):
        table = table.reset_index() if as_column else table
    elif not as_column:
        table = table.rename_axis("gene")
    genes, index, significance = enter(table, name)
    assert genes["gene"].tolist() == ["NTC", "G1", "G2", "G3", "G4", "G5"]
    assert genes[["s_00", "s_01", "z_00", "z_01"]].iloc[1].tolist() == [4, 5, 6, 7]
    assert index.empty and significance.empty


def test_an_h5ad(tmp_path, enter):
    table = embedding()
    cells = anndata.AnnData(
        table[["0", "1"]].to_numpy(),
        obs=pd.DataFrame({"target": pd.Categorical(table.index)}, index=list("abcdef")),
        var=pd.DataFrame(index=["0", "1"]),
        obsm={"X_z": table[["2", "3"]].to_numpy()},
    )
    cells.write_h5ad(tmp_path / "map.h5ad")
    spaces = {"salient": ["0", "1"], "background": "X_z_*"}
    genes, *_ = enter(None, "map.h5ad", columns={"gene": "target"}, spaces=spaces)
    assert genes["gene"].tolist() == ["NTC", "G1", "G2", "G3", "G4", "G5"]
    assert genes[["s_00", "s_01", "z_00", "z_01"]].iloc[1].tolist() == [4, 5, 6, 7]


def test_arrays_of_an_h5ad_are_sparse_or_no_vectors_and_its_text_may_be_bytes(tmp_path, enter):
    table = embedding()
    cells = anndata.AnnData(
        sparse.csr_matrix(table[["0", "1"]].to_numpy()),
        obs=pd.DataFrame({"target": table.index}, index=list("abcdef")),
        var=pd.DataFrame(index=["0", "1"]),
        obsm={"z": sparse.csr_matrix(table[["2", "3"]].to_numpy()), "crops": np.ones((6, 2, 2))},
    )
    cells.write_h5ad(tmp_path / "map.h5ad")
    with h5py.File(tmp_path / "map.h5ad", "r+") as data:
        attributes = dict(data["obs/target"].attrs)
        del data["obs/target"]
        data["obs/target"] = np.array([name.encode() for name in table.index])
        data["obs/target"].attrs.update(attributes | {"encoding-type": "array"})
    spaces = {"salient": ["0", "1"], "background": "z"}
    genes, *_ = enter(None, "map.h5ad", columns={"gene": "target"}, spaces=spaces)
    assert genes["gene"].tolist() == ["NTC", "G1", "G2", "G3", "G4", "G5"]
    assert genes[["s_00", "s_01", "z_00", "z_01"]].iloc[1].tolist() == [4, 5, 6, 7]


def test_types_of_other_programs_in_parquet(tmp_path, enter):
    """Lists are of machine learning, decimals of DuckDB, bytes of Spark."""
    table = embedding()
    vectors = [None, *table[["2", "3"]].to_numpy().tolist()[1:]]
    columns = {"gene": pa.array([name.encode() for name in table.index]), "z": vectors}
    columns |= {name: pa.array(table[name]).cast(pa.decimal128(12, 2)) for name in ("0", "1")}
    pq.write_table(pa.table(columns), tmp_path / "map.parquet")
    genes, *_ = enter(None, "map.parquet", spaces={"salient": "0-1", "background": "z"})
    assert genes["gene"].tolist() == ["NTC", "G1", "G2", "G3", "G4", "G5"]
    assert genes[["s_00", "s_01", "z_00", "z_01"]].iloc[1].tolist() == [4, 5, 6, 7]
    assert genes["z_01"].isna().tolist() == [True, *[False] * 5]


def test_all_columns_are_those_that_say_nothing_else(enter):
    genes, index, _ = enter(embedding(), spaces={"combined": "*"}, **MITOTIC)
    assert list(genes.filter(regex="^[sz]_")) == ["z_00", "z_01", "z_02", "z_03"]
    assert len(index) == 5


def test_a_map_of_one_space_without_controls(enter):
    table = embedding().iloc[1:]
    genes, index, _ = enter(
        table, spaces={"combined": "0-3"}, control=None, columns={"mitotic_index": "mitotic_index"}
    )
    assert list(genes.filter(regex="^[sz]_")) == ["z_00", "z_01", "z_02", "z_03"]
    assert not genes["is_ntc"].any() and len(index) == 5


def test_several_controls_stay_and_guides_take_the_pipelines_spelling(enter):
    table = pd.concat([embedding(), embedding().iloc[:1]])
    genes, index, guides = enter(
        table, significance=GUIDES.replace("NTC", "nontargeting"),
        columns={"mitotic_index": "mitotic_index"},
    )  # fmt: skip
    assert genes["is_ntc"].sum() == 2 and len(index) == 5
    assert guides["gene"].tolist() == ["G1", "NTC"]


@pytest.mark.parametrize("control", [["nontargeting", "G5"], ["nontarg*", " G5 "]])
def test_controls_are_a_list_or_patterns_as_in_cells(control, enter):
    genes, _, guides = enter(embedding(), control=control, significance=GUIDES.replace("NTC", "G5"))
    assert genes["gene"].tolist() == ["NTC", "G1", "G2", "G3", "G4", "NTC"]
    assert guides["gene"].tolist() == ["G1", "NTC"]
    assert genes["is_ntc"].tolist() == [True, False, False, False, False, True]


def with_index(index):
    return embedding().set_axis(index)


@pytest.mark.parametrize(
    ("table", "entry", "sentence"),
    [
        (embedding().reset_index(drop=True), {}, "expected a column 'gene'"),
        (with_index([0, 9, 8, 7, 6, 5]), {}, "found genes called 0, 9, 8"),
        (with_index(list("012345")), {}, "found genes called 0, 1, 2"),
        (with_index(["nontargeting", None, *"abcd"]), {}, "genes called (None|nan)"),
        (with_index(["nontargeting", *"aabcd"]), {}, r"1 genes with several profiles \(a\)"),
        (embedding(), {"control": "NTC"}, "no profile labelled 'NTC' among 6"),
        (
            embedding(),
            {"control": {"role": "x"}},
            "{'role': 'x'}, but published profiles have no r",
        ),
        (
            with_index(["nontargeting", "NTC", *"abcd"]),
            {},
            "found a gene NTC, which screen.control",
        ),
        (embedding(), {"columns": {"gene": "symbol"}}, "expected a column 'symbol'"),
        (embedding(), {"columns": {"mitotic_index": "mi"}}, "expected a column 'mi'"),
        (embedding(), {"spaces": {}}, r"expected salient and background, or combined"),
        (embedding(), {"spaces": {"salient": "0"}}, "found salient, expected"),
        (embedding(), {"spaces": {"combined": "0-4"}}, "found no column '4'"),
        (embedding(), {"spaces": {"combined": "z_*"}}, "expected columns z_\\*"),
        (embedding(), {"spaces": {"salient": "0-2", "background": "2-3"}}, "2 is defined twice"),
        (
            embedding().assign(**{"0": ["1", "2", "#DIV/0!", "4", "5", "?"]}),
            {},
            r"found (object|str) \['#DIV/0!'\] in column '0'",
        ),
        (embedding().assign(**{"0": True}), {}, r"found bool \[True\] in column '0'"),
        (embedding().iloc[:0], {}, "found no row"),
        (embedding(), {"control": "c"}, r"nontargeting, G1, .+ in the index, .+columns\.gene, or"),
        (embedding(), {"sha256": "0" * 64}, "expected 0000"),
    ],
)
def test_what_is_wrong_is_one_sentence(table, entry, sentence, enter):
    with pytest.raises(InputError, match=sentence):
        enter(table, **entry)


@pytest.mark.parametrize(
    ("guides", "sentence"),
    [
        (GUIDES.assign(p_value=[0.5, 1.5]), "a p value 1.5"),
        (GUIDES.drop(columns="statistic"), "expected a column 'statistic'"),
        (pd.concat([GUIDES, GUIDES]), "the guide g is defined twice"),
        (GUIDES.assign(gene=["G1", None]), "found 1 rows without a guide or gene"),
    ],
)
def test_what_is_wrong_with_the_guides_is_one_sentence(guides, sentence, enter):
    with pytest.raises(InputError, match=sentence):
        enter(embedding(), significance=guides)


@pytest.mark.parametrize("spelled", [
    ["3", "3.25%", " 4.5 % ", "n/a", "-0.5", ""],
    ["3,0", "3,25%", "4,5", "NaN", "-0,5", None],
])  # fmt: skip
@pytest.mark.parametrize("name", ["g.parquet", "g.tsv"])
def test_a_mitotic_index_written_as_text_is_read_as_it_is_meant(spelled, name, enter, caplog):
    table = embedding().assign(mitotic_index=pd.array(spelled, "string")).rename_axis("gene")
    _, index, _ = enter(table, name, **MITOTIC)
    values = index.set_index("name")["mitotic_index_percent"]
    assert values[["G1", "G2", "G4"]].tolist() == [3.25, 4.5, -0.5]
    assert values[["G3", "G5"]].isna().all()
    assert "2 of 6 values of 'mitotic_index' are missing" in caplog.text


@pytest.mark.parametrize(
    ("spelled", "named"),
    [
        (["3", "low", "4", "high", "5", "low"], r"3 of 6 values that are no num.+\(low, high\)"),
        (["1,234.5", "2.5", "3", "3", "3", "3"], r"1 of 6 values that are no num.+\(1,234.5\)"),
    ],
)
def test_text_that_is_no_mitotic_index_is_named(spelled, named, enter):
    with pytest.raises(InputError, match=named):
        enter(embedding().assign(mitotic_index=spelled), **MITOTIC)


def test_guides_may_be_numbers_and_genes_have_spaces_around_them(enter):
    guides = GUIDES.assign(guide=[1, 2], gene=[" G1", "nontargeting "])
    _, _, found = enter(embedding(), significance=guides)
    assert found[["guide", "gene"]].to_numpy().tolist() == [["1", "G1"], ["2", "NTC"]]


def test_p_values_written_as_text(enter, caplog):
    guides = GUIDES.replace("NTC", "nontargeting")
    written = guides.assign(p_value=["0,05", "n/a"], statistic=["1,5", "2"])
    _, _, found = enter(embedding(), significance=written)
    assert found["p_value"][0] == 0.05 and np.isnan(found["p_value"][1])
    assert found["statistic"].tolist() == [1.5, 2.0]
    assert "1 of 2 values of 'p_value' are missing" in caplog.text
    with pytest.raises(InputError, match=r"column 'p_value': found 1 of 2 .+\(< 0.001\)"):
        enter(embedding(), significance=guides.assign(p_value=["< 0.001", "0.5"]))


def test_genes_of_guides_without_a_profile_are_counted(enter, caplog):
    genes = ["G1", "g2", *(f"H{k}" for k in range(12)), "nontargeting"]
    guides = pd.DataFrame({"guide": genes, "gene": genes, "statistic": 1.0, "p_value": 0.5})
    enter(embedding(), significance=guides)
    assert "1 of its 14 genes have a profile; not H0, H1, H10, H11" in caplog.text
    assert "1 in another case (g2 is G2 in the screen)" in caplog.text
    caplog.clear()
    enter(embedding(), significance=guides.iloc[[0, 14]])
    assert not caplog.text
    with pytest.raises(InputError, match=r"none of its 1 genes \(g2\) .+ 1 in another case"):
        enter(embedding(), significance=guides.iloc[[1, 14]])


@pytest.mark.parametrize("header", ["", "Unnamed: 0", '"...1"'])
def test_the_first_column_of_a_csv_needs_no_name(header, tmp_path, enter):
    lines = embedding().to_csv().split("\n")
    (tmp_path / "g.csv").write_text("\n".join([header + lines[0], *lines[1:]]))
    genes, *_ = enter(None, "g.csv")
    assert genes["gene"].tolist() == ["NTC", "G1", "G2", "G3", "G4", "G5"]


def test_an_index_of_row_numbers_leaves_the_genes_to_their_column(tmp_path, enter):
    table = embedding().rename_axis("gene").reset_index()
    for name in ("numbered.csv", "numbered.parquet"):
        genes, *_ = enter(table.iloc[[0, 2, 4]], name)
        assert genes["gene"].tolist() == ["NTC", "G2", "G4"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_csv_of_a_spreadsheet_has_decimal_commas(encoding, line_end, tmp_path, enter):
    table = embedding().rename_axis("gene") + 0.5
    text = table.to_csv(sep=";", decimal=",").replace("\n", line_end)
    (tmp_path / "g.csv").write_bytes(text.encode(encoding))
    genes, *_ = enter(None, "g.csv")
    assert genes[["s_00", "s_01", "z_00", "z_01"]].iloc[1].tolist() == [4.5, 5.5, 6.5, 7.5]


@pytest.mark.parametrize(
    "content", [b"PAR1", b"\x89HDF\r\n\x1a\n", b"a,b\n1,2,3\n", b"\x1f\x8b", b"PK\3\4\0\0 csv"]
)
def test_a_damaged_table_is_refused(content, tmp_path, enter):
    (tmp_path / "map").write_bytes(content)
    with pytest.raises(InputError, match="no table that can be read"):
        enter(None, "map")


def test_random_profiles_are_of_the_same_genes_and_fixed_by_their_seed(tmp_path, enter):
    genes, _, _ = enter(embedding())
    drawn = []
    for seed in (0, 0, 1):
        path = str(tmp_path / "random.out")
        random_profiles(str(tmp_path / "0.out"), seed, path)
        drawn.append(pd.read_parquet(path))
    first, again, other = drawn
    assert first["gene"].tolist() == genes["gene"].tolist() and set(first["model"]) == {"random"}
    assert set(spaces_of(first.columns)) == {"combined"}
    n_latent = len(latent_columns(genes.columns))
    assert len(latent_columns(first.columns)) == n_latent
    assert first.equals(again) and not first.equals(other)
