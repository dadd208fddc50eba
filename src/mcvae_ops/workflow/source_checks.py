"""Checks of what a run reads: its source, files, lists and tables."""

from pathlib import Path

from mcvae_ops.archive.addresses import local_path, local_study
from mcvae_ops.archive.annotations.list_sources import (
    PAIRS,
    check_list,
    listed_sources,
    read_content,
)
from mcvae_ops.archive.licences import plain_name
from mcvae_ops.archive.patterns import Pattern
from mcvae_ops.cells.columns import expression
from mcvae_ops.cells.described import entries_of
from mcvae_ops.errors import InputError
from mcvae_ops.screen import control_values, crops_are_given
from mcvae_ops.workflow.cell_checks import ORIGINS
from mcvae_ops.workflow.key_errors import check_there, missing, wrong
from mcvae_ops.workflow.places import local_paths, profile_places


def check_source(config: dict) -> None:
    """Refuse a source without what it needs."""
    source, archive = config["source"], config["archive"]
    needed = {
        "simulated": {
            "simulate": config.get("simulate"),
            "screen.well_grid": config["screen"]["well_grid"],
        },
        "archive": {
            "archive.root": archive["root"],
            "cells": config["cells"] and any(config["cells"][0][key] for key in ORIGINS),
        },
        "crops": {
            "archive.root": archive["root"],
            "cells.table": config["cells"] and config["cells"][0]["table"],
            "cells.columns.crop": crops_are_given(config["cells"]),
        },
        "embeddings": {
            "embeddings": config["embeddings"],
            "cells.table": config["cells"] and config["cells"][0]["table"],
        },
        "profiles": {"archive.profiles": archive["profiles"]}
        | {
            f"archive.profiles.{name}.table": entry.get("table")
            for name, entry in (archive["profiles"] or {}).items()
            if entry is not None
        },
    }
    for key, value in needed[source].items():
        if not value:
            raise missing(key, "a value", f"source is {source}, which needs it", f"set {key}")


def check_places(config: dict) -> None:
    """Refuse files and folders on this machine that are not there."""
    if config["source"] == "simulated":
        return
    archive = config["archive"]
    places = {
        "archive.root": local_study(archive["root"]) or archive["root"],
        "archive.files": archive["files"],
    }
    places |= profile_places(archive["profiles"])
    places |= {listed.key: listed.place for listed in listed_sources(archive["annotations"])}
    for key, place in places.items():
        if local_paths([place]):
            check_there(key, place)


def check_lists(config: dict) -> None:
    """Refuse lists on this machine that cannot be read, and names that are taken."""
    archive = config["archive"]
    for listed in listed_sources(archive["annotations"]):
        if listed.kind == PAIRS and plain_name(listed.name) == "corum":
            raise InputError.twice(
                where=f"configuration key {listed.key}",
                what=f"the list {listed.name}",
                fix=f"call these pairs otherwise, such as {listed.name}_pairs: {listed.name} are "
                "the complexes of archive.annotations.corum",
            )
        if local_paths([listed.place]) and Path(listed.place).is_file():
            check_list(listed, read_content(listed, archive)[0])


def check_tables(config: dict) -> None:
    """Refuse addresses and columns of tables that cannot be read, and tables that are not there."""
    if config["source"] == "simulated":
        name, values = control_values(config["screen"]["control"])
        if name != "gene" or "*" in values[0]:
            raise wrong(
                "screen.control",
                repr(config["screen"]["control"]),
                "a label, which the simulation writes",
                "name one",
            )
        return
    entries = entries_of(config["cells"], config["labels"], config["archive"]["root"])
    for entry in entries:
        for name, text in entry.table["columns"].items():
            expression(text, f"configuration key {entry.key}.columns.{name}")
        for column, text in entry.table["parse"].items():
            Pattern(text, f"configuration key {entry.key}.parse.{column}")
        file = entry.address.dataset or entry.address.file()
        # Local, and no member of an archive that is there.
        if local_paths([file]) and not any(parent.is_file() for parent in Path(file).parents):
            check_there(f"{entry.key}.table", file)
        for name, array in entry.vectors.items():
            if not array.fields:
                check_there(f"{entry.key}.vectors.{name}", str(local_path(array.text)))


def check_library(config: dict) -> None:
    """Refuse a simulated library that mixes guides and doses."""
    if config["source"] != "simulated":
        return
    library = config["simulate"]["library"]
    by_dose = library["doses_um"] is not None
    for key in ("guides_per_gene", "efficacy"):
        if (library[key] is None) != by_dose:
            raise wrong(
                f"simulate.library.{key}",
                repr(library[key]),
                f"{'null' if by_dose else 'a value'}, because doses_um is "
                f"{'given' if by_dose else 'null'}",
                "correct one of the two",
            )
