"""What the file of a screen may leave out or write short, in full."""

from collections.abc import Iterator

from mcvae_ops.archive.patterns import wells_of
from mcvae_ops.cells.columns import DOSE
from mcvae_ops.embeddings.spaces import parts_of
from mcvae_ops.errors import InputError
from mcvae_ops.screen import ALL_TILES, DOSE_OF_GUIDE, crops_are_given, tile_shape
from mcvae_ops.weights_header import read_header

# Keys of a table of cells, and of labels, that may be left out.
CELLS = {
    "table": None, "columns": {}, "parse": {}, "vectors": {}, "masks": None, "segment": None,
    "measure": None,
}  # fmt: skip
SEGMENT = {"diameter_px": None, "diameter_um": None, "method": "watershed"}
LABELS = {"columns": {}, "parse": {}}
# What published profiles may leave out: their optional table, and what describes images, for which
# something stands in that is never read.
PUBLISHED = {"guide_significance": None}
NO_IMAGES = {
    "screen": {
        "plates": {"none": ["A1"]}, "tiles": "0", "tile_size_px": 1000, "images": "none",
        "channels": [{"name": "none"}],
    },
    "crop": {"size_px": 48},
}  # fmt: skip
# What stands for the images of crops that others cut, and the axes of crops that do not name them.
GIVEN_CROPS = {"images": NO_IMAGES["screen"]["images"], "tile_size_px": None, "axes": "CYX"}
# What describes images and trainings, for embeddings that others made; it is never read either.
NO_CROPS = {
    "screen": {
        "images": "none/{plate}/{well}/{tile}", "channels": [{"name": "none"}],
        "tile_size_px": None,
    },
    "crop": {"size_px": 48},
}  # fmt: skip
EMBEDDED = {"trained": True}
# What an encoder that others trained may leave out of its input.
ENCODER_INPUT = {
    "channels": "per_channel", "repeat": 1, "join": "concatenate", "range": "crop", "mean": 0.0,
    "std": 1.0,
}  # fmt: skip
# What an entry of `models` may leave out, and what it says of a model's latent spaces.
MODEL = {"weights": None}
LATENT = ("salient_latent", "background_latent", "prior_s_per_label", "prior_z_per_label")
# Okabe and Ito's palette on a dark ground (jfly.uni-koeln.de/color), for channels without a colour.
COLOURS = ("#0072b2", "#009e73", "#d55e00", "#f0e442", "#cc79a7", "#56b4e9", "#e69f00")


def in_full(config: dict) -> dict:
    """Return a configuration whose plates, channels, tiles and tables are written in full.

    Parameters
    ----------
    config
        With its defaults, not yet checked: what is of a wrong kind is left as it is.

    Returns
    -------
    A new configuration: rectangles of wells as lists, every key of each channel and of the grid of
    a well, the tiles of stitched wells, the first channel as reference where none is named, and
    lists of tables under ``cells`` and ``labels`` with every key of each. Published profiles need
    not describe plates, images and channels, and crops that others cut need no images; embeddings
    that others made are the models of the run, and need not describe images and channels. Models
    with an ``encoder`` are not trained: they move to section ``encoders``. Where tables name a
    dose, guides hold it.
    """
    config = _with_encoders(config)
    if _is_section_of_spaces(entries := config.get("embeddings")):
        full = {name: EMBEDDED | entry for name, entry in entries.items()}
        config = config | {"embeddings": full}
    if config.get("source") == "profiles":
        config = _published(config)
    elif config.get("source") == "embeddings":
        config = _embedded(config)
    if _is_section_of_sections(models := config.get("models")):
        config = config | {"models": {name: _model(name, models[name]) for name in models}}
    cells = _tables(config.get("cells"), CELLS)
    config = config | {
        "cells": _segmented(cells) if _is_list_of_sections(cells) else cells,
        "labels": _tables(config.get("labels"), LABELS),
    }
    if any(_names_dose(config[section]) for section in ("cells", "labels")):
        config = _with_doses(config)
    screen = config.get("screen")
    if not isinstance(screen, dict):
        return config
    screen = dict(screen)
    if config.get("source") == "crops" or _has_crops(config["cells"]):
        screen |= {key: GIVEN_CROPS[key] for key in GIVEN_CROPS if screen.get(key) is None}
    if isinstance(screen.get("plates"), dict):
        screen["plates"] = {name: _wells(wells) for name, wells in screen["plates"].items()}
    if _is_list_of_sections(screen.get("channels")):
        screen["channels"] = list(_channels(screen["channels"], str(screen.get("images", ""))))
    if isinstance(grid := screen.get("well_grid"), dict):
        centre = {"published_centre_tiles": grid["centre_tiles"]} if "centre_tiles" in grid else {}
        screen["well_grid"] = {"first_tile": 0} | centre | grid
    if screen.get("tiles", "") is None:
        screen["tiles"] = ALL_TILES if config.get("source") == "embeddings" else "0"
    if isinstance(screen.get("cut_px"), int) and screen.get("tile_size_px") is not None:
        screen["tiles"] = _tiles(screen["tile_size_px"], screen["cut_px"])
    return config | {"screen": screen, "alignment": _alignment(config, screen)}


