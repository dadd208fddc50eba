"""A training that was asked to stop goes back into SLURM's queue."""

import logging
import os
import subprocess

logger = logging.getLogger(__name__)


def requeue() -> None:
    """Put this SLURM job back into the queue, if it is one that nobody is ending.

    SLURM requeues a preempted job by itself, but not one that was only sent a signal, as
    ``sbatch --signal`` does before the time is up. A job that is being cancelled or has run out of
    time is no longer "RUNNING", and is left alone.
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
