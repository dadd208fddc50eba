"""Start the archive's server as a process, and ask it what it has sent."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from tests.conftest import ROOT


@dataclass
class Running:
    """A running server: its address, and the folder that it serves."""

    address: str
    folder: Path

    def stats(self) -> dict:
        """Return sent_bytes by path and the log of requests."""
        with urllib.request.urlopen(f"{self.address}/_stats") as answer:
            return json.load(answer)


@contextmanager
def serving(folder: Path) -> Iterator[Running]:
    """Serve a folder until the block ends."""
    command = [sys.executable, "-m", "tests.helpers.archive_server", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield Running(process.stdout.readline().strip(), folder)
        finally:
            process.kill()


def write_tiffs(folder: Path, n_files: int, edge_px: int) -> dict[str, int]:
    """Write images that no one can guess: {name: size in bytes}."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {}
    for k in range(n_files):
        pixels = np.random.default_rng(k).integers(0, 65535, (edge_px, edge_px), np.uint16)
        tifffile.imwrite(folder / f"{k:03d}.tif", pixels, imagej=True)
        sizes[f"{k:03d}.tif"] = (folder / f"{k:03d}.tif").stat().st_size
    return sizes
