"""A server of public objects: a folder as buckets of S3, or as plain files of an https archive.

It speaks ListObjectsV2 (pages, encoded keys), byte ranges, and misbehaves on demand.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote_plus, unquote, urlsplit
from xml.sax.saxutils import escape

NAME_SPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass
class Objects:
    """What the server serves, how it misbehaves, and what it was asked for.

    Attributes
    ----------
    folder
        Its subfolders are the buckets.
    page_size
        Keys in a page of a listing.
    slow_down
        How many requests are answered with 503 SlowDown first.
    denied
        Buckets and objects whose path begins with it are refused; "" refuses none.
    can_list
        Whether buckets are listed; plain https archives list nothing.
    requests
        (path with query, bytes sent) of each answer with content.
    """

    folder: Path
    page_size: int = 1000
    slow_down: int = 0
    denied: str = ""
    can_list: bool = True
    requests: list[tuple[str, int]] = field(default_factory=list)
    address: str = ""

    def sent_bytes(self, part: str = "") -> int:
        """Return the bytes sent of objects whose path contains `part`."""
        return sum(n_bytes for path, n_bytes in self.requests if part in path)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def objects(self) -> Objects:
        return self.server.objects

    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        url, objects = urlsplit(self.path), self.objects
        path = unquote(url.path).lstrip("/")
        if objects.slow_down > 0:
            objects.slow_down -= 1
            return self._error(503, "SlowDown")
        if objects.denied and path.startswith(objects.denied):
            return self._error(403, "AccessDenied")
        query = parse_qs(url.query)
        if "list-type" in query:
            if not objects.can_list:
                return self._error(403, "AccessDenied")
            return self._list(path.strip("/"), query)
        file = objects.folder / path
        if not file.is_file():
            return self._error(404, "NoSuchKey")
        self._object(file.read_bytes())

    def _list(self, bucket: str, query: dict) -> None:
        prefix, root = query.get("prefix", [""])[0], self.objects.folder / bucket
        keys = sorted(
            key
            for file in root.rglob("*")
            if file.is_file() and (key := file.relative_to(root).as_posix()).startswith(prefix)
        )
        keys = [key for key in keys if key > query.get("start-after", [""])[0]]
        start = int(query.get("continuation-token", ["0"])[0])
        page, end = keys[start : start + self.objects.page_size], start + self.objects.page_size
        entries = "".join(
            f"<Contents><Key>{escape(quote_plus(key, safe='/'))}</Key>"
            f"<Size>{(root / key).stat().st_size}</Size></Contents>"
            for key in page
        )
        more = end < len(keys)
        token = f"<NextContinuationToken>{end}</NextContinuationToken>" if more else ""
        self._send(200, f'<ListBucketResult xmlns="{NAME_SPACE}"><IsTruncated>{str(more).lower()}'
                        f"</IsTruncated>{token}{entries}</ListBucketResult>".encode())  # fmt: skip

    def _object(self, content: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            return self._send(200, content)
        first, last = asked.groups()
        size = len(content)
        start = int(first) if first else max(0, size - int(last))
        end = min(int(last) + 1, size) if first and last else size
        if start >= size:
            return self._error(416, "InvalidRange")
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{size}"}
        self._send(206, content[start:end], headers)

    def _error(self, status: int, code: str) -> None:
        headers = {"Retry-After": "0"} if status == 503 else {}
        self._send(status, f"<Error><Code>{code}</Code></Error>".encode(), headers)

    def _send(self, status: int, content: bytes, headers: dict | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        if status < 400:
            self.objects.requests.append((unquote(self.path), len(content)))


@contextmanager
def serving(folder: Path, **behaviour) -> Iterator[Objects]:
    """Serve a folder on this machine; see `Objects`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.objects = Objects(folder, address=f"http://127.0.0.1:{server.server_port}", **behaviour)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.objects
    finally:
        server.shutdown()
        server.server_close()
