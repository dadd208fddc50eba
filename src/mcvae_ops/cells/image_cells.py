"""Cells and their features from images alone: a table such as other screens come with.

The cells of a tile are those of its mask, or are segmented in one stain; cp-measure measures them.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from mcvae_ops.cells.controls import check_batches
from mcvae_ops.cells.described import entries_of
from mcvae_ops.cells.labels import labelled_cells, mitotic_stages
from mcvae_ops.cells.masks import cells_of_mask, read_mask
from mcvae_ops.cells.measure import measure_tile
from mcvae_ops.cells.partition_tables import TablePartitioner
from mcvae_ops.cells.regions import positions, without_border
from mcvae_ops.cells.segmentation import METHODS
from mcvae_ops.cells.table_parts import list_feature_parts
from mcvae_ops.errors import TileError
from mcvae_ops.files import read_frame, read_table, write_parquet
from mcvae_ops.progress import Progress
from mcvae_ops.screen import Channel, channels_from, tile_numbers, tile_shape
from mcvae_ops.tiles.chunk import check_failed
from mcvae_ops.tiles.fetch import stream_tiles
from mcvae_ops.tiles.illumination import read_illumination
from mcvae_ops.tiles.image_formats import Window
from mcvae_ops.tiles.load import aligned_tile
from mcvae_ops.tiles.shifts import consensus_of_well
from mcvae_ops.tiles.stitched import window_around, window_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TileCells:
    """The cells of a tile.

    Attributes
    ----------
    centres
        float (cell, 2), y and x in px of the image, by increasing y, then x.
    features
        Row-aligned; None where nothing is measured.
    """

    centres: np.ndarray
    features: pd.DataFrame | None


def cells_of_labels(
    labels: np.ndarray,
    image: np.ndarray | None,
    channels: list[Channel],
    bits: int,
    tile: int,
    screen: dict,
    margin_px: int,
) -> TileCells:
    """Return the positions of the whole cells of a tile, and measure them.

    A cell that reaches the border of its image is left out. Where wells are cut into tiles, a cell
    belongs to the tile with its centroid, and is seen whole in a window that is larger by a margin.

    Parameters
    ----------
    labels
        int (y, x), 0 outside cells.
    image
        float32 (channel, y, x), aligned; None measures nothing.
    channels, bits
        See `measure_tile`.
    tile, screen, margin_px
        Which tile; tile_size_px and cut_px; the margin.
    """
    labels = without_border(labels)
    present, centres = positions(labels)
    if (own := window_of(tile, screen)) is not None:
        around = window_around(tile, screen, margin_px)
        centres = centres + [part.start for part in around]
        starts, stops = np.array([(part.start, part.stop) for part in own]).T
        is_own = np.all((centres >= starts - 0.5) & (centres < stops - 0.5), axis=1)
        labels = np.where(np.isin(labels, present[is_own]), labels, 0)
        centres = centres[is_own]
    order = np.lexsort(centres.T[::-1])
    if image is None:
        return TileCells(centres[order], None)
    features = measure_tile(image, labels, channels, bits)
    return TileCells(centres[order], features.iloc[order].reset_index(drop=True))


def cells_of_tiles(
    files: dict[int, pd.DataFrame],
    masks: dict[int, pd.DataFrame] | None,
    consensus: pd.DataFrame,
    screen: dict,
    cells: dict,
    alignment: dict,
    crop: dict,
    archive: dict,
    cache: str,
    correct: Callable[[np.ndarray], np.ndarray] | None,
) -> Iterator[tuple[int, TileCells | TileError]]:
    """Yield the cells of one tile of a well after the other, or why a tile cannot be used.

    Parameters
    ----------
    files, masks
        Rows of the tables of images and of masks, by tile; None where cells are segmented.
    consensus
        Of the well.
    screen, cells, alignment, crop, archive
        Sections of the configuration; of `cells` the first entry.
    cache
        Folder for fetched files.
    correct
        Corrects uneven illumination; or None.
    """
    channels, bits = channels_from(screen["channels"]), _bits_of(consensus)
    margin_px = crop["size_px"]
    images = stream_tiles(files, cache, archive)
    masked = (
        ((tile, {}) for tile in files) if masks is None else stream_tiles(masks, cache, archive)
    )
    for (tile, paths), (_, mask) in zip(images, masked, strict=True):
        try:
            for fetched in (paths, mask):
                if isinstance(fetched, TileError):
                    raise fetched
            window = window_around(tile, screen, margin_px)
            aligned = aligned_tile(paths, screen, alignment, consensus, correct, archive, window)
            image = aligned.resampled()
            if masks is None:
                labels = segment(image, channels, cells["segment"])
            else:
                labels = _masked_cells(mask, screen, window, archive)
            measured = image if cells["measure"] else None
            yield tile, cells_of_labels(labels, measured, channels, bits, tile, screen, margin_px)
        except TileError as error:
            yield tile, error


def segment(image: np.ndarray, channels: list[Channel], settings: dict) -> np.ndarray:
    """Return the cells of an aligned tile, int32 (y, x); `settings` is ``cells.segment``."""
    stain = [channel.name for channel in channels].index(settings["channel"])
    return METHODS[settings["method"]](image[stain], settings["diameter_px"])


def segment_cells(
    files: str,
    masks: str | None,
    consensus: str,
    illumination: str | None,
    screen: dict,
    origin: dict,
    alignment: dict,
    crop: dict,
    archive: dict,
    plate: str,
    well: str,
    cache: str,
    table: str,
) -> None:
    """Rule segment_cells: write the cells of a well, and their features, as a screen's own table.

    Memory holds one tile, and the features of the cells of the well.

    Parameters
    ----------
    files, masks
        Tables of the screen's images and of its masks; no masks where cells are segmented.
    consensus
        Consensus of the plate.
    illumination
        Illumination of the well (.npy); None leaves tiles as they were recorded.
    screen, alignment, crop, archive
        Sections of the configuration.
    origin
        segment and measure of the first entry of `cells`.
    plate, well
        Which well.
    cache
        Folder for fetched files.
    table
        Output: plate, well, tile, y_px, x_px, and the features of `measure_tile`.

    Raises
    ------
    InputError
        If more than ``crop.max_failed_fraction`` of the tiles cannot be used.
    """
    tile_files = _rows_of_well(files, plate, well)
    tile_masks = None
    if masks is not None:
        of_well = _rows_of_well(masks, plate, well)
        tile_masks = {tile: of_well.get(tile, rows.iloc[:0]) for tile, rows in tile_files.items()}
    well_consensus = consensus_of_well(read_frame(consensus), well)
    light = illumination and read_illumination(
        illumination, crop["illumination"], screen["tile_size_px"]
    )
    progress = Progress(len(tile_files), "tiles", f"segment {plate} {well}")
    parts, failed = [_one_cell(screen, origin).iloc[:0]], {}
    for tile, result in cells_of_tiles(
        tile_files, tile_masks, well_consensus, screen, origin, alignment, crop, archive, cache,
        light and light.correct,
    ):  # fmt: skip
        if isinstance(result, TileError):
            logger.warning("%s %s tile %d is left out: %s", plate, well, tile, result)
            failed[tile] = str(result)
        else:
            parts.append(_table(tile, result))
        progress.step()
    check_failed(failed, len(tile_files), crop["max_failed_fraction"], f"cells of {plate} {well}")
    rows = pd.concat(parts, ignore_index=True)
    rows.insert(0, "plate", plate)
    rows.insert(1, "well", well)
    write_parquet(rows, table)
    logger.info("%d cells in %d tiles, %d tiles failed", len(rows), len(tile_files), len(failed))


def check_labels(
    further: Sequence[dict],
    labels: Sequence[dict],
    screen: dict,
    origin: dict,
    archive: dict,
    genes: str,
) -> None:
    """Rule check_labels: join the tables of labels to tiles, before cells are looked for.

    One row stands for the cells of each tile, so that what split_cells would say of labels after
    all images is said first.

    Parameters
    ----------
    further
        Tables of the section ``cells`` that stand beside the masks or the segmentation.
    labels, screen, archive
        Sections of the configuration.
    origin
        See `segment_cells`.
    genes
        Output: the genes of all wells, without the controls.

    Raises
    ------
    InputError
        See `list_feature_parts` and `split_cells`.
    """
    with TemporaryDirectory() as folder:
        write_parquet(_cell_of_each_tile(screen, origin), f"{folder}/tiles.parquet")
        first = {"table": f"{folder}/tiles.parquet", "columns": {}, "parse": {},
                 "measure": origin["measure"]}  # fmt: skip
        tables, listed = [first, *further], f"{folder}/parts.parquet"
        list_feature_parts(tables, labels, screen, archive, listed)
        parts = read_table(listed).to_pylist()
        entries = entries_of(tables, labels, archive["root"])
        partitioner = TablePartitioner(parts, entries, screen, archive, Path(folder))
        joined = partitioner.partition_first().parts
        found = labelled_cells(joined, screen)
        mitotic_stages(joined, screen["mitotic"])
    n_controls = found.groupby(["plate", "well"])["is_ntc"].agg(["sum", "size"])
    counts = {(plate, well): (0, 0) for plate, wells in screen["plates"].items() for well in wells}
    counts |= {well: (n, size - n) for well, n, size in n_controls.itertuples(name=None)}
    check_batches(counts, screen["batch"])
    names = sorted(found.loc[~found["is_ntc"], "gene"].unique())
    write_parquet(pd.DataFrame({"gene": names}, dtype="string"), genes)
    logger.info("%d genes in %d of %d wells", len(names), len(n_controls), len(counts))


def _rows_of_well(path: str, plate: str, well: str) -> dict[int, pd.DataFrame]:
    rows = read_frame(path, filters=[("plate", "==", plate), ("well", "==", well)])
    return dict(iter(rows.groupby("tile")))


def _masked_cells(mask: dict, screen: dict, window: Window | None, archive: dict) -> np.ndarray:
    if not mask:
        raise TileError("no mask of this tile at cells.masks")
    shape = tile_shape(screen["tile_size_px"])
    return cells_of_mask(read_mask(next(iter(mask.values())), shape, window, archive))


def _table(tile: int, cells: TileCells) -> pd.DataFrame:
    table = pd.DataFrame(cells.centres, columns=["y_px", "x_px"], dtype=np.float32)
    table.insert(0, "tile", np.full(len(table), tile, np.int32))
    return table if cells.features is None else table.join(cells.features)


def _cell_of_each_tile(screen: dict, origin: dict) -> pd.DataFrame:
    """Return a table such as `segment_cells` writes, with one cell on every tile of a screen."""
    wells = [(plate, well) for plate, names in screen["plates"].items() for well in names]
    tiles = tile_numbers(screen["tiles"])
    own = [window_of(tile, screen) or (slice(0), slice(0)) for tile in tiles]
    places = pd.DataFrame(wells, columns=["plate", "well"]).merge(
        pd.DataFrame({"tile": tiles, "y_px": [float(y.start or 0) for y, _ in own],
                      "x_px": [float(x.start or 0) for _, x in own]}), how="cross",
    )  # fmt: skip
    cell = _one_cell(screen, origin).drop(columns=["tile", "y_px", "x_px"])
    return places.join(cell.iloc[[0] * len(places)].reset_index(drop=True))


def _one_cell(screen: dict, origin: dict) -> pd.DataFrame:
    """Return the table of one cell, a disc, with the columns of any."""
    channels = channels_from(screen["channels"])
    y, x = np.mgrid[-8:9, -8:9]
    disc = (np.hypot(y, x) < 7).astype(np.int32)
    image = np.tile(1000.0 + y + x, (len(channels), 1, 1)).astype(np.float32)
    features = measure_tile(image, disc, channels, 16) if origin["measure"] else None
    return _table(0, TileCells(np.zeros((1, 2)), features))


def _bits_of(consensus: pd.DataFrame) -> int:
    """Return 8 where no channel of a plate spans more counts than 8 bits hold; otherwise 16."""
    return 8 if consensus["range_counts"].max() < 2**8 else 16
