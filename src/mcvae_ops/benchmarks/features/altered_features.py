"""The classical features that each hit alters most, for the explorer and for people.

As in figure 4E, the cells of a hit are compared with control cells (NTC) of the same batch by a
robust z, feature by feature; the median over batches counts.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa

from mcvae_ops.benchmarks.features.feature_cells import feature_names, read_wanted_cells
from mcvae_ops.benchmarks.features.feature_tests import nan_median, robust_scale
from mcvae_ops.benchmarks.hits.hit_names import level_of
from mcvae_ops.embeddings.embedded_cells import read_cells
from mcvae_ops.files import read_frame, write_parquet

TOP = 20  # features of a hit; several may say the same in words
FEWEST_CELLS = 2  # of a hit, and of controls, in a batch that counts
FEATURES = 128  # that are read at a time, of all wanted cells of a batch


def feature_changes(
    batches: Iterable[tuple[np.ndarray, pd.DataFrame]], n_hits: int, n_features: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return how much each hit changes each feature.

    Parameters
    ----------
    batches
        Features of the cells of a batch, (cell, feature), NaN where missing; and of each cell
        is_ntc and hit: the number of its hit, -1 of controls.
    n_hits, n_features
        How many.

    Returns
    -------
    (hit, feature): the median over batches of (median of the hit - median of NTC) / MAD of NTC, NaN
    where no batch has enough cells or the MAD is 0; and (hit, feature), the number of batches.
    """
    changes: list[list[np.ndarray]] = [[] for _ in range(n_hits)]
    for values, cells in batches:
        controls = values[cells["is_ntc"].to_numpy()]
        if len(controls) < FEWEST_CELLS:
            continue
        middle, spread = robust_scale(controls)
        spread = np.where(spread > 0, spread, np.nan)
        for hit, rows in cells.reset_index(drop=True).groupby("hit").groups.items():
            if hit >= 0 and len(rows) >= FEWEST_CELLS:
                z = (nan_median(values[rows]) - middle) / spread
                changes[hit].append(z.astype(np.float32))
    none = np.full((1, n_features), np.nan, np.float32)
    stacked = [np.stack(each) if each else none for each in changes]
    medians = np.array([nan_median(each) for each in stacked]).reshape(n_hits, n_features)
    counts = np.array([np.isfinite(each).sum(axis=0) for each in stacked], int)
    return medians, counts.reshape(n_hits, n_features)


def altered_features(index: str, features: list[str], hits: str, altered: str) -> None:
    """Write the features that each hit alters most.

    Parameters
    ----------
    index
        Shard index (parquet).
    features
        Feature tables, one per plate.
    hits
        The table of hits (parquet).
    altered
        Output (parquet): gene, guide, rank, feature, robust_z, n_batches; at most `TOP` rows of
        each hit.
    """
    found = read_frame(hits)
    level = level_of(found)
    found = found[found["is_hit"]].reset_index(drop=True)
    cells = read_cells(index, ["batch", level, "is_ntc"])
    library = cells[level].cat.categories
    number = pd.Series(found.index, found[level]).reindex(library, fill_value=-1).to_numpy()
    cells["hit"] = number[cells.pop(level).cat.codes]
    wanted = cells[cells["is_ntc"] | (cells["hit"] >= 0)]
    names, parts = feature_names(features[0]), []
    for start in range(0, len(names), FEATURES):
        part = names[start : start + FEATURES]
        batches = read_wanted_cells(index, features, part, wanted)
        parts.append(feature_changes(batches, len(found), len(part)))
    change, n_batches = (np.concatenate(each, axis=1) for each in zip(*parts, strict=True))
    strength = np.nan_to_num(np.abs(change), nan=-1.0)
    order = np.argsort(-strength, axis=1, kind="stable")[:, :TOP]
    hit, rank = np.nonzero(np.take_along_axis(strength, order, axis=1) >= 0)
    feature = order[hit, rank]
    columns = {
        "gene": pa.array(found["gene"].to_numpy()[hit], pa.string()),
        "guide": pa.array(found["guide"].to_numpy()[hit], pa.string()),
        "rank": rank + 1,
        "feature": pa.array(np.array(names, object)[feature], pa.string()),
        "robust_z": change[hit, feature].astype(float),
        "n_batches": n_batches[hit, feature],
    }
    write_parquet(pa.table(columns), altered)
