"""A tiny screen that is killed in every stage, and finds its disk full or read-only.

`KILLS` sets the number of kills (50). `UNDISTURBED` may name the folder of a finished run of the
tiny screen (as the fixture makes it), which spares one run.
"""

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.helpers.interruptions import changed, digests, disk, interrupt
from tests.helpers.runs import (
    command,
    environment,
    snakemake,
    tiny_configuration,
    write_configuration,
)

STAGES = {
    "crop_chunk": "crops/20260105_6W-SIM001A/A1/000.ntc.npy",
    "index_shards": "shards/index.parquet",
    "aggregate_profiles": "profiles/mcvae/0/guides.parquet",
    "complexes": "benchmarks/complexes.parquet",
    "draw_figure": "figures/fig2a.pdf",
}
SAID = {
    "full": ["No space left on device"],
    # The second is Snakemake's own, where other outputs of the rule are there already.
    "read-only": ["Read-only file system", "Write-protected output files"],
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    if "UNDISTURBED" in os.environ:
        return Path(os.environ["UNDISTURBED"])
    folder = tmp_path_factory.mktemp("undisturbed")
    write_configuration(tiny_configuration(), folder)
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout[-3000:]
    return folder


def results(folder: Path) -> Path:
    return folder / "results/tiny"


def test_kills_in_every_stage_change_no_byte(undisturbed, tmp_path):
    write_configuration(tiny_configuration(), tmp_path)
    expected, stopped = digests(results(undisturbed)), Counter()
    for rule, number in interrupt(tmp_path, int(os.environ.get("KILLS", 50)), 0, "--cores", "2"):
        stopped[number.name] += 1
        print(rule, number.name, flush=True)
        assert not changed(expected, results(tmp_path)), "a file that is not whole has its name"
    done = snakemake(tmp_path, "--cores", "2")
    assert done.returncode == 0, done.stdout[-3000:]
    # The output of a rule that ran again, if nothing needs it any more: made when it is asked for.
    absent = [f"results/tiny/{name}" for name in expected if name not in digests(results(tmp_path))]
    if absent:
        done = snakemake(tmp_path, *absent, "--cores", "2")
        assert done.returncode == 0, done.stdout[-3000:]
    found = digests(results(tmp_path))
    print(f"\n{sum(stopped.values())} jobs stopped ({dict(stopped)}), {len(found)} files the same")
    assert found == expected
    assert not [path for path in results(tmp_path).rglob(".*.*") if path.is_file()]


@pytest.fixture
def copied(undisturbed, tmp_path) -> Path:
    return Path(shutil.copytree(undisturbed, tmp_path / "run", symlinks=True))


def alone(rule: str) -> list[str]:
    """One rule alone, whatever else may have changed."""
    target = f"results/tiny/{STAGES[rule]}"
    only = ["--allowed-rules", rule, "--rerun-triggers", "mtime", "--retries", "0"]
    return [target, "--cores", "2", *only]


def remake(folder: Path, rule: str) -> subprocess.CompletedProcess:
    return snakemake(folder, *alone(rule))


@pytest.mark.parametrize("fault", ["full", "read-only"])
@pytest.mark.parametrize("rule", STAGES)
def test_a_disk_without_room_ends_in_one_sentence(rule, fault, undisturbed, tmp_path):
    shutil.copy(undisturbed / "config.yaml", tmp_path)
    with disk(tmp_path / "results", 400) as small:
        shutil.copytree(undisturbed / "results", small, dirs_exist_ok=True, symlinks=True)
        target = small / "tiny" / STAGES[rule]
        target.unlink()
        filler = small / "filler"
        if fault == "full":
            free = shutil.disk_usage(small).free
            with open(filler, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, free - 4096)
        else:
            subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
        failed = remake(tmp_path, rule)
        subprocess.run(["mount", "-o", "remount,rw", str(small)], check=True)
        filler.unlink(missing_ok=True)
        assert failed.returncode != 0
        assert any(sentence in failed.stdout for sentence in SAID[fault]), failed.stdout[-3000:]
        assert not target.exists()
        assert (done := remake(tmp_path, rule)).returncode == 0, done.stdout[-3000:]
        assert target.read_bytes() == (results(undisturbed) / STAGES[rule]).read_bytes()


def test_a_second_run_in_a_folder_is_refused_and_the_first_goes_on(undisturbed, copied):
    rule = "aggregate_profiles"
    (results(copied) / STAGES[rule]).unlink()
    with open(copied / "first.txt", "w") as output:
        first = subprocess.Popen(
            command(copied, *alone(rule)), stdout=output, stderr=output, env=environment()
        )
        while not list((copied / ".snakemake/locks").glob("*")) and first.poll() is None:
            time.sleep(0.02)
        first.send_signal(signal.SIGSTOP)  # until the second has looked
        second = remake(copied, rule)
        first.send_signal(signal.SIGCONT)
        assert first.wait() == 0, (copied / "first.txt").read_text()[-3000:]
    assert second.returncode != 0 and "cannot be locked" in second.stdout, second.stdout[-2000:]
    assert digests(results(copied)) == digests(results(undisturbed))


def test_a_clock_that_was_set_back_is_said_and_changes_no_byte(undisturbed, copied):
    rule = "aggregate_profiles"
    (results(copied) / STAGES[rule]).unlink()
    for path in results(copied).rglob("*"):
        os.utime(path, (time.time() + 3600,) * 2)
    refused = remake(copied, rule)
    assert refused.returncode != 0
    assert "has older modification time" in refused.stdout, refused.stdout[-3000:]
    for path in results(copied).rglob("*"):
        os.utime(path)
    assert (done := remake(copied, rule)).returncode == 0, done.stdout[-3000:]
    assert digests(results(copied)) == digests(results(undisturbed))
