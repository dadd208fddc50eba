"""The pages in docs/ say what is in the code: rooms, imports, rules, tables, links."""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from mcvae_ops import __version__
from tests.conftest import ROOT
from tests.helpers.documented_tables import documented_tables, matches

PACKAGE = ROOT / "src/mcvae_ops"
MODULES = {
    ".".join(("mcvae_ops", *path.relative_to(PACKAGE).with_suffix("").parts)): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py"
}
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "config/README.md"]
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
RULE_NAMES = set(re.findall(r"^rule (\w+):", RULES, re.MULTILINE))


def names_in(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names of modules (and of what is in them) that import statements name."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
# Imports within functions count, too.
IMPORTS = {name: names_in(ast.walk(tree)) & set(MODULES) for name, tree in TREES.items()}


def packages_of(module: str) -> set[str]:
    """Return the foreign packages that a module needs as soon as it is imported."""
    names = {name.split(".")[0] for name in names_in(TREES[module].body)}
    return names - set(sys.stdlib_module_names) - {"mcvae_ops"}


def room_of(module: str) -> str:
    """Return the room of a module, "" for the modules that belong to none."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 else ""


def documented_rooms() -> dict[str, set[str]]:
    """Return the rooms that each room may import, in the order of the page."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]*[.] \|([^|]*)\|$", ARCHITECTURE, re.MULTILINE)
    return {room: set(re.findall(r"`(\w+)`", named)) for room, named in rows}


def test_rooms_import_what_the_page_says_and_no_more():
    real = {room_of(module): set() for module in MODULES if room_of(module)}
    for module, names in IMPORTS.items():
        if room_of(module):
            real[room_of(module)] |= {room_of(name) for name in names} - {"", room_of(module)}
    assert real == documented_rooms()


def test_rooms_import_only_rooms_above_them():
    above: set[str] = set()
    for room, named in documented_rooms().items():
        assert named <= above, f"{room} imports {named - above}, which stand below it"
        above.add(room)


def test_modules_without_a_room_are_named_and_import_no_room():
    names = {module.split(".")[1] for module in MODULES if not room_of(module)}
    paragraph = ARCHITECTURE.split("Some modules belong to no room")[1].split("\n\n")[0]
    assert names == set(re.findall(r"`(\w+)`", paragraph))
    for name in names:
        assert {room_of(other) for other in IMPORTS[f"mcvae_ops.{name}"]} <= {""}


def test_modules_import_each_other_in_no_circle():
    order = list(TopologicalSorter(IMPORTS).static_order())
    assert set(order) == set(MODULES)


def test_training_needs_torch_numpy_and_pyarrow_alone():
    reached = {name for name in MODULES if room_of(name) == "training"}
    while more := {other for name in reached for other in IMPORTS[name]} - reached:
        reached |= more
    assert {package for name in reached for package in packages_of(name)} == {
        "torch", "numpy", "pyarrow",
    }  # fmt: skip


def test_one_room_imports_snakemake():
    using = {
        room_of(name)
        for name, tree in TREES.items()
        if "snakemake" in {found.split(".")[0] for found in names_in(ast.walk(tree))}
    }
    assert using == {"workflow"}


def test_no_module_name_occurs_twice():
    counts = Counter(path.stem for path in MODULES.values())
    assert {name: n for name, n in counts.items() if n > 1} == {}


def test_a_rule_its_script_and_its_function_have_one_name():
    scripts = {path.stem for path in (ROOT / "workflow/scripts").glob("*.py")}
    functions = {
        name
        for path in MODULES.values()
        for name in re.findall(r"^def (\w+)\(", path.read_text(), re.MULTILINE)
    }
    with_script = set(re.findall(r'"../scripts/(\w+)\.py"', RULES))
    assert scripts == with_script == RULE_NAMES & scripts
    assert scripts <= functions


def test_rules_and_folders_of_the_page_exist():
    diagram = ARCHITECTURE.split("```mermaid")[1].split("```")[0]
    named = {name for label in re.findall(r'\|"?([^|"]+)"?\|', diagram)
             for name in re.findall(r"\w+", label)}  # fmt: skip
    assert named <= RULE_NAMES
    folders = re.findall(r"`([\w/]+/)`", ARCHITECTURE)
    assert folders and all((ROOT / folder).is_dir() for folder in folders)


def test_tables_of_the_rules_are_described():
    outputs = "".join(re.findall(r"    output:\n(.*?)\n    \w+:", RULES, re.DOTALL))
    paths = re.findall(r'"results/\{screen\}/([^"]+\.(?:parquet|tsv|csv))"', outputs)
    files = [file for table in documented_tables() for file in table.files]
    own = {
        path.replace("{arm}", "ntc").replace("{masks}", "masks")
        for path in paths
        if not path.startswith("study/")
    }
    assert own
    assert {path for path in own if not any(matches(file, path) for file in files)} == set()


def anchors(page: Path) -> set[str]:
    """Return what links can point at in a page: its headings, as forges write them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        place, _, anchor = target.partition("#")
        linked = page.parent / place if place else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 140


def test_the_version_is_the_same_everywhere():
    for page, form in (("CITATION.cff", r"^version: (.*)$"), ("CHANGELOG.md", r"^## (\S+)")):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert re.search(form, text, re.MULTILINE)[1] == __version__, page
