"""Every minimal input of the folder of faults: what is meant, or one sentence."""

import ast
from math import inf
from pathlib import Path

import pytest

from mcvae_ops.archive.annotations.list_sources import Listed, tidy_list
from mcvae_ops.archive.checksums import received
from mcvae_ops.archive.dataverse import parts_of
from mcvae_ops.archive.parts import members_of
from mcvae_ops.archive.sources import table_entries
from mcvae_ops.errors import InputError, TileError
from mcvae_ops.figures import style
from mcvae_ops.screen import Channel
from mcvae_ops.tiles.read import read_tile

KEYS = {
    "complexes": "corum", "clusters": "corum", "groups": "functional_groups", "pairs": "pairs",
    "genes": "mitotic_factors",
}  # fmt: skip
PROGRAMS = {"README.md", "hostile.py", "inputs.py", "disk2.py", "mem.py"}


@pytest.fixture(scope="module")
def cases(shared) -> Path:
    return shared / "cases/reliability"


def rows_of(kind: str, content: bytes) -> list[tuple]:
    table = tidy_list(Listed("list", KEYS[kind], "list.txt", None, {}), content, "human")
    return list(table.itertuples(index=False, name=None))


def members(path: Path) -> list[str]:
    return [name for name, _ in members_of(path, path.name)]


REFUSED = {
    "pairs_trailing_comma.txt": lambda path: rows_of("pairs", path.read_bytes()),
    "pairs_third_column.txt": lambda path: rows_of("pairs", path.read_bytes()),
    "groups_extra_column.tsv": lambda path: rows_of("groups", path.read_bytes()),
    "interphase_corrupt_deflate.zip": members,
    "files_size_missing.tsv": lambda path: table_entries(str(path)),
}
READ = {
    "corum_empty_last_line.txt": (
        lambda path: rows_of("complexes", path.read_bytes()), [("c", "A"), ("c", "B")],
    ),
    "annotation_folder_first.zip": (lambda path: rows_of("pairs", path.read_bytes()), [("A", "B")]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_input_is_one_sentence(cases, name):
    with pytest.raises(InputError) as caught:
        REFUSED[name](cases / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", READ)
def test_an_odd_input_is_read_as_it_is_meant(cases, name):
    read, expected = READ[name]
    assert [row[-2:] for row in read(cases / name)] == expected


def test_every_fuzzed_input_is_read_or_one_sentence(cases):
    outcomes = []
    for path in sorted(cases.glob("fuzz_*.txt")):
        text = path.read_text()
        try:
            if "dataverse" in path.name:
                parts_of(eval(text, {"inf": inf}), "https://h", True)
            else:
                kind, content = ast.literal_eval(text)
                rows_of(kind, content.encode())
        except InputError as error:
            assert "\n" not in str(error)
            outcomes.append(path.name)
    assert len(outcomes) >= 10


def test_a_torn_ledger_is_no_hindrance(cases, tmp_path):
    (tmp_path / "received.tsv").write_bytes((cases / "received_torn.tsv").read_bytes())
    assert received(tmp_path / "c.bin") is None


def test_a_damaged_tile_is_a_broken_tile(cases):
    path = cases / "tile_RuntimeError.tif"
    with pytest.raises(TileError):
        read_tile({"g": path}, [Channel("a", "g", 0)], 2, "max", 320)


def test_hostile_names_are_drawn_and_embedded_as_they_are(cases, tmp_path):
    """The page escapes each `<` (`tests/unit/test_names.py`); the figure shows each `$`."""
    group = (cases / "group_that_breaks_figures.txt").read_text()
    from matplotlib.figure import Figure

    with style.house({"perturbation": "gene", "guide": "guide", "control": "NTC"}):
        figure = Figure()
        figure.subplots().set_title(group)
        figure.savefig(tmp_path / "a.svg")
    assert f">{group}</text>" in (tmp_path / "a.svg").read_text()


def test_no_case_is_left_out(cases):
    named = {*REFUSED, *READ, *PROGRAMS, "received_torn.tsv", "tile_RuntimeError.tif"}
    named |= {"group_that_breaks_figures.txt", "gene_that_breaks_the_explorer.txt"}
    found = {path.name for path in cases.iterdir() if not path.name.startswith("fuzz_")}
    assert found <= named
