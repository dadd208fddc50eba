"""One request to an archive: check its headers, write its content to disk as it arrives."""

import email.utils
import functools
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from http.cookiejar import CookieJar
from pathlib import Path

import httpx

from mcvae_ops import __version__
from mcvae_ops.archive.content import fault_of
from mcvae_ops.archive.deadline import set_deadlines, within
from mcvae_ops.errors import TOKEN_VARIABLE, InputError, TransferError, dataverse_key

USER_AGENT = f"mcvae-ops/{__version__}"
_CONNECT_S = 15.0
# The last ones are those of a network of caches that does not reach its server.
_AGAIN = {408, 425, 429, 500, 502, 503, 504, *range(520, 528), 530}
_REDIRECTS = 5
_REFUSAL_BYTES = 2000
_OVERLAP_BYTES = 1 << 16
_LONGEST_TAG = 500
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

_counting, _received = threading.Lock(), [0]

# It logs addresses with their signatures and keys.
logging.getLogger("httpx").setLevel(logging.WARNING)


class ContentError(TransferError):
    """What came is not the file; a second attempt may bring it, a third one will not."""


@dataclass(frozen=True)
class Terms:
    """How long a server is waited for, and which one may see the key of the Dataverse.

    Attributes
    ----------
    timeout_s
        Longest silence of a connection, and longest time until an answer has begun, s.
    min_rate_kb_per_s
        An answer that brings less than this, over `timeout_s`, is broken off.
    max_hours
        Longest time for one file, all attempts together.
    dataset
        Address of the data set: its origin alone gets the key.
    """

    timeout_s: float
    min_rate_kb_per_s: float = 1.0
    max_hours: float = 24.0
    dataset: str | None = None

    @classmethod
    def of(cls, archive: dict) -> "Terms":
        """Take them from the section of the configuration."""
        return cls(**{f.name: archive[f.name] for f in fields(cls) if f.name in archive})

    def may_see_key(self, url: httpx.URL) -> bool:
        """Say whether a request may carry the key: to the API of the data set, not in the clear."""
        if self.dataset is None or "/api/" not in url.path:
            return False
        private = url.scheme == "https" or url.host in _LOOPBACK
        return private and _origin(url) == _origin(httpx.URL(self.dataset))


def append_rest(
    address: str,
    partial: Path,
    size_bytes: int | None,
    max_bytes: int | None,
    terms: Terms,
    ends_s: float,
) -> None:
    """Ask for what a partial file lacks, and append it block by block.

    A server that ignores the range, or whose file has changed since the partial one was begun, is
    taken from its first byte again. That it has not changed is known by a strong ETag. Without
    one, the last 64 kB are asked for again and compared. A weak ETag (``W/``) says that bytes may
    differ: such a file is never resumed.

    Parameters
    ----------
    address
        Where the file lies; redirects are followed anew each time, since they may expire.
    partial
        What has come so far; beside it, ``.mark`` keeps the version that the server named.
    size_bytes
        Published size, or None. No more than this is written.
    max_bytes
        The most that may come where no size is published, or None.
    terms
        How long to wait.
    ends_s
        When to give up, on the clock of ``time.monotonic``.

    Raises
    ------
    TransferError
        If the connection breaks or is too slow, or the server asks for another attempt.
    InputError
        If the server refuses.
    """
    version = _marked(partial)
    if version.startswith("W/"):
        discard(partial)
    done = partial.stat().st_size if partial.exists() else 0
    if size_bytes is not None and done == size_bytes:
        partial.touch()  # an empty file needs no request, but it must be there
        return
    if size_bytes is not None and done > size_bytes:
        discard(partial)
        done = 0
    first = max(0, done if version.startswith('"') else done - _OVERLAP_BYTES)
    headers = {}
    if first:
        headers["Range"] = f"bytes={first}-"
        if version:
            headers["If-Range"] = version
    answer, redirected = _ask(address, headers, terms)
    try:
        if answer.status_code == 416 and first and _whole_bytes(answer) == done:
            return
        resumed = _check_answer(answer, address, redirected, partial, first, size_bytes, terms)
        if not resumed:
            discard(partial)
            first = 0
            if version := _version(answer):
                _mark_of(partial).write_text(version, encoding="ascii")
        total = _total(answer, resumed)
        most = max_bytes if size_bytes is None else size_bytes
        left = None if most is None else most - first
        _write(_blocks(answer, terms, ends_s, left), partial, first)
    except _TooMuchError:
        discard(partial)
        raise ContentError(f"more than {most} bytes") from None
    finally:
        answer.close()
    _check_length(partial, total, size_bytes)


