"""Alignment, dropped cells, checks and pictures of the whole screen, each in one table."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from mcvae_ops.files import write_parquet


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
    """Rule summarise_tiles: concatenate the tables of chunks and plates, in their given order."""
    for parts, target in (
        (alignments, alignment_table),
        (dropped, dropped_table),
        (checks, checks_table),
        (overlays, overlays_table),
    ):
        write_parquet(pa.concat_tables([pq.read_table(part) for part in parts]), target)
