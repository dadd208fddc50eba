"""How many genes of each list does the library of the screen know, and by which name?"""

import logging
import re
from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc

from mcvae_ops.errors import InputError
from mcvae_ops.files import read_frame, read_table, write_csv, write_parquet
from mcvae_ops.screen import CONTROL, symbols_of

logger = logging.getLogger(__name__)

LITTLE = 0.5  # share of known symbols below which a list gives a warning
_SHOWN = 10
# English and German.
_MONTHS = (
    "(JAN|FEB|MAR(CH)?|MRZ|MÄRZ?|APR(IL)?|MAY|MAI|JUNE?|JUNI|JUL[YI]?|AUG|SEPT?|O[CK]T|NOV|DE[CZ])"
)
_BETWEEN = r"[-./ ]{1,2}"
_IS_DAY_NUMBER = re.compile(r"(3[5-9]|4\d|5[0-4])\d{3}")  # of a spreadsheet: 1995 to 2050
# A few of them tell what went wrong ...
_DATES = {
    "dates of a spreadsheet": rf"\d{{1,2}}{_BETWEEN}{_MONTHS}({_BETWEEN}(\d\d){{1,2}})?"
    rf"|{_MONTHS}{_BETWEEN}\d{{1,4}}|\d+[/.]\d+[/.]\d+|\d{{4}}[-/]\d\d[-/]\d\d.*",
    "old symbols that spreadsheets take for dates": r"(MARCH|SEPT?|DEC)\d{1,2}",
}
# ... but some symbols of genes look like accessions, so most of the unknown must.
_UNIPROT = r"([OPQ]\d[A-Z0-9]{3}\d|[A-NR-Z]\d([A-Z][A-Z0-9]{2}\d){1,2})"
_IDENTIFIERS = {
    "Ensembl ids": r"(\d+\.)?ENS[A-Z]*[GTP]\d{11}(\.\d+)?",
    "numbers (Entrez ids)": r"((entrez|ncbigene|geneid):)?\d+(\.0)?",
    "UniProt accessions": rf"{_UNIPROT}(-\d+)?",
    "UniProt names": r"[A-Z0-9]{1,10}_(HUMAN|MOUSE|RAT|BOVIN|CHICK|DANRE|DROME|CAEEL|YEAST)",
    "RefSeq accessions": r"[NX][MRP]_\d+(\.\d+)?",
    "ids of HGNC or MGI": r"(HGNC|MGI):\d+",
    "ids of FlyBase or WormBase": r"FBgn\d{7}|WBGene\d{8}",
}
_VERSIONED = re.compile(r"(ENS[A-Z]*[GTP]\d{11})\.\d+")
_BETWEEN_GENES = re.compile(r"[;,|/\s]+")
MATCHED = [
    "list",
    "n_symbols",
    "n_known",
    "n_by_alias",
    "n_ambiguous",
    "unknown",
    "reason",
    "warning",
]


def match_list(
    symbols: Collection[str], library: Collection[str], aliases: pd.DataFrame
) -> tuple[dict, dict[str, str]]:
    """Match the symbols of a list with those of a library.

    Parameters
    ----------
    symbols
        Different symbols of the list.
    library
        Symbols of the screen's genes; of a merged gene (``A&B``) each part.
    aliases
        Columns name, approved; no rows if no table of names is given.

    Returns
    -------
    The columns of ``matched.tsv`` but for the name of the list; and the library's name of each
    symbol that is known through an alias.
    """
    unknown = [symbol for symbol in sorted(symbols) if symbol not in library]
    renamed, ambiguous = library_names(unknown, library, aliases)
    unknown = [symbol for symbol in unknown if symbol not in renamed]
    row = {
        "n_symbols": len(symbols),
        "n_known": len(symbols) - len(unknown),
        "n_by_alias": len(renamed),
        "n_ambiguous": len(ambiguous),
        "unknown": ", ".join(unknown[:_SHOWN]),
        "reason": guessed_reason(unknown, library),
    }
    return row, renamed


def library_names(
    unknown: Sequence[str], library: Collection[str], aliases: pd.DataFrame
) -> tuple[dict[str, str], set[str]]:
    """Find the names by which a library calls genes that a list calls otherwise.

    The version of an Ensembl id (``.18``) is no part of the name.

    Returns
    -------
    Symbol of the list -> symbol of the library; and the symbols of which several genes of the
    library may be meant, which are not used.
    """
    approved_of: dict[str, set[str]] = {}
    for name, approved in aliases[["name", "approved"]].itertuples(index=False, name=None):
        approved_of.setdefault(name, set()).add(approved)
    called: dict[str, set[str]] = {}
    for symbol in library:
        for approved in approved_of.get(symbol, {_without_version(symbol)}):
            called.setdefault(approved, set()).add(symbol)
    names, ambiguous = {}, set()
    for symbol in unknown:
        genes = approved_of.get(symbol, {_without_version(symbol)})
        meant = set().union(*(called.get(gene, set()) for gene in genes))
        if len(meant) == 1 and len(genes) == 1:
            names[symbol] = meant.pop()
        elif meant:
            ambiguous.add(symbol)
    return names, ambiguous


