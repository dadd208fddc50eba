"""Embeddings of crops by nothing that has learnt: what pixels alone, and a network's form, tell.

Random projections keep distances between images (Johnson and Lindenstrauss 1984,
doi:10.1090/conm/026/737400): what they retrieve needs no representation. Of the surroundings alone
they tell what neighbours and background give away.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mcvae_ops.models.family import ContrastiveVAE
from mcvae_ops.shards.crops import Crops, read_in_order
from mcvae_ops.shards.index import index_channels
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


def outside_disc(size_px: int) -> np.ndarray:
    """Return the pixels of a crop that lie outside a disc in its middle, (y, x) of bool."""
    y, x = np.mgrid[:size_px, :size_px] - (size_px - 1) / 2
    return np.hypot(y, x) > CELL_DIAMETER * size_px / 2


def projected(
    crops: Crops, cells: range, kept: np.ndarray, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions and random projections of the pixels of cells, (cell, `DIMENSIONS`).

    Parameters
    ----------
    crops, cells
        Crops, and the rows of the index that are projected.
    kept
        Which pixels count, (y, x).
    seed
        Of the projection, which is normal and the same for all cells. Pixels are arcsinh(counts).
    """
    n_pixels = crops.shape[0] * int(kept.sum())
    axes = np.random.default_rng([seed, n_pixels]).standard_normal((n_pixels, DIMENSIONS))
    axes = (axes / np.sqrt(n_pixels)).astype(np.float32)
    for positions, counts in read_in_order(crops, cells, CELLS_AT_A_TIME):
        yield positions, np.arcsinh(counts[:, :, kept].reshape(len(counts), -1), dtype="f4") @ axes


def project_pixels(
    index: str, cells: str, shortcut: str, part: int, parts: int, seed: int, embedding: str
) -> None:
    """Rule project_pixels: write random projections of whole crops, or of their surroundings.

    Parameters
    ----------
    index, cells
        The shard index, and its numbers (rule training_cells).
    shortcut
        "random_pixels", or "surroundings": without a disc in the middle, of `CELL_DIAMETER`, in
        which the cell lies.
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
    size_px = crops.shape[-1]
    is_whole = shortcut == "random_pixels"
    kept = np.ones((size_px, size_px), bool) if is_whole else outside_disc(size_px)
    names = [f"z_{k:02d}" for k in range(DIMENSIONS)]
    embedded = projected(crops, rows, kept, seed)
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
