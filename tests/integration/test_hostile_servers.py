"""Servers that err, lie, crawl or never end: right bytes, or one sentence in a bounded time."""

import subprocess
import sys
import time

import numpy as np
import pytest

from mcvae_ops.archive import transfer
from mcvae_ops.archive.http import Terms
from mcvae_ops.archive.transfer import TransferError, fetch, opened, read_json
from mcvae_ops.errors import TOKEN_VARIABLE, InputError
from tests.helpers.raw_server import answer, broken_off, first_byte, raw_server, rest

ARCHIVE = {"streams": 2, "retries": 2, "timeout_s": 0.5, "keep_raw": True}
A, B = (np.random.default_rng(seed).bytes(180_256) for seed in (0, 1))
N = len(A)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(transfer, "_PATIENCE_S", 0.01)


def serving(*answers):
    """Serve each answer once and the last one again and again; functions answer a request."""

    def handle(connection, request, n):
        reply = answers[min(n, len(answers)) - 1]
        connection.sendall(reply(request) if callable(reply) else reply)

    return raw_server(handle)


def etag(value):
    return ("ETag", value)


HALF = broken_off(A)
BEHIND = ("Content-Range", f"bytes 10-{N - 1}/{N}")
HEALED = {
    "drop without ETag": (HALF, lambda r: rest(A, r)),
    "range from elsewhere": (HALF, lambda r: answer(206, A[10:], BEHIND) if first_byte(r)
                             else rest(A, r)),
    "bytes of another place": (HALF, lambda r: rest(A[-first_byte(r):] + A, r) if first_byte(r)
                               else rest(A, r)),
    "206 without a range": (HALF, lambda r: answer(206, A[first_byte(r):]) if first_byte(r)
                            else rest(A, r)),
    "total is a superscript": (HALF, lambda r: rest(A, r, total="\xb2")),
    "retry after a superscript": (answer(503, b"", ("Retry-After", "\xb2")), answer(200, A)),
    "retry after 5000 digits": (answer(503, b"", ("Retry-After", "0" * 5000)), answer(200, A)),
    "retry after the year 0": (
        answer(503, b"", ("Retry-After", "Thu, 01 Jan 0000 00:00:00 +9999")), answer(200, A)),
    "retry after the year 1": (
        answer(503, b"", ("Retry-After", "Mon, 01 Jan 0001 00:00:00 +2359")), answer(200, A)),
    "ETag of latin-1": (broken_off(A, etag('"\xe9"')), lambda r: rest(A, r, etag('"\xe9"'))),
    "ETag of 5 kB": (broken_off(A, etag(f'"{"a" * 5000}"')),
                     lambda r: rest(A, r, etag(f'"{"a" * 5000}"'))),
}  # fmt: skip


@pytest.mark.parametrize("fault", HEALED)
def test_odd_answers_heal(tmp_path, fault):
    with serving(*HEALED[fault]) as server:
        assert fetch(f"{server.address}/x.bin", tmp_path / "x.bin", ARCHIVE, N).read_bytes() == A
    assert {path.name for path in tmp_path.iterdir()} == {"x.bin", "received.tsv"}


CHANGED = {
    "no version": ((), ()),
    "a weak ETag": ([etag('W/"a"')], [etag('W/"b"')]),
    "a weak ETag that stays": ([etag('W/"a"')], [etag('W/"a"')]),
    "a date": (
        [("Last-Modified", "Thu, 31 Mar 2022 10:00:00 GMT")],
        [("Last-Modified", "Fri, 01 Apr 2022 10:00:00 GMT")],
    ),
    "an ETag that comes later": ((), [etag('"b"')]),
    "an ETag": ([etag('"a"')], [etag('"b"')]),
}


@pytest.mark.parametrize("version", CHANGED)
def test_a_file_that_changes_is_never_mixed(tmp_path, version):
    before, after = CHANGED[version]
    # The server ignores If-Range, and the new file has the size of the old one.
    with serving(broken_off(A, *before), lambda r: rest(B, r, *after)) as server:
        assert fetch(f"{server.address}/x.bin", tmp_path / "x.bin", ARCHIVE, N).read_bytes() == B


