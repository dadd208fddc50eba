"""The tiles of a job, fetched ahead while the one before is worked on."""

from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path

import pandas as pd

from mcvae_ops.archive.patterns import is_zarr
from mcvae_ops.archive.stream import stream_files
from mcvae_ops.archive.transfer import Wanted
from mcvae_ops.errors import InputError, TileError


def stream_tiles(
    files: Mapping[Hashable, pd.DataFrame], cache: str | Path, archive: dict
) -> Iterator[tuple[Hashable, dict[str, Path | str] | TileError]]:
    """Yield the files of one tile after the other; see `stream_files`.

    Parameters
    ----------
    files
        Rows of the files table of each tile, by any key.
    cache
        Files are put into ``raw/`` in this folder, under their path in the archive.
    archive
        Section of the configuration.

    Yields
    ------
    The key, and {channel group: path}; an image in OME-Zarr is not fetched but read by windows, so
    its address takes the place of the path. A `TileError` where a file of the tile cannot be had.
    """
    whole = {key: rows[~rows["address"].map(is_zarr).astype(bool)] for key, rows in files.items()}
    wanted = {
        key: [
            Wanted(row.address, Path(cache) / "raw" / row.path, int(row.size_bytes))
            for row in rows.itertuples()
        ]
        for key, rows in whole.items()
    }
    for key, paths in stream_files(wanted, archive):
        if isinstance(paths, InputError):
            yield key, TileError(str(paths))
            continue
        addresses = dict(zip(files[key]["group"], files[key]["address"], strict=True))
        yield key, addresses | dict(zip(whole[key]["group"], paths, strict=True))
