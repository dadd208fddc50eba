"""What was found: values of the configuration with their reasons, and questions; as files."""

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

SECTIONS = ("source", "screen", "archive", "cells", "labels", "alignment", "crop", "training")


@dataclass(frozen=True)
class Finding:
    """A key of the configuration.

    Attributes
    ----------
    key
        Such as ``screen.plates``, or a whole section: ``cells``.
    value
        What it is set to; None leaves it to the defaults, and writes its line as a comment.
    why
        The reason, as a sentence.
    question
        What only the user can know, as a question; None where nothing is to be asked.
    """

    key: str
    value: object
    why: str
    question: str | None = None


def as_config(findings: Sequence[Finding]) -> dict:
    """Return the configuration that some findings make."""
    config: dict = {}
    for finding in findings:
        if finding.value is None:
            continue
        section, _, key = finding.key.partition(".")
        if key:
            config.setdefault(section, {})[key] = finding.value
        else:
            config[section] = finding.value
    return config


def as_yaml(findings: Sequence[Finding], head: Sequence[str]) -> str:
    """Return the file of a screen: each key below its reason, questions as comments.

    Parameters
    ----------
    findings
        In any order; sections come in the order of `SECTIONS`.
    head
        Lines of the comment at the top.
    """
    lines = [_comment(line) for line in head]
    for section in SECTIONS:
        own = [one for one in findings if one.key.partition(".")[0] == section]
        if not own:
            continue
        lines.append("")
        if any(one.value is not None and "." in one.key for one in own):
            lines.append(f"{section}:")
        for one in own:
            name = one.key.partition(".")[2]
            indent = "  " * bool(name)
            lines += [indent + _comment(one.why)] * bool(one.why)
            lines += [indent + _comment(f"QUESTION: {one.question}")] * bool(one.question)
            if one.value is None:
                lines.append(f"{indent}# {name or section}:")
            else:
                lines += [indent + line for line in _lines(name or section, one.value)]
    return "\n".join(lines) + "\n"


def as_page(
    findings: Sequence[Finding], title: str, facts: Sequence[str], tables: Sequence[str]
) -> str:
    """Return the page (Markdown) that explains each value.

    Parameters
    ----------
    findings
        As of `as_yaml`.
    title
        Of the page.
    facts
        Sentences for the top.
    tables
        Further sections, written out.
    """
    asked = [one for one in findings if one.question]
    lines = [f"# {title}", "", *(f"* {fact}" for fact in facts), "", "## Questions", ""]
    lines += [f"{k}. `{one.key}`: {one.question}" for k, one in enumerate(asked, 1)]
    lines += [] if asked else ["None: every value was found."]
    lines += ["", "## Values", "", "| key | value | why |", "|---|---|---|"]
    lines += [f"| `{one.key}` | {_cell(one.value)} | {_escaped(one.why)} |" for one in findings]
    return "\n".join([*lines, "", *tables]) + "\n"


def as_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [" | ".join(columns), "|".join(["---"] * len(columns))]
    lines += [" | ".join(_escaped(str(cell)) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" if "---" not in line else f"|{line}|" for line in lines)


def _comment(text: str) -> str:
    """Return a comment of one line, whatever the names of files in it hold."""
    return "# " + "".join(sign if sign.isprintable() else " " for sign in text)


def _lines(name: str, value: object) -> list[str]:
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        return [f"{name}:", *(f"  - {_flow(one)}" for one in value)]
    return [f"{name}: {_flow(value)}"]


def _flow(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10**9, sort_keys=False,
                          allow_unicode=True)  # fmt: skip
    return text.removesuffix("\n").removesuffix("\n...")


def _cell(value: object) -> str:
    if value is None:
        return "(left to the defaults)"
    text = _flow(value)
    return f"`{_escaped(text if len(text) < 300 else text[:300] + ' ...')}`"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
