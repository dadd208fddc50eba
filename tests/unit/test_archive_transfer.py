"""Transfers against a real server on this machine that behaves, and misbehaves, like an archive."""

import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from mcvae_ops.archive import transfer
from mcvae_ops.archive.biostudies import files_root
from mcvae_ops.archive.dataverse import parts_of
from mcvae_ops.archive.pagetab import study_entries
from mcvae_ops.archive.transfer import TransferError, fetch
from mcvae_ops.errors import InputError
from tests.helpers.raw_server import answer, raw_server

ARCHIVE = {"streams": 2, "retries": 5, "timeout_s": 0.5, "keep_raw": False}
CONTENT = np.random.default_rng(0).bytes(3_000_000)


class Archive(BaseHTTPRequestHandler):
    """Serves CONTENT below any path; the first part of the path names a vice."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        state, vice = self.server.state, self.path.split("/")[1]
        state["requests"].append((self.path, dict(self.headers)))
        n = len(state["requests"])
        if self.path in state["answers"]:
            return self._send(200, state["answers"][self.path])
        if vice == "busy" and n <= 2:
            return self._send(503, b"busy", {"Retry-After": "0"})
        if vice == "page":
            return self._send(200, b"<html>moved</html>", {"Content-Type": "text/html"})
        if vice == "gone":
            return self._send(404, b"gone")
        if vice == "redirect":
            return self._send(303, b"", {"Location": "/plain/file"})
        first = 0
        if "Range" in self.headers and vice != "norange":
            first = int(self.headers["Range"].removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(CONTENT) - first))
        self.send_header("ETag", '"1"')
        if first:
            wrong = 1 if vice == "wrongrange" and n == 2 else 0
            self.send_header("Content-Range", f"bytes {first + wrong}-{len(CONTENT) - 1}/*")
        self.end_headers()
        end = len(CONTENT)
        if vice in ("drops", "norange", "wrongrange") and n <= 2 + (vice == "drops"):
            end = min(first + 900_000, end)
        if vice == "slow":
            for start in range(first, end, 50_000):
                self.wfile.write(CONTENT[start : start + 50_000])
                time.sleep(0.05)
        elif vice == "stalls" and n == 1:
            self.wfile.write(CONTENT[:500_000])
            self.wfile.flush()
            time.sleep(1.5)
        else:
            self.wfile.write(CONTENT[first:end])

    def _send(self, status, content, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Archive)
    server.state = {"requests": [], "answers": {}}
    server.root = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(transfer, "_PATIENCE_S", 0.01)


@pytest.mark.parametrize(
    "vice", ["plain", "redirect", "busy", "drops", "norange", "wrongrange", "stalls"]
)
def test_the_file_arrives_whole(server, tmp_path, vice):
    target = tmp_path / "a" / "file"
    path = fetch(f"{server.root}/{vice}/file", target, ARCHIVE, len(CONTENT))
    assert path == target and path.read_bytes() == CONTENT
    assert {path.name for path in target.parent.iterdir()} == {"file", "received.tsv"}
    agents = {headers["User-Agent"] for _, headers in server.state["requests"]}
    assert all(agent.startswith("mcvae-ops/") for agent in agents)


def test_only_the_rest_is_asked_for(server, tmp_path):
    fetch(f"{server.root}/drops/file", tmp_path / "f", ARCHIVE, len(CONTENT))
    ranges = [headers.get("Range") for _, headers in server.state["requests"]]
    assert ranges == [None, "bytes=900000-", "bytes=1800000-", "bytes=2700000-"]


def test_without_a_published_size_the_servers_own_counts(server, tmp_path):
    assert fetch(f"{server.root}/drops/file", tmp_path / "f", ARCHIVE).read_bytes() == CONTENT


@pytest.mark.parametrize(("vice", "said"), [("page", "web page"), ("gone", "HTTP 404")])
def test_what_is_no_file_is_said_at_once(server, tmp_path, vice, said):
    with pytest.raises(InputError, match=said):
        fetch(f"{server.root}/{vice}/file", tmp_path / "f", ARCHIVE, len(CONTENT))
    assert len(server.state["requests"]) <= 2
    assert not (tmp_path / "f").exists()


def test_a_wrong_size_is_not_taken(server, tmp_path):
    with pytest.raises(InputError, match="more than 2999999 bytes"):
        fetch(f"{server.root}/plain/file", tmp_path / "f", ARCHIVE, len(CONTENT) - 1)
    assert not (tmp_path / "f").exists()


def test_nobody_there_is_an_error_after_the_last_attempt(tmp_path):
    with pytest.raises(TransferError, match="and then, 3 times"):
        fetch("http://127.0.0.1:9/file", tmp_path / "f", ARCHIVE | {"retries": 2})


def test_a_killed_transfer_goes_on_where_it_broke_off(server, tmp_path):
    target = tmp_path / "f"
    code = (
        f"import sys; from mcvae_ops.archive.transfer import fetch; fetch(*sys.argv[1:], {ARCHIVE})"
    )
    process = subprocess.Popen([sys.executable, "-c", code, f"{server.root}/slow/file", target])
    partial, deadline_s = tmp_path / "f.part", time.monotonic() + 20
    while not (partial.exists() and partial.stat().st_size > 300_000):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = partial.stat().st_size
    assert 0 < done < len(CONTENT) and not target.exists()
    fetch(f"{server.root}/plain/file", target, ARCHIVE, len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert server.state["requests"][-1][1]["Range"] == f"bytes={done}-"


@pytest.mark.parametrize("cookie", [b"city=K\xc3\xb6ln", b"a=b", b"a=" + b"b" * 3000])
def test_no_cookies_are_kept(tmp_path, cookie):
    first = answer(503).replace(b"\r\n\r\n", b"\r\nSet-Cookie: " + cookie + b"\r\n\r\n")

    def handle(connection, request, n):
        connection.sendall(first if n == 1 else answer(200, b"a"))

    with raw_server(handle) as server:
        for name in "ab":
            assert fetch(f"{server.address}/{name}", tmp_path / name, ARCHIVE).read_bytes() == b"a"
    assert len(server.requests) == 3 and not any("ookie" in asked for asked in server.requests)


@pytest.mark.parametrize(
    "location", ["http:x", "data:", "data:text/plain,a", "http://xn--a/", f"http://{'a' * 64}.org/"]
)
def test_a_redirect_to_no_address_is_the_servers_fault(tmp_path, location):
    def handle(connection, request, n):
        reply = answer(302, b"", ("Location", location)) if n == 1 else answer(200, b"a")
        connection.sendall(reply)

    with raw_server(handle) as server:
        assert fetch(f"{server.address}/a", tmp_path / "a", ARCHIVE).read_bytes() == b"a"


@pytest.mark.parametrize("address", ["http://xn--a/", f"http://{'a' * 80}.org/", "http://[::1"])
def test_an_address_that_is_none_is_the_users_fault(tmp_path, address):
    with pytest.raises(InputError, match="text that is no address"):
        fetch(address, tmp_path / "a", ARCHIVE)


@pytest.mark.parametrize("status", [520, 527, 530])
def test_a_cache_that_does_not_reach_its_server_is_asked_again(tmp_path, status):
    def handle(connection, request, n):
        connection.sendall(answer(status) if n == 1 else answer(200, b"a"))

    with raw_server(handle) as server:
        assert fetch(f"{server.address}/a", tmp_path / "a", ARCHIVE).read_bytes() == b"a"


def test_local_files_are_not_copied(tmp_path):
    path = tmp_path / "a b.tif"
    path.write_bytes(b"1234")
    assert fetch(path.as_uri(), tmp_path / "copy", ARCHIVE, 4) == path
    assert fetch(str(path), tmp_path / "copy", ARCHIVE) == path
    with pytest.raises(InputError, match="found 4 bytes, expected 5 bytes"):
        fetch(path.as_uri(), tmp_path / "copy", ARCHIVE, 5)
    with pytest.raises(InputError, match="no file"):
        fetch(str(tmp_path / "none"), tmp_path / "copy", ARCHIVE)


def test_a_large_study_forwards_to_its_list(server):
    study = f"{server.root}/api/v1/studies/S-1"
    link = f"{server.root}/fire/S-1"
    server.state["answers"] = {
        "/api/v1/studies/S-1": f'{{"ftpHttp_link": "{link}/"}}'.encode(),
        "/api/v1/studies/S-1/info": f'{{"httpLink": "{link}"}}'.encode(),
        "/fire/S-1/S-1.json": b'{"section": {"attributes": [{"name": "File List", '
        b'"value": "all files.tsv"}], "files": null}}',
        "/fire/S-1/Files/all%20files.json": b'[{"path": "a/b.tif", "size": 5}]',
    }
    assert files_root(study, ARCHIVE) == f"{link}/Files/"
    assert list(study_entries(study, f"{link}/Files/", ARCHIVE)) == [("a/b.tif", 5)]


def test_a_study_leads_to_no_file_of_this_machine(server, tmp_path):
    (tmp_path / "S-1.json").write_text('{"section": {"files": [{"path": "a", "size": 1}]}}')
    server.state["answers"] = {
        "/S-1": f'{{"ftpHttp_link": "{tmp_path.as_uri()}", "section": null}}'.encode(),
        "/S-1/info": f'{{"httpLink": "{tmp_path.as_uri()}"}}'.encode(),
        "/S-1/files?limit=1000&offset=0": b'{"files": []}',
    }
    assert list(study_entries(f"{server.root}/S-1", f"{server.root}/", ARCHIVE)) == []
    with pytest.raises(InputError, match="no httpLink to a server"):
        files_root(f"{server.root}/S-1", ARCHIVE)


def test_converted_tables_are_asked_for_in_their_original_form():
    data = {"id": 7, "filesize": 10, "md5": "x"}
    original = data | {"id": 8, "originalFileFormat": "text/csv", "originalFileSize": 6,
                       "originalFileName": "a.csv"}  # fmt: skip
    files = [
        {"label": "b.parquet", "directoryLabel": "d", "dataFile": data},
        {"label": "a.tab", "directoryLabel": "d", "dataFile": original},
    ]
    content = {"status": "OK", "data": {"latestVersion": {"files": files}}}
    assert parts_of(content, "https://host", remote=True) == [
        ("d/b.parquet", "https://host/api/access/datafile/7", 10, "x"),
        ("d/a.csv", "https://host/api/access/datafile/8?format=original", 6, None),
    ]
    files[0]["restricted"] = True
    with pytest.raises(InputError, match="restricted"):
        parts_of(content, "https://host", remote=True)
    with pytest.raises(InputError, match="status ERROR: no such data set"):
        parts_of({"status": "ERROR", "message": "no such data set"}, "https://host", remote=True)


@pytest.mark.parametrize(
    "files",
    [None, 7, "x", [7], [None], [{}], [{"label": "a.csv"}], [{"label": "a.csv", "dataFile": 7}],
     [{"label": "a.csv", "dataFile": {}}], [{"label": "a.csv", "dataFile": {"id": 1}}],
     [{"label": None, "dataFile": {"id": 1, "filesize": 3}}]],
)  # fmt: skip
def test_a_data_set_that_is_not_described_whole_is_one_sentence(files):
    content = {"status": "OK", "data": {"latestVersion": {"files": files}}}
    with pytest.raises(InputError, match=r"expected a .* Dataverse.*; correct the address"):
        parts_of(content, "https://host", remote=True)
