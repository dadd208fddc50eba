"""The files of a simulated plate: their paths, and their formats."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from mcvae_ops.archive.patterns import Pattern
from mcvae_ops.screen import CONTROL, Channel

# Below the folder of a plate.
LABELS_PATH = "phenotype/images/labels/20X_{well}_labels_Site-{tile}.tif"
CALLS_PATH = "phenotype/calls/{well}.csv"


def write_images(
    stack: np.ndarray, folder: Path, screen: dict, names: dict, channels: Sequence[Channel]
) -> None:
    """Write one ImageJ TIFF per file of a tile: axes ZCYX, without axes of length 1.

    Parameters
    ----------
    stack
        uint8 or uint16 (channel, z, y, x), counts.
    folder
        Root of the archive's files.
    screen
        Section of the configuration.
    names
        plate, well and tile.
    channels
        Along the channel axis.
    """
    for group in sorted({channel.group for channel in channels}):
        members = [k for k, channel in enumerate(channels) if channel.group == group]
        members.sort(key=lambda k: channels[k].index)
        path = folder / Pattern(screen["images"]).fill(names | {"channel": group})
        path.parent.mkdir(parents=True, exist_ok=True)
        planes = np.moveaxis(stack[members], 0, 1)
        sizes = zip("ZCYX", planes.shape, strict=True)
        axes = "".join(axis for axis, n in sizes if n > 1)
        tifffile.imwrite(path, planes.squeeze(), imagej=True, metadata={"axes": axes})


def write_labels(labels: np.ndarray, plate: Path, names: dict) -> None:
    """Write the label image (y, x) of a tile below the folder of its plate."""
    path = plate / LABELS_PATH.format(**names)
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, labels)


def write_calls(called: pd.DataFrame, plate: Path, screen: dict, well: str) -> None:
    """Write the calls of a well below the folder of its plate."""
    path = plate / CALLS_PATH.format(well=well)
    path.parent.mkdir(parents=True, exist_ok=True)
    called_table(called, screen).to_csv(path, index=False, float_format="%.3f")


def called_table(called: pd.DataFrame, screen: dict) -> pd.DataFrame:
    """Return the calls in the archive's columns: label, positions, guide, gene and stage."""
    columns = screen["columns"]
    gene = called["gene"].replace({CONTROL: screen["control"]})
    table = pd.DataFrame({columns[key]: called[key] for key in ("plate", "well", "tile")})
    table["label"] = called["label"]
    for name, key in zip(screen["not_features"], ("y_px", "x_px"), strict=False):
        table[name] = called[key].round(2)
    table[columns["y_px"]], table[columns["x_px"]] = called["y_px"], called["x_px"]
    table[columns["guide"]], table[columns["gene"]] = called["guide"], gene
    return table.assign(stage=called["stage"])
