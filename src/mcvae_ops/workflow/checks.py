"""Checks across the keys of a configuration that fits its schema."""

import difflib
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from mcvae_ops.archive.addresses import local_path, local_study
from mcvae_ops.archive.annotations.list_sources import (
    PAIRS,
    check_list,
    listed_sources,
    read_content,
)
from mcvae_ops.archive.image_places import check_address
from mcvae_ops.archive.licences import plain_name
from mcvae_ops.archive.patterns import Pattern, well_name
from mcvae_ops.cells.columns import expression
from mcvae_ops.cells.described import entries_of
from mcvae_ops.embeddings.spaces import (
    BASELINES,
    CELL_SHORTCUTS,
    CROP_SHORTCUTS,
    check_spaces,
)
from mcvae_ops.encoder_files import SUFFIXES, files_of
from mcvae_ops.errors import InputError
from mcvae_ops.screen import (
    ALL_TILES,
    DISC,
    channels_from,
    control_values,
    crops_are_given,
    folder_name,
    tile_numbers,
    tile_shape,
)
from mcvae_ops.tiles.chain import resolve_chain
from mcvae_ops.weights_header import check_fit, read_header
from mcvae_ops.workflow.panel_inputs import undrawable
from mcvae_ops.workflow.panels import PANELS
from mcvae_ops.workflow.places import local_paths, profile_places
from mcvae_ops.workflow.shorthand import NO_IMAGES

ORIGINS = ("table", "masks", "segment")  # what cells come from
PROFILES = "archive.profiles.genes"
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
    if screen["tiles"] == ALL_TILES and config["source"] == "embeddings":
        tiles = []  # the tables say them
    elif not (tiles := tile_numbers(screen["tiles"])):
        raise _wrong(
            "screen.tiles",
            repr(screen["tiles"]),
            "ranges whose first tile is not above the last",
            "correct them",
        )
    _check_grid(screen, tiles)
    if screen["tile_size_px"] is None:
        if config["source"] not in ("crops", "embeddings"):
            raise _missing(
                "screen.tile_size_px", "a size", "images are read", "set it, in px: [y, x]"
            )
        for key in ("cut_px", "duplicates"):
            if screen[key] is not None:
                raise _missing(
                    "screen.tile_size_px",
                    "a size",
                    f"screen.{key} needs it",
                    "set it, in px: [y, x]",
                )
        return
    size_px = min(tile_shape(screen["tile_size_px"]))
    if config["crop"]["size_px"] > size_px:
        raise _wrong(
            "crop.size_px",
            str(config["crop"]["size_px"]),
            f"at most the tile size ({size_px} px)",
            "make the crops smaller",
        )


def _check_grid(screen: dict, tiles: list[int]) -> None:
    grid = screen["well_grid"]
    if grid is None:
        if screen["duplicates"] is not None:
            raise _missing(
                "screen.well_grid",
                "a grid",
                "screen.duplicates compares places of cells in the well",
                "set it, or set screen.duplicates to null",
            )
        return
    if screen["cut_px"] is not None:
        raise _wrong(
            "screen.well_grid",
            "a grid beside screen.cut_px",
            "null: a stitched well is cut into tiles row by row",
            "set it to null",
        )
    first = grid["first_tile"]
    last = first + sum(grid["column_heights"]) - 1
    for tile in tiles[:1] + tiles[-1:]:
        if not first <= tile <= last:
            raise _wrong(
                "screen.tiles",
                str(tile),
                f"tiles of the well grid ({first} to {last})",
                "correct it, or column_heights or first_tile of screen.well_grid",
            )


def _check_chain(config: dict) -> None:
    """Refuse a channel without a way to the reference; told before the first job."""
    resolve_chain(channels_from(config["screen"]["channels"]), config["alignment"])


def _check_images(config: dict) -> None:
    """Refuse an address of images that cannot be read, or wells that are named twice."""
    screen = config["screen"]
    if config["source"] not in ("crops", "embeddings") and not crops_are_given(config["cells"]):
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
            is_given = config["source"] in ("embeddings", "profiles")
            if not models[name]["salient_latent"] and not is_given:
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
    if embedding not in {*models, *BASELINES}:
        raise _wrong(
            "benchmarks.functions.significance",
            repr(embedding),
            f"cellprofiler, random or one of models ({', '.join(models)})",
            "choose one of them",
        )


