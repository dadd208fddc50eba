"""The container recipe, read and carried out without an engine."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def dockerfile() -> dict[str, list[str]]:
    """Instructions of the Dockerfile -> the arguments of each, in order."""
    steps = {}
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line and not line.startswith("#"):
            instruction, arguments = line.split(maxsplit=1)
            steps.setdefault(instruction, []).append(arguments)
    return steps


def build(context: Path, target: Path) -> None:
    """Copy what the recipe copies, and install into a folder as it does, without dependencies."""
    for copied in dockerfile()["COPY"]:
        *sources, place = copied.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, context / place)
            else:
                shutil.copy(ROOT / source, context / place)
    into = ("--no-deps", "--no-compile", "--target", str(target))
    for run in dockerfile()["RUN"]:
        command = [sys.executable, "-m", *shlex.split(run), "--quiet", *into]
        subprocess.run(command, cwd=context, check=True)
