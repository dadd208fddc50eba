"""Chunks whose tiles come from a server process: fetched ahead, deleted, killed, resumed."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.archive.stream import groups_prefetched
from mcvae_ops.tiles import chunk as chunks
from mcvae_ops.tiles.consensus import plate_shifts
from tests.helpers.archive_process import serving
from tests.unit.test_tiles_chunk import ALIGNMENT, CROP, N_TILES, SCREEN
from tests.unit.test_tiles_chunk import well as well  # a fixture

ARCHIVE = {"streams": 2, "retries": 4, "timeout_s": 5, "keep_raw": False}
CHILD = """
import json, sys, time
from mcvae_ops.tiles import chunk
crop_tile = chunk.crop_tile
chunk.crop_tile = lambda *tile: time.sleep(0.1) or crop_tile(*tile)
chunk.crop_chunk(**json.loads(sys.argv[1]))
"""
ARMS = ("ntc", "perturbed")


@pytest.fixture
def server(well):
    folder = os.path.dirname(well[0]["address"][0].removeprefix("file://"))
    with serving(folder) as running:
        yield running


@pytest.fixture
def job(well, tmp_path):
    """Keyword arguments of a job that reads its tiles from an address."""

    def call(root, name, **archive):
        files, cells = well
        folder = tmp_path / name
        folder.mkdir()
        remote = files.assign(address=[f"{root}/{path}" for path in files["path"]])
        remote.to_parquet(folder / "files.parquet")
        cells.to_parquet(folder / "cells.parquet", index=False)
        # The consensus comes from the files themselves, so that the job alone is counted.
        files.to_parquet(folder / "local.parquet")
        settings = {"screen": SCREEN, "alignment": ALIGNMENT, "archive": ARCHIVE | archive,
                    "plate": "P1", "cache": str(folder / "cache")}  # fmt: skip
        consensus = str(folder / "consensus.parquet")
        written = {name: str(folder / f"{name}.parquet") for name in ("checks", "overlay")}
        local = str(folder / "local.parquet")
        plate_shifts(files=local, consensus=consensus, **written, **settings)
        outputs = {arm: str(folder / f"out/{arm}.npy") for arm in ARMS}
        outputs |= {f"{arm}_index": str(folder / f"out/{arm}.parquet") for arm in ARMS}
        outputs |= {k: str(folder / f"out/{k}.parquet") for k in ("alignment_table", "dropped")}
        inputs = {"files": str(folder / "files.parquet"), "cells": str(folder / "cells.parquet")}
        names = {"well": "A1", "chunk": "000", "consensus": consensus, "crop": CROP,
                 "illumination": None}  # fmt: skip
        return settings | inputs | outputs | names

    return call


def interrupted(*_):
    raise KeyboardInterrupt


def written(job):
    return {arm: np.load(job[arm]) for arm in ARMS}


def same(first, second):
    return all(np.array_equal(first[arm], second[arm]) for arm in ARMS)


def test_the_disk_holds_a_few_tiles_and_in_the_end_none(server, job, tmp_path, monkeypatch):
    held, real = [], chunks.aligned_tile

    def watched(*arguments):
        held.append(len(list((tmp_path / "a/cache").rglob("*.tif"))))
        return real(*arguments)

    monkeypatch.setattr(chunks, "aligned_tile", watched)
    one = job(f"{server.address}/drop,busy", "a")
    chunks.crop_chunk(**one)
    assert len(held) == N_TILES
    assert max(held) <= 3 * (groups_prefetched(2, 3) + 1) < 3 * N_TILES
    left = [path.name for path in (tmp_path / "a/cache").rglob("*") if path.is_file()]
    assert left == ["received.tsv"]


def kill_when(n_finished: int, job: dict, finished, delay_s: float = 0.0) -> None:
    """Start a job, and kill it some time after its n-th tile is finished."""
    process = subprocess.Popen([sys.executable, "-c", CHILD, json.dumps(job)])
    deadline_s = time.monotonic() + 60
    while len(list(finished.rglob("[0-9]*.json"))) < n_finished:
        assert time.monotonic() < deadline_s and process.poll() is None
        time.sleep(0.005)
    time.sleep(delay_s)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_chunk_goes_on_at_its_tile_and_gives_the_same(server, job, tmp_path):
    undisturbed = job(f"{server.address}/fine", "whole")
    chunks.crop_chunk(**undisturbed)
    one = job(f"{server.address}/slow", "killed")
    finished = tmp_path / "killed/cache/finished/P1/A1/000"
    for n_finished in (1, 3):
        kill_when(n_finished, one, finished)
    assert not os.path.exists(one["ntc"])
    done = {path.stem for path in finished.rglob("[0-9]*.json")}
    before = len(server.stats()["log"])
    chunks.crop_chunk(**one)
    asked = {entry["path"].rpartition("_")[2].removesuffix(".tif")
             for entry in server.stats()["log"][before:]}  # fmt: skip
    assert len(done) >= 3 and not done & asked
    assert same(written(undisturbed), written(one))
    assert not finished.exists()


def test_a_chunk_of_local_files_killed_at_any_moment_gives_the_same_bytes(well, job, tmp_path):
    root = well[0]["address"][0].rpartition("/")[0]
    undisturbed, one = job(root, "whole"), job(root, "killed")
    chunks.crop_chunk(**undisturbed)
    finished, chance = tmp_path / "killed/cache/finished/P1/A1/000", random.Random(0)
    for n_finished in range(0, N_TILES, 2):
        kill_when(n_finished, one, finished, chance.uniform(0, 0.1))
        assert not (tmp_path / "killed/out").exists()
    chunks.crop_chunk(**one)
    first, again = (
        {path.name: path.read_bytes() for path in (tmp_path / name / "out").iterdir()}
        for name in ("whole", "killed")
    )
    assert again == first and len(first) == 6


def test_finished_tiles_of_other_settings_do_not_count(server, job, monkeypatch):
    one = job(f"{server.address}/fine", "a")
    chunks.crop_chunk(**one)
    first = written(one)
    with monkeypatch.context() as patch:
        patch.setattr(chunks, "write_shard", interrupted)
        with pytest.raises(KeyboardInterrupt):
            chunks.crop_chunk(**one | {"crop": CROP | {"clip_fraction": 0.2}})
    chunks.crop_chunk(**one)
    assert same(first, written(one))


def test_a_mirror_is_used_again(server, job, tmp_path):
    one = job(f"{server.address}/fine", "a", keep_raw=True)
    chunks.crop_chunk(**one)
    first, before = written(one), len(server.stats()["log"])
    assert len(list((tmp_path / "a/cache/raw").glob("*.tif"))) == 3 * N_TILES
    chunks.crop_chunk(**one)
    assert len(server.stats()["log"]) == before
    assert same(first, written(one))


def test_a_tile_that_is_broken_for_good_is_noted_not_fatal(server, job):
    one = job(f"{server.address}/fine", "a")
    files = pd.read_parquet(one["files"])
    at = files.index[files["tile"] == 4][0]
    files.loc[at, "address"] = f"{server.address}/short/{files['path'][at]}"
    files.to_parquet(one["files"])
    chunks.crop_chunk(**one)
    table = pd.read_parquet(one["alignment_table"])
    failed = table[~table["passed"]]
    assert failed["tile"].unique().tolist() == [4]
    assert "bytes on the server" in failed["reason"].iloc[0]
