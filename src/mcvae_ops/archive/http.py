"""One request to an archive: check its headers, write its content to disk as it arrives."""

import email.utils
import functools
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx

from mcvae_ops import __version__
from mcvae_ops.archive.content import fault_of
from mcvae_ops.errors import InputError

USER_AGENT = f"mcvae-ops/{__version__}"
TOKEN_VARIABLE = "DATAVERSE_API_TOKEN"
_CONNECT_S = 15.0
_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_REDIRECTS = 5


class TransferError(OSError):
    """An attempt failed in a way that another one may mend."""

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class ContentError(TransferError):
    """What came is not the file; a second attempt may bring it, a third one will not."""


def append_rest(address: str, partial: Path, size_bytes: int | None, timeout_s: float) -> None:
    """Ask for what a partial file lacks, and append it block by block.

    A server that ignores the range, or whose file has changed since the partial one was begun
    (ETag, date or length), is taken from its first byte again.

    Parameters
    ----------
    address
        Where the file lies; redirects are followed anew each time, since they may expire.
    partial
        What has come so far; beside it, ``.mark`` keeps the version that the server named.
    size_bytes
        Published size, or None.
    timeout_s
        Longest silence of the connection, s.

    Raises
    ------
    TransferError
        If the connection breaks, or the server asks for another attempt.
    InputError
        If the server refuses.
    """
    done = partial.stat().st_size if partial.exists() else 0
    if size_bytes is not None and done == size_bytes:
        partial.touch()  # an empty file needs no request, but it must be there
        return
    if size_bytes is not None and done > size_bytes:
        discard(partial)
        done = 0
    mark = _mark_of(partial)
    headers = {}
    if done:
        headers["Range"] = f"bytes={done}-"
        if mark.exists():
            headers["If-Range"] = mark.read_text(encoding="utf-8")
    answer, redirected = _ask(address, headers, timeout_s)
    try:
        if answer.status_code == 416 and done and _whole_bytes(answer) == done:
            return
        resumed = _check_answer(answer, address, redirected, partial, done)
        if not resumed:
            discard(partial)
            if version := _version(answer):
                mark.write_text(version, encoding="utf-8")
        total = _total(answer, resumed, done)
        # Unbuffered, and blocks as they come: what waits for more is lost with the process.
        with open(partial, "ab", buffering=0) as handle:
            for block in answer.iter_raw():
                handle.write(block)
    finally:
        answer.close()
    _check_length(partial, total, size_bytes)


def read_part(address: str, span: str | None, timeout_s: float) -> tuple[bytes, int | None] | None:
    """Ask for some bytes of a file, or for all of it, and keep them in memory.

    Parameters
    ----------
    address
        Where the file lies.
    span
        As in the header ``Range``: ``0-99``, ``100-`` or ``-100`` (the last ones); None asks for
        the whole file.
    timeout_s
        Longest silence of the connection, s.

    Returns
    -------
    The bytes, and the size of the whole file where the server says it; None if there is no file.

    Raises
    ------
    TransferError
        If the connection breaks, or the server asks for another attempt.
    InputError
        If the server refuses, or ignores the range.
    """
    headers = {} if span is None else {"Range": f"bytes={span}"}
    answer, _ = _ask(address, headers, timeout_s)
    try:
        if answer.status_code == 404:
            return None
        if answer.status_code in _AGAIN:
            raise TransferError(f"HTTP {answer.status_code}", _retry_after_s(answer))
        if answer.status_code != (200 if span is None else 206):
            raise InputError(
                where=address,
                found=f"HTTP {answer.status_code} ({_words_of(answer)})",
                expected="a file" if span is None else f"bytes {span} of a file (HTTP 206)",
                fix="correct the address or the access to it",
            )
        content = b"".join(answer.iter_raw())
        expected = answer.headers.get("Content-Length", "")
        if expected.isdigit() and len(content) != int(expected):
            raise TransferError(f"{len(content)} of {expected} bytes arrived")
        return content, len(content) if span is None else _whole_bytes(answer)
    finally:
        answer.close()


def discard(partial: Path) -> None:
    """Delete a partial file and the version that it was begun with."""
    partial.unlink(missing_ok=True)
    _mark_of(partial).unlink(missing_ok=True)


