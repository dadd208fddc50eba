"""Shortcuts as embeddings: what a cell's place tells without a look at the cell.

A representation that retrieves genes no better than the density of cells does has learnt density.
So each shortcut is judged as any model is, and a score counts by what it has above them.

Each number of a cell (density in a window, place, count) becomes the first `WAVES` cosines of its
rank among all cells. Profiles are then means of an orthogonal basis: they compare how a quantity is
distributed, not its mean alone, which would leave the cosine of two profiles nothing but a sign.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from mcvae_ops.embeddings.baselines import latent_names
from mcvae_ops.embeddings.density import density_features
from mcvae_ops.embeddings.embedded_cells import read_cells
from mcvae_ops.files import parquet_writer, read_blocks
from mcvae_ops.screen import on_grid, well_grid

WAVES = 4  # cosines per number
WINDOWS = (1 / 8, 1 / 16, 1 / 32, 1 / 64)  # of the density, as fractions of the edge of a tile
COLUMNS = ["plate", "well", "batch", "tile", "y_px", "x_px", "guide"]


def density_numbers(cells: pd.DataFrame, grid: dict | None) -> np.ndarray:
    """Return cells in the tile, and other cells per px^2 in four windows, (cell, 5)."""
    return density_features(cells, np.arange(len(cells)), WINDOWS)


def position_numbers(cells: pd.DataFrame, grid: dict | None) -> np.ndarray:
    """Return the place in the tile and, with a grid, of the tile in the well.

    Parameters
    ----------
    cells
        tile, y_px, x_px.
    grid
        Section ``screen.well_grid``; None where the places of tiles are not known.

    Returns
    -------
    y, x and the larger distance from the middle of the tile; with a grid row, column and distance
    from the middle of the well: (cell, 3 or 6).
    """
    places = [cells[["y_px", "x_px"]].to_numpy(float)]
    if grid is not None:
        at = on_grid(cells["tile"].to_numpy(), grid)
        places.append(well_grid(grid["column_heights"])[at].astype(float))
    numbers = []
    for place in places:
        finite = place[np.isfinite(place).all(axis=1)]
        low, high = (finite.min(axis=0), finite.max(axis=0)) if len(finite) else (0.0, 0.0)
        numbers += [place, np.abs(place - (low + high) / 2).max(axis=1, keepdims=True)]
    return np.hstack(numbers)


def count_numbers(cells: pd.DataFrame, grid: dict | None) -> np.ndarray:
    """Return the share of the cells of the batch that carry the cell's guide, (cell, 1).

    Every cell of a guide in a batch has the same number: it says how many cells the guide left.
    """
    of_batch = cells.groupby("batch", observed=True)["guide"].transform("size")
    of_guide = cells.groupby(["batch", "guide"], observed=True)["guide"].transform("size")
    return (of_guide / of_batch).to_numpy(float)[:, None]


NUMBERS = {
    "density": density_numbers,
    "position": position_numbers,
    "cell_count": count_numbers,
}


def cosines_of_ranks(numbers: np.ndarray) -> np.ndarray:
    """Return sqrt(2) cos(pi k r) for k = 1 .. `WAVES` of the rank r of each number.

    Parameters
    ----------
    numbers
        (cell, number); cells without a number count as the middle of all.

    Returns
    -------
    float32 (cell, number x wave). r lies between 0 and 1, ties share their mean rank.
    """
    waves = np.empty((len(numbers), numbers.shape[1], WAVES), np.float32)
    for k, column in enumerate(numbers.T):
        of_cells = pd.Series(column)
        shares = ((of_cells.rank() - 0.5) / max(of_cells.count(), 1)).fillna(0.5).to_numpy()
        for wave in range(WAVES):
            waves[:, k, wave] = np.sqrt(2) * np.cos(np.pi * (wave + 1) * shares)
    return waves.reshape(len(numbers), -1)


def shortcut_embedding(index: str, shortcut: str, grid: dict | None, embedding: str) -> None:
    """Rule shortcut_embedding: write one shortcut as an embedding of every cell.

    Parameters
    ----------
    index
        The shard index; the embedding is row-aligned with it.
    shortcut
        A key of `NUMBERS`.
    grid
        Section ``screen.well_grid``, or None.
    embedding
        Output: cell_id and ``z_00``.. .
    """
    vectors = cosines_of_ranks(NUMBERS[shortcut](read_cells(index, COLUMNS), grid))
    names = [("cell_id", pa.string()), *((n, pa.float32()) for n in latent_names(vectors.shape[1]))]
    schema, start = pa.schema(names, {"model": shortcut, "seed": "0"}), 0
    with parquet_writer(embedding, schema) as writer:
        for cells in read_blocks(index, ["cell_id"]):
            part = vectors[start : start + cells.num_rows]
            columns = [cells["cell_id"], *np.ascontiguousarray(part.T)]
            writer.write_table(pa.table(columns, schema=schema))
            start += cells.num_rows
