"""What one can ask the workflow for, in words."""

import difflib
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from mcvae_ops.errors import InputError


def targets_text(
    rules: list[tuple[str, str, list[str]]], screen: str, panels: Collection[str]
) -> str:
    """Return what can be asked for: by name what is there once, by its first file everything.

    Parameters
    ----------
    rules
        Name, docstring and output files of each rule.
    screen
        Name of the screen.
    panels
        Names of the panels, each of which is a rule without files.
    """
    once = _made_once(rules)
    named = [(name, text) for name, text, _ in once if name not in panels]
    made = [(files[0], text) for _, text, files in rules if files]
    # Wildcards without what they may be: {chunk,[0-9]+} is {chunk}.
    made = [(re.sub(r"\{(\w+),[^}]*\}", r"{\1}", path), text) for path, text in made]
    made = [(path.replace("{screen}", screen), text) for path, text in made]
    named.append(("PANEL", f"One figure: {', '.join(panels)}"))
    width = max(len(what) for what, _ in named)
    lines = [
        "snakemake --cores 2              makes the report and all it needs (target: all)",
        "snakemake --cores 2 TARGET ...   makes some of it; with -n, says what would be done",
        "Add --configfile config/FILE.yaml for another screen than the simulated one.",
        "snakemake --cores 1 doctor --config look=ADDRESS   writes such a file for images of yours",
        "",
        "Targets",
        *(f"  {name:{width}}  {text}" for name, text in named),
        "",
        "Files, for each {plate} and {well}, {model}, {seed} and {panel} of the configuration",
        *(f"  {path}\n      {text}" for path, text in made),
    ]
    return "\n".join(lines)


def check_names(targets: Iterable[str], rules: list[tuple[str, str, list[str]]]) -> None:
    """Raise an `InputError` if a target is no name of a rule, no output and no file that is there.

    Parameters
    ----------
    targets
        What is asked for. Paths with folders are left to Snakemake.
    rules
        As in `targets_text`.
    """
    known = {name for name, *_ in rules} | {file for *_, files in rules for file in files}
    for target in targets:
        if "/" in target or target in known or Path(target).exists():
            continue
        once = [name for name, *_ in _made_once(rules)]
        near = difflib.get_close_matches(target, once, n=1)
        raise InputError(
            where=target,
            found="no target of this name",
            expected="one that `snakemake` without arguments lists",
            fix=f"write {near[0]} instead" if near else "correct the name",
        )


def _made_once(rules: list[tuple[str, str, list[str]]]) -> list[tuple[str, str, list[str]]]:
    """Return the rules that one can ask for by their name: those without wildcards."""
    return [rule for rule in rules if not any("{" in file for file in rule[2])]
