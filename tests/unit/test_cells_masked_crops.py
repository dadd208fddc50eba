"""The shortcut surroundings where masks show the cells, on cells drawn on a known texture."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from skimage.draw import ellipse

from mcvae_ops.cells.masked_crops import cut_outlines
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet
from mcvae_ops.shards.crops import Crops
from mcvae_ops.shards.format import write_shard
from mcvae_ops.shards.index import index_shards
from mcvae_ops.shards.outlines import Outlines
from mcvae_ops.shards.training_cells import read_training_cells, training_cells
from mcvae_ops.tiles.crop import crop_cells
from mcvae_ops.training.untrained import cells_within, disc, project_pixels, surroundings
from tests.helpers.cell_tables import ARCHIVE

SIZE, CROP, CELL = 200, 32, 60_000
# Centre and half axes; the first two touch, the last lies where no mask shows a cell.
CELLS = [(60, 60, 9, 6), (60, 73, 8, 6), (140, 50, 4, 12), (130, 150, 7, 7), (40, 150, 6, 6)]


def texture() -> np.ndarray:
    """A background that is known at every pixel, uint16 (y, x), counts."""
    y, x = np.mgrid[:SIZE, :SIZE]
    return (1000 + 3 * y + 2 * x + 200 * ((y // 4 + x // 4) % 2)).astype(np.uint16)


def labelled() -> np.ndarray:
    """The mask, uint16 (y, x): every cell but the last."""
    labels = np.zeros((SIZE, SIZE), np.uint16)
    for number, place in enumerate(CELLS[:-1], start=1):
        labels[ellipse(*place)] = 7 * number
    return labels


def screen_of(folder, image: np.ndarray, mask: np.ndarray, cut_px: int | None = None):
    """A screen of two wells that look alike: index and outlines of its cells, crops beside them."""
    centres = np.array([place[:2] for place in CELLS], float)
    crops = crop_cells(image[None], np.zeros((1, 2)), centres, CROP)
    tile = centres // (cut_px or SIZE) @ [-(-SIZE // (cut_px or SIZE)), 1]
    shards = []
    for well in ("A1", "A2"):
        for arm, rows in (("ntc", [1, 3]), ("perturbed", [4, 0, 2])):
            cells = pd.DataFrame(
                {
                    "cell_id": [f"{well}_{k}" for k in rows], "plate": "P", "well": well,
                    "tile": tile.astype(np.int32)[rows], "guide": "g", "gene": "g",
                    "is_ntc": arm == "ntc",
                    "y_px": centres[rows, 0], "x_px": centres[rows, 1],
                }
            )  # fmt: skip
            shards.append(f"{folder}/crops/P/{well}/000.{arm}.npy")
            write_shard(crops.images, np.array(rows), cells, ["A"], shards[-1])
    index = f"{folder}/shards/index.parquet"
    index_shards(shards, str(folder), ["plate", "well"], index)
    ids = pd.read_parquet(index)["cell_id"]
    write_parquet(pd.DataFrame({"cell_id": ids, "split": "train"}), f"{folder}/splits.parquet")
    training_cells(index, f"{folder}/splits.parquet", f"{folder}/cells.arrow")
    tifffile.imwrite(folder / "mask.tif", mask)
    places = pd.MultiIndex.from_product(
        [["P"], ["A1", "A2"], np.unique(tile).astype(int)], names=["plate", "well", "tile"]
    )
    files = places.to_frame(index=False).assign(
        path="mask.tif", address=f"{folder}/mask.tif", group="mask",
        size_bytes=(folder / "mask.tif").stat().st_size,
    )  # fmt: skip
    write_parquet(files, f"{folder}/masks.parquet")
    screen, outlines = {"tile_size_px": SIZE, "cut_px": cut_px}, []
    for well in ("A1", "A2"):
        outlines.append(f"{folder}/outlines/P/{well}.parquet")
        cut_outlines(
            f"{folder}/masks.parquet", index, screen, {"size_px": CROP, "max_failed_fraction": 0},
            ARCHIVE, "P", well, str(folder / "cache"), outlines[-1],
        )  # fmt: skip
    return index, outlines


def projected_of(folder, image: np.ndarray, mask: np.ndarray) -> pd.DataFrame:
    """The embedding that the rule writes, by cell."""
    folder.mkdir()
    index, outlines = screen_of(folder, image, mask)
    arguments = (outlines, "surroundings", 0, 1, 0, f"{folder}/z.parquet")
    project_pixels(index, f"{folder}/cells.arrow", *arguments)
    return pd.read_parquet(f"{folder}/z.parquet").set_index("cell_id")


@pytest.mark.parametrize("cut_px", [None, 70])
def test_no_pixel_of_the_cell_remains_and_all_others_do(tmp_path, cut_px):
    labels, image = labelled(), texture()
    image[labels > 0] = CELL + labels[labels > 0]
    index, outlines = screen_of(tmp_path, image, labels, cut_px)
    crops = Crops(tmp_path, read_training_cells(f"{tmp_path}/cells.arrow"))
    of_cell = cells_within(CROP, Outlines(index, outlines, CROP))
    ids = pd.read_parquet(index)["cell_id"]
    positions = np.arange(len(ids))
    pixels = crops.read(positions).astype(np.float32)
    left = surroundings(pixels, of_cell(positions))[:, 0]
    for name, crop, rest in zip(ids, pixels[:, 0], left, strict=True):
        number = int(name[-1])
        if number == len(CELLS) - 1:  # no mask shows it: a disc
            is_own = disc(CROP)
        else:
            is_own = crop == CELL + 7 * (number + 1)
            assert is_own.sum() > 90 and not (rest == CELL + 7 * (number + 1)).any()
        np.testing.assert_array_equal(rest[~is_own], crop[~is_own])
        np.testing.assert_allclose(rest[is_own], crop[~is_own].mean(), rtol=1e-5)
    touching = left[list(ids).index("A2_0")]
    assert (touching == CELL + 14).sum() > 50  # the neighbour is part of the surroundings


def test_the_embedding_knows_the_neighbour_and_not_the_cell(tmp_path):
    labels = labelled()
    image = np.where(labels > 0, CELL, texture()).astype(np.uint16)
    before = projected_of(tmp_path / "before", image, labels)
    image[labels == 7] //= 2
    after = projected_of(tmp_path / "after", image, labels)
    is_equal = (before == after).all(axis=1)
    assert is_equal["A1_0"] and not is_equal["A1_1"] and is_equal[["A2_2", "A2_3"]].all()


def test_the_embedding_does_not_know_how_large_the_cell_is(tmp_path):
    """On an even background: cells without a neighbour in their crop cannot be told apart."""
    labels = labelled()
    image = np.where(labels > 0, CELL, 1000).astype(np.uint16)
    alone = projected_of(tmp_path / "even", image, labels).loc[["A1_2", "A1_3", "A1_4"]]
    np.testing.assert_allclose(alone.iloc[1:], alone.iloc[[0, 0]], rtol=1e-4, atol=1e-4)


def test_masks_of_other_positions_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"found 0 of 5 cells on a region.*screen\.outlines"):
        screen_of(tmp_path, texture(), np.roll(labelled(), 40, axis=0))


def test_a_mask_that_cannot_be_read_is_counted(tmp_path):
    with pytest.raises(InputError, match="1 of 1 masks unusable"):
        screen_of(tmp_path, texture(), labelled()[:100])
