"""Pictures of genes: crops of a gene, beside control crops of the same batches.

A picture is stored as a script, ``picture(12,"data:image/webp;base64,...");``. A page that is
opened from a folder may draw an image file of that folder, but not read its pixels: it could not
export them.
"""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mcvae_ops.shards.crops import Crops

SHOWN = (1.0, 99.8)  # percentiles of the controls of a batch that are black and full colour
REFERENCE_CELLS = 48  # largest number of controls of a batch from which percentiles are taken
QUALITY = 90  # of WebP
NUMBERS = "numbers.json"  # beside the pictures: gene -> number of its picture
_BLOCK_CELLS = 256


@dataclass(frozen=True)
class Choice:
    """The crops of all pictures.

    Attributes
    ----------
    positions
        Positions of the cells in the index.
    label
        Gene of each cell, ascending.
    controls
        Position of the control cell of the same batch that is shown beside each cell.
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
        A permutation of the cells: the order in which cells are chosen.

    Returns
    -------
    Positions of at most `REFERENCE_CELLS` cells of each batch.
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
    """Choose up to `n` cells of each gene, with its guides in turn, and a control for each cell.

    Parameters
    ----------
    label, guide, batch
        Gene (0 is NTC), guide and batch of each cell.
    controls
        `choose_controls`; cells of a batch without controls are not chosen.
    order
        A permutation of the cells: the order in which cells are chosen.
    n
        Largest number of cells of a gene.
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
    """Return the counts that are black and full colour, (channel,) each.

    Parameters
    ----------
    crops
        Control crops of one batch, (cell, channel, y, x).
    """
    low, high = np.percentile(crops, SHOWN, axis=(0, 2, 3))
    return low, np.maximum(high, low + 1)


def to_grey(crops: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Scale counts to uint8.

    Parameters
    ----------
    crops
        Counts, (cell, channel, y, x).
    low, high
        Counts that become 0 and 255, (cell, channel).
    """
    low, high = low[:, :, None, None], high[:, :, None, None]
    return np.rint(255 * np.clip((crops - low) / (high - low), 0, 1)).astype(np.uint8)


class Painter:
    """Reads crops as grey images, each batch on the scale of its controls.

    Parameters
    ----------
    crops
        Reader of the crops.
    controls
        Control cells of each batch.
    """

    def __init__(self, crops: Crops, controls: list[np.ndarray]) -> None:
        self.crops = crops
        scales = np.full((2, len(controls), crops.shape[0]), np.nan)
        for batch, cells in enumerate(controls):
            if len(cells):
                scales[:, batch] = contrast(crops.read(cells))
        self.low, self.high = scales

    def paint(self, positions: np.ndarray) -> np.ndarray:
        """Return uint8 (cell, channel, y, x) of the cells at `positions`."""
        painted = np.empty((len(positions), *self.crops.shape), np.uint8)
        # In the order of the index, each file is opened only once.
        order = np.argsort(positions, kind="stable")
        for first in range(0, len(order), _BLOCK_CELLS):
            rows = order[first : first + _BLOCK_CELLS]
            batch = self.crops.cells.batch[positions[rows]]
            counts = self.crops.read(positions[rows])
            painted[rows] = to_grey(counts, self.low[batch], self.high[batch])
        return painted


def sprite(cells: np.ndarray, controls: np.ndarray) -> Image.Image:
    """Return one picture of the crops of a gene.

    Parameters
    ----------
    cells, controls
        uint8 (cell, channel, y, x); equal numbers of both.

    Returns
    -------
    Crops side by side, one row per channel and arm: (first channel, cells), (first channel,
    controls), (second channel, cells), ... The page colours the channels.
    """
    both = np.stack([cells, controls])  # (arm, cell, channel, y, x)
    arm, n, channel, y, x = both.shape
    return Image.fromarray(both.transpose(2, 0, 3, 1, 4).reshape(channel * arm * y, n * x))


def picture_file(folder: Path, number: int) -> Path:
    """Return the path of a picture."""
    return folder / f"{number:04d}.js"


def write_picture(picture: Image.Image, folder: Path, number: int) -> None:
    """Write a picture as a script that hands it to the page."""
    buffer = io.BytesIO()
    picture.save(buffer, "webp", quality=QUALITY)
    content = base64.b64encode(buffer.getvalue()).decode("ascii")
    script = f'picture({number},"data:image/webp;base64,{content}");\n'
    picture_file(folder, number).write_text(script, encoding="ascii")


def read_picture(folder: Path, number: int) -> np.ndarray:
    """Return a picture that `write_picture` has written, uint8 (y, x); see `sprite`."""
    script = picture_file(folder, number).read_text(encoding="ascii")
    content = script.partition("base64,")[2].partition('"')[0]
    with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
        return np.asarray(picture.convert("L"))
