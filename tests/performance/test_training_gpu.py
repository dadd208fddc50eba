"""Training on a GPU: that it is right, how fast it is, and what bounds it.

With torch, numpy, pyarrow and pytest alone:
``PYTHONPATH=src python -m pytest -m gpu -s tests/performance/test_training_gpu.py``
"""

import itertools
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from mcvae_ops.training.embed import embed_cells
from mcvae_ops.training.minibatches import Minibatches
from mcvae_ops.training.precision import Precision
from mcvae_ops.training.train import train_model
from tests.helpers import training_step
from tests.helpers.fake_shards import (
    MCVAE,
    TRAINING,
    embedding_arguments,
    train_model_arguments,
    write_fake_screen,
)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
GPU = torch.device("cuda")
BATCH_SIZE, N_CELLS, SECONDS, N_STEPS = 4096, 24_000, 5.0, 10
WAYS = {
    f"{precision}{', compiled' if compiled else ''}": Precision(precision, compiled)
    for compiled in (False, True)
    for precision in ("float32", "tf32", "bf16")
}
PEAK_TYPES = {"float32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
BUSY = 0.7
"""Below this share of the time in kernels, starting them is what takes the time."""


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    root = tmp_path_factory.mktemp("screen")
    return root, training_step.write_screen(root, N_CELLS)


@pytest.mark.parametrize("precision", PEAK_TYPES)
def test_a_gpu_trains_as_a_cpu_does(precision, tmp_path):
    shards = write_fake_screen(tmp_path)
    elbo = {}
    for device in ("cpu", "cuda"):
        settings = TRAINING | {"epochs": 8, "device": device, "precision": precision}
        arguments = train_model_arguments(shards, tmp_path / device, MCVAE, settings)
        train_model(**arguments)
        rows = pq.read_table(arguments["metrics"]).to_pylist()
        elbo[device] = [row["negative_elbo"] for row in rows if row["phase"] == "validation"]
    gained = elbo["cpu"][0] - elbo["cpu"][-1]
    assert elbo["cuda"][-1] == pytest.approx(elbo["cpu"][-1], abs=0.2 * gained)
    # The weights of one device serve on the other.
    vectors = {}
    for device in ("cpu", "cuda"):
        embedding = embedding_arguments(arguments, str(tmp_path / f"{device}.parquet"))
        embedding["training"] = settings | {"device": device}
        embed_cells(**embedding)
        names = [f"{space}_{k:02d}" for space in "sz" for k in range(2)]
        table = pq.read_table(embedding["embedding"], columns=names)
        vectors[device] = np.stack([table[name].to_numpy() for name in names])
    np.testing.assert_allclose(vectors["cuda"], vectors["cpu"], atol=0.05, rtol=0.05)


def test_loader_keeps_up(screen):
    root, cells = screen
    sampler = training_step.sampler_of(root, cells, BATCH_SIZE)
    numbers = itertools.count()
    loader = training_step.per_second(
        lambda: len(sampler.minibatch(next(numbers))[0]), torch.device("cpu"), SECONDS
    )
    sequential = training_step.per_second(
        lambda: training_step.read_sequentially(root, N_CELLS) or N_CELLS,
        torch.device("cpu"),
        SECONDS,
    )
    print(f"\nloader alone, warm: {loader:,.0f} cells/s, {loader / sequential:.2f} x in order")
    step = training_step.Step("conv64", Precision("tf32", False), GPU)
    held = training_step.noise_batch(BATCH_SIZE, GPU)
    alone = training_step.per_second(lambda: len(step(held).expand(BATCH_SIZE)), GPU, SECONDS)
    batches = Minibatches(sampler, cells, GPU, in_background=True)
    both = training_step.per_second(
        lambda: len(step(batches.take(next(numbers))).expand(BATCH_SIZE)), GPU, 2 * SECONDS
    )
    print(
        f"step alone {alone:,.0f} cells/s, both {both:,.0f} ({both / alone:.2f}); projected for 2 "
        f"epochs of 23.6 M cells: {training_step.projected_hours(both):.2f} h"
    )
    assert both >= 0.9 * min(alone, loader)


def test_loader_against_one_record_a_cell(screen, tmp_path):
    pytest.importorskip("lmdb", reason="the other loader needs lmdb")
    root, cells = screen
    training_step.write_lmdb(root, cells, tmp_path / "cells.lmdb")
    data = training_step.LmdbCells(tmp_path / "cells.lmdb", len(cells))
    n_workers = min(8, os.cpu_count() or 1)
    loader = torch.utils.data.DataLoader(data, BATCH_SIZE, shuffle=True, num_workers=n_workers)
    records = itertools.chain.from_iterable(iter(loader) for _ in itertools.count())
    other = training_step.per_second(lambda: len(next(records)), torch.device("cpu"), SECONDS)
    sampler = training_step.sampler_of(root, cells, BATCH_SIZE)
    numbers = itertools.count()
    ours = training_step.per_second(
        lambda: len(sampler.minibatch(next(numbers))[0]), torch.device("cpu"), SECONDS
    )
    print(f"\nLMDB, {n_workers} workers: {other:,.0f} cells/s; ours {ours / other:.1f} x")
    assert ours > other


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("network", training_step.NETWORKS)
def test_step(network, way):
    step = training_step.Step(network, WAYS[way], GPU)
    cells = training_step.noise_batch(BATCH_SIZE, GPU)
    rate = training_step.per_second(lambda: len(step(cells).expand(BATCH_SIZE)), GPU, SECONDS)
    bound, shares = bound_of(step, cells, BATCH_SIZE / rate, WAYS[way].precision)
    print(
        f"\n{network}, {way}: {rate:,.0f} cells/s, "
        f"{training_step.projected_hours(rate):.2f} h for 2 epochs of 23.6 M cells; "
        f"bound by {bound} " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    )
    assert np.isfinite(float(step(cells)))


def bound_of(
    step: training_step.Step, cells: training_step.Minibatch, step_s: float, precision: str
) -> tuple[str, dict[str, float]]:
    """Return what a step waits for, and the shares of its time that tell.

    Busy: in kernels. Compute: that its floating point operations need at the measured peak of
    matrix products. Memory: that the inputs and outputs of its layers, three times for the way
    back, need at the measured rate of copying.
    """
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        for _ in range(N_STEPS):
            step(cells)
        torch.cuda.synchronize()
    kernel_s = sum(event.self_device_time_total for event in profiled.key_averages()) / 1e6
    plain = training_step.Step(network_of(step), Precision("float32", False), GPU)
    with FlopCounterMode(display=False) as counter:
        plain(cells)
    moved = 3 * layer_bytes(plain, cells) * (0.5 if precision == "bf16" else 1.0)
    shares = {
        "busy": kernel_s / N_STEPS / step_s,
        "compute": counter.get_total_flops() / peak_flops(precision) / step_s,
        "memory": moved / copied_bytes_per_s() / step_s,
    }
    if shares["busy"] < BUSY:
        return "launch", shares
    return ("memory" if shares["memory"] > shares["compute"] else "compute"), shares


def network_of(step: training_step.Step) -> str:
    return step.model.settings.network


def layer_bytes(step: training_step.Step, cells: training_step.Minibatch) -> int:
    """Return the bytes of all inputs and outputs of layers in one pass forward."""
    seen = []

    def note(_module, inputs, output) -> None:
        seen.extend(one.numel() * one.element_size() for one in (*inputs, output))

    leaves = [one for one in step.model.modules() if not list(one.children())]
    hooks = [leaf.register_forward_hook(note) for leaf in leaves]
    step(cells)
    for hook in hooks:
        hook.remove()
    return sum(seen)


def peak_flops(precision: str) -> float:
    """Return the rate of a large matrix product, in floating point operations per second."""
    n = 8192
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    matrix = torch.randn(n, n, device=GPU, dtype=PEAK_TYPES[precision])
    return 2 * n**3 * training_step.per_second(lambda: len([matrix @ matrix]), GPU, 1.0)


def copied_bytes_per_s() -> float:
    """Return the rate at which memory is read and written by a large copy."""
    one = torch.empty(1 << 30, dtype=torch.uint8, device=GPU)
    other = torch.empty_like(one)
    return 2 * len(one) * training_step.per_second(lambda: len([other.copy_(one)]), GPU, 1.0)
