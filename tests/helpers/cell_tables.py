"""Small tables of cells in any format, and how they enter: as the two rules read them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from mcvae_ops.cells.cell_tables import split_cells
from mcvae_ops.cells.table_parts import list_feature_parts
from mcvae_ops.workflow.shorthand import in_full

SCREEN = {
    "plates": {"P1": ["A1"]}, "tiles": "0-20", "control": "nontargeting", "cut_px": None,
    "ambiguous_labels": "refuse", "features": ["*"], "not_features": [],
    "mitotic": ["mitotic*", "M"], "duplicates": None, "tile_size_px": 640, "batch": ["plate"],
    "well_grid": {"column_heights": [7, 7, 7]},
}  # fmt: skip
ARCHIVE = {"root": None, "files": None, "streams": 1, "retries": 0, "timeout_s": 5,
           "keep_raw": False}  # fmt: skip


def cells_of(n: int = 40, seed: int = 0, **replace) -> pd.DataFrame:
    """Return a small, correct table of cells of one well."""
    rng = np.random.default_rng(seed)
    genes = np.array(["nontargeting", "AAA", "BBB"])[np.arange(n) % 3]
    frame = pd.DataFrame({
        "plate": "P1", "well": "A1", "tile": rng.integers(0, 20, n),
        "y_px": rng.uniform(0, 640, n), "x_px": rng.uniform(0, 640, n),
        "guide": [f"{gene}_{k % 2}" for k, gene in enumerate(genes)], "gene": genes,
        "area": rng.normal(size=n), "mean": rng.normal(size=n),
    })  # fmt: skip
    return frame.assign(**replace)


def write_table(frame: pd.DataFrame, path: Path, table: str = "Cells") -> None:
    """Write a table in the format of its suffix; into a database, beside others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        frame.to_parquet(path)
    elif name.endswith((".csv", ".tsv", ".txt")):
        frame.to_csv(path, index=False, sep="," if name.endswith(".csv") else "\t")
    elif name.endswith(".h5ad"):
        is_feature = [kind.kind == "f" and column not in ("y_px", "x_px")
                      for column, kind in frame.dtypes.items()]  # fmt: skip
        obs = frame.loc[:, ~np.array(is_feature)].set_axis(frame.index.astype(str))
        anndata.AnnData(frame.loc[:, is_feature].to_numpy(), obs,
                        pd.DataFrame(index=frame.columns[is_feature])).write_h5ad(path)  # fmt: skip
    else:
        with closing(sqlite3.connect(path)) as database:
            frame.to_sql(table, database, index=False)


def enter(
    folder: Path,
    cells: dict | list,
    labels: dict | list | None = None,
    screen: dict | None = None,
    archive: dict | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Take tables through both rules; return cells and features of all plates, and the list.

    Relative addresses lie below the folder.
    """  # fmt: skip
    screen = SCREEN | (screen or {})
    archive = ARCHIVE | {"root": str(folder)} | (archive or {})
    whole = in_full({"cells": cells, "labels": labels})
    out = folder.parent / f"{folder.name}_out"
    targets = [[str(out / kind / f"{plate}.parquet") for plate in screen["plates"]]
               for kind in ("cells", "features")]  # fmt: skip
    listed, columns = str(out / "parts.parquet"), str(out / "features.tsv")
    list_feature_parts(whole["cells"], whole["labels"], screen, archive, listed)
    split_cells(listed, whole["cells"], whole["labels"], screen, archive, str(out / "cache"),
                *targets, columns, str(out / "rows.tsv"))  # fmt: skip
    assert not (out / "cache").exists()
    tables = [pd.concat(map(pd.read_parquet, paths), ignore_index=True) for paths in targets]
    assert tables[0]["cell_id"].tolist() == tables[1]["cell_id"].tolist()
    return *tables, pd.read_csv(columns, sep="\t")
