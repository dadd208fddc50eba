"""The images of a screen are found in folders, tables, buckets and plates of OME-Zarr."""

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from ome_zarr.format import FormatV05
from ome_zarr.writer import write_image, write_plate_metadata, write_well_metadata

from mcvae_ops.archive import dataverse
from mcvae_ops.archive.addresses import is_remote, local_path
from mcvae_ops.archive.image_files import list_files
from mcvae_ops.archive.transfer import fetch
from mcvae_ops.errors import InputError
from tests.helpers.object_server import serving

ARCHIVE = {"streams": 2, "retries": 1, "timeout_s": 5, "keep_raw": False}
IMAGE = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
PATTERN = "{plate}/{well}_{tile}_{channel}.tif"


def screen_of(images=PATTERN, plates=None, tiles="0-9", channels=("w1",)):
    return {"images": images, "plates": plates or {"P": ["A1"]}, "tiles": tiles, "cut_px": None,
            "channels": [{"name": name, "group": name} for name in channels]}  # fmt: skip


def put(folder, *paths):
    """Write an image per path; each differs from the others."""
    for k, path in enumerate(paths):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / path, IMAGE + np.uint16(k), metadata=None)


def listed(tmp_path, root, screen, files=None):
    target = tmp_path / "listed.parquet"
    archive = ARCHIVE | {"root": str(root), "files": files}
    list_files(archive, screen, str(target), str(tmp_path / "left_out.tsv"))
    return pd.read_parquet(target), pd.read_csv(tmp_path / "left_out.tsv", sep="\t")


