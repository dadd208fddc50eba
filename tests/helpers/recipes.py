"""The recipes of docs/adding.md, followed literally in a copy of the repository."""

import re
import shutil
from pathlib import Path
from typing import NamedTuple

from tests.conftest import ROOT

PAGE = ROOT / "docs/adding.md"
COPIED = ("Snakefile", "config", "envs", "resources", "src", "workflow")
STEP = re.compile(
    r"^\*\*\d\.\*\* `(?P<path>[^`]+)`, "
    r"(?P<place>a new file|at its end|below `(?P<line>[^`]+)`):\n\n"
    r"```\w+\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Step(NamedTuple):
    """One step of a recipe: a text, and where it goes."""

    path: str
    place: str
    line: str | None
    text: str


def recipe(heading: str) -> list[Step]:
    """Return the steps under a heading of the page."""
    chapters = PAGE.read_text(encoding="utf-8").split("\n## ")
    chapter = next(chapter for chapter in chapters if chapter.startswith(heading + "\n"))
    return [Step(*match.group("path", "place", "line", "text")) for match in STEP.finditer(chapter)]


def copy_repository(folder: Path) -> Path:
    """Copy what a run needs into a folder."""
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    return folder


def follow(steps: list[Step], repository: Path) -> set[str]:
    """Do what a recipe says; return the files that it touched.

    Raises
    ------
    ValueError
        If a line below which a text goes does not occur exactly once.
    """
    for step in steps:
        path = repository / step.path
        if step.place == "a new file":
            path.write_text(step.text, encoding="utf-8")
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        at = len(lines)
        if step.line is not None:
            (at,) = [k + 1 for k, line in enumerate(lines) if line.strip().startswith(step.line)]
        path.write_text("\n".join([*lines[:at], step.text.rstrip("\n"), *lines[at:]]) + "\n")
    return {step.path for step in steps}
