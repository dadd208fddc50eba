"""The data dictionary: what each column of each table means.

It is written once, in ``docs/tables.md``, which a test compares with the tables of a run. A run
stores it as a table beside its tables, for people who have the results and not the repository.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from mcvae_ops.files import read_schema, write_csv

_ROW = re.compile(r"^\| (`[^|]+`) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_SAME_AS = re.compile(r"[Cc]olumns? (?:of|as in) `([^`]+)`")


@dataclass(frozen=True)
class Described:
    """One row of the page: a column, or several that it describes together.

    Attributes
    ----------
    names
        Columns; ``{words}`` stand for any text.
    kind
        Their type in the words of the page.
    meaning
        Meaning, unit, and how it is computed.
    """

    names: tuple[str, ...]
    kind: str
    meaning: str


@dataclass(frozen=True)
class DescribedTable:
    """One section of the page.

    Attributes
    ----------
    files
        Patterns of the files, below ``results/{screen}``.
    columns
        What the section says of columns, those that many tables share first.
    always
        Whether every run from cells writes the table.
    """

    files: tuple[str, ...]
    columns: tuple[Described, ...]
    always: bool


def described_tables(page: str) -> list[DescribedTable]:
    """Return the sections of the page, in its order.

    Parameters
    ----------
    page
        Text of ``docs/tables.md``.
    """
    chapters = page.split("\n## ")[1:]
    shared = {row.names[0]: row for row in described(chapters[0])}
    tables = []
    for chapter in chapters[1:]:
        introduction, *sections = chapter.split("\n### ")
        tables += [_table(section, shared, introduction) for section in sections]
    return tables


def described(text: str) -> list[Described]:
    """Return the rows of a text's tables of columns (name, type, meaning)."""
    return [
        Described(quoted(names), kind, meaning.strip())
        for names, kind, meaning in _ROW.findall(text)
        if not kind.startswith("`")
    ]


def quoted(text: str) -> tuple[str, ...]:
    """Return what stands between backquotes."""
    return tuple(re.findall(r"`([^`]+)`", text))


def _table(section: str, shared: dict[str, Described], introduction: str) -> DescribedTable:
    heading, _, body = section.partition("\n")
    stated = re.search(r"Shared columns: ([^.(]*)", body)
    columns = [shared[name] for name in quoted(stated[1] if stated else "")]
    always = "Written only" not in introduction + body
    return DescribedTable(quoted(heading), (*columns, *described(body)), always)


def dictionary_rows(page: str, written: Mapping[str, Sequence[str]] | None = None) -> pd.DataFrame:
    """Return one row per table and column.

    Parameters
    ----------
    page
        Text of ``docs/tables.md``.
    written
        Columns of some tables as they were written: their rows have these names, not ``{words}``.

    Returns
    -------
    table, column, type, meaning; in the order of the page, or of the written columns. A table that
    is another one as text has the columns of that one.
    """
    tables = described_tables(page)
    columns_of = {file: table.columns for table in tables for file in table.files}
    for file, names in (written or {}).items():
        columns_of[file] = tuple(named(columns_of[file], names))
    rows = []
    for file, columns in columns_of.items():
        if len(columns) == 1 and (other := _SAME_AS.search(columns[0].meaning)):
            columns = columns_of.get(other[1], columns)
        rows += [
            (file, name, column.kind, column.meaning.replace("`", ""))
            for column in columns
            for name in column.names
        ]
    return pd.DataFrame(rows, columns=["table", "column", "type", "meaning"])


def named(columns: Sequence[Described], names: Sequence[str]) -> Iterator[Described]:
    """Yield the row of each name: that which leaves least of the name to its ``{words}``.

    ``{words}`` of its meaning become what they stand for. A name that no row describes has none.
    """
    for name in names:
        fitting = [
            (sum(map(len, texts.values())), texts, row)
            for row in columns
            for pattern in row.names
            if (texts := fit(pattern, name)) is not None
        ]
        if fitting:
            _, texts, row = min(fitting, key=lambda found: found[0])
            meaning = row.meaning
            for word, text in texts.items():
                meaning = meaning.replace(word, text)
            yield replace(row, names=(name,), meaning=meaning)


def fit(pattern: str, name: str) -> dict[str, str] | None:
    """Return the text (without ``/``) that each of the ``{words}`` of a pattern stands for.

    None if the name does not fit.
    """
    literal = re.split(r"\{\w+\}", pattern)
    found = re.fullmatch("([^/]+)".join(map(re.escape, literal)), name)
    words = re.findall(r"\{\w+\}", pattern)
    return None if found is None else dict(zip(words, found.groups(), strict=True))


def dictionary(page: str, tables: Sequence[str], dictionary: str) -> None:
    """Write the data dictionary of a run.

    Parameters
    ----------
    page
        ``docs/tables.md``.
    tables
        Tables of the run (parquet) whose columns are listed by their own names.
    dictionary
        Output: tab-separated text; see `dictionary_rows`.
    """
    written = {Path(path).name: read_schema(path).names for path in tables}
    write_csv(dictionary_rows(Path(page).read_text(encoding="utf-8"), written), dictionary)
