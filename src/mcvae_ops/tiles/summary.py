"""Join the tables of alignment, dropped cells, checks and overlays over the whole screen."""

from collections.abc import Sequence

import pyarrow as pa

from mcvae_ops.files import read_table, write_parquet


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
        Tables of the plates.
    alignment_table, dropped_table, checks_table, overlays_table
        Outputs.
    """
    for parts, target in (
        (alignments, alignment_table),
        (dropped, dropped_table),
        (checks, checks_table),
        (overlays, overlays_table),
    ):
        write_parquet(pa.concat_tables([read_table(part) for part in parts]), target)
