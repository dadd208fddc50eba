"""The data dictionary docs/tables.md, read as data."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from mcvae_ops.report.data_dictionary import (
    DescribedTable,
    described_tables,
    fit,
    quoted,
)
from tests.conftest import ROOT

PAGE = ROOT / "docs/tables.md"
TYPES = {
    "string": "text",
    "float": "float32",
    "double": "float64",
    "list<element: double>": "list of float64",
    "object": "text",
}
# No model of the tiny run has a technical space, and it keeps no log variances.
ABSENT = {"t_{k}", "log_variance_s_{k}"}


def documented_tables() -> list[DescribedTable]:
    """Return the sections of the page, in its order."""
    return described_tables(PAGE.read_text(encoding="utf-8"))


def documented_metrics() -> dict[str, set[str]]:
    """Return the metrics of each benchmark that the page describes."""
    metrics: dict[str, set[str]] = {}
    for benchmark, names in re.findall(r"^\| `(\w+)` \| (`\w+`(?:, `\w+`)*) \| (?!text)",
                                       PAGE.read_text(encoding="utf-8"), re.M):  # fmt: skip
        metrics.setdefault(benchmark, set()).update(quoted(names))
    return metrics


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name fits a pattern, in which ``{words}`` stand for any text without ``/``."""
    return fit(pattern, name) is not None


def check_columns(name: str, paths: Sequence[Path]) -> None:
    """Compare the columns and types of written tables with the section that names a file.

    Raises
    ------
    AssertionError
        If a column of the tables is not described, or a described one is in none of them.
    """
    table = next(table for table in documented_tables() if name in table.files)
    written = {
        (_row_of(column, table), kind)
        for path in paths
        for column, kind in _columns_of(path).items()
    }
    described = {(row.names, row.kind) for row in table.columns if ABSENT.isdisjoint(row.names)}
    any_type = {names for names, kind in described if kind == "any"}
    assert {row for row in written if row[0] not in any_type} == {
        row for row in described if row[0] not in any_type
    }


def _columns_of(path: Path) -> dict[str, str]:
    """Return the columns of a table and their types, in the words of the page."""
    if path.suffix == ".parquet":
        found = {field.name: str(field.type) for field in pq.read_schema(path)}
    else:
        table = pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",")
        found = {name: str(kind) for name, kind in table.dtypes.items()}
    return {name: TYPES.get(kind, kind) for name, kind in found.items()}


def _row_of(column: str, table: DescribedTable) -> tuple[str, ...]:
    """Return the names in the row of the page that describes a column, its own before a pattern."""
    rows = sorted((row.names for row in table.columns), key=lambda names: column not in names)
    fitting = (names for names in rows if any(matches(name, column) for name in names))
    return next(fitting, (f"no row of the page for {column}",))
