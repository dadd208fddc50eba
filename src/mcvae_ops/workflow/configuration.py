"""The configuration: checked against its schema and against itself, before the first job."""

import difflib
from collections.abc import Iterable
from pathlib import Path

import jsonschema
import yaml

from mcvae_ops.errors import InputError
from mcvae_ops.screen import tile_numbers
from mcvae_ops.workflow.panels import PANELS

PICTURE_PX = 16_383  # of WebP, width and height
# What a rule of the schema asks for, in words.
_WORDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minItems": "at least {} of them",
    "minProperties": "at least {} of them",
    "minLength": "some text",
    "uniqueItems": "each of them once",
    "pattern": "text that matches {}",
    "not": "another name",
}


def check_configuration(config: dict, schema: Path) -> dict:
    """Return the configuration with its paths filled in and without models that are null.

    What is wrong with it is said in one sentence.

    Parameters
    ----------
    config
        As read from the YAML file.
    schema
        ``config.schema.yaml``; the schema of the simulation lies beside it.

    Raises
    ------
    InputError
        Names the key, what stands there, what is expected and what to change.
    """
    validator = jsonschema.Draft202012Validator(load_schema(schema))
    error = jsonschema.exceptions.best_match(validator.iter_errors(config))
    if error is not None:
        raise _explain(error)
    # A file that is merged over another one leaves a model of it out by null.
    models = {name: model for name, model in config["models"].items() if model is not None}
    config = config | {"models": models}
    for check in CHECKS:
        check(config)
    archive = _fill_in(config["archive"], config["screen"]["name"])
    return config | {"archive": archive, "figures": _locate(config["figures"], schema.parents[2])}


def load_schema(path: Path) -> dict:
    """Read the schema, with the simulation's own schema in its place."""
    schema = yaml.safe_load(path.read_text(encoding="utf-8"))
    reference = schema["properties"]["simulate"]["$ref"]
    schema["properties"]["simulate"] = yaml.safe_load(
        (path.parent / reference).read_text(encoding="utf-8")
    )
    return schema


def is_address(place: str) -> bool:
    """Tell an address (``https://...``) from a path."""
    return "://" in place


def local_paths(places: Iterable[str | None]) -> list[str]:
    """Keep the places that are paths on this machine: those that a rule can take as input."""
    return [place for place in places if place is not None and not is_address(place)]


def _explain(error: jsonschema.ValidationError) -> InputError:
    where = "configuration key " + (".".join(str(part) for part in error.absolute_path) or "(top)")
    match error.validator:
        case "additionalProperties":
            known = sorted(error.schema["properties"])
            unknown = sorted(set(error.instance) - set(known))
            near = difflib.get_close_matches(unknown[0], known, n=1)
            fix = f"write {near[0]!r} instead" if near else "remove it"
            return InputError(
                where=where,
                found=f"unknown key {unknown[0]!r}",
                expected=f"one of {', '.join(known)}",
                fix=fix,
            )
        case "required":
            missing = next(key for key in error.validator_value if key not in error.instance)
            return InputError(
                where=where,
                found="no key " + repr(missing),
                expected="every key to be set",
                fix=f"add {missing!r} (see config/README.md)",
            )
        case "type":
            wanted = error.validator_value
            wanted = wanted if isinstance(wanted, str) else " or ".join(wanted)
            expected = f"{wanted}{_described(error)}"
            return InputError(
                where=where, found=repr(error.instance), expected=expected, fix="correct the value"
            )
        case "enum":
            choices = ", ".join(map(str, error.validator_value))
            return InputError(
                where=where,
                found=repr(error.instance),
                expected=f"one of {choices}",
                fix="choose one of them",
            )
        case _:
            words = _WORDS.get(error.validator, f"{error.validator} {{}}")
            rule = words.format(error.validator_value)
            return InputError(
                where=where,
                found=repr(error.instance),
                expected=rule + _described(error),
                fix="correct the value",
            )


def _described(error: jsonschema.ValidationError) -> str:
    description = error.schema.get("description") if isinstance(error.schema, dict) else None
    return f" ({description.rstrip('.')})" if description else ""


