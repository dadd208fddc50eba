"""The tables of a finished run are those that docs/tables.md describes."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.helpers.documented_tables import (
    DocumentedTable,
    documented_metrics,
    documented_tables,
    matches,
)

TYPES = {
    "string": "text",
    "float": "float32",
    "double": "float64",
    "list<element: double>": "list of float64",
    "object": "text",
}
ABSENT = (("t_{k}",),)  # the models of the tiny run have no technical space
TABLES = documented_tables()
BY_NAME = {table.files[0]: table for table in TABLES}


@pytest.fixture(scope="session")
def written(tiny_run) -> list[str]:
    """Paths of all tables of the tiny run, below its results; the study has its own forms."""
    results = tiny_run / "results/tiny"
    paths = [path for path in results.rglob("*") if path.suffix in (".parquet", ".tsv", ".csv")]
    names = [path.relative_to(results).as_posix() for path in paths if path.is_file()]
    return sorted(name for name in names if not name.startswith(("study/", "archive/")))


def files_of(table: DocumentedTable, written: list[str]) -> list[str]:
    """Return the written files of a table that no other section names more closely."""
    fitting = [name for name in written if any(matches(file, name) for file in table.files)]
    exact = {file for other in TABLES if other is not table for file in other.files}
    return [name for name in fitting if name not in exact]


def columns_of(path: Path) -> dict[str, str]:
    """Return the columns of a table and their types, in the words of the page."""
    if path.suffix == ".parquet":
        found = {field.name: str(field.type) for field in pq.read_schema(path)}
    else:
        table = pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",")
        found = {name: str(kind) for name, kind in table.dtypes.items()}
    return {name: TYPES.get(kind, kind) for name, kind in found.items()}


def test_every_table_is_described_once(written):
    described = [name for table in TABLES for name in files_of(table, written)]
    assert sorted(described) == written


def row_of(column: str, table: DocumentedTable) -> tuple[str, ...]:
    """Return the names in the row of the page that describes a column, its own before a pattern."""
    rows = sorted((names for names, _ in table.columns), key=lambda names: column not in names)
    fitting = (names for names in rows if any(matches(name, column) for name in names))
    return next(fitting, (f"no row of the page for {column}",))


@pytest.mark.parametrize("name", BY_NAME)
def test_a_table_has_the_columns_of_the_page(name, tiny_run, written):
    table = BY_NAME[name]
    files = files_of(table, written)
    if not files and not table.always:
        pytest.skip(f"the tiny run does not write {name}")
    found = {
        (row_of(column, table), kind)
        for file in files
        for column, kind in columns_of(tiny_run / "results/tiny" / file).items()
    }
    described = {row for row in table.columns if row[0] not in ABSENT}
    loose = {names for names, kind in described if kind == "any"}
    assert {row for row in found if row[0] not in loose} == {
        row for row in described if row[0] not in loose
    }


def test_every_metric_of_a_benchmark_is_described(tiny_run):
    folder = tiny_run / "results/tiny/benchmarks"
    tables = [pd.read_parquet(path) for path in folder.glob("*.parquet")]
    rows = pd.concat([table for table in tables if "metric" in table])
    found = rows.groupby("benchmark")["metric"].agg(set).to_dict()
    assert found == documented_metrics()
