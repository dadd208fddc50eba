"""What the Snakefiles and the rules call."""

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger as terminal
from snakemake.settings.types import DeploymentMethod

from mcvae_ops.archive.annotations.list_sources import listed_sources
from mcvae_ops.cells.described import entries_of
from mcvae_ops.errors import InputError
from mcvae_ops.screen import DISC
from mcvae_ops.workflow.command_line import asked_targets
from mcvae_ops.workflow.configuration import check_configuration, read_yaml
from mcvae_ops.workflow.drawn_panels import DrawnPanels
from mcvae_ops.workflow.names import Embeddings
from mcvae_ops.workflow.overlays import check_overlays
from mcvae_ops.workflow.places import local_paths
from mcvae_ops.workflow.targets import check_names, targets_text


class Mistake(WorkflowError):
    """What a user can mend: the terminal shows its sentence alone."""


def check_files(files: Sequence[Path], defaults: str, schema: str) -> None:
    """Check how the files after ``--configfile`` lie over the defaults and over one another."""
    with _one_sentence():
        check_overlays(map(read_yaml, (Path(defaults), *files)), read_yaml(Path(schema)))


def check_look(config: dict) -> None:
    """End Snakemake with a sentence if the command line of the doctor says something else, too."""
    if unknown := set(config) - {"look", "tables", "name"}:
        raise Mistake(
            f"--config {min(unknown)}: found beside look, expected tables=ADDRESS or name=NAME "
            "alone; leave it out, and change the configuration that the doctor writes."
        )


def read_configuration(config: dict, defaults: str, schema: str, repository: str) -> dict:
    """Return the whole configuration, checked."""
    with _one_sentence():
        return check_configuration(config, Path(defaults), Path(schema), Path(repository).resolve())


@contextmanager
def _one_sentence() -> Iterator[None]:
    """End Snakemake with the sentence of a mistake, and no traceback."""
    try:
        yield
    except InputError as error:
        raise Mistake(str(error)) from None


def select(section: dict, *keys: str) -> dict:
    """Keep some keys of a section, so that a job runs again only for what it reads."""
    return {key: section[key] for key in keys}


def select_each(sections: list[dict], *keys: str) -> list[dict]:
    """Keep some keys of each of several sections."""
    return [select(section, *keys) for section in sections]


def without(section: dict, *keys: str) -> dict:
    """Drop some keys of a section, as `select` keeps some."""
    return {key: value for key, value in section.items() if key not in keys}


def growing(first: int) -> Callable:
    """Amount of a resource (mem_mb, runtime in minutes): doubled with each further attempt."""

    def amount(wildcards, attempt: int) -> int:
        return first * 2 ** (attempt - 1)

    return amount


def annotation_files(annotations: dict) -> list[str]:
    """Return the annotations that are files on this machine; others are addresses, or left out."""
    return local_paths(listed.place for listed in listed_sources(annotations))


def cells_on_images(config: dict) -> dict | None:
    """Return how cells are taken from images: masks, segment (in px) and measure; None if not."""
    first = next(iter(config["cells"]), None)
    if first is None or not (first["masks"] or first["segment"]):
        return None
    segment = first["segment"] and select(first["segment"], "channel", "diameter_px", "method")
    if segment and segment["diameter_px"] is None:
        diameter_um = first["segment"]["diameter_um"]
        segment |= {"diameter_px": diameter_um / config["screen"]["pixel_size_um"]}
    return {
        "masks": first["masks"],
        "segment": segment,
        "measure": first["measure"] is not False,
    }


def listed_masks(config: dict) -> dict[str, dict[str, str]]:
    """Return the masks of a screen by the name of their manifest: address, and key that has it."""
    first = next(iter(config["cells"]), {"masks": None})
    masks = {
        "masks": {"address": first["masks"], "key": "cells.masks"},
        "outlines": {"address": config["screen"]["outlines"], "key": "screen.outlines"},
    }
    return {name: place for name, place in masks.items() if place["address"] not in (None, DISC)}


def outlines_of(config: dict) -> str | None:
    """Return the manifest of the masks that outline the cells of crops; None where a disc does."""
    if config["screen"]["outlines"] == DISC:
        return None
    masks = listed_masks(config)
    return next((name for name in ("outlines", "masks") if name in masks), None)


def cell_tables(config: dict) -> list[dict]:
    """Return the tables of cells; the first one is the workflow's own where images show them."""
    if cells_on_images(config) is None:
        return config["cells"]
    folder = Path("results", config["screen"]["name"], "segmented").absolute()
    first, *others = config["cells"]
    return [first | {"table": f"{folder}/{{plate}}/{{well}}.parquet"}, *others]


def table_files(config: dict) -> list[str]:
    """Return the files on this machine that hold, or list, the tables of cells and labels.

    Files that only a listing finds, and those below another root, are no inputs of a rule.
    """
    files = []
    for entry in entries_of(config["cells"], config["labels"], config["archive"]["root"]):
        files.append(entry.address.dataset or entry.address.file())
        files += [array.text for array in entry.vectors.values() if not array.fields]
    return local_paths(files)


def say_left_out(panels: DrawnPanels) -> None:
    """Warn of panels that a run leaves out; end Snakemake if it would draw none at all."""
    reasons = list(dict.fromkeys(panels.left_out.values()))
    if not panels.drawn:
        why = "; ".join(reasons)
        raise Mistake(f"configuration key figures.panels: no panel can be drawn ({why}).")
    for reason in reasons:
        names = ", ".join(panel for panel, why in panels.left_out.items() if why == reason)
        terminal.warning(f"Left out of this run because {reason}: {names}.")


def say_encoders_left_out(config: dict, embeddings: Embeddings) -> None:
    """Warn of encoders whose licence forbids the use."""
    for name, encoder in config["encoders"].items():
        if name not in embeddings.encoders:
            terminal.warning(
                f"Left out of this run because commercial_use is true and the licence of {name} "
                f"({encoder['licence']}) forbids it: encoder {name}."
            )


def check_targets(workflow, panels: DrawnPanels) -> None:
    """Say what the command line may have meant if it asks for what is not there."""
    if not workflow.is_main_process:
        return
    targets = asked_targets(sys.argv[1:])
    with _one_sentence():
        panels.check_asked(targets)
        check_names(targets, _described_rules(workflow))


def check_container(config: dict, methods: Collection[DeploymentMethod]) -> None:
    """End Snakemake if ``--sdm apptainer`` finds no image: jobs would run outside of any."""
    image = config["container"]
    is_there = image is not None and all(Path(path).exists() for path in local_paths([image]))
    if DeploymentMethod.APPTAINER in methods and not is_there:
        with _one_sentence():
            raise InputError.missing(
                where="configuration key container",
                what=f"the image {image or ''}".rstrip(),
                why="--sdm apptainer runs the jobs in it",
                fix="name one that is there, or leave the option out (docs/containers.md)",
            )


def say_targets(workflow, screen: str, panels: Collection[str]) -> None:
    """Say what one can ask for, and end Snakemake, if it was called without any argument."""
    if len(sys.argv) > 1:
        return
    print(targets_text(_described_rules(workflow), screen, panels))
    sys.exit()


def _described_rules(workflow) -> list[tuple[str, str, list[str]]]:
    """Return name, docstring and output files of each rule."""
    return [
        (rule.name, rule.docstring or "", list(map(str, rule.output))) for rule in workflow.rules
    ]