def _wrong(key: str, found: str, expected: str, fix: str) -> InputError:
    return InputError(where=f"configuration key {key}", found=found, expected=expected, fix=fix)


def _check_channels(config: dict) -> None:
    channels = config["screen"]["channels"]
    names = [channel["name"] for channel in channels]
    places = [f"index {channel['index']} of group {channel['group']}" for channel in channels]
    for found in (names, places):
        if twice := [one for one in found if found.count(one) > 1]:
            raise _wrong(
                "screen.channels", f"{twice[0]} twice", "each once", "correct or remove one of them"
            )
    alignment = config["alignment"]
    named = {"alignment.reference": [alignment["reference"]]}
    named["alignment.measure"] = [*alignment["measure"], *alignment["measure"].values()]
    for key, channels in named.items():
        for channel in channels:
            if channel not in names:
                raise _wrong(
                    key,
                    f"channel {channel!r}",
                    f"a channel of the screen ({', '.join(names)})",
                    "correct its name",
                )


def _check_tiles(config: dict) -> None:
    screen = config["screen"]
    tiles = tile_numbers(screen["tiles"])
    on_grid = sum(screen["well_grid"]["column_heights"])
    if not tiles:
        raise _wrong(
            "screen.tiles",
            repr(screen["tiles"]),
            "ranges whose first tile is not above the last",
            "correct them",
        )
    if tiles[-1] >= on_grid:
        raise _wrong(
            "screen.tiles",
            str(tiles[-1]),
            f"tiles of the well grid (0 to {on_grid - 1})",
            "correct it or screen.well_grid.column_heights",
        )
    if config["crop"]["size_px"] > screen["tile_size_px"]:
        raise _wrong(
            "crop.size_px",
            str(config["crop"]["size_px"]),
            f"at most the tile size ({screen['tile_size_px']} px)",
            "make the crops smaller",
        )


def _check_split(config: dict) -> None:
    total = sum(config["split"]["fractions"].values())
    if abs(total - 1) > 1e-9:
        raise _wrong(
            "split.fractions", f"a sum of {total:g}", "a sum of 1", "correct the fractions"
        )
    wells = {f"{p}/{w}" for p, ws in config["screen"]["plates"].items() for w in ws}
    for well in config["split"]["held_out_wells"]:
        if well not in wells:
            raise _wrong(
                "split.held_out_wells", repr(well), "a plate/well of screen.plates", "correct it"
            )


def _check_models(config: dict) -> None:
    main, models = config["profiles"]["main_model"], config["models"]
    compared = config["profiles"]["compared_models"]
    for key, names in {"main_model": [main], "compared_models": compared}.items():
        for name in names:
            if name not in models:
                raise _wrong(
                    f"profiles.{key}",
                    repr(name),
                    f"one of models ({', '.join(models)})",
                    "choose one of them",
                )
            if not models[name]["salient_latent"]:
                raise _wrong(
                    f"profiles.{key}",
                    f"{name!r}, which has no salient latent",
                    "a model whose salient_latent is above 0",
                    "choose a contrastive model",
                )
    if main in compared:
        raise _wrong(
            "profiles.compared_models",
            f"{main!r}, which is profiles.main_model",
            "models to be drawn beside it",
            "leave it out",
        )
    for name, model in models.items():
        label_weight = model["training"].get("label_weight", config["training"]["label_weight"])
        if label_weight and not model["salient_latent"]:
            raise _wrong(
                f"models.{name}",
                f"label_weight {label_weight:g} and no salient latent",
                "a salient latent, from which the label is told",
                "set salient_latent above 0, or label_weight to 0",
            )
    judge = config["benchmarks"]["functions"]["significance"]
    if judge not in {*models, "cellprofiler", "random"}:
        raise _wrong(
            "benchmarks.functions.significance",
            repr(judge),
            f"cellprofiler, random or one of models ({', '.join(models)})",
            "choose one of them",
        )


