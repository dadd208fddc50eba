"""The rehearsal of the paper's screen, on so few cells that it takes seconds."""

import subprocess

import pandas as pd
import pytest

from tests.helpers.runs import write_configuration
from tests.performance import rehearsal

RULES = ("index_shards", "assign_splits", "join_embeddings", "aggregate_profiles")
SIZE = 0.02  # of two wells of 34: 28,000 cells


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rehearsal")
    config = rehearsal.configuration("small", wells=2)
    carried = rehearsal.library(n_genes=60, n_guides=252, n_controls=12)
    rehearsal.write_screen(folder / "results/small", config, SIZE, carried)
    rehearsal.write_embeddings(folder / "results/small", carried, 4)
    write_configuration(config, folder)
    files = {rule: rehearsal.RULES[rule] for rule in RULES}
    return folder, rehearsal.rehearse(folder, "small", files)


def test_every_rule_runs_and_is_measured(rehearsed):
    _, table = rehearsed
    assert list(table.index) == list(RULES)
    assert (table["GB"] < 1).all() and (table["asked GB"] >= 2).all()


def test_the_library_is_that_of_the_screen(rehearsed):
    guides = pd.read_parquet(rehearsed[0] / "results/small/profiles/mcvae/0/guides.parquet")
    guides = guides[guides["cells"] == "all"]
    n_cells = SIZE * rehearsal.N_CELLS * 2 / 34
    assert (len(guides), guides["is_ntc"].sum()) == (252, 12)
    assert abs(guides["n_cells"].sum() / n_cells - 1) < 0.05


def test_a_table_of_embeddings_is_judged(tmp_path):
    carried = rehearsal.library(n_genes=60, n_guides=252, n_controls=12)
    config = rehearsal.embedded_configuration("small", wells=2)
    rehearsal.write_tables(tmp_path, config, SIZE / 10, carried)
    first = ("list_feature_parts", "split_cells", "index_cells", "take_embedding")
    table = rehearsal.rehearse(
        tmp_path, "small", {rule: rehearsal.JUDGEMENT[rule] for rule in first}
    )
    assert list(table.index) == list(first) and (table["GB"] < 1).all()
    found = pd.read_parquet(tmp_path / "results/small/embeddings/mcvae/0.parquet")
    n_cells = SIZE / 10 * rehearsal.N_CELLS * 2 / 34
    whole = rehearsal.run_of(tmp_path, "small", rehearsal.JUDGEMENT)
    assert subprocess.run([*whole, "--dry-run"], capture_output=True).returncode == 0
    assert found.shape[1] == 65 and abs(len(found) / n_cells - 1) < 0.1


def test_two_sizes_give_the_full_one():
    def at(gigabytes):
        columns = {"GB": gigabytes, "CPU min": 1.0, "asked GB": 8, "asked min": 60}
        return pd.DataFrame(columns, index=["rule"])

    table = rehearsal.extrapolated({0.02: at(1.0), 0.1: at(1.4)})
    assert table.loc["rule", "GB at 1"] == pytest.approx(5.9)
    assert table.loc["rule", "CPU min at 1"] == 1.0