def read_part(
    address: str, span: str | None, terms: Terms, max_bytes: int
) -> tuple[bytes, int | None] | None:
    """Ask for some bytes of a file, or for all of it, and keep them in memory.

    Parameters
    ----------
    address
        Where the file lies.
    span
        As in the header ``Range``: ``0-99``, ``100-`` or ``-100`` (the last ones); None asks for
        the whole file.
    terms
        How long to wait.
    max_bytes
        The most that may come.

    Returns
    -------
    The bytes, and the size of the whole file where the server says it; None if there is no file.

    Raises
    ------
    TransferError
        If the connection breaks or is too slow, or the server asks for another attempt.
    InputError
        If the server refuses, ignores the range, or sends more than it may.
    """
    headers = {} if span is None else {"Range": f"bytes={span}"}
    answer, _ = _ask(address, headers, terms)
    try:
        if answer.status_code == 404:
            return None
        if answer.status_code in _AGAIN:
            raise TransferError(f"HTTP {answer.status_code}", _retry_after_s(answer))
        if answer.status_code != (200 if span is None else 206):
            raise InputError(
                where=address,
                found=f"HTTP {answer.status_code} ({_words_of(answer, terms)})",
                expected="a file" if span is None else f"bytes {span} of a file (HTTP 206)",
                fix="correct the address, or place a copy of the file by hand",
            )
        ends_s = time.monotonic() + 3600 * terms.max_hours
        content = b"".join(_blocks(answer, terms, ends_s, _most(span, max_bytes)))
        expected = _number(answer.headers.get("Content-Length", ""))
        if expected is not None and len(content) != expected:
            raise TransferError(f"{len(content)} of {expected} bytes arrived")
        return content, len(content) if span is None else _whole_bytes(answer)
    except _TooMuchError:
        raise InputError(
            where=address,
            found=f"more than {_most(span, max_bytes)} bytes",
            expected="no more" if span is None else f"bytes {span}",
            fix="correct the address",
        ) from None
    finally:
        answer.close()


def _most(span: str | None, max_bytes: int) -> int:
    first, _, last = (span or "").partition("-")
    return min(max_bytes, int(last) - int(first or 1) + 1) if last else max_bytes


def discard(partial: Path) -> None:
    """Delete a partial file and the version that it was begun with."""
    partial.unlink(missing_ok=True)
    _mark_of(partial).unlink(missing_ok=True)


class _NoCookies(CookieJar):
    """Keeps no cookie: what one answer sets must not reach, or break, the requests after it."""

    def extract_cookies(self, *_) -> None:
        """Take nothing from an answer."""


@functools.cache
def _client() -> httpx.Client:
    limits = httpx.Limits(max_connections=None)
    client = httpx.Client(limits=limits, follow_redirects=False, cookies=_NoCookies())
    return set_deadlines(client)


