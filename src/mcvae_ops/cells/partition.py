"""Partition a part of a table by well and tiles: Arrow blocks on disk, and an index.

The rows of a part come in the order of the archive, and no part need fit in memory; the tables of
wells need all rows of some tiles at once.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from mcvae_ops import __version__
from mcvae_ops.cells.tally import Tally
from mcvae_ops.files import read_note, whole_file, write_note

TILES_PER_BLOCK = 64
_HELD_BYTES = 128 << 20
_BLOCKS_AT_ONCE = 512

Key = tuple[str, str, int]
"""Plate, well, and number of a group of tiles: tile // TILES_PER_BLOCK."""


@dataclass(frozen=True)
class Partition:
    """A part that has been partitioned.

    Attributes
    ----------
    path
        File of its blocks.
    name
        Name of the part.
    columns
        Columns of its blocks.
    tally
        What became of its rows.
    blocks
        Numbers of the blocks of each key, in the order of the part.
    n_rows
        Number of rows of each key.
    """

    path: Path
    name: str
    columns: list[str]
    tally: Tally
    blocks: dict[Key, list[int]]
    n_rows: Counter

    def read(self, keys: Sequence[Key], columns: Sequence[str]) -> list[pa.Table]:
        """Return some columns of the blocks of some keys; none if the part has no such cell."""
        return list(self._blocks([k for key in keys for k in self.blocks.get(key, [])], columns))

    def read_all(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield some columns of all blocks, hundreds at a time."""
        yield from self._blocks([k for numbers in self.blocks.values() for k in numbers], columns)

    def _blocks(self, numbers: Sequence[int], columns: Sequence[str]) -> Iterator[pa.Table]:
        if not numbers:
            return
        position = {column: k for k, column in enumerate(self.columns)}
        fields = [position[column] for column in columns]
        options = pa.ipc.IpcReadOptions(included_fields=fields, use_threads=False)
        with (
            pa.OSFile(str(self.path)) as source,
            pa.ipc.open_file(source, options=options) as blocks,
        ):
            for first in range(0, len(numbers), _BLOCKS_AT_ONCE):
                some = [blocks.get_batch(k) for k in numbers[first : first + _BLOCKS_AT_ONCE]]
                yield pa.Table.from_batches(some).select(list(columns))


class PartitionWriter:
    """Write the blocks of a part; the index is written last, so that it proves them complete.

    Parameters
    ----------
    stem
        Path of the blocks, without suffix.
    name
        Name of the part.
    settings
        Everything on which the blocks depend; those of other settings are not used. JSON.
    """

    def __init__(self, stem: Path, name: str, settings: list) -> None:
        self.data, self.index = stem.with_suffix(".arrow"), stem.with_suffix(".json")
        self.name = name
        text = json.dumps([__version__, settings, TILES_PER_BLOCK], sort_keys=True)
        self.identity = hashlib.sha256(text.encode()).hexdigest()

    def finished(self) -> Partition | None:
        """Return the partition, or None if it is not complete."""
        index = read_note(self.index)
        if index is None or index["identity"] != self.identity:
            return None
        blocks = {tuple(key): numbers for *key, _, numbers in index["blocks"]}
        n_rows = Counter({tuple(key): n for *key, n, _ in index["blocks"]})
        tally = Tally.of_note(index["tally"])
        return Partition(self.data, self.name, index["columns"], tally, blocks, n_rows)

    def __enter__(self) -> "PartitionWriter":
        self.index.unlink(missing_ok=True)
        self.tally = Tally()
        self.blocks: dict[Key, list[int]] = defaultdict(list)
        self.n_rows: Counter = Counter()
        self.held, self.held_bytes, self.n_blocks = [], 0, 0
        self.columns: list[str] = []
        self.context = whole_file(self.data)
        self.partial = self.context.__enter__()
        self.partial.touch()  # all that there is of a part without a row
        self.writer = None
        return self

    def add(self, table: pa.Table) -> None:
        """Add cells, all with the same columns."""
        if self.writer is None:
            self.columns = table.column_names
            self.writer = pa.ipc.new_file(str(self.partial), table.schema)
        self.held.append(table)
        self.held_bytes += table.nbytes
        if self.held_bytes > _HELD_BYTES:
            self._spill()

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            self._spill()
        if self.writer is not None:
            self.writer.close()
        self.context.__exit__(kind, error, trace)
        if kind is None:
            index = {
                "identity": self.identity,
                "columns": self.columns,
                "tally": self.tally.note(),
                "blocks": [[*key, self.n_rows[key], blocks] for key, blocks in self.blocks.items()],
            }
            write_note(index, self.index)

    def _spill(self) -> None:
        if not self.held:
            return
        table = pa.concat_tables(self.held).combine_chunks()
        self.held, self.held_bytes = [], 0
        if not table.num_rows:
            return
        wells = table.select(["plate", "well", "tile"]).to_pandas()
        wells["tile"] //= TILES_PER_BLOCK
        groups = wells.groupby(["plate", "well", "tile"])
        table = table.take(pa.array(np.argsort(groups.ngroup(), kind="stable"))).combine_chunks()
        start = 0
        for (plate, well, group), n_rows in groups.size().items():
            key = (plate, well, int(group))
            for block in table.slice(start, n_rows).to_batches():
                self.writer.write_batch(block)
                self.blocks[key].append(self.n_blocks)
                self.n_blocks += 1
            self.n_rows[key] += int(n_rows)
            start += n_rows
