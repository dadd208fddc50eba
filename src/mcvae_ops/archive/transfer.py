"""Fetch one file: whole, of the published size, resumed where it broke off."""

import email.utils
import json
import logging
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from mcvae_ops import __version__
from mcvae_ops.errors import InputError

logger = logging.getLogger(__name__)

USER_AGENT = f"mcvae-ops/{__version__}"
_PATIENCE_S = 60.0
_AGAIN = {408, 425, 429, 500, 502, 503, 504}


class TransferError(OSError):
    """An attempt failed in a way that another one may mend."""

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


def is_remote(address: str) -> bool:
    """Tell an address on the network from a local path or ``file://`` address."""
    return urlsplit(str(address)).scheme in {"http", "https"}


def local_path(address: str) -> Path:
    """Return the path that a local path or a ``file://`` address names."""
    parts = urlsplit(str(address))
    return Path(unquote(parts.path)) if parts.scheme == "file" else Path(address)


def fetch(
    address: str,
    target: str | Path,
    size_bytes: int | None = None,
    retries: int = 5,
    timeout_s: float = 60.0,
) -> Path:
    """Make a file available on this machine.

    A local file is not copied. A remote one is written to ``{target}.part``, which outlives a
    killed process, so that the next attempt asks only for the rest (``Range``); it takes its
    name once it is whole and on disk.

    Parameters
    ----------
    address
        A path, or an address beginning with ``file://``, ``http://`` or ``https://``.
    target
        Where a remote file is put.
    size_bytes
        Published size; None where none is published, then the server's own statement counts.
    retries
        Attempts after a failed one, with growing pauses between them.
    timeout_s
        Longest silence of a connection, s.

    Returns
    -------
    The path of the file: `target`, or the local file itself.

    Raises
    ------
    InputError
        If the file is missing, forbidden, a web page, or of another size.
    TransferError
        If the last attempt failed.
    """
    if not is_remote(address):
        return _check_local(local_path(address), size_bytes)
    target = Path(target)
    if target.exists() and size_bytes in (None, target.stat().st_size):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    for attempt in range(retries + 1):
        try:
            _attempt(address, partial, size_bytes, timeout_s)
            break
        except (httpx.TransportError, TransferError) as error:
            if attempt == retries:
                raise TransferError(f"{address}: {error}, after {retries + 1} attempts") from error
            wait_s = _pause_s(attempt, getattr(error, "wait_s", None))
            logger.warning("%s: %r, again in %.1f s", address, error, wait_s)
            time.sleep(wait_s)
    with open(partial, "rb") as handle:
        os.fsync(handle.fileno())
    os.replace(partial, target)
    return target


@contextmanager
def opened(place: str) -> Iterator[Path]:
    """Yield a small file as a path on this machine; a copy of a remote one goes afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield fetch(place, Path(folder) / "file")


def read_json(place: str):
    """Read a JSON file or answer.

    Raises
    ------
    InputError
        If it is not JSON.
    """
    with opened(place) as path:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(place, f"no JSON ({error})", "JSON", "correct the address") from None


def _attempt(address: str, partial: Path, size_bytes: int | None, timeout_s: float) -> None:
    done = partial.stat().st_size if partial.exists() else 0
    if size_bytes is not None and done == size_bytes:
        return
    if size_bytes is not None and done > size_bytes:
        partial.unlink()
        done = 0
    # Without "identity" a server may compress, and sizes and ranges mean other bytes.
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    with httpx.stream(
        "GET", address, headers=headers, timeout=timeout_s, follow_redirects=True
    ) as answer:
        resumed = _check_answer(answer, address, partial, done)
        total = size_bytes if size_bytes is not None else _announced(answer, resumed and done)
        with open(partial, "ab" if resumed else "wb") as handle:
            # Blocks as they come: what httpx gathers into larger ones is lost when the line breaks.
            for block in answer.iter_raw():
                handle.write(block)
    found = partial.stat().st_size
    if total is not None and found != total:
        if found > total:
            partial.unlink()
        raise TransferError(f"{found} of {total} bytes arrived")


def _check_answer(answer: httpx.Response, address: str, partial: Path, done: int) -> bool:
    """Return whether the answer continues the partial file; raise where it is no file at all."""
    status = answer.status_code
    if status == 416:
        partial.unlink()
        raise TransferError("the server refused the range, starting anew", 0.0)
    if status in _AGAIN:
        raise TransferError(f"HTTP {status}", _retry_after_s(answer))
    if status not in (200, 206):
        raise InputError(
            address, f"HTTP {status}", "a file", "correct the address or the access to it"
        )
    if "text/html" in answer.headers.get("Content-Type", ""):
        raise InputError(
            address, "a web page (HTML)", "a file", "correct the address, or place the file by hand"
        )
    if status == 206:
        start = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
        if start != str(done):
            partial.unlink(missing_ok=True)
            raise TransferError(f"a range from {start or 'nowhere'} instead of {done}", 0.0)
    return status == 206


def _announced(answer: httpx.Response, done: int) -> int | None:
    length = answer.headers.get("Content-Length")
    return None if length is None else int(length) + done


def _retry_after_s(answer: httpx.Response) -> float | None:
    value = answer.headers.get("Retry-After")
    if value is None:
        return None
    if value.isdigit():
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def _pause_s(attempt: int, asked_s: float | None) -> float:
    """Exponential pause with full jitter; not less than the server asked for."""
    pause_s = random.uniform(0.5, 1.0) * min(2.0**attempt, _PATIENCE_S)
    return pause_s if asked_s is None else max(min(asked_s, 600.0), 0.1 * pause_s)


def _check_local(path: Path, size_bytes: int | None) -> Path:
    if not path.is_file():
        raise InputError(str(path), "no file", "a file", "place it there or correct the path")
    found = path.stat().st_size
    if size_bytes is not None and found != size_bytes:
        raise InputError(
            str(path), f"{found} bytes", f"{size_bytes} bytes", "replace it by a whole copy"
        )
    return path
