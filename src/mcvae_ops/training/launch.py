"""Start a training: in this process, or with torchrun in one process per GPU."""

import functools
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mcvae_ops.files import write_text
from mcvae_ops.training.checkpoint import signal_handler
from mcvae_ops.training.train import train_model

logger = logging.getLogger(__name__)

FIRST_PORT = 29_400


def launcher(gpus: int, nodes: int) -> Callable[..., None]:
    """Return what trains one model: `train_model`, or a function of the same arguments.

    Parameters
    ----------
    gpus, nodes
        With more than one GPU there is a process for each, on so many nodes of a SLURM job.
    """
    if gpus <= 1:
        return train_model

    @functools.wraps(train_model)
    def in_ranks(**arguments) -> None:
        train_in_ranks(arguments, gpus, nodes)

    return in_ranks


def torchrun_command(arguments: str, gpus: int, nodes: int, job: int, host: str) -> list[str]:
    """Return the command that starts `gpus` ranks, in equal shares on `nodes` nodes.

    Parameters
    ----------
    arguments
        Path of the JSON file for `mcvae_ops.training.rank`.
    gpus, nodes
        Number of all ranks, and of nodes of the SLURM job.
    job
        Id of the job; it distinguishes the rendezvous of two jobs on one host.
    host
        Node on which the ranks meet.
    """
    ranks = ["--nnodes", str(nodes), "--nproc-per-node", str(gpus // nodes)]
    torchrun = [sys.executable, "-m", "torch.distributed.run", *ranks]
    if nodes == 1:
        torchrun.append("--standalone")
        return [*torchrun, "-m", "mcvae_ops.training.rank", arguments]
    place = ["--rdzv-backend", "c10d", "--rdzv-id", str(job)]
    place += ["--rdzv-endpoint", f"{host}:{FIRST_PORT + job % 1000}"]
    steps = [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", "--overlap"]
    srun = ["srun", *steps, f"--gpus-per-node={gpus // nodes}"]
    return [*srun, *torchrun, *place, "-m", "mcvae_ops.training.rank", arguments]


def train_in_ranks(arguments: dict, gpus: int, nodes: int) -> None:
    """Run `train_model` with these arguments in `gpus` ranks; their output is logged.

    Raises
    ------
    SystemExit
        If a rank fails; with 143 after a stop signal, which is forwarded to the ranks.
    """
    path = Path(arguments["checkpoint_dir"]) / "arguments.json"
    write_text(json.dumps(arguments), path)
    job = int(os.environ.get("SLURM_JOB_ID", os.getpid()))
    command = torchrun_command(str(path), gpus, nodes, job, socket.gethostname())
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    signals = []

    def forward(number: int, _frame: object) -> None:
        signals.append(number)
        process.send_signal(signal.SIGTERM)  # torchrun forwards this one to the ranks

    with signal_handler(forward):
        for line in process.stdout:
            logger.info("%s", line.rstrip())
    code = process.wait()
    path.unlink()
    if code:
        sys.exit(128 + signal.SIGTERM if signals else code)
