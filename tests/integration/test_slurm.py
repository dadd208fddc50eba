"""The tiny screen on a real SLURM: the same figure, with jobs signalled, killed, out of memory.

One run is shared: its training is sent SIGTERM, then its node "dies"; one rule asks for too little
memory; the chunks are an array. Where SLURM is not installed these tests are skipped, but never
under continuous integration (variable CI).
"""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

from tests.conftest import ROOT
from tests.helpers.runs import snakemake, tiny_configuration, write_configuration
from tests.helpers.slurm import Slurm, missing_programs, wait_until

FIGURE = "results/tiny/figures/fig3b.csv"
WEIGHTS = "results/tiny/models/mcvae/0/weights.pt"
STATISTICS = "results/tiny/shards/statistics.parquet"
LOG = "logs/tiny/train_model/mcvae/0.log"
MADE_BY_JOBS = ("crops", "shards", "models", "embeddings", "benchmarks", "figures")


def longer_configuration() -> dict:
    """The tiny screen with a training that lasts long enough to be disturbed."""
    config = tiny_configuration()
    config["training"] |= {"epochs": 16, "checkpoint_minutes": 0.001}
    return config


def write_profile(folder: Path) -> Path:
    """Copy the profile as a site does, and change what a site may change."""
    profile = yaml.safe_load((ROOT / "workflow/profiles/slurm/config.yaml").read_text())
    # From sacct the executor would learn of the dead node, and of none to take its place.
    profile["slurm-status-command"] = "squeue"
    profile["slurm-array-jobs"] = "crop_chunk"
    profile["slurm-init-seconds-before-status-checks"] = 10
    profile["slurm-keep-successful-logs"] = True
    profile["latency-wait"] = 5
    # As the local run, to the last bit; and too little memory on the first attempt.
    profile["set-threads"]["train_model"] = 1
    profile["set-resources"]["cellprofiler_pca"] = {"mem_mb": "150 if attempt == 1 else 1500"}
    path = folder / "profile/config.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(profile))
    return path.parent


