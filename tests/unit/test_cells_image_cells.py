"""Cells from masks and from a segmentation: planted nuclei are found, and what is none is said."""

import sys

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy.ndimage import gaussian_filter
from skimage.draw import disk, ellipse

from mcvae_ops.cells.image_cells import cells_of_labels, check_labels, segment
from mcvae_ops.cells.masks import cells_of_mask, read_mask
from mcvae_ops.cells.regions import positions, without_border
from mcvae_ops.cells.segmentation import METHODS, segment_watershed
from mcvae_ops.errors import InputError, TileError
from mcvae_ops.screen import Channel
from tests.helpers.cell_tables import ARCHIVE, SCREEN

SIZE = (200, 260)
ALONE = [(40, 40), (40, 120), (100, 200), (160, 60)]
TOUCHING = [(100, 90), (100, 113)]  # discs of radius 12: a waist of some pixels
AT_BORDER = (3, 200)


def planted(middles=(*ALONE, *TOUCHING, AT_BORDER), radius=12) -> np.ndarray:
    """A label image of discs; where they meet, the later one wins."""
    labels = np.zeros(SIZE, np.int32)
    for label, middle in enumerate(middles, 1):
        labels[disk(middle, radius, shape=SIZE)] = label
    return labels


def stained(labels: np.ndarray, counts=2000, seed=0) -> np.ndarray:
    """Photons of nuclei of several brightness on a background of 300 counts."""
    rng = np.random.default_rng(seed)
    level = 300 + counts * (0.6 + 0.1 * (labels % 7)) * (labels > 0)
    return rng.poisson(level).astype(np.uint16)


def assert_are(labels: np.ndarray, middles, within_px: float) -> None:
    _, centres = positions(labels)
    assert len(centres) == len(middles)
    for middle in middles:
        assert np.hypot(*(centres - middle).T).min() < within_px


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_label_images_are_taken_as_they_are(dtype, tmp_path):
    labels = planted() * 5  # labels need not follow on one another
    tifffile.imwrite(tmp_path / "mask.tif", labels.astype(dtype))
    cells = cells_of_mask(read_mask(tmp_path / "mask.tif", SIZE))
    np.testing.assert_array_equal(cells, labels // 5)


@pytest.mark.parametrize("value", [1, 255])
def test_regions_of_a_mask_are_split_where_cells_touch(value, tmp_path):
    mask = ((planted() > 0) * value).astype(np.uint8)
    tifffile.imwrite(tmp_path / "mask.tif", mask, compression="zlib")
    cells = cells_of_mask(read_mask(tmp_path / "mask.tif", SIZE))
    assert_are(without_border(cells), [*ALONE, *TOUCHING], 1.0)


@pytest.mark.parametrize(
    "of_values",
    {
        "grey border": lambda whole, inside: np.where(inside, 255, 128) * whole,
        "classes": lambda whole, inside: np.where(inside, 1, 2) * whole,
        "nucleus in a cell": lambda whole, inside: np.where(inside, 2, 1) * whole,
    }.values(),
)
@pytest.mark.parametrize("middles", [ALONE[:2], [*ALONE, *TOUCHING]])
def test_values_that_stand_for_no_single_cell_are_no_labels(of_values, middles):
    mask = of_values(planted(middles) > 0, planted(middles, 10) > 0).astype(np.uint8)
    assert_are(cells_of_mask(mask), middles, 1.0)


def test_a_mask_of_many_greys_is_no_label_image():
    grey = (255 * gaussian_filter((planted(ALONE) > 0).astype(float), 1)).astype(np.uint8)
    assert len(np.unique(grey)) > 20
    assert_are(cells_of_mask(grey), ALONE, 1.0)


def test_one_cell_of_another_value_makes_no_labels():
    mask = np.where(planted() > 0, 255, 0)
    mask[disk(ALONE[0], 12)] = 1
    assert_are(without_border(cells_of_mask(mask)), [*ALONE, *TOUCHING], 1.0)


def test_a_label_in_pieces_is_one_cell():
    labels = planted(ALONE)
    labels[:, 119:121] = 0
    assert_are(cells_of_mask(labels), ALONE, 1.0)


def test_classes_that_cover_the_tile_are_said():
    mask = np.where(planted() > 0, 2, 1)
    with pytest.raises(TileError, match="largest region is 94% of the tile"):
        cells_of_mask(mask)


def test_a_long_cell_is_one():
    mask = np.zeros(SIZE, bool)
    mask[ellipse(60, 100, 10, 40)] = True
    mask |= planted([(160, 60), (160, 160)], 20) > 0
    assert cells_of_mask(mask).max() == 3


def test_a_mask_that_does_not_separate_cells_is_said():
    mask = np.zeros(SIZE, np.uint8)
    mask[:, :100] = 255
    with pytest.raises(TileError, match="largest region is 38% of the tile: this mask does not"):
        cells_of_mask(mask)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((100, 260), np.uint8), r"YX \(100, 260\), but the tile has 200 x 260 px"),
        (np.zeros((2, *SIZE), np.uint8), r"\(2, 200, 260\), but the tile has 200 x 260 px"),
        (np.full(SIZE, 0.5, np.float32), "values from 0.5 to 0.5, which are no labels"),
    ],
)  # fmt: skip
def test_what_is_no_mask_of_the_tile_is_said(mask, message, tmp_path):
    tifffile.imwrite(tmp_path / "mask.tif", mask, photometric="minisblack")
    with pytest.raises(TileError, match=message):
        read_mask(tmp_path / "mask.tif", SIZE)