def _check_stored_models(config: dict) -> None:
    """Refuse weights of another run that do not fit this screen."""
    screen, size_px = config["screen"], config["crop"]["size_px"]
    for name, model in config["models"].items():
        if model["weights"]:
            check_fit(
                f"configuration key models.{name}.weights",
                read_header(model["weights"]),
                [channel["name"] for channel in screen["channels"]],
                {"size_px": size_px, "pixel_size_um": screen["pixel_size_um"]},
            )


def _check_cells(config: dict) -> None:
    """Refuse cells of several origins, or a segmentation that is not described whole."""
    for number, table in enumerate(config["cells"]):
        origins = [key for key in ORIGINS if table[key]]
        if len(origins) > 1 or (number and origins != ["table"]):
            raise _wrong(
                "cells",
                " and ".join(origins) or "an entry without a table",
                f"one of {', '.join(ORIGINS)} in the first entry, tables after it",
                "remove the others",
            )
        if table["vectors"] and origins != ["table"]:
            raise _wrong(
                "cells.vectors",
                "vectors without a table",
                "a table, whose rows they follow",
                "name it in cells.table",
            )
        if table["measure"] and "table" in origins:
            raise _wrong(
                "cells.measure",
                "true beside a table",
                "cells of masks or of a segmentation, whose outlines can be measured",
                "remove it",
            )
    first = next(iter(config["cells"]), None)
    if first is None or not (first["masks"] or first["segment"]):
        return
    if first["masks"]:
        check_address(_of_masks(config, first["masks"]), "cells.masks")
    else:
        _check_segment(first["segment"], config["screen"])
    if not config["labels"] and config["source"] == "archive":
        raise _missing(
            "labels",
            "a plate map",
            "images say nothing of genes and controls",
            "name a table with the columns well and gene",
        )


def _check_given_crops(config: dict) -> None:
    """Refuse crops beside another source, and what is said of images beside crops."""
    for number, table in enumerate(config["cells"]):
        if number and "crop" in table["columns"]:
            raise _wrong(
                f"cells[{number}].columns.crop",
                "the crop in a further table",
                "the first table of cells, whose rows are the cells",
                "move it there",
            )
    given = crops_are_given(config["cells"])
    if given and config["source"] not in ("crops", "embeddings"):
        raise _wrong(
            "cells.columns.crop",
            f"crops where source is {config['source']}",
            "source: crops, which reads them in place of images",
            "set source: crops, or remove the column",
        )
    if not given or config["source"] != "crops":
        return
    screen, first = config["screen"], config["cells"][0]
    beside = {
        "screen.images": screen["images"] != NO_IMAGES["screen"]["images"],
        "screen.cut_px": screen["cut_px"],
        "screen.duplicates": screen["duplicates"],
        "cells.masks": first["masks"],
        "cells.segment": first["segment"],
        "alignment.measure": config["alignment"]["measure"],
        "crop.illumination": config["crop"]["illumination"],
    }
    for key, is_said in beside.items():
        if is_said:
            raise _wrong(
                key,
                "a value where source is crops",
                "nothing: crops are given, and no image is read",
                "remove it, or set source: archive",
            )


def _check_outlines(config: dict) -> None:
    """Refuse an address of outlines that does not say of which tile they are."""
    outlines = config["screen"]["outlines"]
    if outlines not in (None, DISC) and config["source"] in ("archive", "simulated"):
        check_address(_of_masks(config, outlines), "screen.outlines")


def _of_masks(config: dict, address: str) -> dict:
    channels = [{"name": "mask", "group": "mask"}]
    return config["screen"] | {"images": address, "channels": channels}


def _check_segment(segment: dict, screen: dict) -> None:
    names = [channel["name"] for channel in screen["channels"]]
    if segment["channel"] not in names:
        raise _wrong(
            "cells.segment.channel",
            f"channel {segment['channel']!r}",
            f"a channel of the screen ({', '.join(names)})",
            "correct its name",
        )
    diameters = [key for key in ("diameter_px", "diameter_um") if segment[key] is not None]
    if len(diameters) != 1:
        raise _wrong(
            "cells.segment",
            " and ".join(diameters) or "no diameter",
            "diameter_px or diameter_um",
            "say how large a cell (or nucleus) is in this channel",
        )
    if diameters == ["diameter_um"] and screen["pixel_size_um"] is None:
        raise _missing(
            "screen.pixel_size_um",
            "the size of a pixel",
            "cells.segment.diameter_um is in um",
            "set it, or cells.segment.diameter_px",
        )


