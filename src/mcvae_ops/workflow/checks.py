"""Checks across the keys of a configuration that fits its schema."""

import difflib
from collections import Counter
from pathlib import Path

from mcvae_ops.archive.image_places import check_address
from mcvae_ops.archive.patterns import well_name
from mcvae_ops.errors import InputError
from mcvae_ops.screen import channels_from, folder_name, tile_numbers, tile_shape
from mcvae_ops.tiles.chain import resolve_chain
from mcvae_ops.workflow.panels import PANELS
from mcvae_ops.workflow.places import local_paths

PICTURE_PX = 16_383  # of WebP, width and height


def _wrong(key: str, found: str, expected: str, fix: str) -> InputError:
    return InputError(where=f"configuration key {key}", found=found, expected=expected, fix=fix)


def _missing(key: str, what: str, why: str, fix: str) -> InputError:
    return InputError.missing(where=f"configuration key {key}", what=what, why=why, fix=fix)


def _check_channels(config: dict) -> None:
    channels = config["screen"]["channels"]
    names = [channel["name"] for channel in channels]
    places = [
        f"index {channel['index']} of group {channel['group']}"
        for channel in channels
        if channel["index"] is not None
    ]
    for label, number in [*Counter(names).items(), *Counter(places).items()]:
        if number > 1:
            raise InputError.twice(
                where="configuration key screen.channels",
                what=label,
                fix="correct or remove one of them",
            )
    measure, in_register = config["alignment"]["measure"], config["alignment"]["in_register"]
    for key, wanted, fix in (
        ("reference", [config["alignment"]["reference"]], "correct its name"),
        ("measure", [*measure, *measure.values()], "correct its name, or drop the entry with null"),
        ("in_register", [] if in_register == "all" else in_register, "correct its name"),
    ):
        for channel in wanted:
            if channel not in names:
                expected = f"a channel of the screen ({', '.join(names)})"
                raise _wrong(f"alignment.{key}", f"channel {channel!r}", expected, fix)


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
    size_px = min(tile_shape(screen["tile_size_px"]))
    if config["crop"]["size_px"] > size_px:
        raise _wrong(
            "crop.size_px",
            str(config["crop"]["size_px"]),
            f"at most the tile size ({size_px} px)",
            "make the crops smaller",
        )


def _check_chain(config: dict) -> None:
    """Refuse a channel without a way to the reference; told before the first job."""
    resolve_chain(channels_from(config["screen"]["channels"]), config["alignment"])


def _check_images(config: dict) -> None:
    """Refuse an address of images that cannot be read, or wells that are named twice."""
    screen = config["screen"]
    check_address(screen)
    for plate, wells in screen["plates"].items():
        # A simulated archive names its folders after the plates.
        if config["source"] == "simulated" and any(n != folder_name(n) for n in (plate, *wells)):
            raise _wrong(
                "screen.plates",
                repr(plate),
                "names of letters, digits, _, - and . on a simulated screen",
                "rename it",
            )
        for name, number in Counter(map(well_name, wells)).items():
            if number > 1:
                raise InputError.twice(
                    where=f"configuration key screen.plates.{plate}",
                    what=f"well {name}",
                    fix="remove one of them: A1, A01 and r01c01 are one well",
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
                "a salient latent, from which the label is predicted",
                "set salient_latent above 0, or label_weight to 0",
            )
    embedding = config["benchmarks"]["functions"]["significance"]
    if embedding not in {*models, "cellprofiler", "random"}:
        raise _wrong(
            "benchmarks.functions.significance",
            repr(embedding),
            f"cellprofiler, random or one of models ({', '.join(models)})",
            "choose one of them",
        )


def _check_source(config: dict) -> None:
    source, archive = config["source"], config["archive"]
    needed = {
        "simulated": {"simulate": config.get("simulate")},
        "archive": {
            "archive.study": archive["study"] or archive["root"],
            "archive.dataset": archive["dataset"],
        },
        "profiles": {"archive.profiles": archive["profiles"]},
    }
    for key, value in needed[source].items():
        if not value:
            raise _missing(key, "a value", f"source is {source}, which needs it", f"set {key}")


def _check_places(config: dict) -> None:
    if config["source"] == "simulated":
        return
    archive = config["archive"]
    annotations = archive["annotations"]
    parts = {
        "archive": {key: archive[key] for key in ("study", "root", "files", "dataset")},
        "archive.profiles": archive["profiles"] or {},
        "archive.annotations.pairs": annotations["pairs"],
        "archive.annotations": {key: annotations[key] for key in annotations if key != "pairs"},
    }
    for section, places in parts.items():
        for key, place in places.items():
            if local_paths([place]) and not Path(place).exists():
                raise _missing(
                    f"{section}.{key}",
                    f"the file {place}",
                    "the run reads it",
                    "place it there, or set another path or an https address",
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
                f"{'null' if by_dose else 'a value'}, because doses_um is "
                f"{'given' if by_dose else 'null'}",
                "correct one of the two",
            )


def _check_groups(config: dict) -> None:
    if config["archive"]["annotations"]["functional_groups"] is None:
        return
    simulate = config.get("simulate") if config["source"] == "simulated" else None
    groups = [group["name"] for group in simulate["library"]["groups"]] if simulate else None
    for key in ("shifting_groups", "novel_groups"):
        named = config["benchmarks"]["features"][key]
        if not named:
            raise _missing(
                f"benchmarks.features.{key}",
                "a functional group",
                "archive.annotations.functional_groups is set, and Fig. 4D and 4E compare groups",
                "name groups of that table, or set it to null",
            )
        for group in named if groups else ():
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
    for key, value, n in (
        ("crop.size_px", size_px, 2 * len(config["screen"]["channels"])),
        ("figures.crops_per_gene", crops, crops),
    ):
        if n * size_px > PICTURE_PX:
            raise _wrong(
                key,
                str(value),
                f"pictures of the explorer of at most {PICTURE_PX:,} px, not {n} x {size_px} px",
                "make it smaller",
            )


def _check_panels(config: dict) -> None:
    panels = config["figures"]["panels"]
    for panel in () if panels == "all" else panels:
        if panel not in PANELS:
            near = difflib.get_close_matches(panel.lower(), PANELS, n=1)
            raise _wrong(
                "figures.panels",
                f"the unknown panel {panel!r}",
                f"all, or a list of some of {', '.join(PANELS)}",
                f"write {near[0]} instead" if near else "correct or remove it",
            )


CHECKS = (
    _check_channels,
    _check_chain,
    _check_images,
    _check_tiles,
    _check_split,
    _check_models,
    _check_source,
    _check_places,
    _check_library,
    _check_groups,
    _check_pictures,
    _check_panels,
)
