"""How trainings in several processes are started, and what a stopped training tells SLURM."""

import os
import sys

import pytest

from mcvae_ops.training.launch import torchrun_command
from mcvae_ops.training.requeue import requeue


def test_one_node_needs_no_srun_and_several_meet_on_the_first():
    alone = torchrun_command("a.json", gpus=4, nodes=1, job=77, host="n1")
    assert alone[0] == sys.executable and "--standalone" in alone
    assert alone[alone.index("--nproc-per-node") + 1] == "4"
    several = torchrun_command("a.json", gpus=8, nodes=2, job=77, host="n1")
    assert several[:3] == ["srun", "--nodes=2", "--ntasks=2"]
    assert several[several.index("--nproc-per-node") + 1] == "4"
    assert several[several.index("--rdzv-endpoint") + 1] == "n1:29477"


@pytest.mark.parametrize(("state", "requeued"), [("RUNNING", True), ("CANCELLED", False)])
def test_only_a_running_job_is_requeued(state, requeued, tmp_path, monkeypatch):
    for name, script in (("squeue", f"echo {state}"), ("scontrol", f'echo "$@" > {tmp_path}/call')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    requeue()
    assert not (tmp_path / "call").exists()
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    requeue()
    assert (tmp_path / "call").exists() == requeued
    if requeued:
        assert (tmp_path / "call").read_text() == "requeue 12\n"
