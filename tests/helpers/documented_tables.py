"""The data dictionary docs/tables.md, read as data."""

import re
from dataclasses import dataclass

from tests.conftest import ROOT

PAGE = ROOT / "docs/tables.md"


@dataclass(frozen=True)
class DocumentedTable:
    """One section of the page.

    Attributes
    ----------
    files
        Patterns of the files, below ``results/{screen}``.
    columns
        Per row of the section's table: the names that it describes, and their type.
    always
        Whether every run from cells writes the table.
    """

    files: tuple[str, ...]
    columns: tuple[tuple[tuple[str, ...], str], ...]
    always: bool


def documented_tables() -> list[DocumentedTable]:
    """Return the sections of the page, in its order."""
    chapters = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    shared = {names[0]: kind for names, kind in _described(chapters[0])}
    tables = []
    for chapter in chapters[1:]:
        introduction, *sections = chapter.split("\n### ")
        tables += [_table(section, shared, introduction) for section in sections]
    return tables


def documented_metrics() -> dict[str, set[str]]:
    """Return the metrics of each benchmark that the page describes."""
    metrics: dict[str, set[str]] = {}
    for benchmark, names in re.findall(r"^\| `(\w+)` \| (`\w+`(?:, `\w+`)*) \| (?!text)",
                                       PAGE.read_text(encoding="utf-8"), re.M):  # fmt: skip
        metrics.setdefault(benchmark, set()).update(_quoted(names))
    return metrics


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name fits a pattern, in which ``{words}`` stand for any text without ``/``."""
    parts = re.split(r"\{\w+\}", pattern)
    return re.fullmatch("[^/]+".join(map(re.escape, parts)), name) is not None


def _table(section: str, shared: dict[str, str], introduction: str) -> DocumentedTable:
    heading, _, body = section.partition("\n")
    stated = re.search(r"Shared columns: ([^.(]*)", body)
    columns = [((name,), shared[name]) for name in _quoted(stated[1] if stated else "")]
    always = "Written only" not in introduction + body
    return DocumentedTable(_quoted(heading), (*columns, *_described(body)), always)


def _described(text: str) -> list[tuple[tuple[str, ...], str]]:
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \| [^|]+ \|$", text, re.MULTILINE)
    return [(_quoted(names), kind) for names, kind in rows if not kind.startswith("`")]


def _quoted(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", text))
