"""Chunks that Blosc packed, refused where their header does not fit them.

Blosc reads beyond the end of a chunk whose header says that it is longer, and the process dies
(c-blosc 1.21 in numcodecs 0.16). Importing this module makes Zarr read through these classes.
"""

import asyncio
import struct

import numcodecs
import numpy as np
import zarr
from numcodecs.blosc import Blosc
from zarr.codecs import BloscCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer
from zarr.registry import register_codec

MOST_CHUNK_BYTES = 1 << 30  # unpacked
HEADER = struct.Struct("<4x3I")  # four bytes of versions and flags; unpacked, block, packed


def check_chunk(chunk: np.ndarray) -> None:
    """Raise a `ValueError` if a chunk is not as long as its header says, or if that has no sense.

    Parameters
    ----------
    chunk
        The bytes as they are stored, uint8.
    """
    if len(chunk) < HEADER.size:
        raise ValueError(f"a chunk of {len(chunk)} bytes is shorter than the header of Blosc")
    unpacked, block, packed = HEADER.unpack(chunk[: HEADER.size].tobytes())
    has_sense = not unpacked or 0 < block <= unpacked <= MOST_CHUNK_BYTES
    if packed != len(chunk) or not has_sense:
        raise ValueError(
            f"a chunk of {len(chunk)} bytes is damaged: Blosc's header says {packed} bytes, "
            f"{unpacked} unpacked in blocks of {block}"
        )


class CheckedBlosc(Blosc):
    """Blosc of Zarr's format 2."""

    def decode(self, buf, out=None):
        """Unpack a chunk; see `check_chunk`."""
        check_chunk(numcodecs.compat.ensure_contiguous_ndarray(buf).view(np.uint8))
        return super().decode(buf, out)


class CheckedBloscCodec(BloscCodec):
    """Blosc of Zarr's format 3."""

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        await asyncio.to_thread(check_chunk, chunk_bytes.as_numpy_array())
        return await super()._decode_single(chunk_bytes, chunk_spec)


numcodecs.register_codec(CheckedBlosc, "blosc")
register_codec("blosc", CheckedBloscCodec)
zarr.config.set({"codecs.blosc": f"{__name__}.{CheckedBloscCodec.__name__}"})
