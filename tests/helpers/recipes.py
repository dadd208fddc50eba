"""The recipes of docs/adding.md, followed literally in a copy of the repository."""

import re
import shutil
from pathlib import Path

from tests.conftest import ROOT

PAGE = ROOT / "docs/adding.md"
COPIED = ("Snakefile", "config", "docs", "envs", "resources", "src", "workflow")
STEP = re.compile(
    r"`(?P<path>[^`]+)`, (?P<place>a new file|at its end|(?:below|above) `(?P<line>[^`]+)`):\n\n"
    r"```\w+\n(?P<text>.*?)^```$"
    r"|`(?P<changed>[^`]+)`, where `(?P<old>[^`]+)` becomes\s`(?P<new>[^`]+)`",
    re.MULTILINE | re.DOTALL,
)


def recipe(heading: str) -> list[re.Match]:
    """Return the steps under a heading of the page."""
    chapters = PAGE.read_text(encoding="utf-8").split("\n## ")
    chapter = next(chapter for chapter in chapters if chapter.startswith(heading + "\n"))
    return list(STEP.finditer(chapter))


def copy_repository(folder: Path) -> Path:
    """Copy what a run needs into a folder."""
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    return folder


def follow(steps: list[re.Match], repository: Path) -> set[str]:
    """Do what a recipe says; return the files that it touched.

    Raises
    ------
    ValueError
        If a line at which a text goes, or a text that is replaced, does not occur exactly once.
    """
    for step in steps:
        path = repository / (step["path"] or step["changed"])
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(_after(step, before), encoding="utf-8")
    return {step["path"] or step["changed"] for step in steps}


def _after(step: re.Match, before: str) -> str:
    """Return the text of a file after a step."""
    if step["changed"]:
        start, end = before.split(step["old"])
        return start + step["new"] + end
    lines = before.splitlines(keepends=True)
    at = len(lines)
    if step["line"]:
        (at,) = [k for k, line in enumerate(lines) if line.strip().startswith(step["line"])]
        at += step["place"].startswith("below")
    return "".join([*lines[:at], step["text"], *lines[at:]])
