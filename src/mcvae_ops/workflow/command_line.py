"""What the command line of Snakemake asks for, and what is wrong with it."""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

import yaml
from snakemake.cli import get_argument_parser
from snakemake.utils import update_config

from mcvae_ops.errors import InputError
from mcvae_ops.workflow.configuration import LOADER, read_yaml


def asked_targets(arguments: Sequence[str]) -> list[str]:
    """Return the targets among the arguments of Snakemake."""
    return list(get_argument_parser().parse_known_args(arguments)[0].targets)


def check_arguments(arguments: Sequence[str], folder: Path) -> None:
    """Raise an `InputError` if ``--configfile`` or ``--config`` names what cannot be read.

    Snakemake reads both before any Snakefile.

    Parameters
    ----------
    arguments
        The command line, without the name of the program.
    folder
        Where it was given; ``--directory`` moves a run elsewhere.
    """
    asked = get_argument_parser().parse_known_args(arguments)[0]
    for path in asked.configfile:
        _check_file(path, folder)
    for entry in asked.config or ():
        _check_entry(entry)


def read_sections(config: dict, entries: Sequence[str] | None) -> None:
    """Read what stands after ``--config`` as the files are read, and lay it over in place.

    Snakemake has laid it over before, with ``true`` and every number of a section as text.

    Parameters
    ----------
    config
        The configuration of Snakemake.
    entries
        What stands after ``--config``.
    """
    for entry in entries or ():
        key, _, text = entry.partition("=")
        try:
            section = yaml.load(text, Loader=LOADER)
        except yaml.YAMLError:
            continue  # a text of its own kind; the schema says what is wrong with it
        if isinstance(section, dict | list | bool):
            update_config(config, {key: section})


def _check_file(path: Path, folder: Path) -> None:
    where, file = f"--configfile {path}", folder / path
    try:
        content = read_yaml(file)
    except FileNotFoundError:
        others = (*file.parent.glob("*.y*ml"), *folder.glob("config/*.y*ml"))
        places = {other.name: os.path.relpath(other, folder) for other in others}
        near = difflib.get_close_matches(path.name, places, n=1, cutoff=0.8)
        raise InputError.missing(
            where=where,
            what="the file",
            why=f"it was looked for at {file}",
            fix=f"write {places[near[0]]} instead" if near else "correct the path",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            where=where,
            found=f"what cannot be read ({error})",
            expected="a text file",
            fix="name another file",
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError(
            where=f"{where}, line {mark.line + 1}" if mark else where,
            found=f"what is no YAML ({getattr(error, 'problem', None) or error})",
            expected="keys with their values, as in config/config.yaml",
            fix="correct this line or the one above it (spaces indent a line, and no tabs)",
        ) from None
    if not isinstance(content, dict):
        raise InputError(
            where=where,
            found="no key at the start of a line",
            expected="keys with their values, as in config/config.yaml",
            fix="correct the file",
        )


def _check_entry(entry: str) -> None:
    key, equals, value = entry.partition("=")
    section, *keys = key.split(".")
    if not equals:
        raise InputError(
            where=f"--config {entry}",
            found="no =",
            expected="KEY=VALUE",
            fix="add the value; a target stands before --config",
        )
    if keys:
        for name in reversed(keys):
            value = f"{{{name}: {value}}}"
        raise InputError(
            where=f"--config {entry}",
            found="a key with dots",
            expected="the first key alone",
            fix=f"write --config {section}='{value}'",
        )
