"""Checkpoints, from which a training resumes after an interruption, and requests to stop."""

import hashlib
import json
import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from mcvae_ops import __version__
from mcvae_ops.errors import InputError
from mcvae_ops.torch_files import load_torch, save_torch

logger = logging.getLogger(__name__)


def identity_of(settings: dict, paths: list[str]) -> str:
    """Return a hash of the settings, the content of the files at `paths`, and the version."""
    digest = hashlib.sha256(json.dumps([settings, __version__], sort_keys=True).encode())
    for path in paths:
        with open(path, "rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()


class Checkpoint:
    """One file in a folder outside the outputs, valid only for one identity.

    Parameters
    ----------
    folder
        Folder of the file.
    identity
        Hash of settings, data and number of ranks; a file of another identity is ignored.
    interval_s
        Least time between two regular checkpoints.
    """

    def __init__(self, folder: str, identity: str, interval_s: float) -> None:
        self.path = Path(folder) / "checkpoint.pt"
        self.identity, self.interval_s = identity, interval_s
        self.saved_s = time.monotonic()

    def load(self, device: torch.device) -> dict | None:
        """Return the saved state, or None if the training must start from the beginning."""
        if not self.path.exists():
            return None
        try:
            saved = load_torch(self.path, device)
        except InputError as error:
            logger.warning("%s Training starts from the beginning.", error)
            return None
        if saved.get("identity") != self.identity:
            logger.warning(
                "%s belongs to other settings, other data or another number of ranks (GPUs); "
                "training starts from the beginning",
                self.path,
            )
            return None
        return saved["state"]

    def save(self, state: dict) -> None:
        """Write the state now."""
        save_torch({"identity": self.identity, "state": state}, self.path)
        self.saved_s = time.monotonic()

    def is_due(self) -> bool:
        """Return whether `interval_s` have passed since the last checkpoint."""
        return time.monotonic() - self.saved_s >= self.interval_s

    def remove(self) -> None:
        """Delete the file, and incomplete ones of killed runs."""
        for path in (self.path, *self.path.parent.glob(f".{self.path.stem}.*")):
            path.unlink(missing_ok=True)


STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
"""Signals by which a scheduler ends a job; SLURM sends the one that ``--signal`` names."""


class StopRequest:
    """Whether the process was asked to end."""

    signal: int | None = None


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Record `STOP_SIGNALS` instead of ending at once, so that a checkpoint is written first."""
    request = StopRequest()

    def record(number: int, _frame: object) -> None:
        request.signal = number

    with signal_handler(record):
        yield request


@contextmanager
def signal_handler(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Call `handler` for `STOP_SIGNALS` inside the context."""
    before = {number: signal.signal(number, handler) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