def guessed_reason(unknown: Sequence[str], library: Collection[str]) -> str:
    """Guess why symbols are unknown: their case, or what they or those of the library are instead.

    "" if none is unknown.
    """
    if not unknown:
        return ""
    reasons = []
    upper = {symbol.upper(): symbol for symbol in library}
    other_case = [symbol for symbol in unknown if symbol.upper() in upper]
    if other_case:
        first = other_case[0]
        is_mouse = first == first.capitalize() and upper[first.upper()].isupper()
        kind = "mouse symbols? " if is_mouse else ""
        reasons.append(
            f"{len(other_case)} in another case ({kind}{first} is {upper[first.upper()]} in the "
            "screen)"
        )
    for form, pattern in _DATES.items():
        if alike := _alike(unknown, pattern):
            reasons.append(f"{len(alike)} look like {form} ({alike[0]})")
    numbers = [symbol for symbol in unknown if symbol.isdecimal()]
    if numbers and all(map(_IS_DAY_NUMBER.fullmatch, numbers)):
        reasons.append(f"{len(numbers)} look like dates of a spreadsheet as numbers ({numbers[0]})")
        unknown = [symbol for symbol in unknown if symbol not in numbers]
    for form, pattern in _IDENTIFIERS.items():
        alike, of_screen = _alike(unknown, pattern), _alike(sorted(library), pattern)
        if alike and len(alike) >= len(unknown) / 2:
            reasons.append(f"{len(alike)} look like {form} ({alike[0]})")
        elif of_screen and len(of_screen) >= len(library) / 2:
            reasons.append(f"the screen has {form} ({of_screen[0]})")
    several = [symbol for symbol in unknown
               if any(part in library for part in _BETWEEN_GENES.split(symbol))]  # fmt: skip
    if several:
        reasons.append(f"{len(several)} hold several genes ({several[0]}): one a row is read")
    return "; ".join(reasons) or "genes that the screen does not have, or calls otherwise"


def _without_version(symbol: str) -> str:
    match = _VERSIONED.fullmatch(symbol)
    return match[1] if match else symbol


def _alike(names: Collection[str], pattern: str) -> list[str]:
    return [name for name in names if re.fullmatch(pattern, name, re.IGNORECASE)]


def library_of(tables: Sequence[str]) -> set[str]:
    """Return the symbols of a screen's genes, without the controls.

    Parameters
    ----------
    tables
        Tables with a column gene (parquet); or a library of guides with a column gene_symbol (csv).
    """
    genes: set[str] = set()
    for path in tables:
        if path.endswith(".csv"):
            genes.update(pd.read_csv(path, dtype=str, keep_default_na=False)["gene_symbol"])
        else:
            genes.update(pc.unique(read_table(path, columns=["gene"])["gene"]).to_pylist())
    return {symbol for gene in genes - {CONTROL, None} for symbol in symbols_of(gene)}


def check_matches(matched: pd.DataFrame, library: Collection[str]) -> None:
    """Warn of lists of which less than half is known.

    Raises
    ------
    InputError
        If of some lists nothing is known.
    """
    for warning in filter(None, matched["warning"]):
        logger.warning("%s", warning)
    strange = matched[matched["n_known"] == 0]
    if not strange.empty:
        first = strange.iloc[0]
        names = ", ".join(sorted(library)[:3]) + (" ..." if len(library) > 3 else "")
        keys = ", ".join(f"archive.annotations.{name}" for name in strange["list"])
        raise InputError(
            where=f"configuration key {keys}",
            found=f"none of {first['n_symbols']} symbols ({first['unknown']}) in the library of "
            f"the screen; {first['reason']}",
            expected=f"names of its {len(library)} genes ({names})",
            fix="replace the list by one with the symbols of the screen, or set it to null",
        )


def warning_of(name: str, row: dict) -> str:
    """Say that little of a list is known, from its row of ``matched.tsv``; "" if enough is."""
    if row["n_known"] >= LITTLE * row["n_symbols"]:
        return ""
    return (
        f"{name}: only {row['n_known']} of {row['n_symbols']} symbols are genes of the "
        f"screen ({row['reason']})"
    )


def match_annotations(
    library: Sequence[str], tables: Sequence[str], annotations: list[str], matched: str
) -> None:
    """Rule match_annotations: count what the library knows of each list, and use its names.

    Parameters
    ----------
    library
        As in `library_of`.
    tables
        The lists as read: complexes, pairs, functional_groups ..., and aliases.
    annotations
        Outputs: these tables but for aliases, with the library's name of every gene that it has.
    matched
        Output: how many symbols of each list are known.

    Raises
    ------
    InputError
        If of some list no symbol is known.
    """
    genes = library_of(library)
    read = {Path(path).stem: read_frame(path) for path in tables}
    aliases, rows, written = read.pop("aliases"), [], {}
    for name, table in read.items():
        parts = []
        for key, part in _lists(name, table):
            columns = [column for column in part if column.startswith("gene")]
            symbols = set(part[columns].to_numpy().ravel())
            row, renamed = match_list(symbols, genes, aliases)
            rows.append({"list": key} | row | {"warning": warning_of(key, row)})
            logger.info("%s: %d of %d symbols known", key, row["n_known"], row["n_symbols"])
            parts.append(_renamed(part, columns, renamed))
        written[name] = pd.concat([table.iloc[:0], *parts], ignore_index=True)
    table = pd.DataFrame(rows, columns=MATCHED)
    check_matches(table, genes)
    for path in annotations:
        write_parquet(written[Path(path).stem].astype("string"), path)
    write_csv(table, matched)


def _lists(name: str, table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the lists in a table, by their key below ``archive.annotations``."""
    if table.empty:
        return []
    if name == "pairs":
        return [(f"pairs.{key}", part) for key, part in table.groupby("source", sort=False)]
    return [("corum" if name == "complexes" else name, table)]


def _renamed(part: pd.DataFrame, columns: list[str], renamed: dict[str, str]) -> pd.DataFrame:
    """Return a list in the library's names: pairs in their order, no row twice."""
    if not renamed:
        return part
    part = part.assign(**{column: part[column].replace(renamed) for column in columns})
    if columns == ["gene_a", "gene_b"]:
        low, high = part[columns].min(axis=1), part[columns].max(axis=1)
        part = part.assign(gene_a=low, gene_b=high)[low != high]
    return part.drop_duplicates()
