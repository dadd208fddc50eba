"""Crops that a screen comes with, as shards like those of any other screen.

Each is a file of its own, or a row of an array (`mcvae_ops.tiles.crop_stacks`). There is no tile to
align and to clip: a crop is projected, and its middle is taken.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from mcvae_ops import __version__
from mcvae_ops.archive.addresses import split_address
from mcvae_ops.archive.sources import Source
from mcvae_ops.archive.stream import stream_files
from mcvae_ops.archive.transfer import Wanted
from mcvae_ops.errors import InputError, TileError
from mcvae_ops.files import read_frame, read_rows, read_schema
from mcvae_ops.progress import Progress
from mcvae_ops.screen import channels_from, folder_name
from mcvae_ops.shards.training_cells import Cells
from mcvae_ops.tiles.chunk import ChunkCrops, alignment_rows, check_failed, tiles_of_chunk
from mcvae_ops.tiles.crop_stacks import InStack, in_stack, read_stacked
from mcvae_ops.tiles.image_formats import Image, Window, opened_image
from mcvae_ops.tiles.read import projected_planes
from mcvae_ops.tiles.resume import FinishedTiles
from mcvae_ops.tiles.shifts import Shifts

logger = logging.getLogger(__name__)

BATCH = 256
"""Crops that are read, and stored for a job that goes on, at a time."""
READING_KEYS = ("channels", "z_planes", "projection", "axes", "counts")
"""Keys of section `screen` on which the pixels of a crop depend."""


def read_crop(path: str | Path, screen: dict, size_px: int) -> np.ndarray:
    """Read the middle of a crop, projected over its focal planes.

    Parameters
    ----------
    path
        A file with all channels of one cell.
    screen
        `READING_KEYS` of the configuration.
    size_px
        Edge of what is taken; the pixel at half the length of the file is at half of this one.

    Returns
    -------
    uint16 (channel, y, x), counts.

    Raises
    ------
    TileError
        If the file is damaged or smaller, or its axes or type differ from what is asked.
    """
    with opened_image(path) as image:
        return _middle_of(image, screen, size_px)


def _middle_of(image: Image, screen: dict, size_px: int) -> np.ndarray:
    shape = image.shape[-2:]
    planes = projected_planes(
        image,
        channels_from(screen["channels"]),
        screen["z_planes"],
        screen["projection"],
        shape,
        screen["axes"],
        screen["counts"],
        _middle(shape, size_px),
    )
    return np.stack([plane.astype(np.uint16) for plane in planes])


def gather_crops(
    cells: str,
    screen: dict,
    crop: dict,
    archive: dict,
    plate: str,
    well: str,
    chunk: str,
    cache: str,
    ntc: str,
    ntc_index: str,
    perturbed: str,
    perturbed_index: str,
    alignment_table: str,
    dropped: str,
) -> None:
    """Rule gather_crops: read the crops of the cells of a chunk, write a shard of either arm.

    Parameters
    ----------
    cells
        Cells table of the plate; its column crop says where each crop is.
    screen, crop, archive
        Sections of the configuration.
    plate, well, chunk
        Which chunk of tiles; chunks of a well are numbered from 0.
    cache
        Folder for fetched files and for the crops that are read.
    ntc, ntc_index, perturbed, perturbed_index, alignment_table, dropped
        Outputs, as of `mcvae_ops.tiles.chunk.crop_chunk`: nothing is aligned (method "given").

    Raises
    ------
    InputError
        If more than ``crop.max_failed_fraction`` of the crops are missing or cannot be read.
    """
    names = [channel.name for channel in channels_from(screen["channels"])]
    tiles = tiles_of_chunk(screen["tiles"], crop["tiles_per_chunk"], int(chunk))
    in_chunk = [("plate", "==", plate), ("well", "==", well), ("tile", "in", tiles)]
    table, size_px = read_frame(cells, filters=in_chunk), crop["size_px"]
    batches = dict(enumerate(_batches_of(table)))
    reading = {key: screen[key] for key in READING_KEYS}
    place = (folder_name(plate), folder_name(well), chunk)
    finished = FinishedTiles(
        Path(cache, "finished", *place),
        {"screen": reading, "version": __version__},
        {number: len(batch) for number, batch in batches.items()},
        (len(names), size_px, size_px),
    )
    done = {number: finished.load(number, _files_of(batch), batch)
            for number, batch in batches.items()}  # fmt: skip
    left = [batch for number, batch in batches.items() if done[number] is None]
    fetched = stream_files(_wanted(left, archive, Path(cache, "raw", *place)), archive)
    result, failed = ChunkCrops([table.iloc[:0]]), {}
    progress = Progress(len(batches), "batches of crops", "gather crops")
    for number, batch in batches.items():
        notes = done[number]
        if notes is None:
            crops, notes = _read_batch(batch, fetched, reading, size_px, archive)
            finished.save(number, _files_of(batch), batch, crops, notes)
        failed |= notes["failed"]
        result.add_tile(notes, batch, finished.first_row[number])
        progress.step()
    next(fetched, None)  # deletes the last file
    unmoved = Shifts(np.zeros((len(names), 2)), *np.full((2, len(names)), np.nan),
                     ("given",) * len(names))  # fmt: skip
    for tile in sorted(table["tile"].unique()):
        result.alignment += alignment_rows(int(tile), names, unmoved, "")
    where = f"{plate} {well} chunk {chunk}"
    check_failed(failed, len(table), crop["max_failed_fraction"], where, "crop")
    arms = {True: (ntc, ntc_index), False: (perturbed, perturbed_index)}
    result.write(finished, read_schema(cells), names, (plate, well, chunk), arms,
                 alignment_table, dropped)  # fmt: skip


class GivenCrops:
    """The crops of some cells, read where they lie: those of pictures alone are not stored again.

    Attributes
    ----------
    cells
        Cells of the index.
    shape
        (channel, y, x).

    Parameters
    ----------
    index
        Index whose column crop says where each crop is.
    cells
        See attributes.
    screen
        `READING_KEYS` of the configuration.
    size_px
        Edge of what is taken of a crop.
    archive
        Section of the configuration.
    cache
        Folder for fetched files.
    """

    def __init__(
        self, index: str, cells: Cells, screen: dict, size_px: int, archive: dict, cache: str
    ) -> None:
        self.cells, self.shape = cells, (len(screen["channels"]), size_px, size_px)
        self._index, self._screen, self._cache = index, screen, Path(cache)
        self._archive = archive | {"root": archive["root"] or "."}

    def read(self, positions: np.ndarray) -> np.ndarray:
        """Return the crops at `positions`, all different, in their order; black where one is lost.

        Raises
        ------
        InputError
            If none of them can be read.
        """
        order = np.argsort(positions)
        rows = read_rows(self._index, ["cell_id", "tile", "crop"], positions[order]).to_pandas()
        fetched = stream_files(_wanted([rows], self._archive, self._cache / "raw"), self._archive)
        found, notes = _read_batch(rows, fetched, self._screen, self.shape[-1], self._archive)
        next(fetched, None)  # deletes the last file
        if not notes["cells"]:
            name, reason = next(iter(notes["failed"].items()))
            raise InputError.missing(
                where="cells.columns.crop",
                what=f"any of {len(rows)} crops (cell {name}: {reason})",
                why="pictures are made of them",
                fix="correct the column, or leave it out",
            )
        crops = np.zeros((len(positions), *self.shape), np.uint16)
        crops[order[rows["cell_id"].isin(notes["cells"])]] = found
        return crops


def _middle(shape: Sequence[int], size_px: int) -> Window:
    if min(shape) < size_px:
        size = " x ".join(map(str, shape))
        raise TileError(f"a crop of {size} px, smaller than crop.size_px ({size_px})")
    y, x = (length // 2 - size_px // 2 for length in shape)
    return slice(y, y + size_px), slice(x, x + size_px)


def _batches_of(cells: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield some cells of one tile after the other."""
    for _, of_tile in cells.groupby("tile"):
        for first in range(0, len(of_tile), BATCH):
            yield of_tile.iloc[first : first + BATCH]


