"""What one can ask the workflow for, in words."""

import re


def targets_text(rules: list[tuple[str, str, list[str]]], screen: str) -> str:
    """Return what can be asked for: rules without files by name, others by their first file.

    Parameters
    ----------
    rules
        Name, docstring and output files of each rule.
    screen
        Name of the screen.
    """
    named = [(name, text) for name, text, files in rules if not files]
    made = [(files[0], text) for _, text, files in rules if files]
    # Wildcards without what they may be: {chunk,[0-9]+} is {chunk}.
    made = [(re.sub(r"\{(\w+),[^}]*\}", r"{\1}", path), text) for path, text in made]
    made = [(path.replace("{screen}", screen), text) for path, text in made]
    width = max(len(what) for what, _ in named)
    lines = [
        "snakemake --cores 2              makes the report and all it needs (target: all)",
        "snakemake --cores 2 TARGET ...   makes some of it; with -n, says what would be done",
        "Add --configfile config/FILE.yaml for another screen than the simulated one.",
        "",
        "Targets",
        *(f"  {name:{width}}  {text}" for name, text in named),
        "",
        "Files, for each {plate} and {well}, {model}, {seed} and {panel} of the configuration",
        *(f"  {path}\n      {text}" for path, text in made),
    ]
    return "\n".join(lines)