def _check_source(config: dict) -> None:
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
            raise _missing(key, "a value", f"source is {source}, which needs it", f"set {key}")


def _check_places(config: dict) -> None:
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
            _check_there(key, place)


def _check_lists(config: dict) -> None:
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


def _check_tables(config: dict) -> None:
    """Refuse addresses and columns of tables that cannot be read, and tables that are not there."""
    if config["source"] == "simulated":
        name, values = control_values(config["screen"]["control"])
        if name != "gene" or "*" in values[0]:
            raise _wrong(
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
            _check_there(f"{entry.key}.table", file)
        for name, array in entry.vectors.items():
            if not array.fields:
                _check_there(f"{entry.key}.vectors.{name}", str(local_path(array.text)))


def _check_there(key: str, file: str) -> None:
    if not Path(file).exists():
        raise _missing(
            key,
            f"the file {file}",
            "the run reads it",
            "place it there, or set another path or an https address",
        )


def _check_groups(config: dict) -> None:
    """Refuse groups that are not named where figures compare them, or that no simulation has."""
    if config["archive"]["annotations"]["functional_groups"] is None:
        return
    are_compared = "fig4d" not in undrawable(config)
    simulate = config.get("simulate") if config["source"] == "simulated" else None
    groups = [group["name"] for group in simulate["library"]["groups"]] if simulate else None
    for key in ("shifting_groups", "novel_groups"):
        named = config["benchmarks"]["features"][key]
        if not named and are_compared:
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


def _check_embeddings(config: dict) -> None:
    """Refuse vectors whose spaces are not those of the family, or that no run would read."""
    if config["source"] == "profiles":
        check_spaces(config["archive"]["profiles"]["genes"].get("spaces", {}), PROFILES)
    if config["source"] != "embeddings":
        if config["embeddings"]:
            raise _wrong(
                "embeddings",
                ", ".join(config["embeddings"]),
                f"nothing, because source is {config['source']}",
                "set source: embeddings, or remove the section",
            )
        return
    for name, entry in config["embeddings"].items():
        check_spaces(entry["spaces"], f"embeddings.{name}")


def _check_encoders(config: dict) -> None:
    """Refuse encoders without crops, and files and packages that are not there, or are none."""
    for name, encoder in config["encoders"].items():
        if config["source"] in ("embeddings", "profiles"):
            raise _wrong(
                f"models.{name}.encoder",
                encoder["file"],
                f"nothing, because {_no_crops(config)}",
                "leave the model out",
            )
        key, file = f"models.{name}.encoder.file", encoder["file"]
        for path in files_of(file):
            _check_there(key, path)
        package, sign, _ = file.partition(":")
        if Path(file).suffix not in SUFFIXES and not (sign and _is_installed(package)):
            raise _wrong(
                key,
                f"{file}, whose package is not installed" if sign else file,
                f"a file whose name ends in {', '.join(SUFFIXES)}, or package:function",
                "install it, or name its folder in PYTHONPATH" if sign else "export the model",
            )


def _is_installed(package: str) -> bool:
    """Return whether there is such a package; only its first part is looked for, nothing is run."""
    first = package.partition(".")[0]
    return first.isidentifier() and find_spec(first) is not None


def _no_crops(config: dict) -> str:
    """Say why a source has no crops that cells could be embedded from."""
    if crops_are_given(config["cells"]):
        return f"source is {config['source']}, whose crops are for pictures alone"
    return f"source is {config['source']}, which has no crops"


def _check_shortcuts(config: dict) -> None:
    """Refuse shortcuts of crops where there are none, or none but for pictures."""
    asked = [name for name in config["benchmarks"]["shortcuts"] if name in CROP_SHORTCUTS]
    if asked and config["source"] in ("embeddings", "profiles"):
        raise _wrong(
            "benchmarks.shortcuts",
            ", ".join(asked),
            f"some of {', '.join(CELL_SHORTCUTS)}, because {_no_crops(config)}",
            "leave it out",
        )


CHECKS = (
    _check_given_crops,
    _check_channels,
    _check_chain,
    _check_tiles,
    _check_images,
    _check_split,
    _check_models,
    _check_stored_models,
    _check_source,
    _check_embeddings,
    _check_shortcuts,
    _check_encoders,
    _check_cells,
    _check_outlines,
    _check_places,
    _check_lists,
    _check_tables,
    _check_library,
    _check_groups,
    _check_pictures,
    _check_panels,
)
