"""Prefetching: a thread reads the next value while the current one is used."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Prefetcher(Generic[Key, Value]):
    """Values of a function, requested in a known order.

    Parameters
    ----------
    read
        The function. Its values must not depend on when they are read. It may reuse the memory of
        a value as soon as the value after the next one is requested.
    following
        Key -> the key that will be requested next.
    in_background
        Whether a thread reads the next value; otherwise the caller waits for every value.

    Attributes
    ----------
    waited_s
        Time that the caller has waited for values.
    """

    def __init__(
        self, read: Callable[[Key], Value], following: Callable[[Key], Key], in_background: bool
    ) -> None:
        self.waited_s = 0.0
        self._read, self._following = read, following
        self._thread = ThreadPoolExecutor(1) if in_background else None
        self._last: tuple[Key, Value] | None = None
        self._next: tuple[Key, Future] | None = None

    def __call__(self, key: Key) -> Value:
        """Return the value of a key; a second request for the same key reads nothing."""
        if self._last is None or self._last[0] != key:
            started_s = time.monotonic()
            prefetched, self._last = self._next, None
            # Wait in any case: only one read at a time may use the buffers of `read`.
            value = None if prefetched is None else prefetched[1].result()
            is_prefetched = prefetched is not None and prefetched[0] == key
            self._last = key, value if is_prefetched else self._read(key)
            self.waited_s += time.monotonic() - started_s
            if self._thread is not None:
                following = self._following(key)
                self._next = following, self._thread.submit(self._read, following)
        return self._last[1]
