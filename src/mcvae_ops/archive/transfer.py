"""Fetch files: whole, of the published size and kind, resumed where they broke off."""

import json
import logging
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from mcvae_ops.archive.addresses import is_remote, local_path
from mcvae_ops.archive.checksums import note_receipt, received
from mcvae_ops.archive.content import digest_of, fault_of
from mcvae_ops.archive.http import (
    ContentError,
    Terms,
    append_rest,
    discard,
    read_part,
)
from mcvae_ops.errors import InputError, TransferError, shown, without_key

__all__ = ["TransferError", "Wanted", "fetch", "fetch_all", "opened", "read_json", "read_range"]

logger = logging.getLogger(__name__)

LARGEST_LIST_BYTES = 4 << 30  # a list of some 30 million files
_LARGEST_ANSWER_BYTES = 64 << 20
_PATIENCE_S = 60.0
_LONGEST_WAIT_S = 600.0
_PROGRESS_BYTES = 1 << 14
_LINE_EVERY_S = 10.0
_LARGEST_IN_MEMORY = 1 << 30  # a chunk of an image, a page of a listing


@dataclass(frozen=True)
class Wanted:
    """A file to be fetched: where from, where to, and what is published of it."""

    address: str
    target: Path
    size_bytes: int | None = None
    md5: str | None = None


def fetch(
    address: str,
    target: str | Path,
    archive: dict,
    size_bytes: int | None = None,
    md5: str | None = None,
    max_bytes: int | None = None,
) -> Path:
    """Make a file available on this machine.

    A local file is not copied. A remote one is written to ``{target}.part``, which outlives a
    killed process, so that the next attempt asks only for the rest (``Range``). It takes its name
    once its size, checksum and kind (TIFF, parquet, zip, tar; no web page) are right and it is on
    disk. Its sha256 is noted in ``received.tsv`` beside it; a file that comes again must have it,
    and so must one that is here already: otherwise it is fetched anew.

    Parameters
    ----------
    address
        A path, or an address beginning with ``file://``, ``http://`` or ``https://``.
    target
        Where a remote file is put; its suffix says what it must hold.
    archive
        Section of the configuration: retries counts attempts that bring nothing, one after the
        other; for the rest see `Terms`.
    size_bytes
        Published size; None where none is published, then the server's own statement counts.
    md5
        Published checksum, or None.
    max_bytes
        The most that may come where no size is published, or None.

    Returns
    -------
    The path of the file: `target`, or the local file itself.

    Raises
    ------
    InputError
        If the file is missing, forbidden, not what it should be, or not what it was before.
    TransferError
        If the archive does not answer: what has come stays for the next run.
    """
    if not is_remote(address):
        return _check_local(local_path(address), size_bytes)
    target = Path(target)
    if target.exists() and _is_whole(target, size_bytes):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    _bring(address, target, partial, archive, size_bytes, md5, max_bytes)
    _note(address, target, partial)
    with open(partial, "rb") as handle:
        os.fsync(handle.fileno())
    os.replace(partial, target)
    discard(partial)
    return target


