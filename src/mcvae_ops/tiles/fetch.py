"""Fetch the files of a job's tiles; the next tile is fetched while one is processed."""

from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path

import pandas as pd

from mcvae_ops.archive.stream import stream_files
from mcvae_ops.archive.transfer import Wanted
from mcvae_ops.errors import InputError, TileError


def stream_tiles(
    files: Mapping[Hashable, pd.DataFrame], cache: str | Path, archive: dict
) -> Iterator[tuple[Hashable, dict[str, Path] | TileError]]:
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
    The key, and {channel group: path}, or a `TileError` if a file of the tile cannot be fetched.
    """
    wanted = {
        key: [
            Wanted(row.address, Path(cache) / "raw" / row.path, int(row.size_bytes))
            for row in rows.itertuples()
        ]
        for key, rows in files.items()
    }
    for key, paths in stream_files(wanted, archive):
        if isinstance(paths, InputError):
            yield key, TileError(str(paths))
        else:
            yield key, dict(zip(files[key]["group"], paths, strict=True))
