"""Connections on which an answer must begin, and go on, in time: what trickles in is cut off.

Between two bytes of a header, or of the size of a chunk, the timeout of a connection begins anew,
so that alone it never ends.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import httpcore
import httpx

_ENDS_S: ContextVar[float] = ContextVar("ends_s", default=math.inf)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let every read of this thread end after some seconds, all of them together."""
    token = _ENDS_S.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ENDS_S.reset(token)


def set_deadlines(client: httpx.Client) -> httpx.Client:
    """Make the connections of a client keep to `within`, those through a proxy too."""
    for transport in (client._transport, *client._mounts.values()):
        if transport is not None:
            # httpx hands no backend on to the pool of httpcore, whose parameter it is.
            transport._pool._network_backend = _Backend()
    return client


class _Backend(httpcore.SyncBackend):
    def connect_tcp(self, *args, **kwargs) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(*args, **kwargs))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left_s = _ENDS_S.get() - time.monotonic()
        if left_s <= 0:
            raise httpcore.ReadTimeout("the answer does not go on in time")
        left_s = None if left_s == math.inf else left_s
        return self._stream.read(max_bytes, min(filter(None, (timeout, left_s)), default=None))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *args, **kwargs) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(*args, **kwargs))

    def get_extra_info(self, info: str):
        return self._stream.get_extra_info(info)