@functools.cache
def _client() -> httpx.Client:
    return httpx.Client(limits=httpx.Limits(max_connections=None), follow_redirects=False)


def _ask(address: str, headers: dict, timeout_s: float) -> tuple[httpx.Response, bool]:
    # Without "identity" a server may compress, and sizes and ranges mean other bytes.
    headers = headers | {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S))
    try:
        url = first = httpx.URL(address)
        for step in range(_REDIRECTS + 1):
            request = _client().build_request("GET", url, headers=headers, timeout=timeout)
            # The key opens the Dataverse; the store that it sends us to must not see it.
            token = os.environ.get(TOKEN_VARIABLE)
            if token and "/api/" in url.path and _origin(url) == _origin(first):
                request.headers["X-Dataverse-key"] = token
            answer = _client().send(request, stream=True)
            if not answer.has_redirect_location:
                return answer, step > 0
            answer.close()
            url = url.join(answer.headers["Location"])
    except httpx.InvalidURL as error:
        raise InputError(
            where=address, found=f"no address ({error})", expected="an address", fix="correct it"
        ) from None
    raise TransferError(f"more than {_REDIRECTS} redirects")


def _origin(url: httpx.URL) -> tuple:
    return url.scheme, url.host, url.port


def _check_answer(
    answer: httpx.Response, address: str, redirected: bool, partial: Path, done: int
) -> bool:
    """Return whether the answer continues the partial file; raise where it is no file at all."""
    status = answer.status_code
    if status == 416:
        discard(partial)
        raise TransferError("the server refused the range, starting anew", 0.0)
    if status in _AGAIN:
        raise TransferError(f"HTTP {status}", _retry_after_s(answer))
    if status == 403 and redirected:
        raise TransferError("HTTP 403 behind a redirect, which may have expired")
    if status in (401, 403) or (status == 400 and "/api/access/" in address):
        raise InputError(
            where=address,
            found=f"HTTP {status} ({_words_of(answer)})",
            expected="an open file",
            fix=f"accept the terms or the guestbook on the archive's page and set the environment "
            f"variable {TOKEN_VARIABLE} to your key, or place the file by hand",
        )
    if status not in (200, 206):
        raise InputError(
            where=address,
            found=f"HTTP {status}",
            expected="a file",
            fix="correct the address or the access to it",
        )
    if "text/html" in answer.headers.get("Content-Type", ""):
        raise ContentError("a web page (HTML)")
    if status == 200:
        return False
    start = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    mark = _mark_of(partial)
    changed = mark.exists() and _version(answer) not in ("", mark.read_text(encoding="utf-8"))
    if start != str(done) or changed:
        discard(partial)
        what = "a changed file" if changed else f"a range from {start or 'nowhere'}, not {done}"
        raise TransferError(what, 0.0)
    return True


def _check_length(partial: Path, total: int | None, size_bytes: int | None) -> None:
    found = partial.stat().st_size
    if size_bytes is not None and total not in (None, size_bytes):
        # A fault that the content shows (a web page) says more than its length.
        fault = fault_of(partial, "") or f"{total} bytes on the server, {size_bytes} published"
        discard(partial)
        raise ContentError(fault)
    expected = size_bytes if size_bytes is not None else total
    if expected is not None and found != expected:
        if found > expected:
            discard(partial)
        raise TransferError(f"{found} of {expected} bytes arrived")


def _total(answer: httpx.Response, resumed: bool, done: int) -> int | None:
    if resumed:
        return _whole_bytes(answer)
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _whole_bytes(answer: httpx.Response) -> int | None:
    whole = answer.headers.get("Content-Range", "").rpartition("/")[2]
    return int(whole) if whole.isdigit() else None


def _version(answer: httpx.Response) -> str:
    etag = answer.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _mark_of(partial: Path) -> Path:
    return partial.with_name(partial.name + ".mark")


def _words_of(answer: httpx.Response) -> str:
    """Return the beginning of what a refusal says, in one line."""
    with suppress(httpx.TransportError):
        text = answer.read()[:2000].decode("utf-8", "replace")
        return " ".join(text.split())[:200] or "no reason given"
    return "no reason given"


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
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
