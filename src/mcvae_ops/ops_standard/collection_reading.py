"""The configuration that reads a collection that a run has written."""

from pathlib import Path

import yaml

from mcvae_ops.files import write_text
from mcvae_ops.ops_standard.collection_names import aggregation_name, store_name

CELLS = {
    "table": "cell_data.parquet",
    "columns": {
        "cell_id": "cell_uid", "well": "{well_row}{well_col}", "y_px": "y", "x_px": "x",
        "guide": "barcode", "stage": "cell_class",
    },
}  # fmt: skip
LABELS = {
    "table": "metadata/perturbation_library.csv",
    "columns": {"guide": "barcode", "gene": "perturbation_id", "role": "role"},
}
# The screen as it is, where a collection does not say it otherwise.
_KEPT = (
    "plates", "tiles", "tile_size_px", "pixel_size_um", "batch", "organism", "words", "well_grid",
    "mitotic",
)  # fmt: skip
_METHOD = ("split", "models", "encoders", "training", "profiles", "benchmarks", "figures")


def reading_configuration(config: dict, folder: str) -> dict:
    """Return the configuration that reads a collection, with the methods of the run that wrote it.

    Its tiles are aligned and clipped already, in one image per tile. Annotations are those of the
    run: a collection has none.

    Parameters
    ----------
    config
        Configuration of the run.
    folder
        Folder of the collection.
    """
    screen, settings = config["screen"], config["exports"]["ops_standard"]
    name = aggregation_name(screen["name"], settings["title"])
    channels = [
        {key: channel[key] for key in ("name", "stain", "colour")} for channel in screen["channels"]
    ]
    described = {
        "name": f"{screen['name']}_read",
        **{key: screen[key] for key in _KEPT},
        "images": f"{store_name(name, len(screen['plates']))}.zarr",
        "channels": channels,
        "control": {"role": "control"},
    }
    crop = {key: config["crop"][key] for key in ("size_px", "tiles_per_chunk")}
    methods = {key: config[key] for key in _METHOD if key in config}
    return {
        "source": "archive",
        "screen": described,
        "cells": CELLS,
        "labels": LABELS,
        "archive": {
            "root": str(Path(folder).absolute() / name),
            "annotations": config["archive"]["annotations"],
        },
        "alignment": {"reference": config["alignment"]["reference"]},
        "crop": crop | {"clip_fraction": 0},
        **methods,
    }


def ops_reading(configuration: dict, collection: str, reading: str) -> None:
    """Rule ops_reading: write the configuration that reads the collection of this run.

    Parameters
    ----------
    configuration
        As the rules see it.
    collection
        ``collection_metadata.yaml`` of the collection.
    reading
        Output: YAML.
    """
    content = reading_configuration(configuration, str(Path(collection).parent))
    write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), reading)
