"""A rendered plate, read by the rooms that read the archive: what was planted is there."""

import copy
import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy.ndimage import center_of_mass

from mcvae_ops.archive.dataverse import parts_of_dataset
from mcvae_ops.archive.image_files import list_files, select_files
from mcvae_ops.archive.pagetab import study_entries
from mcvae_ops.archive.patterns import Pattern
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet
from mcvae_ops.screen import channels_from
from mcvae_ops.simulate.imaging import assemble
from mcvae_ops.simulate.study import simulate_dataset, simulate_study
from mcvae_ops.tiles.read import read_tile
from mcvae_ops.tiles.shifts import estimate_shifts
from tests.helpers.simulated import PLATE, TILE_SIZE_PX, WELLS, draw_plate, small_screen

CONFIG = small_screen()
ARCHIVE = {"streams": 2, "retries": 1, "timeout_s": 5, "keep_raw": False}
SCREEN = CONFIG["screen"]
CHANNELS = channels_from(SCREEN["channels"])
TILES = [(well, tile) for well in WELLS for tile in range(3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("simulated")


@pytest.fixture(scope="module")
def plate(folder):
    return draw_plate(CONFIG, folder)


def image_path(plate, well, tile, group):
    names = {"plate": PLATE, "well": well, "tile": tile}
    return plate["images"].parents[1] / Pattern(SCREEN["images"]).fill(names | {"channel": group})


def image_of(plate, well, tile, projection="max"):
    paths = {c.group: image_path(plate, well, tile, c.group) for c in CHANNELS}
    return read_tile(paths, CHANNELS, SCREEN["z_planes"], projection, TILE_SIZE_PX)


def labels_of(plate, well, tile):
    labels = plate["images"] / f"phenotype/images/labels/20X_{well}_labels_Site-{tile}.tif"
    return tifffile.imread(labels)


def of_tile(table, well, tile):
    return table[(table["well"] == well) & (table["tile"] == tile)]


def truth(plate, name, well, tile):
    return of_tile(pd.read_parquet(plate[f"truth_{name}"]), well, tile)


@pytest.mark.parametrize(
    ("group", "axes", "shape"), [("DAPI-GFP", "ZCYX", (3, 2)), ("A594", "ZYX", (3,))]
)
def test_files_have_the_axes_of_the_archive(plate, group, axes, shape):
    with tifffile.TiffFile(image_path(plate, "A1", 0, group)) as tif:
        assert tif.is_imagej
        assert tif.series[0].axes == axes
        assert tif.series[0].shape == (*shape, TILE_SIZE_PX, TILE_SIZE_PX)
        assert tif.series[0].dtype == np.uint16


def test_the_middle_plane_is_the_sharpest(plate):
    sharpness = [
        np.square(np.diff(image_of(plate, "A1", 1, f"plane:{z}").astype(float))).mean()
        for z in range(3)
    ]
    assert np.argmax(sharpness) == 1


def test_channels_lie_at_their_index(plate):
    """Nuclei are bright in the DNA stain, and dark against the cytoplasm in tubulin."""
    image, labels = image_of(plate, "A1", 0).astype(float), labels_of(plate, "A1", 0)
    cells = truth(plate, "cells", "A1", 0)
    cells = cells[~cells["is_mitotic"] & cells["y_px"].between(25, 295)]
    cells = cells[cells["x_px"].between(25, 295)]
    y, x = cells[["y_px", "x_px"]].round().to_numpy(int).T
    dna, tubulin = image[2], image[3]
    body = [np.median(dna[labels == label]) for label in cells["label"]]
    assert (dna[y, x] > 1.5 * np.array(body)).mean() > 0.9
    assert np.corrcoef(dna[labels > 0], tubulin[labels > 0])[0, 1] < 0.5


@pytest.mark.parametrize(("well", "tile"), TILES)
def test_planted_shifts_are_what_the_alignment_measures(plate, well, tile):
    planted = truth(plate, "tiles", well, tile).set_index("channel").loc[[c.name for c in CHANNELS]]
    measured = estimate_shifts(image_of(plate, well, tile), CHANNELS, CONFIG["alignment"])
    planted_px = planted[["dy_px", "dx_px"]].to_numpy()
    assert np.abs(planted_px[:2]).max() > 2
    np.testing.assert_allclose(measured.px, planted_px, atol=0.5)


@pytest.mark.parametrize(("well", "tile"), TILES)
def test_labels_lie_on_the_planted_centres(plate, well, tile):
    labels, cells = labels_of(plate, well, tile), truth(plate, "cells", well, tile)
    assert labels.dtype == np.uint16
    assert labels.shape == (TILE_SIZE_PX, TILE_SIZE_PX)
    assert set(np.unique(labels)) == {0, *range(1, len(cells) + 1)}
    y, x = np.floor(cells[["y_px", "x_px"]].to_numpy() + 0.5).astype(int).T
    np.testing.assert_array_equal(
        labels[np.minimum(y, TILE_SIZE_PX - 1), np.minimum(x, TILE_SIZE_PX - 1)], cells["label"]
    )
    whole = cells[cells[["y_px", "x_px"]].apply(lambda v: v.between(25, TILE_SIZE_PX - 25)).all(1)]
    centres = center_of_mass(labels > 0, labels, whole["label"])
    assert np.abs(centres - whole[["y_px", "x_px"]].to_numpy()).max() < 1.5


@pytest.mark.parametrize(("well", "tile"), TILES)
def test_nuclei_shine_where_they_are_planted(plate, well, tile):
    dna = image_of(plate, well, tile)[2].astype(float)
    cells = truth(plate, "cells", well, tile)
    cells = cells[(cells["lobed_nucleus"] == 0) & (cells["nuclear_holes"] == 0)]
    offsets = []
    for centre in cells[["y_px", "x_px"]].to_numpy():
        corner = np.round(centre).astype(int) - 10
        if corner.min() < 0 or corner.max() > TILE_SIZE_PX - 21:
            continue
        window = dna[corner[0] : corner[0] + 21, corner[1] : corner[1] + 21]
        bright = np.clip(window - np.quantile(window, 0.6), 0, None)
        offsets.append(np.add(center_of_mass(bright), corner - centre))
    assert np.abs(np.median(offsets, axis=0)).max() < 0.4


def test_overlapping_tiles_show_the_same_cells(plate):
    """Tile 2 lies above tile 1: the snake turns; both show the strip of their overlap."""
    strip = CONFIG["simulate"]["well"]["overlap_px"]
    upper, lower = (image_of(plate, "A1", tile)[2].astype(float) for tile in (2, 1))
    seen_twice = np.corrcoef(upper[-strip:].ravel(), lower[:strip].ravel())[0, 1]
    assert seen_twice > 0.9


def test_calls_are_the_planted_cells_in_the_columns_of_the_archive(plate):
    for well in WELLS:
        called = pd.read_csv(plate["images"] / f"phenotype/calls/{well}.csv")
        assert list(called.columns) == [
            "plate", "well", "tile", "label", "i_0", "j_0", "cell_i", "cell_j", "sgRNA_0",
            "gene_symbol_0", "stage",
        ]  # fmt: skip
        assert "NTC" not in set(called["gene_symbol_0"])
        planted = pd.read_parquet(plate["truth_cells"]).query("well == @well")
        both = called.merge(planted, on=["plate", "well", "tile", "label"], validate="1:1")
        assert len(both) == len(called) < len(planted)
        assert (both["sgRNA_0"] == both["guide"]).mean() > 0.9
        assert ((both["stage"] == "mitotic") == both["is_mitotic"]).mean() > 0.9
        assert np.abs(both["cell_i"] - both["y_px"]).max() < 2
        assert np.abs(both["cell_j"] - both["x_px"]).max() < 2
        np.testing.assert_allclose(both["i_0"], both["cell_i"], atol=0.006)


def test_a_plate_is_whole_and_its_bytes_are_fixed(plate, folder, tmp_path):
    again = draw_plate(CONFIG, tmp_path)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / path.relative_to(folder)).read_bytes(), path
    assert [p.name for p in again["images"].parents[1].iterdir()] == ["screenA"]


def test_a_pattern_that_leads_elsewhere_is_refused(tmp_path):
    config = copy.deepcopy(CONFIG)
    config["screen"]["images"] = "elsewhere/{plate}/{well}/{channel}_{tile}.tif"
    with pytest.raises(InputError, match=r"screen\.images"):
        draw_plate(config, tmp_path)


def test_the_study_is_understood_by_the_archives_reader(plate, folder):
    study, file_list = folder / "study/S-SIM1.json", folder / "study/Files/S-SIM1.json"
    simulate_study(SCREEN, [str(plate["images"])], str(study), str(file_list))
    manifest = folder / "files.parquet"
    archive = ARCHIVE | {"root": f"biostudies:{study}", "files": None}
    list_files(archive, SCREEN, str(manifest), str(folder / "rest.tsv"))
    files = pd.read_parquet(manifest)
    places = set(files[["well", "tile", "group"]].itertuples(index=False, name=None))
    assert places == {(w, t, g) for w, t in TILES for g in ("A594", "AF750", "DAPI-GFP")}
    assert len(files) == len(places)
    for row in files.itertuples():
        path = plate["images"].parents[1] / row.path
        assert row.address == path.resolve().as_uri()
        assert row.size_bytes == path.stat().st_size

    root = (folder / "study/Files").resolve().as_uri() + "/"
    entries = list(study_entries(str(study), root, ARCHIVE))
    _, left_out = select_files(entries, SCREEN)
    left_out = left_out.table()
    # Label images and calls.
    assert left_out["kind"].tolist() == ["path does not match"]
    assert left_out["n_files"].tolist() == [len(TILES) + len(WELLS)]


def test_the_data_set_is_understood_by_the_archives_reader(tmp_path):
    parts = [
        tmp_path / f"{stage}-reclassified_cp_phenotype_normalized.parquet/P1_{well}.parquet"
        for stage in ("mitotic", "interphase")
        for well in WELLS
    ]
    for number, path in enumerate(parts):
        write_parquet(pd.DataFrame({"a": [number]}), path)
    dataset = tmp_path / "dataset.json"
    simulate_dataset([str(path) for path in parts], str(dataset))
    rows = parts_of_dataset(str(dataset), ARCHIVE)
    table = pd.DataFrame(rows, columns=["path", "address", "size_bytes", "md5"])
    assert list(table["address"]) == [path.as_uri() for path in sorted(parts)]
    assert list(table["size_bytes"]) == [path.stat().st_size for path in sorted(parts)]
    assert table["md5"].str.fullmatch("[0-9a-f]{32}").all()
    assert set(table["path"].str.partition("/")[0]) == {path.parent.name for path in parts}
    ids = [
        f["dataFile"]["id"]
        for f in json.loads(dataset.read_text())["data"]["latestVersion"]["files"]
    ]
    assert sorted(ids) == [1, 2, 3, 4]


def test_assemble_adds_light_and_gives_a_pixel_to_the_later_cell():
    patches = np.array([1.0, 10.0], np.float32)[:, None, None, None] * np.ones((2, 1, 4, 4), "f4")
    bodies = np.ones((2, 4, 4), np.float32)
    bodies[1, 0] = 0.4  # too little of a pixel to own it
    corners = np.array([(-2, -2), (0, 1)])
    field, labels = assemble(patches, bodies, corners, np.array([5, 7]), 5)
    expected = np.zeros((5, 5))
    expected[:2, :2] += 1
    expected[:4, 1:5] += 10
    np.testing.assert_array_equal(field[0], expected)
    owned = np.zeros((5, 5), int)
    owned[:2, :2] = 5
    owned[1:4, 1:5] = 7
    np.testing.assert_array_equal(labels, owned)


def test_cells_beside_the_tile_leave_light_but_no_label():
    patches, bodies = np.ones((1, 2, 4, 4), np.float32), np.ones((1, 4, 4), np.float32)
    field, labels = assemble(patches, bodies, np.array([(3, -2)]), np.array([0]), 5)
    assert field.sum() == 2 * 2 * 2
    assert not labels.any()
