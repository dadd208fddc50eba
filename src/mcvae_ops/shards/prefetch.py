"""Reading ahead: what comes next is read in a thread while what is there is worked on."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Prefetcher(Generic[Key, Value]):
    """The values of a function, asked for in a known order.

    Parameters
    ----------
    read
        The function; its values must not depend on when they are read, and may be written over
        when the next but one is asked for.
    following
        Key -> the key that will be asked for next.
    in_background
        Whether the following value is read in a thread; otherwise every value is waited for.

    Attributes
    ----------
    waited_s
        Time that was spent waiting for values.
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
        """Return the value of a key; the last one is kept."""
        if self._last is None or self._last[0] != key:
            started_s = time.monotonic()
            ahead, self._last = self._next, None
            value = None if ahead is None else ahead[1].result()
            is_ahead = ahead is not None and ahead[0] == key
            self._last = key, value if is_ahead else self._read(key)
            self.waited_s += time.monotonic() - started_s
            if self._thread is not None:
                following = self._following(key)
                self._next = following, self._thread.submit(self._read, following)
        return self._last[1]
