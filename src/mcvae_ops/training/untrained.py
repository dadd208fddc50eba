"""Embeddings of crops by nothing that has learnt: what pixels alone, and a network's form, tell.

Random projections keep distances between images (Johnson and Lindenstrauss 1984,
doi:10.1090/conm/026/737400): what they retrieve needs no representation. Of the surroundings alone
they tell what neighbours and background give away.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mcvae_ops.models.family import ContrastiveVAE
from mcvae_ops.shards.crops import Crops, read_in_order
from mcvae_ops.shards.index import index_channels
from mcvae_ops.shards.outlines import Outlines
from mcvae_ops.shards.training_cells import read_training_cells
from mcvae_ops.training.embed import (
    CELLS_AT_A_TIME,
    embed,
    latent_names,
    rows_of_part,
    write_embedding,
)
from mcvae_ops.training.prepare import (
    choose_device,
    family_settings,
    merged_settings,
    preprocessing,
)

DIMENSIONS = 64
CELL_DIAMETER = 0.6  # of the disc that stands for the cell, as a fraction of the crop's edge


def disc(size_px: int) -> np.ndarray:
    """Return the pixels of a crop in a disc in its middle, bool (y, x)."""
    y, x = np.mgrid[:size_px, :size_px] - (size_px - 1) / 2
    return np.hypot(y, x) <= CELL_DIAMETER * size_px / 2


def surroundings(pixels: np.ndarray, of_cell: np.ndarray) -> np.ndarray:
    """Return crops without their cells, of which neither pixels nor size remain.

    Parameters
    ----------
    pixels
        float (cell, channel, y, x).
    of_cell
        bool (cell, y, x): pixels of the cell. They take the mean of all others of the crop and
        channel; a hole of zeros would tell how large the cell is.
    """
    is_around = ~of_cell[:, None]
    n_around = np.maximum(is_around.sum(axis=(2, 3), keepdims=True), 1)
    around = np.where(is_around, pixels, 0)
    return np.where(is_around, pixels, around.sum(axis=(2, 3), keepdims=True) / n_around)


def projected(
    crops: Crops, cells: range, of_cell: Callable[[np.ndarray], np.ndarray] | None, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions and random projections of the pixels of cells, (cell, `DIMENSIONS`).

    Parameters
    ----------
    crops, cells
        Crops, and the rows of the index that are projected.
    of_cell
        Returns the pixels of the cells at some positions that do not count, bool (cell, y, x); see
        `surroundings`. None projects whole crops.
    seed
        Of the projection, which is normal and the same for all cells. Pixels are arcsinh(counts).
    """
    n_pixels = int(np.prod(crops.shape))
    axes = np.random.default_rng([seed, n_pixels]).standard_normal((n_pixels, DIMENSIONS))
    axes = (axes / np.sqrt(n_pixels)).astype(np.float32)
    for positions, counts in read_in_order(crops, cells, CELLS_AT_A_TIME):
        pixels = np.arcsinh(counts, dtype=np.float32)
        if of_cell is not None:
            pixels = surroundings(pixels, of_cell(positions))
        yield positions, pixels.reshape(len(pixels), -1) @ axes


def cells_within(size_px: int, outlines: Outlines | None) -> Callable[[np.ndarray], np.ndarray]:
    """Return what returns the pixels of the cells at some positions, bool (cell, y, x).

    The pixels are those of its outline; without outlines, or where a cell has none, those of a disc
    in the middle of the crop.
    """
    in_disc = disc(size_px)

    def of_cell(positions: np.ndarray) -> np.ndarray:
        if outlines is None:
            return np.broadcast_to(in_disc, (len(positions), *in_disc.shape))
        pixels = outlines.read(positions)
        pixels[~pixels.any(axis=(1, 2))] = in_disc
        return pixels

    return of_cell


def project_pixels(
    index: str,
    cells: str,
    outlines: Sequence[str] | None,
    shortcut: str,
    part: int,
    parts: int,
    seed: int,
    embedding: str,
) -> None:
    """Rule project_pixels: write random projections of whole crops, or of their surroundings.

    Parameters
    ----------
    index, cells
        The shard index, and its numbers (rule training_cells).
    outlines
        Outlines of the cells of every well; None where no mask shows them.
    shortcut
        "random_pixels", or "surroundings": without the cell, see `cells_within`.
    part, parts
        As for `embed_cells`.
    seed
        Of the projection.
    embedding
        Output: cell_id and ``z_00``.. .
    """
    every = read_training_cells(cells)
    rows = rows_of_part(len(every), part, parts)
    crops = Crops(Path(index).parent.parent, every)
    of_cell = None
    if shortcut == "surroundings":
        size_px = crops.shape[-1]
        of_cell = cells_within(size_px, outlines and Outlines(index, outlines, size_px))
    names = [f"z_{k:02d}" for k in range(DIMENSIONS)]
    embedded = projected(crops, rows, of_cell, seed)
    write_embedding(index, rows, embedded, names, (shortcut, 0), embedding)


def embed_untrained(
    index: str,
    cells: str,
    statistics: str,
    model: dict,
    training: dict,
    part: int,
    parts: int,
    seed: int,
    embedding: str,
) -> None:
    """Rule embed_untrained: embed cells with the weights from which a training begins.

    Parameters
    ----------
    index, cells, statistics, model, training, part, parts
        As for `train_model` and `embed_cells`.
    seed
        Of the weights.
    embedding
        Output, as of `embed_cells`.
    """
    settings, every = merged_settings(model, training), read_training_cells(cells)
    device, channels = choose_device(settings["device"]), index_channels(index)
    network = ContrastiveVAE(family_settings(settings, len(channels), every), seed).to(device)
    preprocess = preprocessing(settings, statistics, channels, every.batches, device)
    rows = rows_of_part(len(every), part, parts)
    crops = Crops(Path(index).parent.parent, every)
    embedded = embed(network, crops, every.batch, rows, preprocess, log_variance=False)
    names = latent_names(network.settings)
    write_embedding(index, rows, embedded, names, ("untrained", 0), embedding)
