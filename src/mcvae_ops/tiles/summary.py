"""Join the tables of alignment, dropped cells, checks and overlays over the whole screen."""

from collections.abc import Sequence

import pyarrow as pa

from mcvae_ops.files import read_table, write_parquet
from mcvae_ops.tiles.chunk import ALIGNMENT, DROPPED
from mcvae_ops.tiles.consensus import CHECKS, OVERLAY


def summarise_tiles(
    alignments: Sequence[str],
    dropped: Sequence[str],
    checks: Sequence[str],
    overlays: Sequence[str],
    alignment_table: str,
    dropped_table: str,
    checks_table: str,
    overlays_table: str,
) -> None:
    """Rule summarise_tiles: concatenate the tables of chunks and plates, in their given order.

    Parameters
    ----------
    alignments, dropped
        Tables of the chunks.
    checks, overlays
        Tables of the plates; none where crops are given.
    alignment_table, dropped_table, checks_table, overlays_table
        Outputs.
    """
    for schema, parts, target in (
        (ALIGNMENT, alignments, alignment_table),
        (DROPPED, dropped, dropped_table),
        (CHECKS, checks, checks_table),
        (OVERLAY, overlays, overlays_table),
    ):
        tables = [schema.empty_table(), *map(read_table, parts)]
        write_parquet(pa.concat_tables(tables), target)
