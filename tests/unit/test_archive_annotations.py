"""Annotations in every form in which they come: the rows that are meant, or one sentence."""

import gzip
import io
import json
import zipfile

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcvae_ops.archive import content
from mcvae_ops.archive.annotations.annotation_tables import COLUMNS, annotations, compare_checksums
from mcvae_ops.archive.annotations.list_sources import Listed, check_list, tidy_list
from mcvae_ops.errors import InputError
from tests.conftest import ROOT

ARCHIVE = {"streams": 2, "retries": 1, "timeout_s": 5, "keep_raw": False}
V5 = (
    "complex_id\tcomplex_name\torganism\tsubunits_gene_name\tcomment\n"
    '1\tAlpha\tHuman\tA1;A2;A1; ;None\t"two\nlines\tand a tab"\n'
    "2\tBeta\tHuman\tB1;B2\t\n"
    "3\tBeta\tHuman\tB3;B1\t\n"
    "4\tMouse one\tMouse\tC1;C2\t\n"
)
OF_V5 = [
    ("Alpha", "A1"), ("Alpha", "A2"), ("Beta (2)", "B1"), ("Beta (2)", "B2"), ("Beta (3)", "B3"),
    ("Beta (3)", "B1"),
]  # fmt: skip
KINDS = {
    "complexes": "corum",
    "groups": "functional_groups",
    "genes": "mitotic_factors",
    "pairs": "pairs",
    "aliases": "aliases",
}


def read(kind, content, table="list.txt", organism="human", columns=None):
    """Return the rows of a list as tuples."""
    content = content.encode() if isinstance(content, str) else content
    found = tidy_list(Listed("list", KINDS[kind], table, None, columns or {}), content, organism)
    return list(found.itertuples(index=False, name=None))


def zipped(*members):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members:
            archive.writestr(name, text)
    return held.getvalue()


def encrypted(content):
    """Set the flag of encryption in both headers of a zip archive of one member."""
    content = bytearray(content)
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def parquet(table):
    held = io.BytesIO()
    table.to_parquet(held)
    return held.getvalue()