def _with_encoders(config: dict) -> dict:
    """Return a configuration whose encoders stand apart from the models that are trained."""
    models = config.get("models")
    if not isinstance(models, dict):
        return config
    given = {
        name: entry["encoder"]
        for name, entry in models.items()
        if isinstance(entry, dict) and set(entry) == {"encoder"}
    }
    encoders = {
        name: entry | {"input": ENCODER_INPUT | entry["input"]}
        if isinstance(entry, dict) and isinstance(entry.get("input"), dict)
        else entry
        for name, entry in given.items()
    }
    trained = {name: entry for name, entry in models.items() if name not in given}
    return config | {"models": trained, "encoders": config.get("encoders", {}) | encoders}


def _published(config: dict) -> dict:
    """Return a configuration of published profiles that describes images, if need be of none.

    Its only model is that of the profiles, which the user names: none is trained here.
    """
    given = {name: config[name] for name in NO_IMAGES if isinstance(config.get(name), dict)}
    config = config | {name: NO_IMAGES[name] | section for name, section in given.items()}
    archive = config.get("archive")
    if not (isinstance(archive, dict) and isinstance(archive.get("profiles"), dict)):
        return config
    published = PUBLISHED | archive["profiles"]
    config["archive"] = archive | {"profiles": published}
    name, models = config["profiles"]["main_model"], config["models"]
    if name in models and len(models) > 1:
        raise InputError(
            where="configuration key profiles.main_model",
            found=f"{name!r}, a model that a run trains",
            expected="a name of the published profiles (source is profiles, which trains no model)",
            fix="name them, such as profiles: {main_model: my_map}",
        )
    genes = published.get("genes")
    spaces = genes.get("spaces", {}) if isinstance(genes, dict) else {}
    config["models"] = {name: _given_model(spaces)}
    config["training"] = config["training"] | {"seeds": [0]}
    return config


def _given_model(spaces: dict) -> dict:
    """Return the entry of `models` that stands for vectors that others made."""
    return MODEL | {
        "salient_latent": int("salient" in spaces),
        "background_latent": 1,
        "prior_s_per_label": False,
        "prior_z_per_label": False,
        "training": {},
    }


def _embedded(config: dict) -> dict:
    """Return a configuration whose models are the embeddings that others made of its cells.

    Where crops are given beside them, for pictures, their channels and size are described.
    """
    if not _has_crops(_tables(config.get("cells"), CELLS)):
        given = {name: config[name] for name in NO_CROPS if isinstance(config.get(name), dict)}
        config = config | {name: NO_CROPS[name] | section for name, section in given.items()}
    entries = config.get("embeddings")
    if not _is_section_of_spaces(entries):
        return config
    config["models"] = {
        name: {
            "salient_latent": int("salient" in entry["spaces"]),
            "background_latent": 1,
            "prior_s_per_label": False,
            "prior_z_per_label": False,
            "weights": None,
            "training": {},
        }
        for name, entry in entries.items()
    }
    config["training"] = config["training"] | {"seeds": [0]}
    config["screen"]["features"] = list(
        dict.fromkeys(
            pattern
            for entry in entries.values()
            for columns in entry["spaces"].values()
            for pattern in parts_of(columns)
        )
    )
    first, named = next(iter(entries)), config["profiles"]
    if named["main_model"] not in entries:
        config["profiles"] = named | {"main_model": first}
    functions = config["benchmarks"]["functions"]
    if functions["significance"] == "cellprofiler":  # these cells have no classical features
        main = config["profiles"]["main_model"]
        config["benchmarks"] = config["benchmarks"] | {
            "functions": functions | {"significance": main}
        }
    return config