def command(folder: Path, profile: Path, *arguments: str) -> list[str]:
    return [
        "snakemake",
        "--snakefile", str(ROOT / "Snakefile"),
        "--directory", str(folder),
        "--configfile", str(folder / "config.yaml"),
        "--workflow-profile", str(profile),
        *arguments,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    missing = missing_programs()
    if missing and not os.environ.get("CI"):
        pytest.skip(f"SLURM is not installed: no {', '.join(missing)}")
    assert not missing, f"no {', '.join(missing)}"
    with Slurm(tmp_path_factory.mktemp("slurm")) as cluster:
        cluster.environment |= {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        yield cluster


def job_of(slurm: Slurm, rule: str) -> dict[str, str]:
    """Return the last job of a rule."""
    jobs = [job for job in slurm.jobs().values() if job["rule"].startswith(f"rule_{rule}")]
    return jobs[-1] if jobs else {"state": "", "restarts": "0"}


def kill_node_of(slurm: Slurm, job: str) -> None:
    """End slurmd and all processes of a job as a power cut does; declare the node dead; repair."""
    slurm.daemons["slurmd"].kill()
    slurm.daemons["slurmd"].wait()
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if "slurmstepd" in words and f"[{job}." in words:
            for one in [process, *process.children(recursive=True)]:
                one.kill()
    slurm.call("scontrol", "update", f"nodename={slurm.host}", "state=down", "reason=power cut")
    slurm.start("slurmd", "-D")
    slurm.call("scontrol", "update", f"nodename={slurm.host}", "state=resume")


def disturb_training(slurm: Slurm, folder: Path) -> None:
    """Signal the training, then kill its node, each time after a checkpoint of its own."""
    checkpoint = folder / "results/tiny/checkpoints/mcvae/0/checkpoint.pt"

    def trains(restarts: str) -> bool:
        job = job_of(slurm, "train_model")
        log = folder / LOG
        resumed = log.exists() and "resumed at step" in log.read_text()
        return (
            (job["state"], job["restarts"]) == ("RUNNING", restarts)
            and checkpoint.exists()
            and resumed == (restarts != "0")
        )

    wait_until(lambda: trains("0"), 300)
    job = job_of(slurm, "train_model")["id"]
    slurm.call("scancel", "--signal=TERM", job)
    wait_until(lambda: trains("1"), 180)
    before = checkpoint.stat().st_mtime_ns
    wait_until(lambda: checkpoint.stat().st_mtime_ns != before, 10)
    kill_node_of(slurm, job)


@dataclass
class Run:
    """A finished run: its folder, what Snakemake printed, the records of its jobs."""

    folder: Path
    printed: str
    jobs: list[dict[str, str]]


@pytest.fixture(scope="module")
def local_folder(tiny_run, tmp_path_factory) -> Path:
    """The undisturbed run with two cores."""
    folder = Path(shutil.copytree(tiny_run, tmp_path_factory.mktemp("local") / "run"))
    write_configuration(longer_configuration(), folder)
    done = snakemake(folder, "--cores", "2", FIGURE)
    assert done.returncode == 0, done.stdout[-5000:]
    return folder


@pytest.fixture(scope="module")
def run(slurm, tiny_run, tmp_path_factory) -> Run:
    """The disturbed run through SLURM, from the cells' tables on."""
    folder = Path(shutil.copytree(tiny_run, tmp_path_factory.mktemp("cluster") / "run"))
    for name in MADE_BY_JOBS:
        shutil.rmtree(folder / "results/tiny" / name)
    write_configuration(longer_configuration(), folder)
    profile = write_profile(folder)
    with open(folder / "printed.txt", "w") as printed:
        process = subprocess.Popen(
            command(folder, profile, FIGURE),
            stdout=printed, stderr=printed, env=slurm.environment,
        )  # fmt: skip
        try:
            disturb_training(slurm, folder)
            process.wait(300)
        finally:
            process.send_signal(signal.SIGTERM)
    text = (folder / "printed.txt").read_text()
    assert process.returncode == 0, text[-5000:]
    return Run(folder, text, list(slurm.jobs().values()))


def test_the_figure_is_the_one_of_a_local_run(run, local_folder):
    assert (run.folder / FIGURE).read_bytes() == (local_folder / FIGURE).read_bytes()


def test_signalled_and_killed_training_is_requeued_and_gives_the_same_weights(run, local_folder):
    (job,) = [job for job in run.jobs if job["rule"].startswith("rule_train_model")]
    assert (job["state"], job["restarts"]) == ("COMPLETED", "2")
    assert "resumed at step" in (run.folder / LOG).read_text()
    assert (run.folder / WEIGHTS).read_bytes() == (local_folder / WEIGHTS).read_bytes()


def test_gpu_rules_alone_had_a_gpu(run):
    for job in run.jobs:
        is_gpu_rule = job["rule"].startswith(("rule_train_model", "rule_embed_cells"))
        assert job["partition"] == ("gpu" if is_gpu_rule else "cpu"), job
        assert job.get("gpus") == ("gres:gpu:1" if is_gpu_rule else None), job
    logs = {rule: next((run.folder / "logs/tiny").glob(f"{rule}*")) for rule in
            ("embed_cells/mcvae/0/0.log", "covariates.log")}  # fmt: skip
    assert "CUDA_VISIBLE_DEVICES 0" in logs["embed_cells/mcvae/0/0.log"].read_text()
    assert "CUDA_VISIBLE_DEVICES none" in logs["covariates.log"].read_text()


def test_a_job_without_enough_memory_is_sent_again_with_more(run):
    first, second = [job for job in run.jobs if job["rule"].startswith("rule_cellprofiler_pca")]
    assert first["state"] in ("FAILED", "OUT_OF_MEMORY") and second["state"] == "COMPLETED"
    assert "exceeded memory limit" in "".join(
        path.read_text() for path in (run.folder / "logs/slurm").rglob(f"{first['id']}.log")
    )


def test_chunks_were_one_array(run):
    chunks = [job for job in run.jobs if job["rule"].startswith("rule_crop_chunk")]
    assert len(chunks) == 4 and len({job["array"] for job in chunks}) == 1, chunks


def through_slurm(slurm: Slurm, folder: Path, target: str) -> subprocess.CompletedProcess:
    """Make one more target, with the status of jobs from their accounts, as shipped."""
    choice = ("--retries", "0", "--slurm-status-command", "sacct")
    return subprocess.run(
        command(folder, folder / "profile", target, *choice),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=slurm.environment,
    )  # fmt: skip


def test_a_job_is_followed_by_its_account(run, slurm):
    done = through_slurm(slurm, run.folder, STATISTICS)
    assert done.returncode == 0, done.stdout
    assert (run.folder / STATISTICS).exists()
    assert "COMPLETED" in slurm.call("sacct", "--noheader", "--allocations", "--format=State")


def test_a_job_that_always_fails_ends_with_its_log(run, slurm):
    config = longer_configuration()
    config["training"]["batch_size"] = 100_000
    write_configuration(config, run.folder)
    done = through_slurm(slurm, run.folder, WEIGHTS)
    assert done.returncode != 0
    assert done.stdout.count("has been submitted with SLURM jobid") == 1
    assert "configuration key training.batch_size: found 100000" in done.stdout
