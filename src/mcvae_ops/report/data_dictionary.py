"""The data dictionary: what each column of each table means.

It is written once, in ``docs/tables.md``, which a test compares with the tables of a run. A run
stores it as a table beside its tables, for people who have the results and not the repository.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mcvae_ops.files import write_csv

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


def dictionary_rows(page: str) -> pd.DataFrame:
    """Return one row per table and column.

    Parameters
    ----------
    page
        Text of ``docs/tables.md``.

    Returns
    -------
    table, column, type, meaning; in the order of the page. A table that is another one as text has
    the columns of that one.
    """
    tables = described_tables(page)
    columns_of = {file: table.columns for table in tables for file in table.files}
    rows = []
    for table in tables:
        columns = table.columns
        if len(columns) == 1 and (other := _SAME_AS.search(columns[0].meaning)):
            columns = columns_of.get(other[1], columns)
        rows += [
            (file, name, column.kind, column.meaning.replace("`", ""))
            for file in table.files
            for column in columns
            for name in column.names
        ]
    return pd.DataFrame(rows, columns=["table", "column", "type", "meaning"])


def dictionary(page: str, dictionary: str) -> None:
    """Write the data dictionary of a run.

    Parameters
    ----------
    page
        ``docs/tables.md``.
    dictionary
        Output: tab-separated text; see `dictionary_rows`.
    """
    write_csv(dictionary_rows(Path(page).read_text(encoding="utf-8")), dictionary)
