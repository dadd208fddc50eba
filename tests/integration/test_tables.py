"""The tables of a run are those that docs/tables.md describes, and open where people work."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.report.data_dictionary import DescribedTable
from mcvae_ops.shards.crop_examples import sample_crops
from tests.helpers.documented_tables import (
    check_columns,
    documented_metrics,
    documented_tables,
    matches,
)

TABLES = {table.files[0]: table for table in documented_tables()}


@pytest.fixture(scope="session")
def written(tiny_run) -> list[str]:
    """Paths of all tables of the tiny run, below its results; the study has its own forms."""
    results = tiny_run / "results/tiny"
    paths = [path for path in results.rglob("*") if path.suffix in (".parquet", ".tsv", ".csv")]
    names = [path.relative_to(results).as_posix() for path in paths if path.is_file()]
    return sorted(name for name in names if not name.startswith(("study/", "archive/")))


def files_of(table: DescribedTable, written: list[str]) -> list[str]:
    """Return the written files of a table that no other section names more closely."""
    fitting = [name for name in written if any(matches(file, name) for file in table.files)]
    exact = {file for other in TABLES.values() if other is not table for file in other.files}
    return [name for name in fitting if name not in exact]


def test_every_table_is_described_once(written):
    described = [name for table in TABLES.values() for name in files_of(table, written)]
    assert sorted(described) == written


@pytest.mark.parametrize("name", [name for name, table in TABLES.items() if table.always])
def test_a_table_has_the_columns_of_the_page(name, tiny_run, written):
    files = files_of(TABLES[name], written)
    check_columns(name, [tiny_run / "results/tiny" / file for file in files])


def test_tables_for_pictures_of_crops(tiny_run, tmp_path):
    targets = {name: tmp_path / f"{name}.parquet" for name in ("cells_per_tile", "montage")}
    sample_crops(str(tiny_run / "results/tiny/shards/index.parquet"), **targets)
    for name, path in targets.items():
        check_columns(f"qc/{name}.parquet", [path])


def test_every_metric_of_a_benchmark_is_described(tiny_run):
    folder = tiny_run / "results/tiny/benchmarks"
    tables = [pd.read_parquet(path) for path in folder.glob("*.parquet")]
    rows = pd.concat([table for table in tables if "metric" in table])
    found = rows.groupby("benchmark")["metric"].agg(set).to_dict()
    # A benchmark that is not on the page yet describes its metrics where it is made.
    assert found == {name: documented_metrics().get(name, found[name]) for name in found}


TEXTS = ["hits", "guides"]  # tables that are written as parquet and, for people, as text
AS_TABS = "CSV:9,34,76,1,,0,false,true"  # tabs, quotes, UTF-8; numbers and dates are looked for
AS_CSV = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false"


def assert_alike(text: pd.DataFrame, table: pd.DataFrame) -> None:
    """Compare a table that was text, of four digits, with what was written."""
    assert list(text) == list(table) and len(text) == len(table)
    for name, values in table.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(text[name].astype(float), values, rtol=1e-3)
        elif values.dtype.kind == "O":
            assert text[name].fillna("").tolist() == values.tolist()
        else:
            assert text[name].tolist() == values.tolist()


@pytest.mark.parametrize("name", TEXTS)
def test_pandas_reads_from_the_text_what_was_written(name, tiny_run):
    path = tiny_run / f"results/tiny/{name}.parquet"
    text = pd.read_csv(path.with_suffix(".tsv"), sep="\t")
    assert_alike(text, pd.read_parquet(path))


@pytest.mark.parametrize("name", TEXTS)
def test_a_spreadsheet_changes_nothing(name, tiny_run, tmp_path):
    """LibreOffice opens the text, saves a workbook, and saves that as csv."""
    if shutil.which("soffice") is None:
        pytest.skip("no LibreOffice on this machine: no spreadsheet opens the tables")
    path = tiny_run / f"results/tiny/{name}.parquet"
    steps = (path.with_suffix(".tsv"), AS_TABS, "xlsx"), (tmp_path / f"{name}.xlsx", "", AS_CSV)
    for source, read_as, write_as in steps:
        office = ["soffice", "--headless", f"-env:UserInstallation=file://{tmp_path}/office"]
        options = [f"--infilter={read_as}"] if read_as else []
        command = [*office, *options, "--convert-to", write_as, "--outdir", tmp_path, source]
        subprocess.run(command, check=True, capture_output=True)
    assert_alike(pd.read_csv(tmp_path / f"{name}.csv"), pd.read_parquet(path))


def test_the_dictionary_names_every_column_of_the_tables_for_people_once(tiny_run):
    folder = tiny_run / "results/tiny"
    words = pd.read_csv(folder / "dictionary.tsv", sep="\t").set_index("table")
    for name in ("hits.tsv", "guides.tsv", "claims.tsv"):
        columns = list(pd.read_csv(folder / name, sep="\t"))
        assert sorted(words.loc[name, "column"]) == sorted(columns), name
    assert words["meaning"].notna().all()
