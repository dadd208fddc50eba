"""A SLURM of one node for tests, its daemons with folders and ports of their own.

MariaDB and slurmdbd keep the accounts that `sacct` reads. The node claims more processors than the
machine has, and two GPUs that are plain devices.
"""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

PROGRAMS = (
    "munged", "mariadbd", "mariadb-install-db", "slurmdbd", "slurmctld", "slurmd", "sbatch", "srun",
    "squeue", "scontrol", "sacct", "sacctmgr",
)  # fmt: skip

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
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={ports[2]}
AccountingStoragePass={root}/munge.socket
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

ACCOUNTS = """
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={ports[2]}
SlurmUser={user}
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports[3]}
StorageUser={user}
LogFile={root}/slurmdbd.log
PidFile={root}/slurmdbd.pid
"""


def missing_programs() -> list[str]:
    """Return what of SLURM is not installed; its daemons lie outside a user's path."""
    return [name for name in PROGRAMS if program(name) is None]


def program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


class Slurm:
    """The daemons in `root`, as long as the context lasts; `environment` is for its users."""

    def __init__(self, root: Path) -> None:
        self.root, self.host = root, socket.gethostname().split(".")[0]
        for name in ("state", "spool", "bin"):
            (root / name).mkdir()
        key = root / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        lines = [f"NodeName={self.host} Name=gpu File=/dev/{name}" for name in ("null", "zero")]
        (root / "gres.conf").write_text("\n".join(lines) + "\n")
        values = {
            "root": root,
            "host": self.host,
            "user": getpass.getuser(),
            "ports": free_ports(4),
        }
        (root / "slurm.conf").write_text(CONFIGURATION.format(**values))
        accounts = root / "slurmdbd.conf"
        accounts.write_text(ACCOUNTS.format(**values))
        accounts.chmod(0o600)
        # The job step of the executor plugin drops SLURM_CONF from the environment.
        srun = root / "bin/srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={root}/slurm.conf exec {program("srun")} "$@"\n')
        srun.chmod(0o755)
        self.environment = os.environ | {
            "SLURM_CONF": f"{root}/slurm.conf",
            "PATH": f"{root}/bin:{os.environ['PATH']}",
        }
        self.database_port = values["ports"][3]
        self.daemons: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> "Slurm":
        root = self.root
        self.start("munged", "--force", "--foreground", f"--socket={root}/munge.socket",
                   f"--key-file={root}/munge.key", f"--pid-file={root}/munged.pid",
                   f"--log-file={root}/munged.log", f"--seed-file={root}/munged.seed")  # fmt: skip
        wait_until((root / "munge.socket").exists)
        self.start_database()
        self.start("slurmdbd", "-D")
        wait_until(lambda: "test" in self.call("sacctmgr", "--immediate", "add", "cluster", "test"))
        self.start("slurmctld", "-D", "-c")
        self.start("slurmd", "-D")
        wait_until(lambda: "idle" in self.call("sinfo", "--noheader", "--format=%T"))
        return self

    def start_database(self) -> None:
        where = [f"--datadir={self.root}/database", f"--user={getpass.getuser()}"]
        install = [program("mariadb-install-db"), "--no-defaults", "--skip-test-db", *where]
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
        self.start("mariadbd", "--no-defaults", "--skip-grant-tables", "--bind-address=127.0.0.1",
                   f"--port={self.database_port}", f"--socket={self.root}/database.socket",
                   *where)  # fmt: skip
        wait_until((self.root / "database.socket").exists)

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
        """Return rule (its comment), partition, state, GPUs, restarts and array of each job."""
        names = {"Comment": "rule", "Partition": "partition", "JobState": "state",
                 "Restarts": "restarts", "TresPerJob": "gpus", "JobId": "id",
                 "ArrayJobId": "array"}  # fmt: skip
        found = {}
        for text in self.call("scontrol", "show", "jobs", "--oneliner").splitlines():
            fields = dict(part.split("=", 1) for part in text.split() if "=" in part)
            job = {names[key]: value for key, value in fields.items() if key in names}
            if job:
                found[job["id"]] = job
        return found

    def __exit__(self, *_) -> None:
        """End all jobs and the daemons, the database last but one."""
        self.call("scancel", "--full", f"--user={getpass.getuser()}")
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()


def free_ports(n: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    """Return as soon as the condition holds."""
    deadline_s = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.1)