def _check_source(config: dict) -> None:
    source, archive = config["source"], config["archive"]
    needed = {"simulated": "simulate", "archive": None, "profiles": "profiles"}[source]
    holder, prefix = (config, "") if source == "simulated" else (archive, "archive.")
    if needed is not None and holder.get(needed) is None:
        raise _wrong(
            prefix + needed, "nothing", f"a value, as source is {source}", f"set {prefix}{needed}"
        )
    listed = archive["study"] or (archive["root"] and archive["files"])
    for key, place in (("study", listed), ("dataset", archive["dataset"])):
        if source == "archive" and not place:
            expected = "a path or an address, as source is archive"
            raise _wrong(f"archive.{key}", "nothing", expected, "set it")


def _check_places(config: dict) -> None:
    if config["source"] == "simulated":
        return
    archive = config["archive"]
    parts = {
        "archive": {key: archive[key] for key in ("study", "root", "files", "dataset")},
        "archive.profiles": archive["profiles"] or {},
        "archive.annotations.pairs": archive["annotations"]["pairs"],
    }
    lists = (key for key in archive["annotations"] if key != "pairs")
    parts["archive.annotations"] = {key: archive["annotations"][key] for key in lists}
    for section, places in parts.items():
        for key, place in places.items():
            if local_paths([place]) and not Path(place).exists():
                raise _wrong(
                    f"{section}.{key}",
                    f"the path {place}, which does not exist",
                    "an existing file or an https address",
                    "place the file there or correct the path",
                )


def _check_library(config: dict) -> None:
    if config["source"] != "simulated":
        return
    library = config["simulate"]["library"]
    by_dose = library["doses_um"] is not None
    for key in ("guides_per_gene", "efficacy"):
        if (library[key] is None) != by_dose:
            raise _wrong(
                f"simulate.library.{key}",
                repr(library[key]),
                "null, as doses_um are given" if by_dose else "a value, as doses_um is null",
                "correct one of the two",
            )
    groups = [group["name"] for group in library["groups"]]
    is_used = config["archive"]["annotations"]["functional_groups"] is not None
    for key in ("shifting_groups", "novel_groups") if is_used else ():
        for group in config["benchmarks"]["features"][key]:
            if group not in groups:
                raise _wrong(
                    f"benchmarks.features.{key}",
                    f"group {group!r}",
                    f"groups of simulate.library.groups ({', '.join(groups)})",
                    "correct the name or leave it out",
                )


def _check_pictures(config: dict) -> None:
    """The explorer's pictures: the crops of a gene side by side, a row per channel and arm."""
    size_px, crops = config["crop"]["size_px"], config["figures"]["crops_per_gene"]
    for key, found, n in (
        ("crop.size_px", size_px, 2 * len(config["screen"]["channels"])),
        ("figures.crops_per_gene", crops, crops),
    ):
        if n * size_px > PICTURE_PX:
            raise _wrong(
                key,
                str(found),
                f"pictures of the explorer of at most {PICTURE_PX:,} px, not {n} x {size_px} px",
                "make it smaller",
            )


def _check_panels(config: dict) -> None:
    panels = config["figures"]["panels"]
    for panel in () if panels == "all" else panels:
        if panel not in PANELS:
            near = difflib.get_close_matches(panel, PANELS, n=3)
            raise _wrong(
                "figures.panels",
                f"the unknown panel {panel!r}",
                f"all, or a list of some of {', '.join(PANELS)}",
                f"write {' or '.join(near)} instead" if near else "correct or remove it",
            )


CHECKS = (
    _check_channels, _check_tiles, _check_split, _check_models, _check_source, _check_places,
    _check_library, _check_pictures, _check_panels,
)  # fmt: skip


def _locate(figures: dict, root: Path) -> dict:
    """Find the folder of the paper's numbers where the run is, or else in the repository."""
    folder = figures["published_values"]
    if folder is None:
        return figures
    for place in (Path(folder), root / folder):
        if any(place.glob("fig*_*.tsv")):
            return figures | {"published_values": str(place)}
    raise _wrong(
        "figures.published_values",
        f"{folder}, which holds no file such as fig4b_confusion.tsv",
        "a folder with the paper's numbers, or null",
        "correct it",
    )


def _fill_in(value, screen: str):
    if isinstance(value, dict):
        return {key: _fill_in(item, screen) for key, item in value.items()}
    return value.replace("{screen}", screen) if isinstance(value, str) else value
