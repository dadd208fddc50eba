"""Two ranks train as one does, and go on after they were asked to stop."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mcvae_ops.training.launch import launcher
from tests.helpers.fake_shards import MCVAE, TRAINING, train_model_arguments, write_fake_screen

LONG = TRAINING | {"epochs": 8, "checkpoint_minutes": 1e-6, "early_stopping_patience": 100}

PROGRAM = """
import json, logging, sys
from mcvae_ops.training.launch import launcher
logging.basicConfig(level=logging.INFO)
launcher(2, 1)(**json.load(open(sys.argv[1])))
"""


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_fake_screen(tmp_path_factory.mktemp("screen"))


def start(arguments: dict, folder: Path) -> subprocess.Popen:
    """Train in two ranks in a process of its own, which a test may stop."""
    folder.mkdir(exist_ok=True)
    path = folder / "start.json"
    path.write_text(json.dumps(arguments))
    command = [sys.executable, "-c", PROGRAM, str(path)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def validations(arguments: dict) -> list[float]:
    rows = pq.read_table(arguments["metrics"]).to_pylist()
    return [row["negative_elbo"] for row in rows if row["phase"] == "validation"]


def test_two_ranks_train_as_one_does_and_go_on_after_sigterm(shards, tmp_path):
    one = train_model_arguments(shards, tmp_path / "one", MCVAE, LONG)
    launcher(1, 1)(**one)
    two = train_model_arguments(shards, tmp_path / "two", MCVAE, LONG)
    process = start(two, tmp_path / "two")
    log = process.communicate(timeout=120)[1]
    assert process.returncode == 0, log
    elbo = [validations(arguments) for arguments in (one, two)]
    gained = elbo[0][0] - elbo[0][-1]
    assert gained > 200
    assert elbo[1][-1] == pytest.approx(elbo[0][-1], abs=0.2 * gained)

    stopped = train_model_arguments(shards, tmp_path / "stopped", MCVAE, LONG)
    process = start(stopped, tmp_path / "stopped")
    checkpoint = Path(stopped["checkpoint_dir"]) / "checkpoint.pt"
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    log = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signal.SIGTERM, log
    assert "asked to stop" in log and not Path(stopped["weights"]).exists()
    process = start(stopped, tmp_path / "stopped")
    assert "resumed at step" in process.communicate(timeout=120)[1]
    assert Path(stopped["weights"]).read_bytes() == Path(two["weights"]).read_bytes()
