"""What two ranks of a training hold of the index: memory of each alone, and what they share.

`SIZE` is the fraction of the paper's cells; 1 takes 3 GB of disk and some minutes to write.
`SCREEN` may name the folder of results of a rehearsal, which spares the writing.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mcvae_ops.shards.index import index_shards
from mcvae_ops.shards.split import assign_splits
from mcvae_ops.shards.statistics import shard_statistics
from mcvae_ops.shards.training_cells import training_cells
from tests.helpers.fake_shards import MCVAE, TRAINING, train_model_arguments
from tests.performance import rehearsal

SIZE = float(os.environ.get("SIZE", 0.02))
RANKS = 2
BYTES_PER_CELL = 16
"""Of positions and of their order in two epochs, at most; the columns of the index are 28 more."""
PROGRAM = """
import json, sys
from mcvae_ops.training.launch import launcher
launcher(int(sys.argv[2]), 1)(**json.load(open(sys.argv[1])))
"""


def write_screen(folder: Path, size: float) -> Path:
    """Write what a training reads; return the folder of the index."""
    config = rehearsal.configuration(rehearsal.NAME)
    numbers = rehearsal.N_GENES, rehearsal.N_GUIDES, rehearsal.N_CONTROL_GUIDES
    rehearsal.write_screen(folder, config, size, rehearsal.library(*numbers))
    shards, channels = folder / "shards", [c["name"] for c in config["screen"]["channels"]]
    index, splits = (str(shards / f"{name}.parquet") for name in ("index", "splits"))
    paths = [str(path) for path in folder.glob("crops/*/*/*.npy")]
    index_shards(paths, str(folder), config["screen"]["batch"], index)
    assign_splits(index, config["split"], splits)
    training_cells(index, splits, str(shards / "cells.arrow"))
    shard_statistics(index, splits, channels, str(shards / "statistics.parquet"))
    return shards


def ranks_of(process: int) -> list[int]:
    """Return the processes below one that are ranks of a training."""
    ranks = []
    for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        if b"mcvae_ops.training.rank" in words and b"torch.distributed.run" not in words:
            ranks.append(int(child))
        ranks += ranks_of(int(child))
    return ranks


def memory_mb(process: int) -> dict[str, float]:
    """Return what a process holds: all pages, its share of them, and those that are its own."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    kb = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    unique = kb["Private_Clean"] + kb["Private_Dirty"]
    return {"RSS": kb["Rss"] / 1e3, "PSS": kb["Pss"] / 1e3, "USS": unique / 1e3}


def measure(shards: Path, folder: Path) -> list[dict[str, float]]:
    """Train in some ranks until the first checkpoint; return the memory of each."""
    settings = TRAINING | {"batch_size": 1024, "checkpoint_minutes": 1e-6}
    arguments = train_model_arguments(shards, folder, MCVAE, settings) | {"memory_mb": 100}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "arguments.json").write_text(json.dumps(arguments))
    command = [sys.executable, "-c", PROGRAM, str(folder / "arguments.json"), str(RANKS)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    checkpoint = Path(arguments["checkpoint_dir"]) / "checkpoint.pt"
    while not checkpoint.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    found = [memory_mb(rank) for rank in ranks_of(process.pid)]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    return found


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    if "SCREEN" in os.environ:
        return Path(os.environ["SCREEN"]) / "shards"
    return write_screen(tmp_path_factory.mktemp("screen"), SIZE)


def test_ranks_share_the_index(shards, tmp_path):
    small = measure(write_screen(tmp_path / "small", 0.002), tmp_path / "of_small")
    large = measure(shards, tmp_path / "of_large")
    assert len(small) == len(large) == RANKS
    n_cells = (shards / "cells.arrow").stat().st_size / 28
    for before, after in zip(small, large, strict=True):
        print({name: f"{before[name]:.0f} -> {after[name]:.0f} MB" for name in after})
        assert after["USS"] - before["USS"] < BYTES_PER_CELL * n_cells / 1e6 + 20
