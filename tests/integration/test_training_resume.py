"""Runs that were killed at any moment, or asked to stop, resume and reach the very same weights."""

import multiprocessing
import os
import random
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.fake_shards import (
    MCVAE,
    TRAINING,
    train_in_process,
    train_model_arguments,
    write_fake_screen,
)

N_KILLS = 5
STEPS_BETWEEN = 8
LONG = TRAINING | {"epochs": 9, "checkpoint_minutes": 1e-6, "early_stopping_patience": 100}
# How batches are read: from memory, or from disk in windows that threads prefetch; and ranks.
DCVAE = MCVAE | {
    "training": {"label_weight": 10.0, "normalise_batches": True, "augmentation": True}
}
WAYS = {
    "alone": ({}, 1),
    "with labels and turned cells": ({"model": DCVAE}, 1),
    "prefetching": ({"threads": 2, "memory_mb": 0}, 1),
    "two ranks": ({"threads": 2}, 2),
}
# Forked from a process that has imported torch once.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.helpers.fake_shards"])


@dataclass
class Run:
    """A training in one process for each rank."""

    arguments: dict
    ranks: list

    @property
    def checkpoint(self) -> Path:
        return Path(self.arguments["checkpoint_dir"]) / "checkpoint.pt"

    def log(self) -> str:
        path = Path(self.arguments["weights"]).parent / "0.log"
        return path.read_text() if path.exists() else ""

    def send(self, number: int) -> None:
        for rank in self.ranks:
            os.kill(rank.pid, number)

    def exit_codes(self) -> set[int]:
        for rank in self.ranks:
            rank.join(120)
        return {rank.exitcode for rank in self.ranks}

    def wait_for_steps(self, n_steps: int) -> None:
        """Wait until that many checkpoints have been seen to be written."""
        seen = set()
        while len(seen) <= n_steps and all(rank.is_alive() for rank in self.ranks):
            if self.checkpoint.exists():
                seen.add(self.checkpoint.stat().st_mtime_ns)
            time.sleep(0.001)


def start(arguments: dict, n_ranks: int) -> Run:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    out = Path(arguments["weights"]).parent
    out.mkdir(exist_ok=True)
    ranks = []
    for rank in range(n_ranks):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": n_ranks, "MASTER_PORT": port}
        place |= {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "test"}
        variables = {name: str(value) for name, value in place.items()} if n_ranks > 1 else {}
        log = str(out / f"{rank}.log")
        ranks.append(SERVER.Process(target=train_in_process, args=(arguments, variables, log)))
        ranks[-1].start()
    return Run(arguments, ranks)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_fake_screen(tmp_path_factory.mktemp("screen"))


def outputs(run: Run) -> bytes:
    assert run.exit_codes() == {0}, run.log()
    assert not list(run.checkpoint.parent.glob("*"))
    return Path(run.arguments["weights"]).read_bytes()


@pytest.mark.parametrize("way", WAYS)
def test_killed_at_random_moments_it_ends_with_the_same_weights(way, shards, tmp_path):
    settings, n_ranks = WAYS[way]
    whole, broken = (
        train_model_arguments(shards, tmp_path / name, MCVAE, LONG) | settings
        for name in ("whole", "broken")
    )
    expected = outputs(start(whole, n_ranks))
    moments = random.Random(way)
    for _ in range(N_KILLS):
        run = start(broken, n_ranks)
        run.wait_for_steps(moments.randint(1, STEPS_BETWEEN))
        time.sleep(moments.uniform(0, 0.02))
        run.send(signal.SIGKILL)
        assert run.exit_codes() == {-signal.SIGKILL}
        assert not Path(broken["weights"]).exists()
    run = start(broken, n_ranks)
    assert outputs(run) == expected
    assert "resumed at step" in run.log()


def test_with_another_number_of_ranks_it_starts_anew_and_says_so(shards, tmp_path):
    arguments = train_model_arguments(shards, tmp_path, MCVAE, LONG)
    run = start(arguments, 1)
    run.wait_for_steps(3)
    run.send(signal.SIGKILL)
    assert run.exit_codes() == {-signal.SIGKILL}
    run = start(arguments, 2)
    outputs(run)
    assert "another number of ranks (GPUs); training starts from the beginning" in run.log()
    assert "resumed at step" not in run.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_asked_to_stop_it_writes_a_checkpoint_and_goes_on(number, shards, tmp_path):
    training = LONG | {"checkpoint_minutes": 60}
    whole, stopped = (
        train_model_arguments(shards, tmp_path / name, MCVAE, training)
        for name in ("whole", "stopped")
    )
    expected = outputs(start(whole, 1))
    run = start(stopped, 1)
    while "step 15:" not in run.log() and run.ranks[0].is_alive():
        time.sleep(0.001)
    run.send(number)
    assert run.exit_codes() == {128 + signal.SIGTERM}
    assert "asked to stop at step" in run.log() and run.checkpoint.exists()
    assert not Path(stopped["weights"]).exists()
    assert outputs(start(stopped, 1)) == expected
