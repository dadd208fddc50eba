"""Classical features of cells, measured with cp-measure from aligned tiles and label images."""

import logging
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import cp_measure.bulk
import numpy as np
import pandas as pd
import tifffile

from mcvae_ops.archive.patterns import Pattern
from mcvae_ops.errors import InputError, TileError
from mcvae_ops.files import write_parquet
from mcvae_ops.progress import Progress
from mcvae_ops.screen import Channel, channels_from
from mcvae_ops.simulate.layout import CALLS_PATH, LABELS_PATH
from mcvae_ops.tiles.load import aligned_tile
from mcvae_ops.tiles.shifts import consensus_of_well

logger = logging.getLogger(__name__)

# The measurements of cp-measure that tell most per second; Zernike moments and granularity cost
# as much as all of these together.
OF_CHANNEL = ("intensity", "texture", "radial_distribution")
OF_SHAPE = ("sizeshape", "feret")
OF_PAIR = ("pearson",)
# cp-measure reads intensities as fractions of the brightest pixel to be expected, at most 13 bits,
# so that its 256 grey levels of texture are used.
FULL_SCALE_BITS = 13
# Where a cell lies in its tile is no feature of the cell.
_PLACES = ("_Location_", "_Center_", "_BoundingBoxMinimum_", "_BoundingBoxMaximum_")


def measure_tile(
    image: np.ndarray, labels: np.ndarray, channels: Sequence[Channel], bits: int
) -> pd.DataFrame:
    """Measure every labelled cell of a tile.

    Parameters
    ----------
    image
        float32 (channel, y, x), counts, channels aligned.
    labels
        int (y, x), 0 outside cells.
    channels
        Along the channel axis.
    bits
        Bits of the camera.

    Returns
    -------
    One row per label, in increasing order, which is the index; columns ``cell_{measure}``,
    ``{channel}_{measure}`` and ``{channel}_{channel}_{measure}``, float32.

    References
    ----------
    cp-measure, CellProfiler's measurements as functions: doi:10.48550/arXiv.2507.01163.
    """
    core = cp_measure.bulk.get_core_measurements()
    correlation = cp_measure.bulk.get_correlation_measurements()
    present = np.unique(labels[labels > 0])
    scaled = np.clip(image / 2.0 ** min(bits, FULL_SCALE_BITS), 0, 1)
    columns: dict[str, np.ndarray] = {}
    for measure in OF_SHAPE:
        columns |= _named("cell", core[measure](labels, scaled[0]))
    for channel, plane in zip(channels, scaled, strict=True):
        for measure in OF_CHANNEL:
            columns |= _named(channel.name, core[measure](labels, plane))
    for (first, a), (second, b) in combinations(zip(channels, scaled, strict=True), 2):
        for measure in OF_PAIR:
            pair = f"{first.name}_{second.name}"
            columns |= _named(pair, correlation[measure](a, b, labels))
    return pd.DataFrame(columns, index=pd.Index(present, name="label")).astype(np.float32)


def standardise_to_controls(features: pd.DataFrame, is_control: np.ndarray) -> pd.DataFrame:
    """Subtract the mean of the control cells and divide by their standard deviation.

    Parameters
    ----------
    features
        One row per cell of one batch; values that are not finite count as missing.
    is_control
        bool, one per cell.

    Returns
    -------
    float32 of the same shape; NaN where the value is missing or the controls do not vary.
    """
    finite = features.where(np.isfinite(features))
    controls = finite[is_control]
    spread = controls.std(ddof=0)
    return ((finite - controls.mean()) / spread.where(spread > 0)).astype(np.float32)


def measure_features(
    screen: dict,
    alignment: dict,
    bits: int,
    plate: str,
    well: str,
    images: str,
    consensus: str,
    interphase: str,
    mitotic: str,
) -> None:
    """Rule measure_features: the cells of one well as the archive's feature table has them.

    Parameters
    ----------
    screen, alignment
        Sections of the configuration.
    bits
        Bits of the camera.
    plate, well
        Which well.
    images
        Folder of the plate in the study: images, label images, calls.
    consensus
        Consensus shifts of the plate.
    interphase, mitotic
        Outputs: calls and standardised features of the cells of each stage.

    Raises
    ------
    InputError
        If no tile of the well can be measured, or no cell is a control.
    """
    columns = screen["columns"]
    calls = pd.read_csv(Path(images) / CALLS_PATH.format(well=well))
    agreed = consensus_of_well(pd.read_parquet(consensus), well)
    by_tile = calls.groupby(columns["tile"])
    progress = Progress(len(by_tile), "tiles", f"measure {plate} {well}")
    measured, reason = [], "no cell"
    for tile, called in by_tile:
        try:
            tile_of = _aligned_tile(Path(images), screen, alignment, agreed, plate, well, tile)
            features = measure_tile(*tile_of, channels_from(screen["channels"]), bits)
            measured.append(called.join(features, on="label", how="inner"))
        except TileError as error:
            reason = f"tile {tile}: {error}"
            logger.warning("%s %s tile %d is left out: %s", plate, well, tile, error)
        progress.step()
    if not measured:
        raise InputError(
            where=f"well {plate} {well}",
            found=f"none of {len(by_tile)} tiles usable ({reason})",
            expected="images that can be read and aligned",
            fix="correct the configuration of the screen (screen, alignment) or its files",
        )
    table = pd.concat(measured, ignore_index=True)
    is_control = (table[columns["gene"]] == screen["control"]).to_numpy()
    if not is_control.any():
        raise InputError(
            where=f"well {plate} {well}",
            found="no control cell",
            expected=f"cells whose {columns['gene']} is {screen['control']!r}",
            fix="correct screen.control",
        )
    called, features = table[calls.columns], table.drop(columns=calls.columns)
    table = called.join(standardise_to_controls(features, is_control))
    for stage, path in (("interphase", interphase), ("mitotic", mitotic)):
        rows = table[table["stage"] == stage].drop(columns=["stage", "label"])
        write_parquet(rows, path)


def _aligned_tile(
    images: Path,
    screen: dict,
    alignment: dict,
    consensus: pd.DataFrame,
    plate: str,
    well: str,
    tile: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Read and align one tile of a plate's folder: image (channel, y, x), labels (y, x)."""
    names = {"plate": plate, "well": well, "tile": tile}
    root = images.parents[1]  # the folder of a plate is screenA/{plate} below the archive's files
    paths = {
        channel.group: root / Pattern(screen["images"]).fill(names | {"channel": channel.group})
        for channel in channels_from(screen["channels"])
    }
    labels = tifffile.imread(images / LABELS_PATH.format(**names)).astype(np.int32)
    return aligned_tile(paths, screen, alignment, consensus).resampled(), labels


def _named(prefix: str, measures: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    named = {f"{prefix}_{name}": np.asarray(values) for name, values in measures.items()}
    return {name: v for name, v in named.items() if not any(place in name for place in _PLACES)}
