"""The configuration of a run: laid over the defaults and checked, before the first job."""

from pathlib import Path

import yaml

from mcvae_ops.errors import shown
from mcvae_ops.files import write_text
from mcvae_ops.workflow.checks import CHECKS
from mcvae_ops.workflow.overlays import lay_over
from mcvae_ops.workflow.places import fill_in, locate
from mcvae_ops.workflow.schema import check_schema
from mcvae_ops.workflow.shorthand import in_full

# Every job reads the files anew, and libyaml takes a tenth of the time.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_configuration(config: dict, defaults: Path, schema: Path, repository: Path) -> dict:
    """Return the whole configuration: the defaults below, null entries dropped, in full.

    Parameters
    ----------
    config
        What the user gave: the file of a screen, and what was laid over it.
    defaults, schema
        ``config/defaults.yaml`` and ``config.schema.yaml``.
    repository
        Folder of the workflow, for files that the configuration names and the run does not have.

    Raises
    ------
    InputError
        Names the key, what stands there, what is expected and what to change.
    """
    rules = read_yaml(schema)
    whole = in_full(lay_over(read_yaml(defaults), config, rules))
    check_schema(whole, rules)
    name = whole["screen"]["name"]
    sections = ("archive", "cells", "labels", "exports")
    whole |= {section: fill_in(whole[section], name) for section in sections}
    for check in CHECKS:
        check(whole)
    return whole | {"figures": locate(whole["figures"], repository)}


def read_yaml(path: Path) -> dict:
    """Read one file."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)


def store_configuration(configuration: dict, stored: str) -> None:
    """Rule store_configuration: write the whole configuration; addresses without user and query.

    Parameters
    ----------
    configuration
        As the rules see it.
    stored
        Output: YAML.
    """
    write_text(shown(yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True)), stored)
