"""Loader and step on a CPU, each against the obvious way of doing it, in turn."""

import itertools
import shutil
import statistics
import time
from collections.abc import Callable

import pytest
import torch

from mcvae_ops.training.minibatches import Minibatches
from mcvae_ops.training.precision import Precision
from tests.helpers import training_step

CPU = torch.device("cpu")
N_CELLS, BATCH_SIZE, ROUNDS = 8000, 64, 5


def rates(ways: dict[str, Callable[[], int]], before: Callable[[], None]) -> dict[str, float]:
    """Return the median cells per second of each way, taken in turn."""
    found = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, work in ways.items():
            before()
            started_s = time.perf_counter()
            n_cells = work()
            found[name].append(n_cells / (time.perf_counter() - started_s))
    return {name: statistics.median(values) for name, values in found.items()}


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    root = tmp_path_factory.mktemp("screen")
    return root, training_step.write_screen(root, N_CELLS)


def test_loader(screen, tmp_path):
    lmdb = pytest.importorskip("lmdb", reason="the other loader needs lmdb")
    assert lmdb
    root, cells = screen
    training_step.write_lmdb(root, cells, tmp_path / "cells.lmdb")
    n_read, n_records = 16_384, 512

    def ours() -> int:
        sampler = training_step.sampler_of(root, cells, BATCH_SIZE)
        return sum(len(sampler.minibatch(step)[0]) for step in range(n_read // BATCH_SIZE))

    def sequential() -> int:
        training_step.read_sequentially(root, N_CELLS)
        return N_CELLS

    def one_record_a_cell() -> int:
        data = training_step.LmdbCells(tmp_path / "cells.lmdb", len(cells))
        loader = torch.utils.data.DataLoader(data, BATCH_SIZE, shuffle=True)
        return sum(len(crops) for crops in itertools.islice(loader, n_records // BATCH_SIZE))

    def forget() -> None:
        training_step.forget(root)
        training_step.forget(tmp_path)

    ways = {"ours": ours, "sequential": sequential, "lmdb": one_record_a_cell}
    for state, before in (("cold", forget), ("warm", lambda: None)):
        found = rates(ways, before)
        print(
            f"\nloader, {state}: {found['ours']:,.0f} cells/s, "
            f"{found['ours'] / found['sequential']:.2f} x reading in order, "
            f"{found['ours'] / found['lmdb']:.1f} x LMDB, one record a cell"
        )
        assert found["ours"] > 5 * found["lmdb"]


def test_step():
    cells = training_step.noise_batch(BATCH_SIZE, CPU)
    ways = {
        "float32, contiguous": training_step.Step(
            "conv64", Precision("float32", False), CPU, False
        ),
        "float32": training_step.Step("conv64", Precision("float32", False), CPU),
        "bf16": training_step.Step("conv64", Precision("bf16", False), CPU),
    }
    if shutil.which("g++"):
        ways["float32, compiled"] = training_step.Step("conv64", Precision("float32", True), CPU)
        ways["bf16, compiled"] = training_step.Step("conv64", Precision("bf16", True), CPU)
    losses = {name: [float(step(cells)) for _ in range(5)] for name, step in ways.items()}
    for name, values in losses.items():
        assert values == pytest.approx(losses["float32"], rel=0.02), name
    work = {
        name: lambda step=step: len(step(cells).expand(BATCH_SIZE)) for name, step in ways.items()
    }
    found = rates(work, lambda: None)
    for name, rate in found.items():
        print(f"\nstep, {name}: {rate / found['float32, contiguous']:.2f} x, {rate:,.0f} cells/s")
    assert found["float32"] > 0.9 * found["float32, contiguous"]


@pytest.mark.parametrize("network", training_step.NETWORKS)
def test_step_with_loader(network, screen):
    root, cells = screen
    step = training_step.Step(network, Precision("float32", False), CPU)
    batches = Minibatches(
        training_step.sampler_of(root, cells, BATCH_SIZE), cells, CPU, in_background=True
    )
    numbers = itertools.count()
    alone = batches.take(next(numbers))
    ways = {
        "alone": lambda: len(step(alone).expand(BATCH_SIZE)),
        "both": lambda: len(step(batches.take(next(numbers))).expand(BATCH_SIZE)),
    }
    found = rates(ways, lambda: None)
    print(
        f"\n{network}: {found['alone']:,.0f} cells/s, with the loader "
        f"{found['both'] / found['alone']:.2f} of it; projected for 2 epochs of 23.6 M cells: "
        f"{training_step.projected_hours(found['both']):,.0f} h"
    )
    assert found["both"] > 0.7 * found["alone"]
