"""Crops that are rows of an array: .npy, Zarr, HDF5, scPortrait's .h5sc; mistakes."""

import h5py
import numpy as np
import pandas as pd
import pytest
import zarr

from mcvae_ops.archive.table_formats import batches_of, header_of
from mcvae_ops.cells.cell_tables import split_cells
from mcvae_ops.cells.table_parts import list_feature_parts
from mcvae_ops.errors import InputError, TileError
from mcvae_ops.shards.format import open_shard
from mcvae_ops.tiles.crop_stacks import InStack, in_stack, read_stacked
from mcvae_ops.tiles.given_crops import gather_crops
from tests.helpers.configurations import checked
from tests.helpers.h5sc import write_h5sc
from tests.helpers.object_server import serving

N, SIZE = 12, 10
CROPS = np.random.default_rng(0).integers(0, 4000, (N, 2, SIZE, SIZE)).astype(np.uint16)
ARCHIVE = {"streams": 2, "retries": 0, "timeout_s": 5, "keep_raw": False}


def write_npy(folder):
    np.save(folder / "crops.npy", CROPS)
    return "crops.npy"


def write_zarr(folder, version=3):
    group = zarr.open_group(folder / "crops.zarr", mode="w", zarr_format=version)
    group.create_array("P1/images", data=CROPS, chunks=(5, 1, SIZE, SIZE))
    return "crops.zarr/P1/images"


def write_h5(folder):
    with h5py.File(folder / "crops.h5", "w") as file:
        file.create_dataset("P1/images", data=CROPS, chunks=(5, 1, SIZE, SIZE), compression="lzf")
    return "crops.h5/P1/images"


WRITERS = {"npy": write_npy, "zarr 3": write_zarr, "hdf5": write_h5,
           "zarr 2": lambda folder: write_zarr(folder, 2)}  # fmt: skip


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("a/crops.npy#7", InStack("a/crops.npy", 7)),
        ("s3://b/c.zarr/0#12", InStack("s3://b/c.zarr/0", 12)),
        ("a/crop.npy", None),
        ("a#1.npy", None),
        ("crops.npy#-1", None),
        ("#3", None),
    ],
)
def test_a_number_behind_the_address_is_a_row(address, place):
    assert in_stack(address) == place


@pytest.mark.parametrize("kind", WRITERS)
def test_rows_of_an_array(kind, tmp_path):
    stack = str(tmp_path / WRITERS[kind](tmp_path))
    places = [InStack(stack, row) for row in (7, 0, 7, 11, 12)]
    found = read_stacked(places, ARCHIVE)
    for place in places[:4]:
        for channel in range(2):
            plane = found[place].plane((channel,), np.s_[:, 2:9])
            np.testing.assert_array_equal(plane, CROPS[place.row, channel, :, 2:9])
    assert "row 12 is missing; it has 12 crops" in str(found[places[4]])


def test_a_remote_zarr_is_read_in_parts_and_a_remote_file_is_refused(tmp_path):
    stack = write_zarr(tmp_path)
    with serving(tmp_path) as server:
        place = InStack(f"{server.address}/{stack}", 6)
        found = read_stacked([place], ARCHIVE)[place]
        np.testing.assert_array_equal(found.plane((1,), np.s_[:, :]), CROPS[6, 1])
        assert server.sent_bytes("/c/") < CROPS.nbytes
        npy = InStack(f"{server.address}/crops.npy", 0)
        assert "expected a file on this machine, or Zarr" in str(read_stacked([npy], ARCHIVE)[npy])


@pytest.mark.parametrize(
    ("name", "content", "kind", "message"),
    [
        ("gone.npy", None, InputError, "the file is missing"),
        ("flat.npy", np.zeros((3, 4)), TileError, "flat.npy: 2 axes, expected crop, channel, y, x"),
        ("text.npy", b"nothing", TileError, "text.npy: damaged file"),
        ("text.h5/a", b"nothing", TileError, "a: "),
        ("crops.h5", CROPS, TileError, "no data set there; name it behind the file"),
        ("gone.zarr/0", None, TileError, "0: "),
    ],
)
def test_what_is_no_array_of_crops_is_said(name, content, kind, message, tmp_path):
    file = tmp_path / name.partition("/")[0]
    if name == "crops.h5":
        write_h5(tmp_path)
    elif isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        np.save(file, content)
    place = InStack(str(tmp_path / name), 0)
    error = read_stacked([place], ARCHIVE)[place]
    assert isinstance(error, kind) and message in str(error), error


