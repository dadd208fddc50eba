"""A SLURM of one node for tests: munged, slurmctld and slurmd with folders and ports of their own.

There is no accounting database: `squeue` remembers finished jobs, and a text file keeps the record
of each. The node claims more processors than the machine has, and two GPUs that are plain devices.
"""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# A requeued job waits until its old credentials are void.
AuthInfo=socket={root}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={root}/jobs.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
GresTypes=gpu
MinJobAge=3600
KillWait=2
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=128000 Gres=gpu:2 State=UNKNOWN
PartitionName=cpu Nodes={host} State=UP
PartitionName=gpu Nodes={host} State=UP
"""


def missing_programs() -> list[str]:
    """Return what of SLURM is not installed; its daemons lie outside a user's path."""
    return [name for name in PROGRAMS if program(name) is None]


def program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


class Slurm:
    """The daemons in `root`; to be closed. `environment` is what its users need."""

    def __init__(self, root: Path) -> None:
        self.root, self.host = root, socket.gethostname().split(".")[0]
        for name in ("state", "spool", "bin"):
            (root / name).mkdir()
        key = root / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        lines = [f"NodeName={self.host} Name=gpu File=/dev/{name}" for name in ("null", "zero")]
        (root / "gres.conf").write_text("\n".join(lines) + "\n")
        values = {"root": root, "host": self.host, "user": getpass.getuser(), "ports": free_ports()}
        (root / "slurm.conf").write_text(CONFIGURATION.format(**values))
        # The job step of the executor plugin drops SLURM_CONF from the environment.
        srun = root / "bin/srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={root}/slurm.conf exec {program("srun")} "$@"\n')
        srun.chmod(0o755)
        self.environment = os.environ | {
            "SLURM_CONF": f"{root}/slurm.conf",
            "PATH": f"{root}/bin:{os.environ['PATH']}",
        }
        self.daemons: dict[str, subprocess.Popen] = {}
        self.start("munged", "--force", "--foreground", f"--socket={root}/munge.socket",
                   f"--key-file={key}", f"--pid-file={root}/munged.pid",
                   f"--log-file={root}/munged.log", f"--seed-file={root}/munged.seed")  # fmt: skip
        wait_until((root / "munge.socket").exists)
        self.start("slurmctld", "-D", "-c")
        self.start("slurmd", "-D")
        wait_until(lambda: "idle" in self.call("sinfo", "--noheader", "--format=%T"))

    def start(self, name: str, *arguments: str) -> None:
        with open(self.root / f"{name}.out", "ab") as log:
            self.daemons[name] = subprocess.Popen(
                [program(name), *arguments], stdout=log, stderr=log, env=self.environment
            )

    def call(self, *command: str) -> str:
        """Run a command of SLURM; return what it prints."""
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment)
        return done.stdout

    def jobs(self) -> dict[str, dict[str, str]]:
        """Return partition, state, GPUs and restarts of every job, by its comment (the rule)."""
        names = {"Comment": "rule", "Partition": "partition", "JobState": "state",
                 "Restarts": "restarts", "TresPerJob": "gpus", "JobId": "id"}  # fmt: skip
        found = {}
        for text in self.call("scontrol", "show", "jobs", "--oneliner").splitlines():
            fields = dict(part.split("=", 1) for part in text.split() if "=" in part)
            job = {names[key]: value for key, value in fields.items() if key in names}
            if job:
                found[job["id"]] = job
        return found

    def close(self) -> None:
        """End all jobs and the daemons."""
        self.call("scancel", "--full", f"--user={getpass.getuser()}")
        for name in ("slurmd", "slurmctld", "munged"):
            self.daemons[name].terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()


def free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    """Return as soon as the condition holds."""
    deadline_s = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.1)
