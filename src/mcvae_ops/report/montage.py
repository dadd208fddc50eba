"""Crops of a gene beside control crops of the same wells, as one picture per gene."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from mcvae_ops.shards.crops import Crops

SHOWN = (1.0, 99.8)  # percentiles of the controls of a well: black and full colour
REFERENCE_CELLS = 48  # controls of a well that its percentiles are taken of
QUALITY = 90  # of WebP
_BLOCK_CELLS = 256


@dataclass(frozen=True)
class Choice:
    """The crops that are shown.

    Attributes
    ----------
    positions
        Cells of genes, by their position in the index.
    label
        Their genes, ascending.
    controls
        The control cell that each is set beside, of the same batch.
    """

    positions: np.ndarray
    label: np.ndarray
    controls: np.ndarray


def choose_controls(label: np.ndarray, batch: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
    """Return the control cells of each batch that serve as its reference.

    Parameters
    ----------
    label
        Gene of each cell; 0 is NTC.
    batch
        Batch of each cell.
    order
        A permutation of the cells: who is chosen first.

    Returns
    -------
    Positions, at most `REFERENCE_CELLS` of each batch.
    """
    controls = order[label[order] == 0]
    by_batch = controls[np.argsort(batch[controls], kind="stable")]
    ends = np.cumsum(np.bincount(batch[controls], minlength=batch.max() + 1))
    return [part[:REFERENCE_CELLS] for part in np.split(by_batch, ends[:-1])]


def choose_cells(
    label: np.ndarray,
    guide: np.ndarray,
    batch: np.ndarray,
    controls: list[np.ndarray],
    order: np.ndarray,
    n: int,
) -> Choice:
    """Choose up to `n` cells of each gene, its guides in turn, and a control for each.

    Parameters
    ----------
    label, guide, batch
        Gene (0 is NTC), guide and batch of each cell.
    controls
        `choose_controls`; cells of a batch without controls are not chosen.
    order
        A permutation of the cells: who is chosen first.
    n
        Bound of the cells of a gene.
    """
    compared = np.array([len(part) > 0 for part in controls])
    cells = order[(label[order] != 0) & compared[batch[order]]]
    cells = cells[np.argsort(label[cells], kind="stable")]
    by_guide = np.lexsort((guide[cells], label[cells]))
    turn = np.empty(len(cells), np.int64)
    turn[by_guide] = _ranks(label[cells][by_guide], guide[cells][by_guide])
    cells = cells[np.lexsort((turn, label[cells]))]
    cells = cells[_ranks(label[cells]) < n]
    by_batch = np.lexsort((batch[cells], label[cells]))
    nth = np.empty(len(cells), np.int64)
    nth[by_batch] = _ranks(label[cells][by_batch], batch[cells][by_batch])
    beside = [controls[b][k % len(controls[b])] for b, k in zip(batch[cells], nth, strict=True)]
    return Choice(cells, label[cells], np.array(beside, np.int64))


def _ranks(*keys: np.ndarray) -> np.ndarray:
    """Return the position of each row within its run of equal keys."""
    n = len(keys[0])
    starts = np.zeros(n, bool)
    starts[:1] = True
    for key in keys:
        starts[1:] |= key[1:] != key[:-1]
    first = np.flatnonzero(starts)
    return np.arange(n) - np.repeat(first, np.diff(np.append(first, n)))


def contrast(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts of each channel (channel,) that are drawn black and in full colour.

    Parameters
    ----------
    crops
        Control crops of one batch, (cell, channel, y, x).
    """
    low, high = np.percentile(crops, SHOWN, axis=(0, 2, 3))
    return low, np.maximum(high, low + 1)


def compose(
    crops: np.ndarray, low: np.ndarray, high: np.ndarray, colours: np.ndarray
) -> np.ndarray:
    """Lay the channels of crops over each other in their colours, as slides on a screen.

    Sums would turn white where stains overlap; on a screen (1 - the product of what each channel
    leaves dark) bright colours stay apart.

    Parameters
    ----------
    crops
        Counts, (cell, channel, y, x).
    low, high
        Counts that are drawn black and in full colour, (cell, channel).
    colours
        Red, green and blue of each channel, (channel, 3) in [0, 1].

    Returns
    -------
    uint8 (cell, y, x, 3).
    """
    low, high = low[:, :, None, None], high[:, :, None, None]
    scaled = np.clip((crops - low) / (high - low), 0, 1)
    dark = np.prod(1 - scaled[..., None] * colours[:, None, None], axis=1)
    return np.round(255 * (1 - dark)).astype(np.uint8)


class Painter:
    """Crops in colour, each batch on the scale of its controls.

    Parameters
    ----------
    crops
        Source of the crops.
    controls
        Control cells of each batch.
    colours
        (channel, 3) in [0, 1].
    """

    def __init__(self, crops: Crops, controls: list[np.ndarray], colours: np.ndarray) -> None:
        self.crops, self.colours = crops, colours
        scales = np.full((2, len(controls), len(colours)), np.nan)
        for batch, cells in enumerate(controls):
            if len(cells):
                scales[:, batch] = contrast(crops.read(cells))
        self.low, self.high = scales

    def paint(self, positions: np.ndarray) -> np.ndarray:
        """Return uint8 (cell, y, x, 3) of the cells at `positions`."""
        size = self.crops.shape[-1]
        painted = np.empty((len(positions), size, size, 3), np.uint8)
        # In the order of the index: each file is opened once.
        order = np.argsort(positions, kind="stable")
        for first in range(0, len(order), _BLOCK_CELLS):
            rows = order[first : first + _BLOCK_CELLS]
            batch = self.crops.cells.batch[positions[rows]]
            counts = self.crops.read(positions[rows])
            painted[rows] = compose(counts, self.low[batch], self.high[batch], self.colours)
        return painted


def sprite(cells: np.ndarray, controls: np.ndarray) -> Image.Image:
    """Return one picture: cells of a gene side by side, below each its control."""
    return Image.fromarray(np.concatenate([np.hstack(list(cells)), np.hstack(list(controls))]))
