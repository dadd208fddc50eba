"""The reference of the configuration, written from its schema.

``python -m mcvae_ops.workflow.reference workflow/schemas/config.schema.yaml > config/README.md``
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from mcvae_ops.workflow.configuration import load_schema

HEAD = """# Configuration

One YAML file describes a run: the screen, where its files are, how they are read, what is
trained, what is measured. Every key must be set; an unknown one is refused before the first job.
This page is
written from `workflow/schemas/config.schema.yaml` (`make docs`).

| file | screen |
|---|---|
| `config.yaml` | a simulated screen, the default |
| `compounds.yaml` | a second simulated screen: 5 stains, compounds instead of genes |
| `claims.yaml` | what differs from `config.yaml` for a larger screen that tests the claims |
| `judge/` | three simulated screens on which models are judged, and never developed |
| `published.yaml` | the paper's own gene profiles: its figures 2B, 4 and 5 from real data |
| `funk2022.yaml` | the paper's screen, S-BIAD394: 12.2 TB |
| `funk2022_pilot.yaml` | 17 tiles of two of its wells: 9.5 GB |

`--configfile config/funk2022_pilot.yaml` takes that file instead of the default.
Several files after `--configfile` are merged, later ones over earlier ones.
"""


def reference(schema: dict) -> str:
    """Return the Markdown of the whole reference.

    Parameters
    ----------
    schema
        As `mcvae_ops.workflow.configuration.load_schema` reads it.
    """
    parts = [HEAD]
    for name, section in schema["properties"].items():
        section = _resolved(section, schema)
        parts.append(f"\n## `{name}`\n\n{section['description']}\n")
        rows = list(_rows(section, schema, ""))
        if rows:
            parts.append("\n| key | type | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    return "".join(parts)


def _rows(section: dict, schema: dict, prefix: str) -> Iterator[str]:
    named = section.get("properties", {}).items()
    rest = section.get("additionalProperties")
    unnamed = [("<name>", rest)] if isinstance(rest, dict) and "properties" in rest else []
    for name, entry in [*named, *unnamed]:
        repeated = "$ref" in entry and prefix
        entry = _resolved(entry, schema)
        items = entry.get("items", {})
        meaning = entry.get("description", "").replace("|", "\\|")
        yield f"| `{prefix}{name}` | {_kind(entry)} | {meaning} |"
        if not repeated:
            yield from _rows(entry, schema, f"{prefix}{name}.")
        if "properties" in items:
            yield from _rows(items, schema, f"{prefix}{name}[].")


def _resolved(entry: dict, schema: dict) -> dict:
    reference = entry.get("$ref", "")
    if not reference.startswith("#/$defs/"):
        return entry
    return schema["$defs"][reference.removeprefix("#/$defs/")] | entry


def _kind(entry: dict) -> str:
    if "enum" in entry:
        return " \\| ".join(f"`{value}`" for value in entry["enum"])
    if "anyOf" in entry:
        return " \\| ".join(_kind(choice) for choice in entry["anyOf"])
    kind = entry.get("type", "")
    return " \\| ".join(kind) if isinstance(kind, list) else kind


if __name__ == "__main__":
    sys.stdout.write(reference(load_schema(Path(sys.argv[1]))))
