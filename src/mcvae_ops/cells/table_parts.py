"""The parts of the tables of cells and labels: listed, and checked as far as headers tell."""

import logging
from collections.abc import Sequence

import pyarrow as pa

from mcvae_ops.archive.table_files import FileRow, early_header, files_of
from mcvae_ops.archive.vector_files import header_beside
from mcvae_ops.cells.described import (
    Described,
    Entry,
    check_features,
    check_names,
    describe,
    entries_of,
    joins_of,
)
from mcvae_ops.cells.feature_names import check_named_exist
from mcvae_ops.files import write_parquet

logger = logging.getLogger(__name__)

SCHEMA = pa.schema(
    {
        "table": pa.int32(),
        "key": pa.string(),
        "path": pa.string(),
        "address": pa.string(),
        "size_bytes": pa.int64(),
        "md5": pa.string(),
    }
)


def list_feature_parts(
    cells: Sequence[dict],
    labels: Sequence[dict],
    screen: dict,
    archive: dict,
    feature_parts: str,
) -> None:
    """Rule list_feature_parts: one row per file of the tables of cells and labels.

    Parameters
    ----------
    cells, labels, screen, archive
        Sections of the configuration.
    feature_parts
        Output.

    Raises
    ------
    InputError
        If a table has no file; if columns are missing, no table says what is needed, or two tables
        share no name. Headers tell this, as far as they can be read before a file is fetched.
    """
    rows, described = [], []
    entries = entries_of(cells, labels, archive["root"])
    for number, entry in enumerate(entries):
        files = files_of(entry.address, archive, screen)
        rows += [(number, entry.key, *file) for file in files]
        table = _described(entry, files[0], screen, archive)
        described += [] if table is None else [table]
        logger.info("%s: %d files", entry.key, len(files))
    if len(described) == len(entries):
        _, of_cells = joins_of(described)
        check_names(described, screen)
        check_named_exist([table.reasons for table in described], screen)
        check_features([described[0], *of_cells], screen)
        features = [name for table in described for name in table.features]
        logger.info("%d columns that may be features", len(features))
    columns = zip(*rows, strict=True)
    write_parquet(pa.table(dict(zip(SCHEMA.names, columns, strict=True)), SCHEMA), feature_parts)


def _described(entry: Entry, file: FileRow, screen: dict, archive: dict) -> Described | None:
    """Describe a table by its first file; None if that has to be fetched first."""
    found = early_header(file, entry.address, archive)
    if found is None:
        return None
    name, header = found
    return describe(entry, name, header_beside(header, entry.arrays(name)), screen)
