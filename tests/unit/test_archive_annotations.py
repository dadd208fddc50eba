"""Annotations in every form in which they come."""

import pandas as pd
import pytest

from mcvae_ops.archive.annotations import annotations, parse_complexes, parse_pairs
from mcvae_ops.errors import InputError
from tests.conftest import ROOT

TABLES = (
    *("complexes", "pairs", "functional_groups", "mitotic_factors", "wider_mitotic_factors"),
    "chromosome_arms",
)
ARCHIVE = {"streams": 2, "retries": 1, "timeout_s": 5, "keep_raw": False}

V5 = (
    "complex_id\tcomplex_name\torganism\tsubunits_gene_name\tcomment\n"
    '1\tAlpha\tHuman\tA1;A2;A1; ;None\t"two\nlines\tand a tab"\n'
    "2\tBeta\tHuman\tB1;B2\t\n"
    "3\tBeta\tHuman\tB3;B1\t\n"
    "4\tMouse one\tMouse\tC1;C2\t\n"
)


@pytest.mark.parametrize("version", [5, 3])
def test_corum_tables(version):
    text = V5
    if version == 3:
        for new, old in (
            ("complex_id", "ComplexID"),
            ("complex_name", "ComplexName"),
            ("organism", "Organism"),
            ("subunits_gene_name", "subunits(Gene name)"),
        ):
            text = text.replace(new, old)
    found = parse_complexes(text, "corum")
    assert list(found.itertuples(index=False, name=None)) == [
        ("Alpha", "A1"),
        ("Alpha", "A2"),
        ("Beta (2)", "B1"),
        ("Beta (2)", "B2"),
        ("Beta (3)", "B3"),
        ("Beta (3)", "B1"),
    ]


def test_lines_of_name_and_genes(shared):
    text = (shared / "data" / "annotations" / "CORUM_clusters.tsv").read_text()
    found = parse_complexes(text, "corum")
    assert found["complex"].nunique() == 2696
    twelve = found.loc[found["complex"] == "(E.F.G) complex", "gene"]
    assert twelve.tolist() == ["SNRPE", "SNRPF", "SNRPG"]


def test_something_else_is_refused():
    with pytest.raises(InputError, match="a, b, c"):
        parse_complexes("a\tb\tc\n1\t2\t3\n", "corum")


def test_an_empty_complex_has_no_row():
    found = parse_complexes("empty\t\nfull\tA B\n", "corum")
    assert found["complex"].tolist() == ["full", "full"]


def test_pairs_lose_their_direction():
    text = "entity1,entity2\nB,A\nA,B\nC,C\nNA,A\n"
    found = parse_pairs(text, "pairs")
    assert list(found.itertuples(index=False, name=None)) == [("A", "B"), ("A", "NA")]


@pytest.fixture
def run(tmp_path):
    outputs = {name: str(tmp_path / f"{name}.parquet") for name in TABLES} | {
        "licences": str(tmp_path / "licences.tsv")
    }

    def call(sources, commercial_use=False):
        recorded = str(ROOT / "resources/SOURCES.tsv")
        annotations(sources, commercial_use, ARCHIVE, recorded, **outputs)
        tables = {k: pd.read_parquet(v) for k, v in outputs.items() if k != "licences"}
        return tables, pd.read_csv(outputs["licences"], sep="\t")

    return call


def test_real_sources_and_their_licences(shared, run):
    folder = shared / "data" / "annotations"
    names = {"Reactome": "Reactome", "hu.MAP": "HuMAP", "STRING": "StringDB", "SIGNOR": "SIGNOR"}
    sources = {
        "corum": str(folder / "CORUM_clusters.tsv"),
        "pairs": {name: str(folder / f"{file}.txt") for name, file in names.items()},
        "functional_groups": str(shared / "data/published/functional_groups_894.tsv"),
        "mitotic_factors": str(shared / "data/published/mitotic_factors_146.tsv"),
    }
    tables, licences = run(sources)
    assert len(tables["functional_groups"]) == 894
    assert tables["functional_groups"]["group"].nunique() == 17
    assert len(tables["mitotic_factors"]) == 146
    assert set(tables["pairs"]["source"]) == set(names)
    assert (tables["pairs"]["gene_a"] < tables["pairs"]["gene_b"]).all()
    assert not tables["pairs"].duplicated().any()
    assert licences["used"].all()
    assert (licences["checksum"] == "as recorded").all() and licences["sha256"].str.len().eq(
        64
    ).all()
    tables, licences = run(sources, commercial_use=True)
    assert tables["complexes"].empty
    assert set(tables["pairs"]["source"]) == {"Reactome", "hu.MAP", "STRING"}
    assert licences.set_index("source")["used"].to_dict() == {
        "corum": False,
        "functional_groups": True,
        "mitotic_factors": True,
        "Reactome": True,
        "hu.MAP": True,
        "STRING": True,
        "SIGNOR": False,
    }


def test_a_web_page_is_refused_and_nothing_is_no_table(tmp_path, run):
    page = tmp_path / "corum.txt"
    page.write_text("\n<!DOCTYPE html><html>moved</html>")
    sources = dict.fromkeys(["corum", *TABLES[2:]]) | {"pairs": {}}
    tables, _ = run(sources)
    assert all(table.empty for table in tables.values())
    assert list(tables["pairs"].columns) == ["source", "gene_a", "gene_b"]
    with pytest.raises(InputError, match="web page"):
        run(sources | {"corum": str(page)})


def test_chromosome_arms_are_read_and_none_is_an_empty_table(run, tmp_path):
    (tmp_path / "arms.csv").write_text("gene,band,arm\nA,p36,1p\nB,q1,Xq\n")
    sources = dict.fromkeys(("corum", "functional_groups", "mitotic_factors"))
    tables, _ = run(sources | {"pairs": {}, "chromosome_arms": str(tmp_path / "arms.csv")})
    assert tables["chromosome_arms"].to_dict("list") == {"gene": ["A", "B"], "arm": ["1p", "Xq"]}
    assert run(sources | {"pairs": {}})[0]["chromosome_arms"].columns.tolist() == ["gene", "arm"]