def notebook(*cells):
    code = [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    return json.dumps({"nbformat": 4, "cells": [{"cell_type": "markdown", "source": "#"}, *code]})


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
    assert read("complexes", text) == OF_V5


XA = [("X", "A"), ("X", "B"), ("Y", "C")]
GENES = [("AURKA",), ("PLK1",)]
GROUPS = [("AURKA", "mitosis"), ("TUBB", "tubulin")]
GROUP_TEXT = "gene,group\nAURKA,mitosis\nTUBB,tubulin\n"
DICTIONARY = {"mitosis": ["AURKA"], "tubulin": ["TUBB"]}


@pytest.mark.parametrize(
    ("kind", "content", "table", "expected"),
    [
        ("complexes", "X\tA B\nY\tC\n", "x.tsv", XA),
        ("complexes", "X\tA;B\nY\tC\n", "x.tsv", XA),
        ("complexes", "X\tA, B\nY\tC,\n", "x.tsv", XA),
        ("complexes", "X\tA B\rY\tC\r", "x.tsv", XA),
        ("complexes", "complex;genes\nX;A B\nY;C\n", "x.csv", XA),
        ("complexes", "complex,gene\nX,A\nX,B\nY,C\n", "x.csv", XA),
        ("complexes", "X\tsource\tA\tB\nY\tsource\tC\n", "x.gmt", XA),
        ("complexes", '{"X": ["A", "B"], "Y": ["C"]}', "x.json", XA),
        ("complexes", "empty\t\nX\tA B\nY\tC\n", "x.tsv", XA),
        ("groups", GROUP_TEXT, "g.csv", GROUPS),
        ("groups", GROUP_TEXT.replace(",", "\t"), "g.txt", GROUPS),
        ("groups", GROUP_TEXT.replace(",", ";"), "g.csv", GROUPS),
        ("groups", GROUP_TEXT.replace("\n", "\r\n"), "g.csv", GROUPS),
        ("groups", GROUP_TEXT.replace("AURKA", " AURKA ").replace("TUBB,", "TUBB\u00a0,"),
         "g.csv", GROUPS),
        ("groups", GROUP_TEXT + "\n,\n\n", "g.csv", GROUPS),
        ("groups", GROUP_TEXT.replace("AURKA", "\u200bAURKA\u2060"), "g.csv", GROUPS),
        ("groups", json.dumps(DICTIONARY | {"none": []}), "g.json", GROUPS),
        ("genes", "mitosis\t\tAURKA,1.0\tPLK1,-2e-3\n", "m.gmt", GENES),
        ("complexes", "X\tA(1)|B(2)\nY\t(C)\n", "x.tsv", XA),
        ("groups", "\ufeff" + GROUP_TEXT, "g.csv", GROUPS),
        ("groups", GROUP_TEXT.encode("utf-16"), "g.csv", GROUPS),
        ("groups", "Gene Symbol,note,MoA\nAURKA,\"a, b\",mitosis\nTUBB,,tubulin\n", "g.csv",
         GROUPS),
        ("groups", f"gene,group,note\nAURKA,mitosis,{'x' * 200_000}\nTUBB,tubulin,\n", "g.csv",
         GROUPS),
        ("groups", json.dumps(DICTIONARY), "g.json", GROUPS),
        ("groups", json.dumps([{"gene": g, "group": k} for g, k in GROUPS]), "g.json", GROUPS),
        ("groups", gzip.compress(GROUP_TEXT.encode()), "g.csv.gz", GROUPS),
        ("groups", zipped(("all/", ""), ("all/README.txt", "read me"), ("__MACOSX/._g.csv", "x"),
                          ("all/g.csv", GROUP_TEXT)), "g.zip", GROUPS),
        ("groups", parquet(pd.DataFrame(GROUPS, columns=["gene", "group"])), "g.parquet", GROUPS),
        ("groups", parquet(pd.DataFrame({"group": ["mitosis", "tubulin"]}, ["AURKA", "TUBB"])),
         "g.parquet", GROUPS),
        ("groups", notebook("%matplotlib inline\n!ls", "bad code(", f"GROUPS = {DICTIONARY}"),
         "g.ipynb#GROUPS", GROUPS),
        ("genes", "gene\nAURKA\nPLK1\nAURKA\n", "m.txt", GENES),
        ("genes", "AURKA\nPLK1\n", "m.txt", GENES),
        ("genes", '"gene"\n"AURKA"\n"PLK1"\n', "m.txt", GENES),
        ("genes", "Genes\nAURKA\nPLK1\n", "m.txt", GENES),
        ("genes", "mitotic factors\nAURKA\nPLK1\n", "m.txt", GENES),
        ("genes", "# GO:0000278, of 2024\nAURKA\n# and\nPLK1\n", "m.txt", GENES),
        ("groups", "# one, two, three\n#\n" + GROUP_TEXT, "g.csv", GROUPS),
        ("pairs", "# v1\n#id\tentity1\tentity2\n1\tB\tA\n", "p.txt", [("A", "B")]),
        ("complexes", json.dumps([{"complex": "X", "genes": ["A", "B"], "more": {"a": 1}},
                                  {"genes": "C", "complex": "Y"}]), "x.json", XA),
        ("complexes", json.dumps([{"complex": "X", "genes": "A;B", "id": 1},
                                  {"genes": "C", "complex": "Y", "id": None}]), "x.json", XA),
        ("genes", '["AURKA", "PLK1"]', "m.json", GENES),
        ("genes", '{"mitosis": ["AURKA", "PLK1"], "b": ["X"]}', "m.json#mitosis", GENES),
        ("genes", "mitosis\t-\tAURKA\tPLK1\nb\t-\tX\n", "https://h/m.gmt#mitosis", GENES),
        ("genes", notebook("factors = [\n 'AURKA',\n 'PLK1']\nother = f(1)"), "m.ipynb#factors",
         GENES),
        ("genes", notebook("a = ['A']\n# the wider list\n# wider = [\n#     'AURKA',\n#     'PLK1'"
                           "\n# ]\n# as of 2023"), "m.ipynb#wider", GENES),
        ("genes", notebook("# a = ['A']\n", "a = ['AURKA', 'PLK1']"), "m.ipynb#a", GENES),
        ("pairs", "entity1,entity2\nB,A\nA,B\nC,C\nNA,A\n", "p.txt", [("A", "B"), ("A", "NA")]),
        ("pairs", "entity1,entity2,score\nB,A,0.9\n", "p.txt", [("A", "B")]),
        ("pairs", "gene_a\tgene_b\nB\tA\n", "p.txt", [("A", "B")]),
        ("aliases", "hgnc_id\tsymbol\talias_symbol\tprev_symbol\n1\tMARCHF1\tRNF171|A 1\tMARCH1\n"
         "2\tB\tMARCHF1\t\n", "hgnc.txt",
         [("MARCH1", "MARCHF1"), ("RNF171", "MARCHF1"), ("A 1", "MARCHF1")]),
        ("aliases", "Approved symbol\tPrevious symbols\tAlias symbols\nA\tB, C\t\n", "hgnc.txt",
         [("B", "A"), ("C", "A")]),
        ("aliases", "#tax_id\tGeneID\tSymbol\tSynonyms\n9606\t1\tA\tB|C\n9606\t2\tD\t-\n", "g.tsv",
         [("B", "A"), ("C", "A")]),
    ],
)  # fmt: skip
def test_a_list_in_each_form(kind, content, table, expected):
    assert read(kind, content, table) == expected


@pytest.mark.parametrize(
    ("kind", "content", "table", "sentence"),
    [
        ("complexes", "a\tb\tc\n1\t2\t3\n", "x", "columns a, b, c"),
        ("complexes", "", "x", "an empty file"),
        ("complexes", V5.replace("Human", "Rat"), "x", r"complexes of Rat \(3\), Mouse \(1\)"),
        ("complexes", "X\tA B\nX\tC D\n", "x", "the complex 'X' is defined twice"),
        ("complexes", "c1\x00\t\nc2\tC D\n", "x", "characters of value 0"),
        ("groups", "gene,group\nAURKA,mitosis,\n", "x", "line 2: found 3 fields"),
        ("groups", "gene,group\nAURKA,mitosis,see text\n", "x", "line 2: found 3 fields"),
        ("groups", "gene,group\nVCL,Actin, adhesion\n", "x", r"\(VCL, Actin, adhesion\)"),
        ("groups", "gene\tgroup\nA\t\"x\nB\ty\n", "x", "the name '\"x'"),
        ("groups", "gene,group\n,mitosis\n", "x", "row 2: found an empty field"),
        ("groups", "gene,set,pathway\nA,b,c\n", "x", "'set' and 'pathway' among columns"),
        ("groups", "gene,name\nA,b\n", "x", "columns gene, name, expected a column 'group'"),
        ("groups", "é,ü".encode("latin-1"), "x", "bytes that are no text"),
        ("groups", zipped(("a.csv", "x"), ("b.csv", "x")), "x", r"2 tables \(a.csv, b.csv\)"),
        ("groups", zipped(("folder/", "")), "x", "a zip archive with 0 tables"),
        ("groups", zipped(("[Content_Types].xml", "x"), ("xl/workbook.xml", "x")), "x",
         "a workbook of Excel"),
        ("groups", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "x", "a workbook of Excel"),
        ("groups", encrypted(zipped(("g.csv", GROUP_TEXT))), "x", "an encrypted zip archive"),
        ("groups", zipped(("g.csv", GROUP_TEXT * 9))[:-40], "x", "a damaged zip archive"),
        ("groups", gzip.compress(b"gene,group\n" * 99)[:-12], "x", "a damaged gzip file"),
        ("groups", b"PAR1damaged", "x", "a damaged parquet file"),
        ("groups", "{", "x", "damaged JSON"),
        ("groups", '{"a": 1}', "x", "a dict of another form"),
        ("groups", "\n<!DOCTYPE html><html>moved</html>", "x", "a web page"),
        ("genes", "gene\nAURKA,mitosis\n", "x", "line 2: found 2 fields"),
        ("genes", '{"a": ["A"], "b": ["B"]}', "x.json", "2 lists"),
        ("groups", '{"a": ["A"], "a": ["B"]}', "x.json", "the key 'a' is defined twice; rename"),
        ("genes", '{"a": ["A"]}', "x.json#c", "no list 'c', expected one of a"),
        ("genes", notebook("a = ['A']\nb = ['B']"), "x.ipynb", "the lists a, b"),
        ("genes", notebook("a = ['A']", "a = ['B']"), "x.ipynb#a", "the list 'a' is defined twice"),
        ("genes", notebook("# a = ['A']", "# a = ['B']"), "x.ipynb#a", "'a' is defined twice"),
        ("genes", notebook("# a = ['A', # a = ["), "x.ipynb#a", "no list 'a', expected one of no"),
        ("genes", "gene\n", "x", "no gene"),
        ("genes", "[]", "x.json", "no gene"),
        ("groups", '{"a": [], "b": []}', "x.json", "no gene"),
        ("genes", '{"a": [], "b": ["A"]}', "x.json#a", "no gene"),
        ("pairs", "entity1,entity2\nTP53,MDM2,0.9\n", "x", "line 2: found 3 fields"),
        ("pairs", "entity1,entity2\nTP53,MDM2,\n", "x", "line 2: found 3 fields"),
        ("pairs", "enti\rntity2\nA,,B\nC,Dé", "x", "found 3 fields"),
        ("pairs", "A,B\nC,D\n", "x", r"columns: \{gene_a: ...\}"),
        ("aliases", "symbol\nA\n", "x", "a column 'alias'"),
        ("groups", '[{"gene": "A", "group": null}]', "x.json", "row 2: found an empty field"),
        ("complexes", '[{"complex": "X", "subunits": [{"gene_name": "A"}]}]', "x.json",
         r"found columns complex, subunits \(nested\), expected a column 'genes'"),
        ("groups", "X\t\tA\tB\nY\t\tC\n", "x.txt", "need a name that ends with .gmt"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(kind, content, table, sentence):
    with pytest.raises(InputError, match=sentence):
        read(kind, content, table)


@pytest.mark.parametrize("pack", [gzip.compress, lambda text: zipped(("g.csv", text))])
def test_a_small_file_does_not_fill_the_memory(monkeypatch, pack):
    monkeypatch.setattr(content, "_LEAST_CONTENT_BYTES", 1_000_000)
    assert len(read("groups", pack(b"gene,group\nA,x\n"))) == 1
    with pytest.raises(InputError, match=r"more than \d+ bytes in it"):
        read("groups", pack(b"gene,group\n" + b"A,x\n" * 3_000_000))


def test_quotation_marks_that_do_not_come_in_pairs():
    rows = '1\tX\tHuman\tA;B\t"active" form\n2\tY\tHuman\tC\t"open\n3\tZ\tHuman\tE\t\n'
    found = read("complexes", V5.splitlines()[0] + "\n" + rows)
    assert found == [("X", "A"), ("X", "B"), ("Y", "C"), ("Z", "E")]
    # Opened by mistake in one row, closed by mistake in another: the rows between would vanish.
    rows = rows.replace("E\t\n", 'E\tform"\n')
    assert read("complexes", V5.splitlines()[0] + "\n" + rows) == found


@pytest.mark.parametrize(
    "organism",
    ["Homo sapiens", "human", 9606, "Homo sapiens (Human)", "H.sapiens", "homo_sapiens",
     "TAXID:9606(Human)"],
)  # fmt: skip
def test_organisms_go_by_name_and_taxon(organism):
    assert read("complexes", V5, organism=organism) == OF_V5
    text = V5.replace("Human", "Homo sapiens")
    assert read("complexes", text, organism=organism) == OF_V5
    mouse = [("Mouse one", "C1"), ("Mouse one", "C2")]
    assert read("complexes", text, organism="Mus musculus") == mouse


def test_columns_may_be_named():
    text = "drug,does,group\nA,x,1\n"
    assert read("groups", text, columns={"gene": "drug", "group": "does"}) == [("A", "x")]
    with pytest.raises(InputError, match="expected one column 'dose'"):
        read("groups", text, columns={"gene": "drug", "group": "dose"})


def test_the_head_of_a_list_is_checked_without_the_rest():
    rows = "".join(f'{n}\t"X\n{n}"\tHuman\tA;B\t\n' for n in range(3000))
    listed = Listed("corum", "corum", "x")
    check_list(listed, (V5.splitlines()[0] + "\n" + rows + "ragged\n").encode())
    with pytest.raises(InputError, match="line 4"):
        check_list(listed, f"{V5.splitlines()[0]}\n{rows[:19]}ragged\n".encode())


MUTATED = {
    "complexes": V5.replace('"two\nlines\tand a tab"', "a comment"),
    "groups": GROUP_TEXT + "PLK1,mitosis\n",
    "genes": "gene\nAURKA\nPLK1\nTUBB\n",
    "pairs": "entity1,entity2\nA,B\nC,D\nE,F\n",
}


@given(st.data())
def test_a_mutated_list_is_right_or_refused(data):
    """A sign too many or too few at the edge of a field never shifts what stands in it."""
    kind = data.draw(st.sampled_from(list(MUTATED)))
    text = MUTATED[kind]
    truth = read(kind, text)
    sign = "\t" if "\t" in text else ","
    edges = [k for k in range(len(text) + 1) if {*text[max(k - 1, 0) : k + 1]} & {sign, "\n", ";"}]
    edge = st.sampled_from(edges)
    inner = [k for k, letter in enumerate(text[:-1]) if letter in (sign, "\n")]
    match data.draw(st.sampled_from(["insert", "drop", "cut", "quotes", "none"])):
        case "insert":
            k = data.draw(edge)
            text = text[:k] + data.draw(st.sampled_from([sign, '"'])) + text[k:]
        case "drop" if kind != "genes":
            k = data.draw(st.sampled_from(inner))
            text = text[:k] + text[k + 1 :]
        case "cut" if kind != "genes":
            k = data.draw(st.sampled_from([k for k in inner if text[k] == sign]))
            text = text[:k]
        case "quotes":
            first, last = sorted((data.draw(edge), data.draw(edge)))
            text = text[:first] + '"' + text[first:last] + '"' + text[last:]
    text = text.replace("\n", data.draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"])))
    content = text.encode(data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))
    try:
        found = read(kind, content)
    except InputError:
        return
    assert found == truth


@pytest.fixture
def run(tmp_path):
    tables = [str(tmp_path / f"{name}.parquet") for name in COLUMNS]

    def call(sources, commercial_use=False):
        recorded, licences = str(ROOT / "resources/SOURCES.tsv"), str(tmp_path / "licences.tsv")
        sources = dict.fromkeys(["corum", *list(COLUMNS)[2:]]) | {"pairs": {}} | sources
        annotations(sources, "human", commercial_use, ARCHIVE, recorded, tables, licences)
        read = {name: pd.read_parquet(tmp_path / f"{name}.parquet") for name in COLUMNS}
        return read, pd.read_csv(licences, sep="\t")

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
    assert tables["complexes"]["complex"].nunique() == 2696
    twelve = tables["complexes"].groupby("complex")["gene"].agg(list)["(E.F.G) complex"]
    assert twelve == ["SNRPE", "SNRPF", "SNRPG"]
    assert len(tables["functional_groups"]) == 894
    assert tables["functional_groups"]["group"].nunique() == 17
    assert len(tables["mitotic_factors"]) == 146
    assert set(tables["pairs"]["source"]) == set(names)
    assert (tables["pairs"]["gene_a"] < tables["pairs"]["gene_b"]).all()
    assert not tables["pairs"].duplicated().any()
    assert licences["used"].all()
    assert licences["sha256"].str.len().eq(64).all()
    # These two are tables made from the recorded files: a JSON, and a list in a notebook.
    others = licences.loc[licences["checksum"] == "not recorded", "source"]
    assert set(others) == {"functional_groups", "mitotic_factors"}
    assert licences["checksum"].isin(["as recorded", "not recorded"]).all()
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


def test_nothing_is_an_empty_table(run):
    tables, _ = run({})
    assert {name: list(table.columns) for name, table in tables.items()} == COLUMNS
    assert all(table.empty for table in tables.values())


def test_pairs_of_corum_have_its_licence(tmp_path, run):
    (tmp_path / "pairs.txt").write_text("entity1,entity2\nA,B\n")
    pairs = {"CORUM_pairs": str(tmp_path / "pairs.txt")}
    tables, licences = run({"pairs": pairs}, commercial_use=True)
    assert licences["licence"].tolist() == ["CC BY-NC 4.0"] and tables["pairs"].empty


def test_a_checksum_is_verified(tmp_path, run):
    path = tmp_path / "groups.csv"
    path.write_text(GROUP_TEXT)
    digest = "83fac3a3ee2e4b45c7a22b3aa4ab4e6cd0b4ba5f4ff3a9e4d73ce9bb2b2b5a90"
    with pytest.raises(InputError) as error:
        run({"functional_groups": {"table": str(path), "sha256": digest}})
    real = str(error.value).split("found sha256 ")[1][:64]
    assert digest in str(error.value) and len(real) == 64
    tables, _ = run({"functional_groups": {"table": str(path), "sha256": real.upper()}})
    assert list(tables["functional_groups"].itertuples(index=False, name=None)) == GROUPS


@pytest.mark.parametrize(
    ("sha256", "address", "verdict"),
    [("a1", "https://x/list", "as recorded"), ("a1", "copy.txt", "as recorded"),
     ("b2", "https://x/list", "differs"), ("b2", "mine.txt", "not recorded"),
     ("b2", "https://x/unknown", "not recorded")],
)  # fmt: skip
def test_a_checksum_is_compared_with_that_of_its_address(sha256, address, verdict):
    recorded = pd.DataFrame(
        {"address": ["https://x/list", "https://x/unknown"], "sha256": ["a1", ""]}
    )
    assert compare_checksums({"l": sha256}, {"l": address}, recorded) == {"l": verdict}