def test_a_window_of_a_mask(tmp_path):
    tifffile.imwrite(tmp_path / "mask.tif", planted())
    window = (slice(20, 80), slice(100, 150))
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif", SIZE, window), planted()[window])


@pytest.mark.parametrize("counts", [300, 2000, 30_000])
@pytest.mark.parametrize("light", ["even", "uneven"])
def test_planted_nuclei_are_segmented(counts, light):
    image = stained(planted(), counts)
    if light == "uneven":
        y, x = np.mgrid[-1 : 1 : SIZE[0] * 1j, -1 : 1 : SIZE[1] * 1j]
        image = image * (1 - 0.25 * (y**2 + x**2) / 2)
    cells = segment_watershed(image, 24)
    assert_are(without_border(cells), [*ALONE, *TOUCHING], 1.5)
    for label in range(1, 5):  # those that stand alone
        inside = planted() == label
        overlap = (inside & (cells == np.bincount(cells[inside]).argmax())).sum()
        assert overlap / inside.sum() > 0.85


def test_debris_and_clumps_are_no_cells():
    labels = planted()
    labels[disk((160, 160), 3)] = 9
    labels[disk((140, 220), 30)] = 10
    assert_are(without_border(segment_watershed(stained(labels), 24)), [*ALONE, *TOUCHING], 1.5)


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_an_empty_field_has_no_cell(slope):
    x = np.linspace(-1, 1, SIZE[1])
    image = np.random.default_rng(0).poisson(500 * (1 + slope * x), SIZE)
    assert segment_watershed(image, 24).max() == 0
    assert segment_watershed(np.full(SIZE, 500), 24).max() == 0


def test_the_stain_is_chosen_by_its_channel():
    image = np.stack([np.full(SIZE, 300), stained(planted())]).astype(np.float32)
    channels = [Channel("ER", "ER", 0), Channel("DNA", "DNA", 0)]
    settings = {"channel": "DNA", "diameter_px": 24, "method": "watershed"}
    assert segment(image, channels, settings).max() > 0
    assert segment(image, channels, settings | {"channel": "ER"}).max() == 0


def test_cellpose_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cellpose", None)
    with pytest.raises(InputError, match=r"package cellpose is missing.*mcvae-ops\[cellpose\]"):
        METHODS["cellpose"](stained(planted()), 24)


