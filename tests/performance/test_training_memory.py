"""What two ranks of a training on the paper's screen hold: memory of each alone, and shared.

No index is made: the numbers of all cells are drawn at random, and crops are 2 px of zeros.
`SIZE` is the fraction of the cells; 1 takes 0.7 GB of disk.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mcvae_ops.files import write_arrow, write_parquet
from mcvae_ops.shards.training_cells import NAMES, NUMBERS
from tests.helpers.fake_shards import CHANNELS, MCVAE, TRAINING, train_model_arguments

SIZE = float(os.environ.get("SIZE", 1))
N_CELLS, WELLS, CHUNKS, N_GENES = 23_625_194, 34, 21, 5_049
CONTROLS = 250 / 20_445
CROP = (len(CHANNELS), 2, 2)
RANKS = 2
ALONE_BYTES_PER_CELL = 24
"""Of positions and of their order in two epochs; the columns of the index are 28 more."""
PROGRAM = """
import json, sys
from mcvae_ops.training.launch import launcher
launcher(int(sys.argv[2]), 1)(**json.load(open(sys.argv[1])))
"""


def write_screen(folder: Path, n_cells: int) -> Path:
    """Write what a training reads of `n_cells`; return the folder of the index."""
    shards, sizes = [], []
    n_chunk = n_cells // (WELLS * CHUNKS)
    for well in range(WELLS):
        for chunk in range(CHUNKS):
            for arm, share in (("ntc", CONTROLS), ("perturbed", 1 - CONTROLS)):
                shards.append(f"crops/P{well // 6}/W{well:02d}/{chunk:03d}.{arm}.npy")
                sizes.append(max(2, round(share * n_chunk)))
                path = folder / shards[-1]
                path.parent.mkdir(parents=True, exist_ok=True)
                np.lib.format.open_memmap(path, "w+", np.uint16, (sizes[-1], *CROP))
    rng, shard = np.random.default_rng(0), np.repeat(np.arange(len(shards)), sizes)
    row = np.arange(len(shard)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    gene = rng.integers(1, N_GENES + 1, len(shard), np.int32)
    well = shard // (2 * CHUNKS)
    split = np.searchsorted([0.15, 0.98], rng.random(len(shard), np.float32))
    numbers = (shard, row, np.where(shard % 2, gene, 0), well, split, well, row // 500)
    names = (
        shards, ["NTC", *(f"G{k}" for k in range(N_GENES))], [f"B{k}" for k in range(WELLS)],
        ["test", "train", "validation"],
    )  # fmt: skip
    metadata = {name: json.dumps(part) for name, part in zip(NAMES, names, strict=True)}
    arrays = [pa.array(column.astype(np.int32)) for column in numbers]
    write_arrow(pa.table(arrays, names=NUMBERS, metadata=metadata), folder / "shards/cells.arrow")
    nothing, channels = pa.table({"cell_id": ["a"]}), {"channels": json.dumps(CHANNELS)}
    for name in ("index", "statistics"):
        write_parquet(nothing, folder / f"shards/{name}.parquet", channels)
    return folder / "shards"


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
    alone = kb["Private_Clean"] + kb["Private_Dirty"]
    return {"RSS": kb["Rss"] / 1e3, "PSS": kb["Pss"] / 1e3, "USS": alone / 1e3}


def measure(shards: Path, folder: Path) -> list[dict[str, float]]:
    """Train in some ranks until the first checkpoint; return the memory of each."""
    settings = TRAINING | {"batch_size": 1024, "checkpoint_minutes": 1e-6}
    arguments = train_model_arguments(shards, folder, MCVAE, settings) | {"memory_mb": 20}
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
def few(tmp_path_factory) -> list[dict[str, float]]:
    """What ranks hold where there are hardly any cells: Python, torch and the network."""
    folder = tmp_path_factory.mktemp("few")
    return measure(write_screen(folder, 50_000), folder / "trained")


def test_ranks_share_the_index(few, tmp_path):
    n_cells = round(SIZE * N_CELLS)
    all_cells = measure(write_screen(tmp_path, n_cells), tmp_path / "trained")
    assert len(few) == len(all_cells) == RANKS
    for before, after in zip(few, all_cells, strict=True):
        print({name: f"{before[name]:.0f} -> {after[name]:.0f} MB" for name in after})
        assert after["USS"] - before["USS"] < ALONE_BYTES_PER_CELL * n_cells / 1e6