def served(folder, address, monkeypatch):
    """Yield the root of a folder as each kind of archive that can be listed or asked."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setattr(dataverse, "read_json", dataset_in(folder, address))
    return {"folder": str(folder), "uri": folder.as_uri(), "s3": f"s3://{folder.name}",
            "https": f"{address}/{folder.name}",
            "doi": "doi:10.7910/DVN/VYKTI5/plates"}  # fmt: skip


def dataset_in(folder, address):
    """A Dataverse that has the files of a folder, in its folder `plates`; it gives them by number.

    Its answers are those that its API documents; one file more lies elsewhere.
    """
    entries = [{"label": "readme.tif", "dataFile": {"id": 99, "filesize": 1}}]
    for number, path in enumerate(sorted(folder.rglob("*.tif"))):
        given = folder.parent / f"api/access/datafile/{number}"
        given.parent.mkdir(parents=True, exist_ok=True)
        given.write_bytes(path.read_bytes())
        place = path.relative_to(folder)
        entries.append({"label": place.name, "directoryLabel": f"plates/{place.parent}",
                        "dataFile": {"id": number, "filesize": given.stat().st_size}})  # fmt: skip
    page = {"type": "URL", "data": {"value": f"{address}/citation?persistentId=x"}}
    listed = {"status": "OK", "data": {"latestVersion": {"files": entries}}}
    return lambda asked, *_: {"values": [page]} if "handles" in asked else listed


PATHS = ["a b/A01_1_w1.tif", "a b/A01_2_w1.tif", "a b/B02_1_w1.tif", "50%25/A01_1_w1.tif",
         "50%25/B02_1_w1.tif", "P+1?/A01_1_w1.tif", "P+1?/B02_1_w1.tif", "Plätte#/A01_1_w1.tif",
         "Plätte#/B02_1_w1.tif", "[x]/A01_1_w1.tif", "[x]/B02_1_w1.tif"]  # fmt: skip


@pytest.mark.parametrize("kind", ["folder", "uri", "s3", "https", "doi"])
def test_every_kind_of_archive_gives_the_same_files(tmp_path, kind, monkeypatch):
    folder = tmp_path / "bucket"
    put(folder, *PATHS)
    plates = {path.partition("/")[0]: ["A01", "B02"] for path in PATHS}
    with serving(tmp_path, page_size=3) as objects:
        root = served(folder, objects.address, monkeypatch)[kind]
        table, left_out = listed(tmp_path, root, screen_of(plates=plates, tiles="1-3"))
        assert sorted(table["path"]) == sorted(PATHS) and left_out.empty
        for row in table.itertuples():
            assert row.size_bytes == (folder / row.path).stat().st_size
            path = fetch(row.address, tmp_path / f"got/{row.Index}.tif", ARCHIVE, row.size_bytes)
            assert path.read_bytes() == (folder / row.path).read_bytes()
            assert is_remote(row.address) or local_path(row.address) == folder / row.path


def test_only_what_the_prefix_names_is_listed(tmp_path, monkeypatch):
    put(tmp_path / "bucket", "im/P1__x/A1_0_w1.tif", "im/P2__y/A1_0_w1.tif", "im/Q/A1_0_w1.tif")
    images = "im/{plate}__{*}/{well}_{tile}_{channel}.tif"
    with serving(tmp_path) as objects:
        monkeypatch.setenv("AWS_ENDPOINT_URL", objects.address)
        screen = screen_of(images, {"P1": ["A1"], "P2": ["A1"]})
        table, left_out = listed(tmp_path, "s3://bucket", screen)
    assert table["plate"].tolist() == ["P1", "P2"] and left_out.empty
    assert [path for path, _ in objects.requests] == [
        f"/bucket/?list-type=2&prefix=im/{plate}__&encoding-type=url" for plate in ("P1", "P2")
    ]


@pytest.mark.parametrize(
    ("images", "path", "well"),
    [
        (PATTERN, "P/A01_0_w1.tif", "A1"),
        (PATTERN, "P/a1_007_w1.TIF", "A01"),
        ("{plate}/r{row:2}c{column:2}f{tile:2}-ch{channel:2}.tiff", "P/r01c01f07-chw1.TIFF", "A01"),
        ("{plate}/{row}/{column}/{tile}_{channel}.tif", "P/A/01/7_w1.tif", "a1"),
        ("{well}_{*}_{tile}_{channel}_001.tif", "A01_01_1_7_w1_001.tif", "A1"),
    ],
)
def test_names_of_wells_and_tiles_have_one_form(tmp_path, images, path, well):
    put(tmp_path / "in", path)
    table, _ = listed(tmp_path, tmp_path / "in", screen_of(images, {"P": [well]}))
    assert table[["plate", "well", "group"]].to_numpy().tolist() == [["P", well, "w1"]]
    assert table["tile"][0] in (0, 7)


def test_what_was_left_out_is_counted_with_an_example(tmp_path):
    put(tmp_path / "in", "P/A1_0_w1.tif", "P/A1_12_w1.tif", "P/A1_13_w1.tif", "P/B1_0_w1.tif",
        "P/A1_0_w2.tif", "Q/A1_0_w1.tif", "P/A1_0_w1_thumb.tif")  # fmt: skip
    (tmp_path / "in/P/Thumbs.db").write_text("x")
    _, left_out = listed(tmp_path, tmp_path / "in", screen_of(plates={"P": ["A1"]}))
    found = {row.kind: (row.n_files, row.example) for row in left_out.itertuples()}
    assert found == {  # the folder Q is not even listed
        "another tile": (2, "P/A1_12_w1.tif"), "another well": (1, "P/B1_0_w1.tif"),
        "another channel": (2, "P/A1_0_w1_thumb.tif"), "path does not match": (1, "P/Thumbs.db"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("paths", "screen", "said"),
    [
        (["P/A1_0_w1.tif", "P/A1_0_W2.tif"], {"channels": ("w1", "w2")},
         "found no file of channel w2, but 1 files of W2, expected files of every channel of the "
         "screen; write W2 in screen.channels if it is meant."),
        (["P/A1_0_w1.tif"], {"plates": {"P": ["A1", "B1"]}},
         "found no file of well B1 of plate P, expected files of every well of the screen"),
        (["p1/A1_0_w1.tif", "P2/A1_0_w1.tif"], {"plates": {"P1": ["A1"], "P2": ["A1"]},
         "images": "{plate}/{well}_{tile}_{channel}.tif"}, "no file of plate P1"),
        (["P/A1_0_w1.tif", "P/A01_0_w1.tif"], {}, "expected one file per plate, well, tile and"),
        (["P/A1_0_w9.tif"], {"channels": ("w1", "w2")},
         "no image of the screen (1 another channel), as P/A1_0_w9.tif"),
        ([], {}, "no image of the screen (no file at all)"),
        (["P/A1_0_w1.tif"], {"images": "{plate}/{well}_w1.tif"}, "without {tile}"),
    ],
)  # fmt: skip
def test_what_is_missing_is_one_sentence(tmp_path, paths, screen, said):
    (tmp_path / "in").mkdir()
    put(tmp_path / "in", *paths)
    with pytest.raises(InputError) as error:
        listed(tmp_path, tmp_path / "in", screen_of(**screen))
    assert said in str(error.value)


@pytest.mark.parametrize("size", [None, "many", -1, 1.5])
def test_a_table_with_a_wrong_size_is_one_sentence(tmp_path, size):
    table = pd.DataFrame({"path": ["P/A1_0_w1.tif", "b"], "size": [7, size]})
    table.to_csv(tmp_path / "f.tsv", sep="\t")
    with pytest.raises(InputError, match=r"path 'b' with size .*expected a path and a size"):
        listed(tmp_path, tmp_path, screen_of(), str(tmp_path / "f.tsv"))


def test_nothing_can_be_listed_over_https(tmp_path):
    put(tmp_path / "in", "P/A1_0_w1.tif")
    screen = screen_of("{plate}/{well}{*}_{tile}_{channel}.tif")
    refused = pytest.raises(InputError, match=r"without \{\*\}, because nothing can be listed")
    with serving(tmp_path) as objects, refused:
        listed(tmp_path, f"{objects.address}/in", screen)


def write_plate(path, wells, fields):
    plate = zarr.open_group(path, mode="w", zarr_format=3)
    rows, columns = sorted({well[0] for well in wells}), sorted({well[1:] for well in wells})
    names = [f"{well[0]}/{well[1:]}" for well in wells]
    write_plate_metadata(plate, rows, columns, names, fmt=FormatV05())
    for well in names:
        group = plate.require_group(well)
        write_well_metadata(group, [str(field) for field in fields], fmt=FormatV05())
        for field in fields:
            write_image(IMAGE[None], group.require_group(str(field)), axes="cyx", fmt=FormatV05(),
                        scaler=None)  # fmt: skip


@pytest.mark.parametrize("kind", ["folder", "s3", "https"])
def test_a_plate_of_ome_zarr_lists_its_fields(tmp_path, kind, monkeypatch):
    write_plate(tmp_path / "bucket/s_1.zarr", ["A1", "B1", "C1"], [0, 1, 5])
    screen = screen_of("s_{plate}.zarr", {"1": ["A01", "b1"]}, "0-4")
    with serving(tmp_path) as objects:
        root = served(tmp_path / "bucket", objects.address, monkeypatch)[kind]
        table, left_out = listed(tmp_path, root, screen)
        assert table["path"].tolist() == [f"s_1.zarr/{w}/1/{f}" for w in "AB" for f in (0, 1)]
        assert table["well"].tolist() == ["A01", "A01", "b1", "b1"]
        assert left_out.set_index("kind")["n_files"].to_dict() == {
            "another tile": 2, "another well": 1,
        }  # fmt: skip
        with pytest.raises(InputError, match="no file of well D1 of plate 1"):
            listed(tmp_path, root, screen_of("s_{plate}.zarr", {"1": ["A1", "D1"]}))
        absolute = screen_of(f"{objects.address}/bucket/s_1.zarr", {"P": ["A1"]}, "0-4")
        assert len(listed(tmp_path, "elsewhere", absolute)[0]) == 2


def test_single_images_of_ome_zarr(tmp_path):
    for tile in (0, 2):
        group = zarr.open_group(tmp_path / f"in/P/A1_{tile}.zarr", mode="w", zarr_format=3)
        write_image(IMAGE[None], group, axes="cyx", fmt=FormatV05(), scaler=None)
    table, _ = listed(tmp_path, tmp_path / "in", screen_of("{plate}/{well}_{tile}.zarr"))
    assert table["tile"].tolist() == [0, 2]
