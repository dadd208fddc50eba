"""Lists matched with a library: what is known, by which name, and why the rest is not."""

import pandas as pd
import pytest

from mcvae_ops.archive.annotations.annotation_tables import COLUMNS
from mcvae_ops.archive.annotations.library_match import (
    guessed_reason,
    library_names,
    library_of,
    match_annotations,
    match_list,
)
from mcvae_ops.errors import InputError

LIBRARY = {"AURKA", "PLK1", "TUBB", "SEPTIN2", "U2AF1", "U2AF1L5", "U2AF1L5&U2AF1", "MARCHF1"}
NAMES = pd.DataFrame(
    [("SEPT2", "SEPTIN2"), ("MARCH1", "MARCHF1"), ("MARCH1", "MTARC1"), ("STK15", "AURKA"),
     ("BTAK", "AURKA")],
    columns=["name", "approved"],
)  # fmt: skip


@pytest.mark.parametrize(
    ("unknown", "reason"),
    [
        (["Aurka", "Plk1", "Xyz"], r"2 in another case \(mouse symbols\? Aurka is AURKA"),
        (["2-Sep", "1-Mar", "Sep-07", "2001-09-02"], r"4 look like dates of a spreadsheet \(2-Sep"),
        (["MARCH1", "SEPT7", "SEP15", "DEC1"], "4 look like old symbols that spreadsheets take"),
        (["ENSG00000087586", "ENSMUSG00000027496.2"], r"2 look like Ensembl ids \(ENSG00000087586"),
        (["6790", "5347", "203068.0"], r"3 look like numbers \(Entrez ids\) \(6790"),
        (["O14965", "P53350", "A0A024R1R8"], r"3 look like UniProt accessions \(O14965"),
        (["NM_003600", "NP_003591.2"], "2 look like RefSeq accessions"),
        (["OTHER1", "ORC5"], "^genes that the screen does not have"),
        (["C4orf3", "P2RY10", "OTHER1", "X", "Y"], "^genes that the screen does not have"),
        *(
            ([date], "^1 look like dates of a spreadsheet")
            for date in (
                "2-Sep-23",
                "02-Sep-2023",
                "2. Sep",
                "02. Sep",
                "2 Sep",
                "Sep 2",
                "2-sept",
                "Mrz 01",
                "1-Mär",
                "Sep-2023",
                "2-SEP-2022",
                "2023/09/02",
                "1-Dez",
                "1. Mai",
                "44806",
            )
        ),
        (["44806", "OTHER1"], r"1 look like dates of a spreadsheet as numbers \(44806\)$"),
        (["44806", "7157"], r"^2 look like numbers \(Entrez ids\) \(44806"),
        (["entrez:7157"], "1 look like numbers"),
        (["9606.ENSP00000269305"], "1 look like Ensembl ids"),
        (["HGNC:11998", "MGI:98834"], "2 look like ids of HGNC or MGI"),
        (["P04637-2"], "1 look like UniProt accessions"),
        (["P53_HUMAN"], "1 look like UniProt names"),
        (["FBgn0000490", "WBGene00000912"], "2 look like ids of FlyBase"),
        (["AURKA;PLK1", "TUBB, X", "AURKA PLK1"], r"^3 hold several genes \(AURKA;PLK1\)"),
        ([], "^$"),
    ],
)
def test_the_reason_is_guessed(unknown, reason):
    assert pd.Series([guessed_reason(unknown, LIBRARY)]).str.contains(reason, regex=True).all()


@pytest.mark.parametrize(
    ("library", "reason"),
    [
        (
            {"ENSG00000141510", "ENSG00000087586", "other"},
            "the screen has Ensembl ids (ENSG00000087",
        ),
        ({"7157", "672"}, "the screen has numbers (Entrez ids) (672)"),
    ],
)
def test_a_library_of_ids_is_the_reason(library, reason):
    assert reason in guessed_reason(["AURKA", "PLK1"], library)


def test_symbols_are_counted_and_the_first_ten_unknown_named():
    symbols = {"AURKA", "U2AF1", *(f"X{k:02d}" for k in range(20))}
    row, renamed = match_list(symbols, LIBRARY, NAMES.iloc[:0])
    assert (row["n_symbols"], row["n_known"], row["n_by_alias"]) == (22, 2, 0)
    assert row["unknown"] == ", ".join(f"X{k:02d}" for k in range(10)) and renamed == {}


def test_other_names_of_a_gene_are_used_unless_they_are_ambiguous():
    names, ambiguous = library_names(["SEPT2", "MARCH1", "STK15", "NOVEL"], LIBRARY, NAMES)
    assert names == {"SEPT2": "SEPTIN2", "STK15": "AURKA"} and ambiguous == {"MARCH1"}
    # The library is the older one: the list has the approved symbol, or a third name.
    names, ambiguous = library_names(["AURKA", "BTAK"], {"STK15"}, NAMES)
    assert names == {"AURKA": "STK15", "BTAK": "STK15"} and not ambiguous
    assert library_names(["AURKA"], {"STK15", "BTAK"}, NAMES) == ({}, {"AURKA"})


