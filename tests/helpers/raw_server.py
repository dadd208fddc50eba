"""A server whose every byte a test decides: it hands each request to a function.

The function gets the socket, the request as text and its number (from 1), and sends what it likes.
"""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Handler = Callable[[socket.socket, str, int], None]


@dataclass
class RawServer:
    """A running server; `requests` are the headers of what was asked."""

    address: str = ""
    requests: list[str] = field(default_factory=list)


@contextmanager
def raw_server(handler: Handler) -> Iterator[RawServer]:
    """Serve on a free port of this machine."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = RawServer(f"http://127.0.0.1:{listening.getsockname()[1]}")

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(65536) or b"\r\n\r\n"
            if not request.strip():
                return
            server.requests.append(request.decode("latin-1"))
            handler(connection, server.requests[-1], len(server.requests))
            connection.shutdown(socket.SHUT_WR)

    def listen() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield server
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def answer(
    status: int,
    content: bytes = b"",
    *headers: tuple[str, str],
    length: int | None = -1,
) -> bytes:
    """Return an answer; its length is that of the content, another one, or none."""
    lines = [f"HTTP/1.1 {status} X", "Connection: close"]
    if length is not None:
        lines.append(f"Content-Length: {len(content) if length < 0 else length}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


def first_byte(request: str) -> int:
    """Return where the range begins that a request asks for; 0 without one."""
    ranges = [line for line in request.split("\r\n") if line.lower().startswith("range:")]
    return int(ranges[0].partition("=")[2].partition("-")[0]) if ranges else 0


def rest(content: bytes, request: str, *headers: tuple[str, str], total: object = None) -> bytes:
    """Answer a range as a good server does, or the whole file where none is asked for."""
    first = first_byte(request)
    if not first:
        return answer(200, content, *headers)
    span = f"bytes {first}-{len(content) - 1}/{len(content) if total is None else total}"
    return answer(206, content[first:], ("Content-Range", span), *headers)


def broken_off(content: bytes, *headers: Sequence[str]) -> bytes:
    """Return the first half of an answer."""
    whole = answer(200, content, *headers)
    return whole[: len(whole) - len(content) // 2]
