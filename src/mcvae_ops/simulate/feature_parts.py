"""The feature table of a simulated screen, measured from its images and cut into parts.

A real screen comes with such a table; a simulated one needs its cells measured. Positions, guides
and stages are those that the simulated sequencing called, not the planted ones.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from mcvae_ops.archive.patterns import Pattern
from mcvae_ops.cells.measure import measure_tile, standardise_to_controls
from mcvae_ops.errors import InputError, TileError
from mcvae_ops.files import read_frame, write_parquet
from mcvae_ops.progress import Progress
from mcvae_ops.screen import channels_from
from mcvae_ops.simulate.layout import CALLS_PATH, LABELS_PATH
from mcvae_ops.tiles.load import aligned_tile
from mcvae_ops.tiles.shifts import consensus_of_well

logger = logging.getLogger(__name__)


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
    """Rule measure_features: write the called cells of a well with their features.

    Features are standardised to the controls of the well; they stay as measured where controls
    stand in wells of their own (``screen.batch: [plate]``).

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
        Outputs: calls and features of the cells of each stage.

    Raises
    ------
    InputError
        If no tile of the well can be measured, or none of its cells is a control and some should.
    """
    calls = pd.read_csv(Path(images) / CALLS_PATH.format(well=well))
    well_consensus = consensus_of_well(read_frame(consensus), well)
    folder = Path(images)
    measured = _measure_well(folder, calls, screen, alignment, well_consensus, bits, plate, well)
    features = measured.drop(columns=calls.columns)
    if "well" in screen["batch"]:
        gene = screen["columns"]["gene"]
        is_control = (measured[gene] == screen["control"]).to_numpy()
        if not is_control.any():
            raise InputError.missing(
                where=f"well {plate} {well}",
                what="a control cell",
                why=f"features are standardised to the cells whose {gene} is {screen['control']!r}",
                fix="correct screen.control",
            )
        features = standardise_to_controls(features, is_control)
    cells = measured[calls.columns].join(features)
    for stage, path in (("interphase", interphase), ("mitotic", mitotic)):
        rows = cells[cells["stage"] == stage].drop(columns=["stage", "label"])
        write_parquet(rows, path)


def _measure_well(
    folder: Path,
    calls: pd.DataFrame,
    screen: dict,
    alignment: dict,
    consensus: pd.DataFrame,
    bits: int,
    plate: str,
    well: str,
) -> pd.DataFrame:
    """Return the called cells of all usable tiles with the features measured at their labels."""
    channels = channels_from(screen["channels"])
    tiles = calls.groupby(screen["columns"]["tile"])
    progress = Progress(len(tiles), "tiles", f"measure {plate} {well}")
    measured, reason = [], "no cell"
    for tile, called in tiles:
        names = {"plate": plate, "well": well, "tile": tile}
        try:
            image, labels = _aligned_tile(folder, names, screen, alignment, consensus)
            features = measure_tile(image, labels, channels, bits)
            measured.append(called.join(features, on="label", how="inner"))
        except TileError as error:
            reason = f"tile {tile}: {error}"
            logger.warning("%s %s tile %d is left out: %s", plate, well, tile, error)
        progress.step()
    if not measured:
        raise InputError(
            where=f"well {plate} {well}",
            found=f"none of {len(tiles)} tiles usable ({reason})",
            expected="images that can be read and aligned",
            fix="correct the configuration of the screen (screen, alignment) or its files",
        )
    return pd.concat(measured, ignore_index=True)


def _aligned_tile(
    folder: Path, names: dict, screen: dict, alignment: dict, consensus: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """Return an aligned tile of a plate's folder (channel, y, x) and its labels (y, x)."""
    root = folder.parents[1]  # the folder of a plate is screenA/{plate} below the archive's files
    paths = {
        channel.group: root / Pattern(screen["images"]).fill(names | {"channel": channel.group})
        for channel in channels_from(screen["channels"])
    }
    labels = tifffile.imread(folder / LABELS_PATH.format(**names)).astype(np.int32)
    return aligned_tile(paths, screen, alignment, consensus).resampled(), labels