def test_what_is_resumed_without_a_version_costs_one_block(tmp_path):
    with serving(HALF, lambda r: rest(A, r)) as server:
        fetch(f"{server.address}/x.bin", tmp_path / "x.bin", ARCHIVE, N)
    assert [first_byte(request) for request in server.requests] == [0, N // 2 - (1 << 16)]


@pytest.mark.parametrize("mark", [b"", b"\xff\xfe\x00", b"a" * 9999])
def test_a_damaged_mark_is_no_hindrance(tmp_path, mark):
    (tmp_path / "x.bin.part").write_bytes(A[:100_000])
    (tmp_path / "x.bin.part.mark").write_bytes(mark)
    with serving(lambda r: rest(A, r, etag('"a"'))) as server:
        assert fetch(f"{server.address}/x.bin", tmp_path / "x.bin", ARCHIVE, N).read_bytes() == A


def moved(location):
    return answer(302, b"", ("Location", location))


SENTENCES = {
    "long host": (moved(f"http://{'a' * 300}.com/"), TransferError, "no address"),
    "no host": (moved("http://[::1"), TransferError, "Invalid"),
    "tab": (moved("/a\tb\x7f"), TransferError, "Invalid"),
    "file": (moved("file:///etc/passwd"), TransferError, "http://"),
    "loop": (moved("/x.bin"), TransferError, "redirects"),
    "no HTTP": (b"\x00\x01 nonsense\r\n\r\n", TransferError, "illegal"),
    "large header": (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 400_000, TransferError, "too long"),
    "403 in broken gzip": (answer(403, b"not gzip", ("Content-Encoding", "gzip")), InputError,
                           "not gzip"),
    "403 with escapes": (answer(403, b"\x1b[31mred"), InputError, r"403 \(\[31mred"),
    "204": (answer(204), InputError, "HTTP 204"),
    "packed": (answer(200, A, ("Content-Encoding", "gzip")), InputError, "packed"),
    "page with a comment": (answer(200, b"<!-- moved --><html>login"), InputError, "web page"),
    "page of XHTML": (answer(200, b'<?xml version="1.0"?><!DOCTYPE html>'), InputError, "web page"),
    "half a chunk": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\naaaa", TransferError,
        "incomplete"),
}  # fmt: skip


@pytest.mark.parametrize("fault", SENTENCES)
def test_what_does_not_heal_is_one_sentence(tmp_path, fault):
    reply, kind, words = SENTENCES[fault]
    with serving(reply) as server, pytest.raises(kind, match=words) as caught:
        fetch(f"{server.address}/x.bin", tmp_path / "x.bin", ARCHIVE)
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)
    assert not (tmp_path / "x.bin").exists()


def trickle(start, byte=b"0"):
    def handle(connection, request, n):
        connection.sendall(start)
        while True:
            connection.sendall(byte)
            time.sleep(0.1)

    return handle


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CRAWLS = [
    b"HTTP/1.1 200 OK\r\n", answer(200, length=N),
    CHUNKED + b"0", CHUNKED + b"5; ", CHUNKED + b"5\r\naaaaa\r\n0\r\nX: ",
]  # fmt: skip


@pytest.mark.parametrize("start", CRAWLS, ids=["header", "body", "size", "extension", "trailer"])
def test_a_server_that_crawls_ends_in_the_stated_time(tmp_path, start):
    before_s = time.monotonic()
    with raw_server(trickle(start)) as server, pytest.raises(TransferError):
        fetch(f"{server.address}/x.bin", tmp_path / "x.bin", ARCHIVE, N)
    # An attempt ends after two silences at most, and a connection may take one more.
    n_attempts = ARCHIVE["retries"] + 1
    assert time.monotonic() - before_s < n_attempts * 3 * ARCHIVE["timeout_s"] + 1
    assert len(server.requests) == n_attempts


def test_a_refusal_that_crawls_ends_in_the_stated_time(tmp_path):
    before_s = time.monotonic()
    start = CHUNKED.replace(b"200 OK", b"403 No") + b"0"
    with raw_server(trickle(start)) as server, pytest.raises(InputError, match="HTTP 403"):
        fetch(f"{server.address}/x.bin", tmp_path / "x.bin", ARCHIVE, N)
    assert time.monotonic() - before_s < 3 * ARCHIVE["timeout_s"] + 1


def test_a_file_has_a_longest_time(tmp_path):
    def handle(connection, request, n):
        connection.sendall(answer(200, length=N))
        for k in range(0, N, 1000):
            connection.sendall(A[k : k + 1000])
            time.sleep(0.05)

    archive = ARCHIVE | {"max_hours": 0.5 / 3600}
    with raw_server(handle) as server, pytest.raises(TransferError, match="no end after"):
        fetch(f"{server.address}/x.bin", tmp_path / "x.bin", archive, N)
    assert len(server.requests) == 1 and (tmp_path / "x.bin.part").exists()


