"""Names of plates, genes and groups go through paths, figures, pages and tables as they are."""

import json
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from mcvae_ops.archive.addresses import inside
from mcvae_ops.figures import style
from mcvae_ops.files import write_csv
from mcvae_ops.screen import folder_name, name_of
from mcvae_ops.workflow.names import Places
from tests.helpers.runs import tiny_configuration

HOSTILE = ["..", ".", "$(touch x)", "a/b", "P 1 (new)", "-rf", "`id`", "ü\n", "+2E", "a'b\"c", "~"]


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_name_comes_back_from_its_folder(name):
    folder = folder_name(name)
    assert name_of(folder) == name
    assert folder.isascii() and not set(folder) & set(" /$`'\"\\;&|<>*?(){}[]!#~\n\t\0")
    assert folder[0] not in ".-"


@pytest.mark.parametrize("name", HOSTILE)
def test_places_lie_in_folders_of_plain_letters(name):
    config = tiny_configuration()
    config["screen"]["plates"] = {name: ["A1"], "20200202_6W-LaC024A": ["A1"]}
    places = Places(config)
    assert places.plates[1] == "20200202_6W-LaC024A"
    assert [name_of(plate) for plate in places.wells["plate"]] == list(config["screen"]["plates"])


@pytest.mark.parametrize("path", ["../../x.tif", "/etc/x.tif", "a/../../x.tif", "//a/./x.tif"])
def test_a_path_of_an_archive_stays_below_the_cache(path):
    place = Path("/cache/raw") / inside(path)
    assert place.parts[:3] == ("/", "cache", "raw") and ".." not in place.parts


@pytest.mark.parametrize("step", ["a" * 300, "é" * 400, "\0" * 90, "a\0b"], ids=ascii)
def test_a_path_of_an_archive_fits_the_file_system(tmp_path, step):
    place = tmp_path / inside(f"x/{step}.tar.gz")
    place.parent.mkdir()
    place.with_name(f"{place.name}.part.mark").write_text("")
    assert place.name.endswith(".tar.gz") and inside(f"{step}b.tif") != inside(f"{step}c.tif")


@pytest.mark.parametrize("name", [r"$\frac{1}{$", "$", "a$b$c", r"$\mathdefault{"])
def test_a_dollar_is_text_in_a_figure(tmp_path, name):
    with style.house({"perturbation": "gene", "guide": "guide", "control": "NTC"}):
        figure = Figure()
        axes = figure.subplots()
        axes.set_title(name)
        axes.bar([name], [1])
        axes.plot([0], [1], label=name)
        axes.legend()
        figure.savefig(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text().count(f">{name}</text>") == 3
    assert matplotlib.rcParams["text.parse_math"]


def test_a_spreadsheet_runs_no_cell(tmp_path):
    names = ["=1+1", "+A1", "-A1", "@x", "-", "TP53", "-0.5", "a=b", None]
    table = pd.DataFrame({"=name": names, "value": -1.5, "kind": pd.Categorical(names)})
    for suffix, separator in (("csv", ","), ("tsv", "\t")):
        write_csv(table, tmp_path / f"a.{suffix}", "%.3g")
        read = pd.read_csv(tmp_path / f"a.{suffix}", sep=separator, dtype=str)
        assert list(read) == ["'=name", "value", "kind"]
        written = ["'=1+1", "'+A1", "'-A1", "'@x", "'-", "TP53", "-0.5", "a=b"]
        assert read["'=name"].tolist()[:8] == read["kind"].tolist()[:8] == written
        assert set(read["value"]) == {"-1.5"}


def test_embedded_json_closes_no_script():
    data = json.dumps(["<!--<script>", "</script>"]).replace("<", "\\u003c")
    assert "<" not in data and json.loads(data) == ["<!--<script>", "</script>"]