def cells_of_screen() -> pd.DataFrame:
    genes = ["nt", "G1", "G2"]
    return pd.DataFrame({"well": ["A1", "A2"] * 6, "gene": [genes[k // 2 % 3] for k in range(N)]})


def gathered(config: dict, folder) -> dict[int, np.ndarray]:
    """Take a screen of crops to shards by the functions of the rules; crops by their row."""
    config = checked(config)
    screen, archive = config["screen"], config["archive"]
    parts, cells = str(folder / "parts"), [str(folder / "P.parquet")]
    list_feature_parts(config["cells"], config["labels"], screen, archive, parts)
    split_cells(parts, config["cells"], config["labels"], screen, archive,
                str(folder / "cache"), cells, [str(folder / "features")],
                str(folder / "features.tsv"), str(folder / "rows.tsv"))  # fmt: skip
    crops = {}
    for well in ("A1", "A2"):
        arms = {arm: str(folder / f"{well}.{arm}.npy") for arm in ("ntc", "perturbed")}
        gather_crops(cells[0], screen, config["crop"], archive, "P", well, "000",
                     str(folder / "raw"), arms["ntc"], arms["ntc"].replace(".npy", ".parquet"),
                     arms["perturbed"], arms["perturbed"].replace(".npy", ".parquet"),
                     str(folder / "alignment"), str(folder / "dropped"))  # fmt: skip
        for path in arms.values():
            shard = open_shard(path, verify=True)
            rows = [int(crop.partition("#")[2]) for crop in shard.cells["crop"].to_pylist()]
            assert set(shard.cells["well"].to_pylist()) == {well}
            crops |= dict(zip(rows, np.array(shard.crops), strict=True))
    return crops


def configuration(folder, crop: str, table: str, **screen) -> dict:
    return {
        "source": "crops", "archive": {"root": str(folder)}, "crop": {"size_px": SIZE - 2},
        "screen": {"name": "s", "plates": {"P": "A1-A2"}, "control": "nt", "features": [],
                   "channels": [{"name": "a", "index": 1}, {"name": "b", "index": 0}]} | screen,
        "cells": {"table": table, "columns": {"crop": crop}},
        "profiles": {"main_model": "mcvae"},
    }  # fmt: skip


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("row", ["{row_number}", "{at}"])
def test_an_array_and_an_index_become_shards(kind, row, tmp_path):
    stack = WRITERS[kind](tmp_path)
    cells = cells_of_screen().assign(at=np.arange(N)[::-1])
    cells.to_csv(tmp_path / "cells.csv", index=False)
    crops = gathered(configuration(tmp_path, f"{stack}#{row}", "cells.csv"), tmp_path)
    assert sorted(crops) == list(range(N))
    for at, crop in crops.items():
        np.testing.assert_array_equal(crop, CROPS[at, ::-1, 1:-1, 1:-1])


def test_the_rows_of_a_large_table_are_counted_over_its_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("mcvae_ops.archive.table_batches._BATCH_BYTES", 8 * 2 * 5)
    write_npy(tmp_path)
    cells_of_screen().to_parquet(tmp_path / "cells.parquet")
    crops = gathered(configuration(tmp_path, "crops.npy#{row_number}", "cells.parquet"), tmp_path)
    assert sorted(crops) == list(range(N))


def test_a_file_of_scportrait_is_table_and_crops(tmp_path):
    masks = np.zeros((N, 2, SIZE, SIZE))
    masks[:, :, 3:7, 3:7] = 1
    write_h5sc(tmp_path / "cells.h5sc", masks, CROPS / 4000, "ab", cells_of_screen())
    config = configuration(tmp_path, "cells.h5sc#{row_number}", "cells.h5sc",
                           channels=[{"name": "b"}, {"name": "a"}],
                           counts={"scale": 4000, "offset": 0})  # fmt: skip
    crops = gathered(config, tmp_path)
    assert sorted(crops) == list(range(N))
    for at, crop in crops.items():  # float16 has 11 bits
        np.testing.assert_allclose(crop, CROPS[at, ::-1, 1:-1, 1:-1], atol=1.5)


def test_the_pictures_of_a_file_of_scportrait_are_not_read_with_its_table(tmp_path, monkeypatch):
    masks = np.zeros((N, 2, SIZE, SIZE))
    write_h5sc(tmp_path / "c.h5sc", masks, CROPS / 4000, "ab", cells_of_screen())
    with h5py.File(tmp_path / "c.h5sc", "a") as file:
        del file["obsm/single_cell_images"]  # who reads it fails
        file["obsm/single_cell_images"] = h5py.SoftLink("/gone")
    header = header_of(tmp_path / "c.h5sc", "c.h5sc")
    assert header.kinds["gene"] == "text"
    (rows,) = batches_of(tmp_path / "c.h5sc", "c.h5sc", None, ["gene"], [])
    assert rows["gene"].to_pylist() == cells_of_screen()["gene"].tolist()
