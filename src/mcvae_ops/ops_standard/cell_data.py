"""One row per cell: ``cell_data.parquet``; and its features: ``feature_definitions.csv``."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mcvae_ops.errors import InputError
from mcvae_ops.files import parquet_writer, read_codes, row_groups, with_text, write_csv
from mcvae_ops.ops_standard.collection_names import RESERVED, perturbation_id, well_parts
from mcvae_ops.ops_standard.standard_features import feature_definitions
from mcvae_ops.tiles.stitched import window_of

COLUMNS = [
    "plate", "well_row", "well_col", "tile", "x", "y", "cell_uid", "barcode", "perturbation_id",
    "cell_class",
]  # fmt: skip


def cell_rows(cells: pd.DataFrame, screen: dict) -> pa.Table:
    """Return the required columns of the standard, and cell_class, of some cells.

    Parameters
    ----------
    cells
        cell_id, plate, well, tile, y_px, x_px, guide, gene, cell_cycle_stage.
    screen
        tile_size_px and cut_px of the configuration: positions are px of the tile.
    """
    places = {well: well_parts(well) for well in cells["well"].unique()}
    windows = {tile: window_of(tile, screen) for tile in cells["tile"].unique()}
    origin = {k: (0, 0) if w is None else (w[0].start, w[1].start) for k, w in windows.items()}
    y_0, x_0 = np.array([origin[tile] for tile in cells["tile"]], float).reshape(-1, 2).T
    ids = {gene: perturbation_id(gene) for gene in cells["gene"].unique()}
    table = pa.table(
        {
            "plate": pa.array(cells["plate"], pa.string()),
            "well_row": pa.array([places[well][0] for well in cells["well"]], pa.string()),
            "well_col": pa.array([places[well][1] for well in cells["well"]], pa.int64()),
            "tile": pa.array(cells["tile"], pa.int64()),
            "x": cells["x_px"].to_numpy(float) - x_0,
            "y": cells["y_px"].to_numpy(float) - y_0,
            "cell_uid": pa.array(cells["cell_id"], pa.string()),
            "barcode": pa.array(cells["guide"], pa.string()),
            "perturbation_id": pa.array(cells["gene"].map(ids), pa.string()),
            "cell_class": pa.array(cells["cell_cycle_stage"], pa.string(), from_pandas=True),
        }
    )
    return table.select(COLUMNS)


def check_features(features: Sequence[str]) -> None:
    """Raise an `InputError` if the name of a feature is one that the standard has or reserves."""
    wrong = [name for name in features if RESERVED in name or name in COLUMNS]
    if wrong:
        raise InputError(
            where="the features of the screen",
            found=", ".join(map(repr, wrong)),
            expected=f"names without {RESERVED}, and none of the columns of cell_data.parquet",
            fix="rename them in the table of cells, or name them in screen.not_features",
        )


def ops_cells(
    index: str,
    cells: Sequence[str],
    features: Sequence[str],
    screen: dict,
    cell_data: str,
    definitions: str,
) -> None:
    """Rule ops_cells: write the cells of the screen that have crops, and define their features.

    The order is that of the tables of cells: by plate, well, tile and position.

    Parameters
    ----------
    index
        The shard index.
    cells, features
        Cells and features of each plate, row-aligned.
    screen
        channels, tile_size_px and cut_px of the configuration.
    cell_data
        Output: parquet. The required columns, cell_class, then the features under their names.
    definitions
        Output: csv.
    """
    with ExitStack() as stack:
        writer = names = None
        for rows in _rows(index, cells, features, screen):
            if writer is None:
                writer = stack.enter_context(parquet_writer(cell_data, rows.schema))
                names = rows.column_names[len(COLUMNS) :]
                check_features(names)
            writer.write_table(rows)
    write_csv(feature_definitions(names, screen["channels"]), definitions)


def _rows(
    index: str, cells: Sequence[str], features: Sequence[str], screen: dict
) -> Iterator[pa.Table]:
    """Yield the rows of the standard, one table of each row group of the tables of cells."""
    listed = with_text(read_codes(index, ["cell_id"]))["cell_id"].combine_chunks()
    for of_cells, of_features in zip(cells, features, strict=True):
        for group, values in zip(row_groups(of_cells), row_groups(of_features), strict=True):
            has_crop = pc.is_in(group["cell_id"], listed)
            rows = cell_rows(group.filter(has_crop).to_pandas(), screen)
            values = values.drop_columns("cell_id").filter(has_crop)
            names = [*rows.column_names, *values.column_names]
            yield pa.table([*rows.columns, *values.columns], names)
