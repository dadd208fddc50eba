"""The reference of the configuration, written from its schema and its defaults.

``python -m mcvae_ops.workflow.reference workflow/schemas/config.schema.yaml > config/README.md``
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from mcvae_ops.workflow.configuration import read_yaml

HEAD = """# Configuration

A run reads several files; each is merged over the one before:

1. `defaults.yaml` holds the default of every key of the method. Every run reads it first.
2. The file of a screen says what the screen is, and which defaults do not suit it. Without
   `--configfile`, it is `config.yaml`.
3. Overlays change some keys of a screen, for example to add a model.

```
snakemake                                                     # the simulated screen, config.yaml
snakemake --configfile config/funk2022_pilot.yaml             # another screen instead
snakemake --configfile config/config.yaml config/dcvae.yaml   # an overlay on a screen
snakemake --configfile my.yaml --config commercial_use=true   # one key on the command line
snakemake --config training='{epochs: 3}'                     # one key of a section
```

| file | what it is |
|---|---|
| `defaults.yaml` | the default of every key of the method |
| `config.yaml` | a simulated screen |
| `compounds.yaml` | a second simulated screen: 5 stains, compounds instead of genes |
| `digits.yaml` | handwritten digits over textures, as a screen (`make digits`) |
| `funk2022.yaml` | the paper's screen, S-BIAD394: 12.2 TB |
| `funk2022_pilot.yaml` | 17 tiles of two of its wells: 9.5 GB |
| `published.yaml` | the authors' gene profiles: figures 2B, 4A to 4C and 5 from real data |
| `periscope.yaml`, `jump.yaml`, `bbbc021.yaml`, `nf1.yaml` | parts of other public screens |
| `arrayed.yaml` | overlay of `config.yaml`: one gene in each well |
| `claims.yaml` | overlay of `config.yaml`: a larger screen that tests the claims |
| `dcvae.yaml` | overlay of any screen: one more model |
| `evaluation/` | overlays of `config.yaml`: models compared on three further screens |

## How files merge

| the later file has | the result |
|---|---|
| a section: `training: {epochs: 20}` | the other keys of the section keep their values |
| a single value or a list: `training: {seeds: [0, 1]}` | replaces the value, or the whole list |
| null for an entry: `models: {vae: null}` | drops the entry |
| null for a section of entries: `alignment: {measure: null}` | drops all entries |
| `{}` over entries | an error, because it would change nothing |

Entries are what you name yourself: the plates of `screen.plates`, the models of `models` and
`encoders`, those of `embeddings`, the channels of `alignment.measure`, the lists of
`archive.annotations.pairs`, the profiles of `evaluation.profiles`, what
`exports.ops_standard.metadata` holds. An overlay adds to them. To
replace them, name the new ones and write null for each old one. Null for a name that no earlier
file has is an error.

One table of `cells` or `labels` is merged key by key. `screen.channels`, `simulate.library.groups`
and all other lists, also lists of tables, are replaced as a whole.

In the tables below, a key without a default must be set, with these exceptions: where the last
column says what holds without the key; the keys of `cells`, `labels`, `models` and `encoders`, of
which you write those that you need; the keys of a section that is null by default
(`screen.duplicates`, `evaluation`), unless you set the section; and the section `simulate`, unless
the screen is simulated. A wrong value, a missing key, an unknown key or the old name of a key ends
the run in one sentence before the first job. `snakemake -n` checks a configuration without running
anything.

`make docs` writes this page from `workflow/schemas/config.schema.yaml` and `defaults.yaml`.
"""


def reference(schema: dict, defaults: dict) -> str:
    """Return the Markdown of the whole reference.

    Parameters
    ----------
    schema
        ``config.schema.yaml``.
    defaults
        ``config/defaults.yaml``.
    """
    parts = [HEAD]
    for name, section in schema["properties"].items():
        parts.append(
            f"\n## `{name}`\n\n{section['description']}{_stated(section, defaults, name)}\n"
        )
        # A section that is a list has the keys of its items.
        rows = list(_rows(section.get("items", section), schema, "", defaults.get(name)))
        if rows:
            head = "\n| key | type | default | meaning |\n|---|---|---|---|\n"
            parts.append(head + "\n".join(rows) + "\n")
    return "".join(parts)


def _stated(section: dict, defaults: dict, name: str) -> str:
    """Return the default of a top-level key as a sentence; of named entries, their names."""
    default = "" if "properties" in section else _default(defaults, name)
    if default == "below":
        default = ", ".join(f"`{entry}`" for entry in defaults[name])
    return f" Default: {default}." if default else ""


def _rows(section: dict, schema: dict, prefix: str, defaults: object) -> Iterator[str]:
    named = section.get("properties", {}).items()
    rest = section.get("additionalProperties")
    unnamed = [("<name>", rest)] if isinstance(rest, dict) and "properties" in rest else []
    for name, entry in [*named, *unnamed]:
        refers = "$ref" in entry
        entry = _resolved(entry, schema)
        items = _resolved(entry.get("items", {}), schema)
        meaning = entry.get("description", "").replace("|", "\\|")
        default = _default(defaults, name)
        yield f"| `{prefix}{name}` | {_kind(entry)} | {default} | {meaning} |"
        if not refers:
            below = defaults.get(name) if isinstance(defaults, dict) else None
            yield from _rows(entry, schema, f"{prefix}{name}.", below)
        if "properties" in items:
            yield from _rows(items, schema, f"{prefix}{name}[].", None)


def _default(defaults: object, name: str) -> str:
    """Return the default of a key as code; nothing if the key has none."""
    if not isinstance(defaults, dict) or name not in defaults:
        return ""
    value = defaults[name]
    if isinstance(value, dict) and value:
        return "below"
    return f"`{value}`" if isinstance(value, str) and value else f"`{json.dumps(value)}`"


def _resolved(entry: dict, schema: dict) -> dict:
    if "$ref" not in entry:
        return entry
    target = schema
    for key in entry["$ref"].removeprefix("#/").split("/"):
        target = target[key]
    return target | entry


def _kind(entry: dict) -> str:
    if "enum" in entry:
        return " \\| ".join(f"`{value}`" for value in entry["enum"])
    if "anyOf" in entry:
        return " \\| ".join(_kind(choice) for choice in entry["anyOf"])
    kind = entry.get("type", "")
    return " \\| ".join(kind) if isinstance(kind, list) else kind


if __name__ == "__main__":
    place = Path(sys.argv[1])
    defaults = place.resolve().parents[2] / "config/defaults.yaml"
    sys.stdout.write(reference(read_yaml(place), read_yaml(defaults)))