CHILD = """
import resource, sys
from mcvae_ops.archive.transfer import fetch
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    fetch(sys.argv[1], sys.argv[2], {"streams": 1, "retries": 2, "timeout_s": 2}, int(sys.argv[3]))
except ValueError as error:
    print(str(error)[:300])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("status", [403, 200])
def test_what_never_ends_is_read_no_further_than_it_may(tmp_path, status):
    sent = []

    def handle(connection, request, n):
        connection.sendall(answer(status, length=None))
        for _ in range(300):
            connection.sendall(b"a" * 1_000_000)
            sent.append(1)

    with raw_server(handle) as server:
        command = [sys.executable, "-c", CHILD, f"{server.address}/x", tmp_path / "x", str(N)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    words, grown_kb = done.stdout.splitlines()
    assert ("HTTP 403" if status == 403 else f"more than {N} bytes") in words
    # What the sockets hold is sent, too.
    assert len(sent) < 20 and int(grown_kb) < 50_000
    assert not (tmp_path / "x").exists() and not (tmp_path / "x.part").exists()


def test_a_list_without_a_published_size_is_bounded():
    with (
        serving(answer(200, A)) as server,
        pytest.raises(InputError, match="more than 1000 bytes"),
        opened(f"{server.address}/list", ARCHIVE, max_bytes=1000),
    ):
        pass


KEY = "0f9a-SECRET-77"


def keys_seen(server):
    return [KEY in request for request in server.requests]


@pytest.mark.parametrize(
    ("dataset", "path", "is_seen"),
    [
        ("{}/api/datasets/1", "/api/access/datafile/1", True),
        ("{}/api/datasets/1", "/files/1", False),
        ("https://dataverse.harvard.edu/api/datasets/1", "/biostudies/api/v1/studies/S-1", False),
        (None, "/api/access/datafile/1", False),
    ],
)
def test_the_key_goes_to_the_data_set_alone(tmp_path, monkeypatch, dataset, path, is_seen):
    monkeypatch.setenv(TOKEN_VARIABLE, KEY)
    with serving(answer(200, A)) as server:
        archive = ARCHIVE | {"dataset": dataset and dataset.format(server.address)}
        fetch(f"{server.address}{path}", tmp_path / "x.bin", archive, N)
    assert keys_seen(server) == [is_seen]


@pytest.mark.parametrize(
    ("url", "is_seen"),
    [
        ("https://dataverse.harvard.edu/api/access/1", True),
        ("http://dataverse.harvard.edu/api/access/1", False),
        ("https://dataverse.harvard.edu:8443/api/access/1", False),
        ("https://dataverse.harvard.edu.evil.org/api/access/1", False),
    ],
)
def test_the_key_goes_over_https_alone(url, is_seen):
    import httpx

    for scheme in ("https", "http"):
        terms = Terms(1.0, dataset=f"{scheme}://dataverse.harvard.edu/api/datasets/1")
        assert terms.may_see_key(httpx.URL(url)) == (is_seen and scheme == "https")


def test_the_key_does_not_come_back_by_a_redirect(tmp_path, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, KEY)
    with serving(answer(200, A)) as home:
        with serving(moved(f"{home.address}/api/other")) as away:
            archive = ARCHIVE | {"dataset": f"{home.address}/api/datasets/1"}
            fetch(f"{away.address}/api/x.bin", tmp_path / "x.bin", archive, N)
        assert keys_seen(home) == [False] and keys_seen(away) == [False]


def test_the_key_is_shown_nowhere_even_if_a_server_sends_it_back(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv(TOKEN_VARIABLE, KEY)
    caplog.set_level("DEBUG", logger="mcvae_ops")

    def echo(request):
        content = f'["{request.count(KEY)} {KEY}"]'.encode()
        return answer(403 if "refused" in request else 200, content)

    with serving(echo) as server:
        archive = ARCHIVE | {"dataset": f"{server.address}/api/datasets/1"}
        assert read_json(f"{server.address}/api/list", archive) == ["1 (key)"]
        with pytest.raises(InputError, match=r"\(key\)") as caught:
            fetch(f"{server.address}/api/refused?key={KEY}", tmp_path / "x", archive)
    assert KEY not in str(caught.value) + caplog.text


def test_logs_show_no_signature(tmp_path, caplog):
    caplog.set_level("DEBUG")
    address = "http://me:word@127.0.0.1:9/x?X-Amz-Signature=abc"
    with pytest.raises(TransferError) as caught:
        fetch(address, tmp_path / "x", ARCHIVE)
    text = caplog.text + str(caught.value)
    assert "127.0.0.1:9/x" in text and "abc" not in text and "word" not in text
