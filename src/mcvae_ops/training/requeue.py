"""Requeue the SLURM job of a training that was stopped by a signal."""

import logging
import os
import subprocess

logger = logging.getLogger(__name__)


def requeue() -> None:
    """Requeue this SLURM job, unless it is being cancelled or has run out of time.

    SLURM requeues a preempted job by itself, but not a job that only got a signal, for example from
    ``sbatch --signal`` before its time limit. A job that is being cancelled or has reached its time
    limit is no longer "RUNNING", and is not requeued.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return
    state = _output("squeue", "--noheader", f"--jobs={job}", "--format=%T")
    logger.warning("SLURM job %s is %s", job, state or "unknown")
    if state == "RUNNING":
        _output("scontrol", "requeue", job)


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        logger.warning("%s: %s", " ".join(command), done.stderr.strip())
    return done.stdout.strip()
