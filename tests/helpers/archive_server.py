"""A server that speaks BioStudies and Dataverse, and misbehaves on demand; a process of its own.

``python -m tests.helpers.archive_server FOLDER`` serves FOLDER and prints its address. The
first step of a path names faults, with commas between them ("fine" names none), as in
``/drop,busy/a/b.tif``.

    drop       four answers of ten break off mid-file
    stall      the first answer of each path falls silent at half, with an open socket
    busy       503, then 429, with Retry-After, before the first answer of each path
    page       an HTML page with status 200;  pageonce: only the first time
    norange    Range is ignored
    short      the file lacks its end, for good
    stuck      every answer ends at the same byte, for good
    flip       one byte is wrong;  fliponce: only the first time
    changed    after the first answer the file is another one, with another ETag
    noetag     no ETag
    slow       4 MB/s, from a small send buffer, so that what is sent has nearly arrived
    expire     a Dataverse file's redirect is good for 1 s, and the first one is stale already

Always: 403 to the user agents of common libraries, 400 to HEAD, 303 from Dataverse's access
addresses to a store that refuses its key, pages of at most 1000 files.
"""

import json
import random
import socket
import sys
import threading
import time
import zlib
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

BLOCK_BYTES, BUFFER_BYTES = 16 << 10, 32 << 10
SLOW_BYTES_PER_S = 4e6


class State:
    """What the server remembers between requests."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.lock = threading.Lock()
        self.requests, self.sent_bytes, self.log = Counter(), Counter(), []


class Archive(BaseHTTPRequestHandler):
    """Answers GET; see the module."""

    protocol_version = "HTTP/1.1"

    @property
    def state(self) -> State:
        return self.server.state

    def log_message(self, *_) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(400, b"")

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/_stats":
            stats = {"sent_bytes": self.state.sent_bytes, "log": self.state.log}
            return self._answer(200, json.dumps(stats).encode())
        agent = self.headers.get("User-Agent", "")
        if agent.startswith(("python-", "Python-", "curl", "Wget")):
            return self._answer(403, b"forbidden")
        # A Dataverse answers at the root of its server.
        place = f"/fine{url.path}" if url.path.startswith("/api/") else url.path
        _, first, rest = unquote(place).split("/", 2)
        faults = set(first.split(","))
        with self.state.lock:
            n = self.state.requests[url.path] = self.state.requests[url.path] + 1
            entry = {"path": unquote(url.path), "range": self.headers.get("Range"), "sent": 0,
                     "key": self.headers.get("X-Dataverse-key")}  # fmt: skip
            self.state.log.append(entry)
        if "busy" in faults and n <= 2:
            return self._answer(503 if n == 1 else 429, b"later", {"Retry-After": "0"})
        if "page" in faults or ("pageonce" in faults and n == 1):
            page = b"<!DOCTYPE html><html>moved</html>"
            return self._answer(200, page, {"Content-Type": "text/plain"})
        query = parse_qs(url.query)
        if rest.startswith("api/access/datafile/"):
            return self._redirect(first, rest.rpartition("/")[2], faults, n)
        if rest.startswith("store/"):
            if self.headers.get("X-Dataverse-key") or float(query["until"][0]) < time.time():
                return self._answer(403, b"request has expired")
            rest = rest.removeprefix("store/")
        if rest.endswith("/files") and "limit" in query:
            return self._page(rest, int(query["limit"][0]), int(query["offset"][0]))
        if rest.startswith("api/datasets/"):
            rest = "dataset.json"
        path = self.state.folder / rest
        path = path / "index" if path.is_dir() else path
        if not path.is_file():
            return self._answer(404, b"no such file")
        self._file(path, faults, n, entry)

    def _redirect(self, first: str, number: str, faults: set, n: int) -> None:
        if number == "guestbook":
            return self._answer(400, b'{"message": "You may not download this file without the '
                                     b'required Guestbook response"}')  # fmt: skip
        names = json.loads((self.state.folder / "datafiles.json").read_text())
        stale = "expire" in faults and n == 1
        until = time.time() + (-1 if stale else 1 if "expire" in faults else 60)
        self._answer(303, b"", {"Location": f"/{first}/store/{names[number]}?until={until}"})

    def _page(self, rest: str, limit: int, offset: int) -> None:
        files = json.loads((self.state.folder / f"{rest}.json").read_text())
        page = {"total": 0, "files": []}
        if limit <= 1000:
            page = {"total": len(files), "files": files[offset : offset + limit]}
        self._answer(200, json.dumps(page).encode())

    def _file(self, path: Path, faults: set, n: int, entry: dict) -> None:
        content = bytearray(path.read_bytes())
        etag = '"1"'
        if "changed" in faults and n > 1:
            content, etag = content[::-1], '"2"'
        if "flip" in faults or ("fliponce" in faults and n == 1):
            content[len(content) // 2] ^= 1
        if "short" in faults:
            content = content[: len(content) // 2]
        first, last = 0, ""
        asked, whole = self.headers.get("Range"), len(content)
        if asked and "norange" not in faults and self.headers.get("If-Range", etag) == etag:
            start, _, last = asked.removeprefix("bytes=").partition("-")
            first = int(start)
        if first >= whole > 0:
            return self._answer(416, b"", {"Content-Range": f"bytes */{whole}"})
        end = asked_end = min(int(last) + 1, whole) if last else whole
        self.send_response(206 if first or last else 200)
        self.send_header("Content-Length", str(end - first))
        if "noetag" not in faults:
            self.send_header("ETag", etag)
        if first or last:
            self.send_header("Content-Range", f"bytes {first}-{end - 1}/{whole}")
        self.end_headers()
        chance = random.Random(zlib.crc32(f"{path.name} {n}".encode()))
        if "drop" in faults and chance.random() < 0.4:
            end = first + int(chance.random() * (whole - first))
        if "stuck" in faults:
            end = max(first, whole // 2)
        if "stall" in faults and n == 1:
            end = whole // 2
        self._send(memoryview(content)[first:end], "slow" in faults, entry)
        if end < asked_end:
            self.close_connection = True
            if "stall" in faults:
                time.sleep(3)

    def _send(self, content: memoryview, slow: bool, entry: dict) -> None:
        if slow:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        for start in range(0, len(content), BLOCK_BYTES):
            block = content[start : start + BLOCK_BYTES]
            try:
                self.wfile.write(block)
                self.wfile.flush()
            except OSError:
                self.close_connection = True
                return
            with self.state.lock:
                self.state.sent_bytes[entry["path"]] += len(block)
                entry["sent"] += len(block)
            if slow:
                time.sleep(len(block) / SLOW_BYTES_PER_S)

    def _answer(self, status: int, content: bytes, headers: dict | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class Server(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True

    def handle_error(self, *_) -> None:
        """Say nothing of clients that hang up."""


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Archive)
    server.state = State(sys.argv[1])
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
