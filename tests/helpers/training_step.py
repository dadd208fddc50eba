"""What the measurements of training share; with torch, numpy, pyarrow and pytest alone."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from mcvae_ops.models.family import ContrastiveVAE, FamilySettings
from mcvae_ops.models.objective import Weights, objective
from mcvae_ops.models.preprocess import Preprocessing
from mcvae_ops.shards.crops import Crops
from mcvae_ops.shards.format import write_shard
from mcvae_ops.shards.index import index_shards
from mcvae_ops.shards.sampler import BalancedSampler
from mcvae_ops.shards.split import assign_splits
from mcvae_ops.shards.training_cells import Cells, read_training_cells, training_cells
from mcvae_ops.training.minibatches import Minibatch
from mcvae_ops.training.precision import Precision
from tests.helpers.fake_shards import SPLIT

CHANNELS, CROP_PX, N_GENES = ["A594", "AF750", "DAPI", "GFP"], 100, 50
PAPER = FamilySettings(
    "conv64", 32, 64, 4, 32, 32, 0, True, True, False, False, "analytic", N_GENES + 1, 2
)
NETWORKS = {
    "conv64": PAPER,
    "conv96": replace(PAPER, network="conv96", input_size_px=96),
    "resnet64": replace(PAPER, network="resnet64"),
}
CELLS_OF_THE_STUDY, EPOCHS = 23_625_194, 2


def write_screen(root: Path, n_cells: int, cells_per_shard: int = 2000) -> Cells:
    """Write shards of noise as large as the paper's crops, a tenth of the cells NTC."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(n_cells // cells_per_shard):
        for arm, n in (("ntc", cells_per_shard // 10), ("perturbed", cells_per_shard * 9 // 10)):
            crops = rng.integers(100, 3000, (n, len(CHANNELS), CROP_PX, CROP_PX), np.uint16)
            gene = ["NTC" if arm == "ntc" else f"G{k % N_GENES}" for k in range(n)]
            table = pa.table(
                {
                    "cell_id": [f"{number}_{arm}_{k}" for k in range(n)], "plate": ["P"] * n,
                    "well": [f"A{1 + number % 2}"] * n, "guide": gene, "gene": gene,
                    "tile": rng.integers(0, 20, n), "is_ntc": [arm == "ntc"] * n,
                }
            )  # fmt: skip
            paths.append(f"{root}/crops/P/A{1 + number % 2}/{number:03d}.{arm}.npy")
            write_shard(crops, np.arange(n), table, CHANNELS, paths[-1])
    index, splits, cells = (
        str(root / f"shards/{name}") for name in ("index.parquet", "splits.parquet", "cells.arrow")
    )
    index_shards(paths, str(root), ["plate", "well"], index)
    assign_splits(index, SPLIT, splits)
    training_cells(index, splits, cells)
    return read_training_cells(cells)


def sampler_of(root: Path, cells: Cells, batch_size: int) -> BalancedSampler:
    """Return a sampler that reads from disk, in prefetched windows."""
    arms = np.flatnonzero(cells.label != 0), np.flatnonzero(cells.label == 0)
    memory_bytes = 4 * 4096 * 2 * len(CHANNELS) * CROP_PX**2
    crops = Crops(root, cells)
    return BalancedSampler(crops, *arms, batch_size, 0, memory_bytes, in_background=True)


def forget(root: Path) -> None:
    """Have the files below `root` read from the disk again."""
    os.sync()
    for path in root.rglob("*.*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def read_sequentially(root: Path, n_cells: int) -> None:
    """Read the bytes of `n_cells` crops, file by file, into one buffer."""
    buffer = memoryview(bytearray(1 << 22))
    left = n_cells * 2 * len(CHANNELS) * CROP_PX**2
    for path in sorted(root.rglob("*.npy")):
        with open(path, "rb", buffering=0) as handle:
            while left > 0 and (n_bytes := handle.readinto(buffer[: min(left, len(buffer))])):
                left -= n_bytes


def write_lmdb(root: Path, cells: Cells, path: Path) -> None:
    """Write one record per cell, as the authors' code does."""
    import lmdb

    n_bytes = len(cells) * 2 * len(CHANNELS) * CROP_PX**2
    crops = Crops(root, cells)
    with lmdb.open(str(path), map_size=2 * n_bytes) as store:
        for first in range(0, len(cells), 500):
            positions = np.arange(first, min(first + 500, len(cells)))
            with store.begin(write=True) as transaction:
                for position, crop in zip(positions, crops.read(positions), strict=True):
                    transaction.put(str(position).encode(), crop.tobytes())


class LmdbCells(torch.utils.data.Dataset):
    """One record per cell; each process opens the store for itself."""

    def __init__(self, path: Path, n_cells: int) -> None:
        self.path, self.n_cells, self.store = str(path), n_cells, None

    def __len__(self) -> int:
        return self.n_cells

    def __getitem__(self, position: int) -> torch.Tensor:
        if self.store is None:
            import lmdb

            self.store = lmdb.open(self.path, readonly=True, lock=False, readahead=False)
        with self.store.begin() as transaction:
            crop = np.frombuffer(transaction.get(str(position).encode()), np.uint16)
        return torch.from_numpy(crop.reshape(len(CHANNELS), CROP_PX, CROP_PX).copy())


class Step:
    """One training step, as in `mcvae_ops.training.train`."""

    def __init__(
        self, network: str, precision: Precision, device: torch.device, channels_last: bool = True
    ) -> None:
        layout = torch.channels_last if channels_last else torch.contiguous_format
        settings = NETWORKS[network]
        self.layout, self.precision, self.device = layout, precision, device
        self.model = ContrastiveVAE(settings, 0).to(device, memory_format=layout)
        precision.prepare(self.model)
        self.preprocess = Preprocessing(settings.input_size_px, 1.0, 7.0, 7.0)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=1e-4, fused=True)
        self.generator = torch.Generator(device).manual_seed(0)
        self.weights, self.n_steps = Weights(1.0, 1.0, 100, {"wasserstein": 8.0}), 0

    def __call__(self, cells: Minibatch) -> torch.Tensor:
        """Take one step; return the loss."""
        images = self.preprocess(cells.crops, cells.batch).contiguous(memory_format=self.layout)
        with self.precision.autocast(self.device):
            inference = self.model(images, cells.label, cells.batch, self.generator)
        terms = objective(self.model, images, cells.label, inference, self.weights, self.n_steps)
        self.optimiser.zero_grad()
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        self.optimiser.step()
        self.n_steps += 1
        return terms["loss"].detach()


def noise_batch(n_cells: int, device: torch.device) -> Minibatch:
    """Return a batch of noise on the device, half of it NTC."""
    rng = np.random.default_rng(1)
    shape = (n_cells, len(CHANNELS), CROP_PX, CROP_PX)
    crops = torch.from_numpy(rng.integers(100, 3000, shape, np.uint16))
    label = torch.arange(n_cells) % N_GENES + 1
    label[n_cells // 2 :] = 0
    batch = Minibatch(np.arange(n_cells), crops, label, torch.zeros(n_cells, dtype=torch.int64))
    return batch.to(device)


def per_second(work: Callable[[], int], device: torch.device, seconds: float) -> float:
    """Return the cells per second of `work`, which returns how many it did, after one warm-up."""
    work()
    _wait(device)
    started_s, n_cells = time.perf_counter(), 0
    while time.perf_counter() - started_s < seconds:
        n_cells += work()
        _wait(device)
    return n_cells / (time.perf_counter() - started_s)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def projected_hours(cells_per_s: float) -> float:
    """Return the time of two epochs of the paper's screen, with as many NTC as other cells."""
    return 2 * CELLS_OF_THE_STUDY * EPOCHS / cells_per_s / 3600
