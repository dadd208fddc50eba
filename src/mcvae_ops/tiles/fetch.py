"""The tiles of a job, fetched ahead while the one before is worked on."""

from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path

import pandas as pd

from mcvae_ops.archive.stream import stream_files
from mcvae_ops.archive.transfer import Wanted
from mcvae_ops.errors import InputError, TileError


def stream_tiles(
    files: Mapping[Hashable, pd.DataFrame], cache: str | Path, archive: dict
) -> Iterator[tuple[Hashable, dict[str, Path] | TileError]]:
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
    The key, and {channel group: path}; or a `TileError` where a file of the tile cannot be had.
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