def fetch_all(wanted: Sequence[Wanted], archive: dict) -> list[Path]:
    """Fetch files over ``archive["streams"]`` connections at a time; see `fetch`.

    A line in the log says every 10 s how many files and bytes have come, the rate and the time
    left. The first error stops what has not begun.
    """
    counter = _Counter(wanted)

    def fetch_one(want: Wanted) -> Path:
        path = fetch(want.address, want.target, archive, want.size_bytes, want.md5)
        counter.step(path)
        return path

    with ThreadPoolExecutor(archive["streams"]) as pool:
        futures = [pool.submit(fetch_one, want) for want in wanted]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def opened(
    place: str,
    archive: dict,
    sha256: str | None = None,
    max_bytes: int = LARGEST_LIST_BYTES,
) -> Iterator[Path]:
    """Yield a small file as a path on this machine; a copy of a remote one goes afterwards.

    Parameters
    ----------
    place, archive
        As in `fetch`.
    sha256
        Checksum that the file must have, or None.
    max_bytes
        The most that may come, because its size is not published.

    Raises
    ------
    InputError
        As `fetch` does, or if the file has another checksum.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = fetch(place, Path(folder) / "file", archive, max_bytes=max_bytes)
        if sha256 is not None and (digest := digest_of(path)) != sha256.lower():
            raise InputError(
                where=place,
                found=f"sha256 {digest}",
                expected=sha256.lower(),
                fix="replace the file, or correct the checksum if the new file is meant",
            )
        yield path


def read_range(
    address: str, archive: dict, span: str | None = None
) -> tuple[bytes, int | None] | None:
    """Read some bytes of a remote file, or all of it, with as much patience as `fetch` has.

    Parameters and returned values are those of `read_part`; `archive` is that of `fetch`.

    Raises
    ------
    InputError
        If the server refuses.
    TransferError
        If it does not answer.
    """
    for attempt in range(archive["retries"] + 1):
        try:
            return read_part(address, span, Terms.of(archive), _LARGEST_IN_MEMORY)
        except (httpx.TransportError, TransferError) as error:
            failure = error
            if attempt < archive["retries"]:
                time.sleep(_pause_s(attempt, getattr(error, "wait_s", None)))
    raise TransferError(
        f"{address}: found, {archive['retries'] + 1} times, {failure or repr(failure)}, "
        "expected a file; run again later."
    ) from failure


def read_json(place: str, archive: dict, max_bytes: int = _LARGEST_ANSWER_BYTES):
    """Read a JSON file or answer.

    Parameters
    ----------
    place, archive, max_bytes
        As in `opened`.

    Raises
    ------
    InputError
        If it is not JSON, or more than it may be.
    """
    with opened(place, archive, max_bytes=max_bytes) as path:
        try:
            return json.loads(without_key(path.read_text(encoding="utf-8")))
        except (ValueError, RecursionError) as error:
            raise InputError(
                where=place, found=f"no JSON ({error})", expected="JSON", fix="correct the address"
            ) from None


def _bring(
    address: str,
    target: Path,
    partial: Path,
    archive: dict,
    size_bytes: int | None,
    md5: str | None,
    max_bytes: int | None,
) -> None:
    """Try until the partial file is whole and what it should be."""
    idle, wrong, terms = 0, 0, Terms.of(archive)
    ends_s = time.monotonic() + 3600 * terms.max_hours
    while True:
        before = partial.stat().st_size if partial.exists() else 0
        try:
            append_rest(address, partial, size_bytes, max_bytes, terms, ends_s)
            _check_content(partial, target.name, md5)
            return
        except (httpx.TransportError, TransferError) as error:
            came = partial.stat().st_size if partial.exists() else 0
            # Of a connection that breaks now and then but brings something, one is patient.
            least = _PROGRESS_BYTES if size_bytes is None else (size_bytes - before) // 20
            idle = 0 if came - before >= max(1, min(least, _PROGRESS_BYTES)) else idle + 1
            wrong += isinstance(error, ContentError)
            if wrong > 1:
                raise InputError(
                    where=f"{target} from {address}",
                    found=str(error),
                    expected=_expected(target, size_bytes, md5),
                    fix=f"correct the address, or place the file by hand as {target}",
                ) from None
            if idle > archive["retries"] or time.monotonic() >= ends_s:
                raise TransferError(
                    f"{target} from {address}: found {came} bytes and then, {idle} times, "
                    f"{error or repr(error)}, expected {_expected(target, size_bytes, md5)}; "
                    f"run again later, or place the file by hand as {target}."
                ) from error
            wait_s = _pause_s(max(idle, 1) - 1, getattr(error, "wait_s", None))
            logger.warning("%s: %s, again in %.1f s", shown(address), error or repr(error), wait_s)
            time.sleep(wait_s)


def _check_content(partial: Path, name: str, md5: str | None) -> None:
    fault = fault_of(partial, name)
    if not fault and md5 is not None:
        digest = digest_of(partial, "md5")
        fault = "" if digest == md5.lower() else f"md5 {digest}"
    if fault:
        discard(partial)
        raise ContentError(fault)


def _is_whole(target: Path, size_bytes: int | None) -> bool:
    """Tell whether a file that is here is the one that came, or was placed with the right size."""
    n_bytes, before = target.stat().st_size, received(target)
    if before is None:
        return size_bytes in (None, n_bytes)
    if before == (n_bytes, digest_of(target)):
        return True
    logger.warning("%s is not what was received (damaged?), so it is fetched again", target)
    return False


def _note(address: str, target: Path, partial: Path) -> None:
    now = partial.stat().st_size, digest_of(partial)
    before = received(target)
    if before is None:
        note_receipt(target, *now)
    elif before != now:
        discard(partial)
        raise InputError(
            where=f"{target} from {address}",
            found=f"{now[0]} bytes, sha256 {now[1]}",
            expected=f"what first came: {before[0]} bytes, sha256 {before[1]}",
            fix="find out why the archive's file has changed, then delete its line in received.tsv "
            "and what was made of it",
        )


def _expected(target: Path, size_bytes: int | None, md5: str | None) -> str:
    kind = target.suffix.removeprefix(".") or "file"
    size = "" if size_bytes is None else f" of {size_bytes} bytes"
    return f"a whole {kind}{size}" + ("" if md5 is None else f", md5 {md5}")


def _pause_s(attempt: int, asked_s: float | None) -> float:
    """Exponential pause with jitter; not less than the server asked for."""
    pause_s = random.uniform(0.5, 1.0) * min(2.0**attempt, _PATIENCE_S)
    return pause_s if asked_s is None else max(min(asked_s, _LONGEST_WAIT_S), 0.1 * pause_s)


def _check_local(path: Path, size_bytes: int | None) -> Path:
    if not path.is_file():
        raise InputError(
            where=str(path),
            found="no file",
            expected="a file",
            fix="place it there or correct the path",
        )
    n_bytes = path.stat().st_size
    if size_bytes is not None and n_bytes != size_bytes:
        raise InputError(
            where=str(path),
            found=f"{n_bytes} bytes",
            expected=f"{size_bytes} bytes",
            fix="replace it by a whole copy",
        )
    return path


class _Counter:
    """Progress over files and bytes, counted by several threads."""

    def __init__(self, wanted: Sequence[Wanted]) -> None:
        self.n_files = len(wanted)
        sizes = [want.size_bytes for want in wanted]
        self.total_bytes = None if None in sizes else sum(sizes)
        self.files = self.bytes = 0
        self.lock = threading.Lock()
        self.started_s = self.logged_s = time.monotonic()

    def step(self, path: Path) -> None:
        with self.lock:
            self.files += 1
            self.bytes += path.stat().st_size
            now_s = time.monotonic()
            if now_s - self.logged_s < _LINE_EVERY_S and self.files < self.n_files:
                return
            self.logged_s = now_s
            rate = self.bytes / max(now_s - self.started_s, 1e-9)
            left = "unknown time"
            if self.total_bytes is not None:
                left = f"{(self.total_bytes - self.bytes) / max(rate, 1e-9):.0f} s"
            logger.info("fetch: %d / %d files, %.3f GB, %.1f MB/s, %s left",
                        self.files, self.n_files, self.bytes / 1e9, rate / 1e6, left)  # fmt: skip