def _ask(address: str, headers: dict, terms: Terms) -> tuple[httpx.Response, bool]:
    # Without "identity" a server may compress, and sizes and ranges mean other bytes.
    headers = headers | {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    connect_s = min(terms.timeout_s, _CONNECT_S)
    timeout = httpx.Timeout(terms.timeout_s, connect=connect_s)
    url = first = _url_of(address)
    may_see_key = True
    try:
        for step in range(_REDIRECTS + 1):
            request = _client().build_request("GET", url, headers=headers, timeout=timeout)
            # The key opens the Dataverse; the store that it sends us to must not see it, nor
            # may that send us back with it.
            may_see_key = may_see_key and _origin(url) == _origin(first)
            if may_see_key and terms.may_see_key(url) and (key := dataverse_key()):
                request.headers["X-Dataverse-key"] = key
            with within(connect_s + terms.timeout_s):
                answer = _client().send(request, stream=True)
            if not answer.has_redirect_location:
                return answer, step > 0
            answer.close()
            url = url.join(answer.headers["Location"])
    except (httpx.InvalidURL, UnicodeError) as error:
        raise TransferError(f"a redirect to no address ({error})") from None
    raise TransferError(f"more than {_REDIRECTS} redirects")


def _url_of(address: str) -> httpx.URL:
    """Return an address that a user has given, checked as far as a request would check it."""
    try:
        url = httpx.URL(address)
        # A name of more than 63 characters between two dots is a UnicodeError of the resolver.
        _ = url.host, url.raw_host.decode("ascii").encode("idna")
        return url
    except (httpx.InvalidURL, UnicodeError) as error:
        raise InputError(
            where=address,
            found=f"text that is no address ({error})",
            expected="an address such as https://host/path",
            fix="correct it",
        ) from None


def _origin(url: httpx.URL) -> tuple:
    return url.scheme, url.host, url.port


class _TooMuchError(Exception):
    """An answer does not end where it must."""


def received_bytes() -> int:
    """Return how many bytes this process has received of files and listings."""
    return sum(_received)


def _count(n_bytes: int) -> None:
    with _counting:
        _received[0] += n_bytes


def _blocks(
    answer: httpx.Response, terms: Terms, ends_s: float, max_bytes: int | None
) -> Iterator[bytes]:
    """Yield the content as it comes; raise if it comes too slowly, or there is too much of it."""
    came, before, since_s = 0, 0, time.monotonic()
    blocks = answer.iter_raw()
    while True:
        # What frames the blocks may trickle in, too: sizes of chunks, and what follows the last.
        with within(terms.timeout_s):
            block = next(blocks, None)
        if block is None:
            return
        came += len(block)
        _count(len(block))
        if max_bytes is not None and came > max_bytes:
            raise _TooMuchError
        yield block
        now_s = time.monotonic()
        if now_s >= ends_s:
            raise TransferError(f"no end after {terms.max_hours:g} h")
        if now_s - since_s >= terms.timeout_s:
            rate = (came - before) / 1000 / (now_s - since_s)
            if rate < terms.min_rate_kb_per_s:
                raise TransferError(f"only {rate:.2g} kB/s")
            before, since_s = came, now_s


def _write(blocks: Iterator[bytes], partial: Path, first: int) -> None:
    """Write blocks from a byte on; what is there already must be the same."""
    # Unbuffered, and blocks as they come: what waits for more is lost with the process.
    with open(partial, "r+b" if first else "w+b", buffering=0) as handle:
        handle.seek(first)
        known = handle.read()
        for block in blocks:
            n = min(len(known), len(block))
            if block[:n] != known[:n]:
                discard(partial)
                raise TransferError("other bytes than before", 0.0)
            known = known[n:]
            handle.write(block[n:])


def _check_answer(
    answer: httpx.Response,
    address: str,
    redirected: bool,
    partial: Path,
    first: int,
    size_bytes: int | None,
    terms: Terms,
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
            found=f"HTTP {status} ({_words_of(answer, terms)})",
            expected="an open file",
            fix=f"accept the terms or the guestbook on the archive's page and set the environment "
            f"variable {TOKEN_VARIABLE} to your key, or place the file by hand",
        )
    if status not in (200, 206):
        raise InputError(
            where=address,
            found=f"HTTP {status}",
            expected="a file that can be read without a login",
            fix="correct the address, or place a copy of the file by hand",
        )
    if "html" in answer.headers.get("Content-Type", ""):
        raise ContentError("a web page (HTML)")
    # A published size is that of the file as it is stored, which may be packed.
    packed = answer.headers.get("Content-Encoding", "identity")
    if size_bytes is None and packed != "identity":
        raise ContentError(f"a content that the server has packed ({packed[:20]!r})")
    if status == 200:
        return False
    start = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    marked = _marked(partial)
    changed = bool(marked) and _version(answer) not in ("", marked)
    if start != str(first) or changed:
        discard(partial)
        where = start[:20] or "nowhere"
        what = "a changed file" if changed else f"a range from {where}, not {first}"
        raise TransferError(what, 0.0)
    return first > 0


def _check_length(partial: Path, total: int | None, size_bytes: int | None) -> None:
    n_bytes = partial.stat().st_size
    if size_bytes is not None and total not in (None, size_bytes):
        # A fault that the content shows (a web page) says more than its length.
        fault = fault_of(partial, "") or f"{total} bytes on the server, {size_bytes} published"
        discard(partial)
        raise ContentError(fault)
    expected = size_bytes if size_bytes is not None else total
    if expected is not None and n_bytes != expected:
        if n_bytes > expected:
            discard(partial)
        raise TransferError(f"{n_bytes} of {expected} bytes arrived")


def _total(answer: httpx.Response, resumed: bool) -> int | None:
    if resumed:
        return _whole_bytes(answer)
    return _number(answer.headers.get("Content-Length", ""))


def _whole_bytes(answer: httpx.Response) -> int | None:
    return _number(answer.headers.get("Content-Range", "").rpartition("/")[2])


def _number(text: str) -> int | None:
    """Return the number of a header; None where it is none, or larger than any file."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _version(answer: httpx.Response) -> str:
    """Return what tells this version of a file from another one: ETag, else date, else ""."""
    etag = answer.headers.get("ETag", "")
    version = etag if etag.startswith(('"', "W/")) else answer.headers.get("Last-Modified", "")
    return version if _is_tag(version) else ""


def _is_tag(version: str) -> bool:
    return version.isascii() and version.isprintable() and len(version) <= _LONGEST_TAG


def _mark_of(partial: Path) -> Path:
    return partial.with_name(partial.name + ".mark")


def _marked(partial: Path) -> str:
    """Return the version of a partial file; "" where none is noted, or the note is damaged."""
    with suppress(FileNotFoundError):
        version = _mark_of(partial).read_bytes().decode("ascii", "replace")
        return version if _is_tag(version) else ""
    return ""


def _words_of(answer: httpx.Response, terms: Terms) -> str:
    """Return the beginning of what a refusal says, in one line."""
    content = b""
    with suppress(httpx.TransportError, TransferError):
        for block in _blocks(answer, terms, time.monotonic() + terms.timeout_s, None):
            content += block
            if len(content) >= _REFUSAL_BYTES:
                break
    text = content[:_REFUSAL_BYTES].decode("utf-8", "replace")
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(text.split())[:200] or "no reason given"


def _retry_after_s(answer: httpx.Response) -> float | None:
    value = answer.headers.get("Retry-After", "")
    if (seconds := _number(value)) is not None:
        return float(seconds)
    try:
        date = email.utils.parsedate_to_datetime(value)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    # Years and time zones beyond what a date can be.
    except (ValueError, OverflowError, TypeError):
        return None