def test_the_version_of_an_ensembl_id_is_no_part_of_the_name():
    ids = ["ENSG00000087586.18", "ENSMUSG00000027496"]
    names, _ = library_names(ids, {"ENSG00000087586", "ENSMUSG00000027496.2"}, NAMES)
    assert names == {ids[0]: "ENSG00000087586", ids[1]: "ENSMUSG00000027496.2"}
    names, ambiguous = library_names(ids[:1], {"ENSG00000087586.1", "ENSG00000087586.2"}, NAMES)
    assert not names and ambiguous == {ids[0]}


def test_the_library_of_a_screen(tmp_path):
    cells = pd.DataFrame({"gene": ["NTC", "AURKA", "A&B", "AURKA"], "is_ntc": [1, 0, 0, 0]})
    cells.to_parquet(tmp_path / "A1.parquet")
    pd.DataFrame({"sgRNA": ["c"], "gene_symbol": ["PLK1"]}).to_csv(tmp_path / "l.csv", index=False)
    found = library_of([str(tmp_path / "A1.parquet"), str(tmp_path / "l.csv")])
    assert found == {"AURKA", "A&B", "A", "B", "PLK1"}


@pytest.fixture
def match(tmp_path):
    def call(**lists):
        (tmp_path / "read").mkdir(exist_ok=True)
        pd.DataFrame({"gene": ["AURKA", "PLK1", "TUBB", "SEPTIN2", "NTC"]}).to_parquet(
            tmp_path / "cells.parquet"
        )
        for name, columns in COLUMNS.items():
            rows = pd.DataFrame(lists.get(name, []), columns=columns).astype("string")
            rows.to_parquet(tmp_path / "read" / f"{name}.parquet")
        read = [str(tmp_path / "read" / f"{name}.parquet") for name in COLUMNS]
        names = [name for name in COLUMNS if name != "aliases"]
        written = [str(tmp_path / f"{name}.parquet") for name in names]
        matched = str(tmp_path / "matched.tsv")
        match_annotations([str(tmp_path / "cells.parquet")], read, written, matched)
        tables = {
            name: pd.read_parquet(tmp_path / f"{name}.parquet") for name in list(COLUMNS)[:-1]
        }
        return tables, pd.read_csv(matched, sep="\t", keep_default_na=False).set_index("list")

    return call


def rows(table):
    return list(table.itertuples(index=False, name=None))


def test_lists_take_the_names_of_the_screen(match):
    tables, matched = match(
        complexes=[("X", "STK15"), ("X", "AURKA"), ("X", "PLK1")],
        pairs=[("R", "PLK1", "STK15"), ("R", "AURKA", "STK15"), ("S", "PLK1", "TUBB")],
        functional_groups=[("SEPT2", "septins"), ("TUBB", "tubulin")],
        aliases=rows(NAMES),
    )
    assert rows(tables["complexes"]) == [("X", "AURKA"), ("X", "PLK1")]
    assert rows(tables["pairs"]) == [("R", "AURKA", "PLK1"), ("S", "PLK1", "TUBB")]
    assert rows(tables["functional_groups"])[0] == ("SEPTIN2", "septins")
    assert tables["mitotic_factors"].empty
    assert matched.index.tolist() == ["corum", "pairs.R", "pairs.S", "functional_groups"]
    assert matched.loc["corum", ["n_symbols", "n_known", "n_by_alias"]].tolist() == [3, 3, 1]


def test_a_list_of_which_little_is_known_gives_a_warning(match, caplog):
    match(mitotic_factors=[("AURKA",), ("Plk1",), ("tubb",)])
    assert (
        "mitotic_factors: only 1 of 3 symbols are genes of the screen (2 in another case (mouse "
        "symbols? Plk1 is PLK1 in the screen))"
    ) in caplog.text


def test_a_list_of_which_nothing_is_known_ends_the_run(match):
    with pytest.raises(InputError) as error:
        match(
            functional_groups=[("Aurka", "mitosis"), ("Plk1", "mitosis")],
            mitotic_factors=[("Aurka",)],
            pairs=[("R", "AURKA", "PLK1")],
        )
    assert str(error.value) == (
        "configuration key archive.annotations.functional_groups, "
        "archive.annotations.mitotic_factors: found none of 2 symbols (Aurka, Plk1) in the library "
        "of the screen; 2 in another case (mouse symbols? Aurka is AURKA in the screen), expected "
        "names of its 4 genes (AURKA, PLK1, SEPTIN2 ...); replace the list by one with the symbols "
        "of the screen, or set it to null."
    )
