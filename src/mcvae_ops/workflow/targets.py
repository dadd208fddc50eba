"""What one can ask the workflow for, in words."""

import re
from collections.abc import Collection


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
    once = [rule for rule in rules if not any("{" in file for file in rule[2])]
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
