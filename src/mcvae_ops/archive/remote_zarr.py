"""A Zarr store that is read over the network, byte range by byte range."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype

from mcvae_ops.archive.transfer import read_range


class RemoteStore(Store):
    """Read the keys of a store below an address; nothing is written, deleted or listed.

    Every request has the patience of `read_range`. A key that the server does not have is absent,
    which Zarr reads as the fill value of an array; a refusal is an error.

    Parameters
    ----------
    root
        Address of the store, ``http://`` or ``https://``, percent-encoded.
    archive
        Section of the configuration.
    """

    supports_writes = supports_deletes = supports_listing = False

    def __init__(self, root: str, archive: dict) -> None:
        super().__init__(read_only=True)
        self.root, self.archive = root.rstrip("/"), archive

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteStore) and other.root == self.root

    def __repr__(self) -> str:
        return f"RemoteStore({self.root!r})"

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the value of a key, or a part of it; None if there is none."""
        span = _span(byte_range)
        answer = await asyncio.to_thread(read_range, f"{self.root}/{key}", self.archive, span)
        return None if answer is None else prototype.buffer.from_bytes(answer[0])

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return parts of the values of several keys."""
        return await asyncio.gather(*(self.get(key, prototype, span) for key, span in key_ranges))

    async def exists(self, key: str) -> bool:
        """Say whether the server has a key."""
        answer = await asyncio.to_thread(read_range, f"{self.root}/{key}", self.archive)
        return answer is not None

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse."""
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        """Refuse."""
        raise NotImplementedError

    def list(self) -> AsyncIterator[str]:
        """Refuse."""
        raise NotImplementedError

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Refuse."""
        raise NotImplementedError

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Refuse."""
        raise NotImplementedError


def _span(byte_range: ByteRequest | None) -> str | None:
    match byte_range:
        case None:
            return None
        case RangeByteRequest(start, end):
            return f"{start}-{end - 1}"
        case OffsetByteRequest(offset):
            return f"{offset}-"
        case SuffixByteRequest(suffix):
            return f"-{suffix}"
