"""Who, what and how: ``collection_metadata.yaml`` and ``experimental_metadata.yaml``."""

from collections.abc import Mapping

import yaml

import mcvae_ops
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_text
from mcvae_ops.ops_standard.collection_names import well_parts

# What a submitter must annotate, of each block of the experimental metadata.
REQUIRED = {
    "experiment": (
        "organism_ontology_term_id", "organism", "tissue_ontology_term_id", "tissue", "tissue_type",
        "disease_ontology_term_id", "disease", "development_stage_ontology_term_id",
        "development_stage", "assay_ontology_term_id", "assay",
    ),
    "cellular": ("growth_conditions", "plate_type"),
    "library": ("vector",),
    "phenotype": ("objective", "exposure_time_ms"),
    "microscope": ("system",),
}  # fmt: skip
REPOSITORY = "mcvae-ops"
_KEY = "exports.ops_standard"


def check_metadata(settings: Mapping, screen: Mapping) -> None:
    """Raise an `InputError` that names everything the standard asks and the configuration lacks.

    Parameters
    ----------
    settings
        Section ``exports.ops_standard`` of the configuration.
    screen
        channels and pixel_size_um of the configuration.
    """
    blocks = settings["metadata"]
    missing = [
        f"{_KEY}.metadata.{block}.{name}"
        for block, names in REQUIRED.items()
        for name in names
        if blocks.get(block, {}).get(name) is None
    ]
    if settings["collection"]["title"] is None:
        missing.insert(0, f"{_KEY}.collection.title")
    if screen["pixel_size_um"] is None:
        missing.insert(0, "screen.pixel_size_um")
    if missing:
        raise InputError.missing(
            where="the configuration",
            what=", ".join(missing),
            why="the OPS Data Standard demands them, and no file of the run knows them",
            fix="add these keys; docs/ops_standard.md has an example",
        )
    n_channels = len(screen["channels"])
    times = blocks["phenotype"]["exposure_time_ms"]
    if not isinstance(times, list) or len(times) != n_channels:
        raise InputError(
            where=f"configuration key {_KEY}.metadata.phenotype.exposure_time_ms",
            found=repr(times),
            expected=f"a list with a time in ms of each of the {n_channels} channels",
            fix="correct it",
        )


def experimental_metadata(settings: Mapping, screen: str) -> dict:
    """Return the content of ``experimental_metadata.yaml``: what the user gave, title, pipeline.

    Parameters
    ----------
    settings
        Section ``exports.ops_standard`` of the configuration.
    screen
        Name of the screen, for a title where there is none.
    """
    blocks = dict(settings["metadata"])
    blocks["experiment"] = {"title": settings["title"] or screen, **blocks["experiment"]}
    # The standard wants a number.
    version = float(".".join(mcvae_ops.__version__.split(".")[:2]))
    return blocks | {"pipeline": {"github": REPOSITORY, "version": version}}


def ops_metadata(screen: dict, settings: dict, collection: str, experimental: str) -> None:
    """Rule ops_metadata: write what is known of the collection and of the experiment.

    Parameters
    ----------
    screen
        name, plates, channels and pixel_size_um of the configuration.
    settings
        Section ``exports.ops_standard``.
    collection, experimental
        Outputs: YAML.

    Raises
    ------
    InputError
        If something that the standard demands is missing, or wells have other names.
    """
    check_metadata(settings, screen)
    for wells in screen["plates"].values():
        for well in wells:
            well_parts(well)
    written = {
        collection: {"collection": settings["collection"]},
        experimental: experimental_metadata(settings, screen["name"]),
    }
    for path, content in written.items():
        write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), path)
