"""Fetch the files of a job's tiles; the next tile is fetched while one is processed."""

from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path

import pandas as pd

from mcvae_ops.archive.addresses import inside
from mcvae_ops.archive.patterns import is_zarr
from mcvae_ops.archive.stream import stream_files
from mcvae_ops.archive.transfer import Wanted
from mcvae_ops.errors import InputError, TileError


def stream_tiles(
    files: Mapping[Hashable, pd.DataFrame], cache: str | Path, archive: dict
) -> Iterator[tuple[Hashable, dict[str, Path | str] | TileError]]:
    """Yield the fetched files of one tile after the other; see `stream_files`.

    Parameters
    ----------
    files
        Rows of the files table of each tile, by a key of the caller's choice.
    cache
        Files are stored in ``raw/`` in this folder, under their path in the archive.
    archive
        Section of the configuration.

    Yields
    ------
    The key, and {channel group: path}, or a `TileError` if a file of the tile cannot be fetched. An
    image in OME-Zarr is not fetched but read by windows: its address takes the place of the path.
    """
    whole = {key: rows[~rows["address"].map(is_zarr).astype(bool)] for key, rows in files.items()}
    wanted = {
        key: [
            Wanted(row.address, Path(cache) / "raw" / inside(row.path), int(row.size_bytes))
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
