"""Chunks of Zarr, unpacked to as many bytes as their array says, and to no more.

A chunk of 2 MB may unpack to 2 GB, and Blosc reads beyond the end of a chunk whose header says that
it is longer, so that the process dies (c-blosc 1.21). Importing this module makes Zarr read through
`BoundedPipeline`.
"""

import asyncio
import math
import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property, partial

import imagecodecs
import numpy as np
import zarr
from zarr.codecs import ShardingCodec
from zarr.codecs._v2 import V2Codec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer, NDBuffer
from zarr.core.codec_pipeline import BatchedCodecPipeline
from zarr.registry import register_pipeline

from mcvae_ops.errors import TileError

_BLOSC_HEADER = struct.Struct("<4x3I")  # four bytes of versions and flags; unpacked, block, packed


def _unpack_blosc(chunk: np.ndarray, out: int) -> bytes:
    if len(chunk) < _BLOSC_HEADER.size:
        raise ValueError("shorter than its header")
    unpacked, block, packed = _BLOSC_HEADER.unpack(chunk[: _BLOSC_HEADER.size].tobytes())
    if packed != len(chunk) or not 0 < block <= unpacked <= out:
        raise ValueError("of another length than its header says")
    return imagecodecs.blosc_decode(chunk, out=out)


def _unpack_one_more(chunk: np.ndarray, out: int, decode: Callable[..., bytes]) -> bytes:
    return decode(chunk, out=out + 1)  # it ends where the room ends, without a word


UNPACKERS = {
    "blosc": _unpack_blosc,
    "bz2": partial(_unpack_one_more, decode=imagecodecs.bz2_decode),
    "gzip": imagecodecs.gzip_decode,
    "lz4": partial(imagecodecs.lz4_decode, header=True),
    "lzma": partial(_unpack_one_more, decode=imagecodecs.lzma_decode),
    "zlib": imagecodecs.zlib_decode,
    "zstd": imagecodecs.zstd_decode,
}
"""Functions of (chunk, the most bytes that it may become), by the names of codecs in Zarr."""

# What changes the number of bytes is the first codec behind the pixels, and the only one.
_BOUNDED = re.compile(rf"(transpose )*bytes( ({'|'.join(UNPACKERS)}))?( crc32c)*")


class BoundedPipeline(BatchedCodecPipeline):
    """The codecs of an array, or of the chunks in a shard."""

    @cached_property
    def names(self) -> str:
        """Names of the codecs in the order in which they pack; filters of Zarr 2 are the first."""
        pixels = self.array_bytes_codec
        if isinstance(pixels, V2Codec):
            packer = [pixels.compressor] if pixels.compressor else []
            filters = [one.codec_id for one in pixels.filters or ()]
            return " ".join([*filters, "bytes", *(one.codec_id for one in packer)])
        return " ".join(codec.to_dict()["name"].removeprefix("numcodecs.") for codec in self)

    @property
    def unbounded(self) -> str | None:
        """Names of the codecs if they hide how long an unpacked chunk is; None if it is known.

        Of an array of shards, these are the codecs of the chunks in a shard.
        """
        codecs = tuple(self)
        is_sharded = len(codecs) == 1 and isinstance(codecs[0], ShardingCodec)
        names = self.from_codecs(codecs[0].codecs).names if is_sharded else self.names
        return None if _BOUNDED.fullmatch(names) else names

    async def decode_batch(
        self, chunk_bytes_and_specs: Iterable[tuple[Buffer | None, ArraySpec]]
    ) -> Iterable[NDBuffer | None]:
        """Unpack chunks to the bytes of their shape; then go on as Zarr does."""
        match = _BOUNDED.fullmatch(self.names)
        if not (match and match[3]):
            return await super().decode_batch(chunk_bytes_and_specs)
        chunks, specs = zip(*chunk_bytes_and_specs, strict=True)
        for codec in self.bytes_bytes_codecs[:0:-1]:
            chunks = await codec.decode(zip(chunks, specs, strict=True))
        unpacked = [
            chunk and await asyncio.to_thread(_unpacked, match[3], chunk, spec)
            for chunk, spec in zip(chunks, specs, strict=True)
        ]
        return await self._unpacking_nothing.decode_batch(zip(unpacked, specs, strict=True))

    @cached_property
    def _unpacking_nothing(self) -> "BoundedPipeline":
        pixels = self.array_bytes_codec
        if isinstance(pixels, V2Codec):
            pixels = replace(pixels, compressor=None)
        return replace(self, array_bytes_codec=pixels, bytes_bytes_codecs=())


def _unpacked(codec: str, chunk: Buffer, spec: ArraySpec) -> Buffer:
    dtype = spec.dtype.to_native_dtype()
    n_bytes = math.prod(spec.shape) * dtype.itemsize
    try:
        pixels = UNPACKERS[codec](chunk.as_numpy_array(), out=n_bytes)
        if len(pixels) != n_bytes:
            raise ValueError(f"{len(pixels)} bytes")
    except (ValueError, RuntimeError) as error:
        raise TileError(
            f"damaged file: found a chunk of {len(chunk):,} bytes that {codec} does not unpack to "
            f"{spec.shape} {dtype}, expected {n_bytes:,} bytes in it; write the array again"
        ) from error
    return spec.prototype.buffer.from_bytes(pixels)


register_pipeline(BoundedPipeline)
zarr.config.set({"codec_pipeline.path": f"{__name__}.{BoundedPipeline.__name__}"})
