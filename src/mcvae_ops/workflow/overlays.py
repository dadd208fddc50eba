"""Configurations, laid over one another: what merges, what replaces, what null drops."""

from collections.abc import Iterable, Iterator
from copy import deepcopy

from snakemake.utils import update_config

from mcvae_ops.errors import InputError

# Only a simulated screen has this section. Without it, its defaults are of no concern.
OPTIONAL = "simulate"


def lay_over(lower: dict, upper: dict, schema: dict) -> dict:
    """Return one configuration laid over another, without the entries that are null.

    Sections merge key by key, as Snakemake merges the files after ``--configfile``; a list or a
    single value replaces the one below it. Where the user names the entries of a section (plates,
    models), null drops an entry; null instead of the section drops all of them; and names are text,
    also those that YAML reads as numbers (a plate that is called 1).

    Parameters
    ----------
    lower, upper
        As read from YAML; they are left as they are.
    schema
        ``config.schema.yaml``: says where the user names the entries.
    """
    merged = deepcopy(lower)
    if upper.get(OPTIONAL) is None:
        merged.pop(OPTIONAL, None)
        upper = {key: value for key, value in upper.items() if key != OPTIONAL}
    update_config(merged, upper)
    for *parents, last in named_sections(schema):
        parent = _at(merged, parents)
        entries = parent.get(last, False) if isinstance(parent, dict) else False
        if entries is None:
            parent[last] = {}
        elif isinstance(entries, dict):
            parent[last] = {str(name): of for name, of in entries.items() if of is not None}
    return merged


def check_overlays(layers: Iterable[dict], schema: dict) -> None:
    """Refuse what reads as if it dropped an entry and changes nothing.

    Parameters
    ----------
    layers
        The defaults, then each file after ``--configfile``, in its order.
    schema
        ``config.schema.yaml``.

    Raises
    ------
    InputError
        If a null stands beside a name that no layer below has, or an empty section over entries.
    """
    lower: dict = {}
    for layer in layers:
        for path in named_sections(schema):
            entries, below = _at(layer, path), _at(lower, path)
            _check_entries(".".join(path), entries, below if isinstance(below, dict) else {})
        update_config(lower, layer)


def named_sections(schema: dict, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each section whose entries the user names."""
    if isinstance(schema.get("additionalProperties"), dict):
        yield path
    for key, entry in schema.get("properties", {}).items():
        yield from named_sections(entry, (*path, key))


def _at(config: object, path: Iterable[str]) -> object:
    for key in path:
        config = config.get(key) if isinstance(config, dict) else None
    return config


def _check_entries(key: str, entries: object, below: dict) -> None:
    if not isinstance(entries, dict):
        return
    if below and not entries:
        raise InputError(
            where=f"configuration key {key}",
            found="{}, which changes nothing",
            expected=f"entries that differ from those below ({', '.join(map(str, below))})",
            fix="leave the key out, or write null to drop all entries",
        )
    for name, entry in entries.items():
        if entry is None and name not in below:
            raise InputError(
                where=f"configuration key {key}.{name}",
                found="null, which drops nothing",
                expected=f"the name of an entry below ({', '.join(map(str, below)) or 'none'})",
                fix="correct the name, or leave it out",
            )
