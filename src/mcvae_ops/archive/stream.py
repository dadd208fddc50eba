"""Groups of files one after the other, the next ones fetched meanwhile."""

import math
from collections import deque
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from mcvae_ops.archive.addresses import is_remote
from mcvae_ops.archive.transfer import Wanted, fetch
from mcvae_ops.errors import InputError


def groups_prefetched(streams: int, files_per_group: int) -> int:
    """Return how many groups are prefetched: enough for every stream, and one more."""
    return math.ceil(streams / max(files_per_group, 1)) + 1


def stream_files(
    groups: Mapping[Hashable, Sequence[Wanted]], archive: dict
) -> Iterator[tuple[Hashable, list[Path] | InputError]]:
    """Yield the files of one group after the other, in the order of `groups`.

    When the next group is asked for, the fetched files of the one before are deleted, unless
    ``archive["keep_raw"]``: the disk holds the group in hand and `groups_prefetched` more. Files
    that lie on this machine are never touched. What an interrupted job had fetched stays, whole
    files and begun ones, and is not fetched again.

    Parameters
    ----------
    groups
        Files wanted, by any key.
    archive
        Section of the configuration.

    Yields
    ------
    The key, and the paths; or the error where a file of the group cannot be had.

    Raises
    ------
    TransferError
        If the archive does not answer.
    """
    waiting: deque[tuple[Hashable, list[Future]]] = deque()
    left = iter(groups.items())
    largest = max(map(len, groups.values()), default=1)
    n_prefetched = groups_prefetched(archive["streams"], largest)
    pool = ThreadPoolExecutor(archive["streams"])
    try:
        while True:
            for key, wanted in islice(left, n_prefetched + 1 - len(waiting)):
                futures = [
                    pool.submit(fetch, w.address, w.target, archive, w.size_bytes, w.md5)
                    for w in wanted
                ]
                waiting.append((key, futures))
            if not waiting:
                return
            key, futures = waiting.popleft()
            try:
                paths = [future.result() for future in futures]
            except InputError as error:
                paths = error
            yield key, paths
            if not archive["keep_raw"]:
                _delete(groups[key], futures)
    finally:
        pool.shutdown(cancel_futures=True)


def _delete(wanted: Sequence[Wanted], futures: list[Future]) -> None:
    for want, future in zip(wanted, futures, strict=True):
        # Waits for a sibling of a file that could not be had.
        if is_remote(want.address) and future.exception() is None:
            want.target.unlink(missing_ok=True)