def _files_of(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"path": batch["crop"], "size_bytes": 0})


def _wanted(
    batches: Sequence[pd.DataFrame], archive: dict, folder: Path
) -> Mapping[str, list[Wanted]]:
    """Return the file of each cell that has one of its own."""
    wanted = {}
    address_of = _Addresses(archive)
    for batch in batches:
        for name, crop in zip(batch["cell_id"], batch["crop"], strict=True):
            if in_stack(crop) is None:
                target = folder / (folder_name(name) + PurePosixPath(crop).suffix)
                wanted[name] = [Wanted(address_of(crop), target)]
    return wanted


class _Addresses:
    """Whole addresses of crops: they lie below ``archive.root`` unless they are absolute."""

    def __init__(self, archive: dict) -> None:
        self.archive, self.sources = archive, {}

    def __call__(self, crop: str) -> str:
        root, path = split_address(self.archive["root"], crop)
        if root not in self.sources:
            self.sources[root] = Source(root, None, self.archive)
        return self.sources[root].address(path)


def _read_batch(
    batch: pd.DataFrame, fetched: Iterator, screen: dict, size_px: int, archive: dict
) -> tuple[np.ndarray, dict]:
    """Return the crops of a batch that can be read, and notes as of `crop_tile`, and failed."""
    crops, names, failed, reasons = [], [], {}, Counter()
    address_of = _Addresses(archive)
    places = {
        crop: InStack(address_of(place.stack), place.row)
        for crop in batch["crop"]
        if (place := in_stack(crop))
    }
    stacked = read_stacked(places.values(), archive)
    for name, crop in zip(batch["cell_id"], batch["crop"], strict=True):
        found = stacked[places[crop]] if crop in places else next(fetched)[1]
        try:
            if isinstance(found, InputError | TileError):
                raise found
            read = _middle_of if crop in places else read_crop
            crops.append(read(found if crop in places else found[0], screen, size_px))
            names.append(name)
        except (InputError, TileError) as error:
            logger.warning("crop of cell %s failed: %s", name, error)
            failed[name] = str(error)
            reasons["no crop" if isinstance(error, InputError) else "unreadable crop"] += 1
    tile = int(batch["tile"].iloc[0])
    lost = [{"tile": tile, "reason": reason, "n_cells": n} for reason, n in sorted(reasons.items())]
    shape = (0, len(screen["channels"]), size_px, size_px)
    images = np.stack(crops) if crops else np.empty(shape, np.uint16)
    return images, {"cells": names, "alignment": [], "dropped": lost, "failed": failed}