def test_cells_are_measured_in_the_order_of_their_positions():
    labels = planted()
    image = stained(labels)[None].astype(np.float32)
    screen = {"tile_size_px": list(SIZE), "cut_px": None}
    cells = cells_of_labels(labels, image, [Channel("DNA", "DNA", 0)], 16, 0, screen, 48)
    assert_order = pd.DataFrame(cells.centres).sort_values([0, 1]).to_numpy()
    np.testing.assert_array_equal(cells.centres, assert_order)
    y, x = np.rint(cells.centres.T).astype(int)
    areas = np.bincount(labels.ravel())[labels[y, x]]
    np.testing.assert_array_equal(cells.features["cell_Area"], areas)


def test_cells_of_a_cut_well_belong_to_one_tile_each():
    labels = planted()
    screen = {"tile_size_px": list(SIZE), "cut_px": 100}  # cuts through (100, 200) and TOUCHING
    centres = []
    for tile in range(6):
        row, column = divmod(tile, 3)
        window = [slice(max(0, 100 * k - 40), 100 * k + 140) for k in (row, column)]
        cells = cells_of_labels(labels[*window], None, [], 16, tile, screen, 40)
        assert cells.features is None
        centres.append(cells.centres)
    whole = positions(without_border(labels))[1]
    together = np.concatenate(centres)
    order = [values[np.lexsort(values.T)] for values in (together, whole)]
    np.testing.assert_allclose(*order, atol=1e-9)


def genes_of_labels(folder, platemap, **replace) -> list[str]:
    """Write a plate map, and return the genes that it gives to the cells on images."""
    (folder / "platemap.csv").write_text(platemap)
    labels = [{"table": "platemap.csv", "columns": {}, "parse": {}}]
    screen = SCREEN | {
        "plates": {"P": ["A1", "A2"]}, "tiles": "0-3", "tile_size_px": list(SIZE), "control": "WT",
        "channels": [{"name": "DNA", "group": "DNA", "index": None}],
    }  # fmt: skip
    genes = folder / "genes.parquet"
    archive = ARCHIVE | {"root": str(folder)}
    check_labels([], labels, screen | replace, {"measure": True}, archive, str(genes))
    return pd.read_parquet(genes)["gene"].tolist()


@pytest.mark.parametrize(
    ("platemap", "message"),
    [
        ("well,genotype\nA1,WT\n", "the names well alone, which are known already"),
        ("position,gene\nA1,WT\n", "expected a name of the tables before it"),
        (
            "well,gene\nC1,WT\nC2,x\n",
            "found well 'C01', 'C02', expected the well of cells, s",
        ),
        ("well,gene\nA1,wt\nA2,x\n", "'WT', which labels no cell, .*most common are 'wt', 'x'"),
        ("well,gene\nA1,WT\nA2,x\nA2,y\n", "as well A02: gene 'x' and 'y', expected one gene"),
        ("well,gene\nA1,\nA2,\n", "every cell of the screen is missing"),
        ("well,gene,guide\nA1,WT,g\nA2,x,g\n", r"1 guides of several genes \(g: NTC, x\)"),
        ("well,gene,stage\nA1,WT,G1\nA2,x,G2\n", r"screen.mitotic: .* no stage is like, .*'G1'"),
    ],
)
def test_labels_are_checked_before_cells_are_looked_for(platemap, message, tmp_path):
    with pytest.raises(InputError, match=message):
        genes_of_labels(tmp_path, platemap)


def test_labels_tell_the_genes_before_cells_are_looked_for(tmp_path):
    assert genes_of_labels(tmp_path, "well,gene\nA1,WT\na02,x\n") == ["x"]
    tiles = "well,tile,gene\n" + "".join(f"A{w},{t},{'WT' if t else 'y'}\n" for w in (1, 2)
                                         for t in range(6))  # fmt: skip
    cut = {"tiles": "0-5", "cut_px": 100}
    assert genes_of_labels(tmp_path, tiles, batch=["plate", "well"]) == ["y"]
    assert genes_of_labels(tmp_path, "well,gene\nA1,WT\nA2,x\n", **cut) == ["x"]
    with pytest.raises(InputError, match=r"found \[plate, well\], but controls stand in"):
        genes_of_labels(tmp_path, "well,gene\nA1,WT\nA2,x\n", batch=["plate", "well"])