def _model(name: str, entry: dict) -> dict:
    """Return an entry of `models` in full; of stored weights, their file says what it is."""
    entry = MODEL | entry
    if not isinstance(entry["weights"], str):
        return entry
    settings = read_header(entry["weights"])["settings"]
    training = {key: settings[key] for key in settings if key not in LATENT}
    if entry.get("training", {}) not in ({}, training):
        raise InputError(
            where=f"configuration key models.{name}.training",
            found=", ".join(entry["training"]),
            expected="nothing beside weights, because the model is not trained",
            fix="remove one of the two",
        )
    return entry | {key: settings[key] for key in LATENT} | {"training": training}


def _is_section_of_sections(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(item, dict) for item in value.values())


def _is_section_of_spaces(entries: object) -> bool:
    return (
        isinstance(entries, dict)
        and bool(entries)
        and all(
            isinstance(entry, dict) and isinstance(entry.get("spaces"), dict)
            for entry in entries.values()
        )
    )


def _has_crops(cells: object) -> bool:
    is_in_full = _is_list_of_sections(cells) and isinstance(cells[0]["columns"], dict)
    return is_in_full and crops_are_given(cells)


def _tables(tables: object, keys: dict) -> object:
    """Return one table, several, or none as a list."""
    if tables is None:
        return []
    if isinstance(tables, dict):
        tables = [tables]
    return [keys | t for t in tables] if _is_list_of_sections(tables) else tables


def _names_dose(tables: object) -> bool:
    return _is_list_of_sections(tables) and any(
        isinstance(table["columns"], dict) and DOSE in table["columns"] for table in tables
    )


def _with_doses(config: dict) -> dict:
    """Return a configuration that reads the dose of guides as tables of cells add it."""
    benchmarks = config.get("benchmarks")
    if not isinstance(benchmarks, dict) or benchmarks.get("doses") != {"pattern": None}:
        return config
    return config | {"benchmarks": benchmarks | {"doses": {"pattern": DOSE_OF_GUIDE}}}


def _segmented(cells: list[dict]) -> list[dict]:
    """Return tables of cells with every key of a segmentation."""
    return [
        table | {"segment": SEGMENT | table["segment"]}
        if isinstance(table["segment"], dict)
        else table
        for table in cells
    ]


def _wells(wells: object) -> object:
    is_text = isinstance(wells, str) or (
        isinstance(wells, list) and all(isinstance(well, str) for well in wells)
    )
    return wells_of(wells) if is_text else wells


def _channels(channels: list[dict], images: str) -> Iterator[dict]:
    """Yield each channel with all of its keys; one file holds all where the address names none."""
    in_files = "{channel" in images
    for k, channel in enumerate(channels):
        if "name" not in channel:
            yield channel
            continue
        group = channel["name"] if in_files else "image"
        full = {"stain": "", "group": group, "index": None, "colour": COLOURS[k % len(COLOURS)]}
        yield full | channel


def _tiles(tile_size_px: object, cut_px: int) -> str:
    height, width = tile_shape(tile_size_px)
    return f"0-{-(-height // cut_px) * -(-width // cut_px) - 1}"


def _alignment(config: dict, screen: dict) -> object:
    alignment, channels = config.get("alignment"), screen.get("channels")
    if not isinstance(alignment, dict) or not _is_list_of_sections(channels):
        return alignment
    return {"reference": channels[0].get("name")} | alignment


def _is_list_of_sections(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
