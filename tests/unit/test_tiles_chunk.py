"""From files on disk to shards: consensus, crops, and what becomes of broken tiles."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
import scipy.ndimage
import tifffile

from mcvae_ops.errors import InputError
from mcvae_ops.files import write_npy
from mcvae_ops.shards.format import open_shard
from mcvae_ops.tiles.chunk import crop_chunk, tiles_of_chunk
from mcvae_ops.tiles.consensus import plate_shifts
from mcvae_ops.tiles.crop import clip, crop_cells
from mcvae_ops.tiles.illumination import Illumination
from mcvae_ops.tiles.load import aligned_tile
from mcvae_ops.tiles.summary import summarise_tiles
from tests.helpers.tile_scenes import draw_scene, record

SIZE, N_TILES, N_CELLS = 320, 6, 30
SHIFTS = {"foci": (5.4, -3.2), "actin": (-7.6, 11.8)}
SCREEN = {
    "tiles": f"2-{2 + N_TILES - 1}",
    "tile_size_px": SIZE,
    "z_planes": 2,
    "axes": None,
    "counts": {"scale": 1, "offset": 0},
    "cut_px": None,
    "projection": "max",
    "channels": [
        {"name": "actin", "stain": "", "group": "far", "index": 0, "colour": ""},
        {"name": "foci", "stain": "", "group": "red", "index": 0, "colour": ""},
        {"name": "DNA", "stain": "", "group": "near", "index": 0, "colour": ""},
        {"name": "tubulin", "stain": "", "group": "near", "index": 1, "colour": ""},
    ],
}
ALIGNMENT = {
    "reference": "DNA",
    "in_register": [],
    "measure": {"foci": "DNA", "actin": "tubulin"},
    "method": "bandpass",
    "binning": 2,
    "upsample_factor": 20,
    "window_fraction": 1.0,
    "max_shift_px": 25,
    "min_confidence": 0.5,
    "consensus_tiles": 4,
    "consensus_of": "plate",
    "quality": {"max_saturated_fraction": 0.02, "max_range_ratio": 8.0, "min_focus_ratio": 0.5},
}
CROP = {
    "size_px": 24,
    "clip_fraction": 0.001,
    "illumination": None,
    "tiles_per_chunk": 6,
    "max_failed_fraction": 0.4,
}
ARCHIVE = {"streams": 2, "retries": 1, "timeout_s": 5, "keep_raw": False}
GROUPS = {"far": ["actin"], "red": ["foci"], "near": ["DNA", "tubulin"]}


@pytest.fixture(scope="module")
def well(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("well"), np.random.default_rng(0)
    files, cells = [], []
    for tile in range(2, 2 + N_TILES):
        stains = record(rng, draw_scene(rng, SIZE, 35), SHIFTS, 0.005)
        for group, names in GROUPS.items():
            sharp = np.stack([stains[name] for name in names])
            planes = np.stack([sharp, sharp // 2])
            path = folder / f"{group}_{tile}.tif"
            planes, axes = (planes, "ZCYX") if len(names) > 1 else (planes[:, 0], "ZYX")
            tifffile.imwrite(path, planes, imagej=True, metadata={"axes": axes})
            files.append((path.name, path.as_uri(), path.stat().st_size, "P1", "A1", tile, group))
        for n in range(N_CELLS):
            y, x = rng.uniform(0, SIZE, 2)
            guide = rng.choice(["g1", "g2", "nt1"])
            cells.append((f"P1_A1_{tile:04d}_{n:05d}", "P1", "A1", tile, y, x, guide))
    columns = ["path", "address", "size_bytes", "plate", "well", "tile", "group"]
    files = pd.DataFrame(files, columns=columns).astype({"tile": "int32"})
    columns = ["cell_id", "plate", "well", "tile", "y_px", "x_px", "guide"]
    cells = pd.DataFrame(cells, columns=columns)
    cells = cells.astype({"tile": "int32", "y_px": "float32", "x_px": "float32"})
    cells["is_ntc"] = cells["guide"] == "nt1"
    return files, cells


@pytest.fixture
def run(tmp_path, well):
    def call(chunk="000", files=well[0], cells=well[1], light=None, **crop):
        folder = tmp_path / chunk
        folder.mkdir(exist_ok=True)
        files.to_parquet(folder / "files.parquet")
        cells.to_parquet(folder / "cells.parquet", index=False)
        consensus = str(tmp_path / "consensus.parquet")
        settings = {"screen": SCREEN, "alignment": ALIGNMENT, "archive": ARCHIVE, "plate": "P1"}
        settings |= {"files": str(folder / "files.parquet"), "cache": str(tmp_path / "cache")}
        more = {name: str(tmp_path / f"{name}.parquet") for name in ("checks", "overlay")}
        plate_shifts(consensus=consensus, **more, **settings)
        crop_chunk(
            cells=str(folder / "cells.parquet"),
            consensus=consensus,
            illumination=light,
            crop=CROP | crop,
            well="A1",
            chunk=chunk,
            ntc=str(folder / f"{chunk}.ntc.npy"),
            ntc_index=str(folder / f"{chunk}.ntc.parquet"),
            perturbed=str(folder / f"{chunk}.perturbed.npy"),
            perturbed_index=str(folder / f"{chunk}.perturbed.parquet"),
            alignment_table=str(folder / "alignment.parquet"),
            dropped=str(folder / "dropped.parquet"),
            **settings,
        )
        arms = [open_shard(folder / f"{chunk}.{arm}.npy", verify=True)
                for arm in ("ntc", "perturbed")]  # fmt: skip
        tables = [pd.read_parquet(folder / f"{name}.parquet") for name in ("alignment", "dropped")]
        return arms, *tables, pd.read_parquet(consensus)

    return call


def local(files):
    return {row.group: row.address.removeprefix("file://") for row in files.itertuples()}


def crops_by_cell(arms):
    return {
        cell_id: crop
        for arm in arms
        for cell_id, crop in zip(arm.cells["cell_id"].to_pylist(), arm.crops, strict=True)
    }


def test_the_consensus_is_what_was_planted(run):
    _, _, _, consensus = run()
    consensus = consensus.set_index("channel")
    for name, planted in SHIFTS.items():
        found = consensus.loc[name, ["dy_px", "dx_px"]].astype(float)
        assert np.hypot(*(found - planted)) < 0.3
    assert (consensus["n_tiles"] == 4).all() and (consensus["plate"] == "P1").all()
    assert (consensus.loc[["DNA", "tubulin"], ["dy_px", "dx_px"]] == 0).all(axis=None)


def test_known_shifts_come_back_from_tiles_of_the_run(run, tmp_path):
    run()
    checks = pd.read_parquet(tmp_path / "checks.parquet")
    planted = checks[checks["check"] == "planted shift"]
    assert len(planted) == 4 * 4 and set(planted["channel"]) == {"foci", "actin"}
    assert planted["error_px"].max() < 0.5
    same = checks[checks["check"] == "one file"]
    assert len(same) == 4 and set(same["channel"] + same["against"]) == {"tubulinDNA"}


def test_shards_hold_the_crops_of_their_cells(run, well):
    files, cells = well
    arms, alignment, dropped, consensus = run()
    assert arms[0].cells["is_ntc"].to_pylist() == [True] * len(arms[0].crops)
    assert not any(arms[1].cells["is_ntc"].to_pylist())
    assert arms[0].channels == ("actin", "foci", "DNA", "tubulin")
    assert arms[0].cells.column_names == list(cells.columns)
    found, n_kept = crops_by_cell(arms), 0
    for tile, of_tile in cells.groupby("tile"):
        rows = files[files["tile"] == tile]
        aligned = aligned_tile(local(rows), SCREEN, ALIGNMENT, consensus)
        image = clip(aligned.image, 0.001)
        centres = of_tile[["y_px", "x_px"]].to_numpy()
        cut = crop_cells(image, aligned.shifts.px, centres, 24)
        n_kept += cut.is_inside.sum()
        for cell_id, crop in zip(of_tile["cell_id"][cut.is_inside], cut.images, strict=True):
            np.testing.assert_array_equal(found[cell_id], crop)
    assert len(found) == n_kept and n_kept + dropped["n_cells"].sum() == len(cells)
    assert len(alignment) == 4 * N_TILES and alignment["passed"].all()
    error = [np.hypot(r.dy_px - SHIFTS.get(r.channel, (0, 0))[0],
                      r.dx_px - SHIFTS.get(r.channel, (0, 0))[1])
             for r in alignment.itertuples()]  # fmt: skip
    assert np.median(error) < 0.3 and max(error) < 0.7
    tiles = np.array(arms[1].cells["tile"].to_pylist())
    assert (np.diff(tiles) != 0).mean() > 0.5


def test_uneven_light_is_taken_out_before_clipping(run, well, tmp_path):
    files, cells = well
    light = np.ones((4, SIZE // 16, SIZE // 16), np.float32)
    light[0] = np.linspace(0.5, 1.5, SIZE // 16)
    write_npy(light, tmp_path / "light.npy")
    settings = {"tiles": 9, "smoothing_px": 60, "offset_counts": 100}
    plain, lit = (
        run(light=path, illumination=settings if path else None)
        for path in (None, str(tmp_path / "light.npy"))
    )
    consensus, found = lit[3], crops_by_cell(lit[0])
    correct = Illumination(light, 100, SIZE).correct
    aligned = aligned_tile(local(files[files["tile"] == 3]), SCREEN, ALIGNMENT, consensus, correct)
    of_tile = cells[cells["tile"] == 3]
    cut = crop_cells(clip(aligned.image, 0.001), aligned.shifts.px,
                     of_tile[["y_px", "x_px"]].to_numpy(), 24)  # fmt: skip
    for cell_id, crop in zip(of_tile["cell_id"][cut.is_inside], cut.images, strict=True):
        np.testing.assert_array_equal(found[cell_id], crop)
    before = crops_by_cell(plain[0])
    assert any((before[cell_id][0] != crop[0]).any() for cell_id, crop in found.items())
    px = [table.set_index(["tile", "channel"])["dy_px"] for table in (plain[1], lit[1])]
    np.testing.assert_allclose(*px, atol=0.3)


def test_crops_do_not_depend_on_the_chunks(run):
    whole = crops_by_cell(run()[0])
    parts = {}
    for chunk in ("000", "001", "002"):
        parts |= crops_by_cell(run(chunk, tiles_per_chunk=2)[0])
    assert parts.keys() == whole.keys()
    for cell_id, crop in whole.items():
        np.testing.assert_array_equal(parts[cell_id], crop)


def test_the_same_job_writes_the_same_bytes(run, tmp_path):
    run()
    first = {path.name: path.read_bytes() for path in (tmp_path / "000").iterdir()}
    run()
    assert {path.name: path.read_bytes() for path in (tmp_path / "000").iterdir()} == first


def test_aligned_stains_lie_on_each_other(well):
    files, _ = well
    columns = ["channel", "dy_px", "dx_px", "range_counts", "focus"]
    consensus = pd.DataFrame(columns=columns)
    aligned = aligned_tile(local(files[files["tile"] == 3]), SCREEN, ALIGNMENT, consensus)
    actin, _, _, tubulin = aligned.resampled()[:, 30:-30, 30:-30]
    before = aligned.image[:, 30:-30, 30:-30].astype(float)
    together = np.corrcoef(actin.ravel(), tubulin.ravel())[0, 1]
    assert together > np.corrcoef(before[0].ravel(), before[3].ravel())[0, 1] + 0.1


@pytest.fixture
def broken(well, tmp_path):
    """Tile 3 is truncated, tile 5 lacks a file."""
    files = well[0].copy()
    at = files.index[(files["tile"] == 3) & (files["group"] == "near")][0]
    short = tmp_path / "short.tif"
    source = files.loc[at, "address"].removeprefix("file://")
    with open(source, "rb") as handle:
        short.write_bytes(handle.read(100_000))
    files.loc[at, ["address", "size_bytes"]] = [short.as_uri(), 100_000]
    return files[~((files["tile"] == 5) & (files["group"] == "red"))]


def test_broken_tiles_are_noted_and_their_cells_counted(run, broken):
    arms, alignment, dropped, consensus = run(files=broken)
    failed = alignment[~alignment["passed"]]
    assert failed["tile"].unique().tolist() == [3, 5]
    assert failed["dy_px"].isna().all() and set(failed["method"]) == {"failed"}
    reasons = failed.groupby("tile")["reason"].first()
    assert "short.tif: damaged file" in reasons[3] and reasons[5] == "no file of channel group red"
    lost = dropped[dropped["reason"] == "tile failed"]
    assert lost[["tile", "n_cells"]].values.tolist() == [[3, N_CELLS], [5, N_CELLS]]
    assert not {3, 5} & set(arms[0].cells["tile"].to_pylist() + arms[1].cells["tile"].to_pylist())
    assert consensus["n_tiles"].max() < 4


def test_too_many_broken_tiles_are_an_error(run, broken):
    with pytest.raises(InputError, match=r"2 of 6 tiles unusable \(tile 3: short\.tif"):
        run(files=broken, max_failed_fraction=0.05)


def test_a_file_of_another_size_is_a_broken_tile(run, well):
    files = well[0].copy()
    files.loc[0, "size_bytes"] += 1
    _, alignment, _, _ = run(files=files)
    assert alignment.loc[~alignment["passed"], "tile"].unique().tolist() == [2]


def test_a_channel_that_cannot_be_measured_takes_the_consensus(run, well, tmp_path):
    files = well[0].copy()
    at = files.index[(files["tile"] == 4) & (files["group"] == "far")][0]
    path = tmp_path / "other.tif"
    other_cells = tifffile.imread(files.loc[at, "address"].removeprefix("file://"))[:, ::-1, ::-1]
    tifffile.imwrite(path, other_cells, imagej=True, metadata={"axes": "ZYX"})
    files.loc[at, ["address", "size_bytes"]] = [path.as_uri(), path.stat().st_size]
    _, alignment, _, consensus = run(files=files)
    row = alignment[(alignment["tile"] == 4) & (alignment["channel"] == "actin")].iloc[0]
    assert row["method"] == "consensus" and row["passed"] and row["confidence"] < 0.5
    agreed = consensus.set_index("channel").loc["actin"]
    assert (row["dy_px"], row["dx_px"]) == (agreed["dy_px"], agreed["dx_px"])


FAULTS = {
    "constant": (lambda image: np.full_like(image, 300), "channel actin is constant"),
    "saturated": (lambda image: np.minimum(image, 700), r"channel actin is saturated \("),
    "dark": (lambda image: 300 + image // 50, "channel actin is too dark"),
    "bright": (lambda image: np.minimum(image, 2500) * 24, "channel actin is too bright"),
    "blurred": (
        lambda image: np.rint(scipy.ndimage.gaussian_filter(image.astype(float), (0, 3, 3))),
        "channel actin is out of focus",
    ),
    "shape": (lambda image: image[:, :-2], "axes ZYX"),
    "plane": (lambda image: image[:1], "axes YX"),
    "empty": (lambda image: None, "damaged file"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_light_and_focus_are_broken_tiles(run, well, tmp_path, fault):
    files, (change, said) = well[0].copy(), FAULTS[fault]
    at = files.index[(files["tile"] == 4) & (files["group"] == "far")][0]
    path = tmp_path / "fault.tif"
    image = change(tifffile.imread(files.loc[at, "address"].removeprefix("file://")))
    if image is None:
        path.touch()
    else:
        image = image.astype(np.uint16)
        axes = "ZYX" if len(image) > 1 else "YX"
        tifffile.imwrite(path, image.squeeze(), imagej=True, metadata={"axes": axes})
    files.loc[at, ["address", "size_bytes"]] = [path.as_uri(), path.stat().st_size]
    _, alignment, dropped, _ = run(files=files)
    failed = alignment[~alignment["passed"]]
    assert failed["tile"].unique().tolist() == [4] and failed["reason"].str.contains(said).all()
    assert dropped.loc[dropped["reason"] == "tile failed", "n_cells"].tolist() == [N_CELLS]


def test_tiles_from_a_server_leave_nothing_behind(run, well, tmp_path):
    files, expected = well[0].copy(), crops_by_cell(run()[0])
    folder = files["address"][0].removeprefix("file://").rpartition("/")[0]
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    files["address"] = f"http://127.0.0.1:{server.server_port}/" + files["path"]
    try:
        found = crops_by_cell(run(files=files)[0])
    finally:
        server.shutdown()
        server.server_close()
    for cell_id, crop in expected.items():
        np.testing.assert_array_equal(found[cell_id], crop)
    left = [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert left == ["received.tsv"]


def test_an_arm_without_cells_keeps_its_columns(run, well):
    cells = well[1].assign(is_ntc=False)
    arms, *_ = run(cells=cells)
    assert arms[0].crops.shape == (0, 4, 24, 24)
    assert arms[0].cells.schema.types == arms[1].cells.schema.types


def test_chunks_cover_the_tiles():
    chunks = [tiles_of_chunk("3-8, 20-23", 4, k) for k in range(3)]
    assert chunks == [[3, 4, 5, 6], [7, 8, 20, 21], [22, 23]]


def test_the_summary_is_all_chunks_in_order(run, tmp_path):
    for chunk in ("000", "001", "002"):
        run(chunk, tiles_per_chunk=2)
    parts = [[str(tmp_path / c / f"{name}.parquet") for c in ("000", "001", "002")]
             for name in ("alignment", "dropped")]  # fmt: skip
    parts += [[str(tmp_path / f"{name}.parquet")] for name in ("checks", "overlay")]
    targets = [str(tmp_path / f"{name}.parquet") for name in "adco"]
    summarise_tiles(*parts, *targets)
    assert pd.read_parquet(targets[0])["tile"].unique().tolist() == list(range(2, 8))
    assert set(pd.read_parquet(targets[3])["moving"]) == {"foci", "actin"}
