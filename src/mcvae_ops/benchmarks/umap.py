"""UMAPs of cells, guides and genes (figures 3A, 4A; the explorer).

Settings are those of the authors: standardised features, cosine metric, defaults of UMAP otherwise
(McInnes et al. 2018, arXiv:1802.03426). One thread and a fixed seed give the same map every time.
"""

import logging
import math

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from mcvae_ops.benchmarks.covariates.positions import cell_positions
from mcvae_ops.benchmarks.estimates import classification
from mcvae_ops.benchmarks.estimates.functional_groups import label_profiles
from mcvae_ops.embeddings.embedded_cells import read_cells, read_embedding
from mcvae_ops.embeddings.spaces import spaces_of
from mcvae_ops.files import count_rows, read_frame, read_rows, write_parquet

logger = logging.getLogger(__name__)

NEIGHBOURS = 15
FEWEST_POINTS = 10


def map_points(features: np.ndarray, seed: int) -> np.ndarray:
    """Map standardised features to two dimensions by UMAP.

    Parameters
    ----------
    features
        Finite, of shape (point, feature).
    seed
        Random state of UMAP.

    Returns
    -------
    x and y, of shape (point, 2); NaN if there are fewer than 10 points.
    """
    if len(features) < FEWEST_POINTS:
        logger.warning("%d points are too few for a map", len(features))
        return np.full((len(features), 2), np.nan)
    from umap import UMAP  # the import takes ten seconds

    mapper = UMAP(
        n_neighbors=min(NEIGHBOURS, len(features) - 1), metric="cosine", random_state=seed, n_jobs=1
    )
    return mapper.fit_transform(StandardScaler().fit_transform(features.astype(np.float32)))


def map_spaces(described: pd.DataFrame, spaces: dict[str, np.ndarray], seed: int) -> pd.DataFrame:
    """Map each space of the same points.

    Parameters
    ----------
    described
        Columns that describe the points, one row each.
    spaces
        Name of the space -> features, of shape (point, feature). A point with a value that is not
        finite is left out of that space.
    seed
        Random state of UMAP.

    Returns
    -------
    The columns of `described`, space, x, y: one row for each point and space.
    """
    maps = []
    for space, features in spaces.items():
        finite = classification.finite_rows(features)
        x, y = map_points(features[finite], seed).T
        maps.append(described[finite].assign(space=space, x=x, y=y))
    return pd.concat(maps, ignore_index=True)


def umap_cells(
    index: str, embedding: str, screen: dict, settings: dict, seed: int, coordinates: str
) -> None:
    """Map single cells in the background and the salient space, or in the only space.

    Parameters
    ----------
    index
        Shard index (parquet).
    embedding
        Embedding table, row-aligned with the index.
    screen
        tile_size_px and well_grid.
    settings
        cell_fraction (share of the cells to map, evenly spaced), max_cells, fov_centre_fraction,
        fov_edge_fraction.
    seed
        Random state of UMAP.
    coordinates
        Output: cell_id, space, batch, fov, well_position, x, y.
    """
    n_cells = count_rows(index)
    every = max(round(1 / settings["cell_fraction"]), math.ceil(n_cells / settings["max_cells"]))
    rows = np.arange(0, n_cells, max(1, every))
    spaces = read_embedding(index, embedding, rows).spaces
    two_spaces = {name: spaces[name] for name in ("background", "salient") if name in spaces}
    chosen = read_cells(index, ["batch", "tile", "y_px", "x_px"]).iloc[rows].reset_index(drop=True)
    names = read_rows(index, ["cell_id"], rows)["cell_id"].to_pandas()
    positions = cell_positions(chosen, screen, settings, "published")
    positions = positions.rename(
        columns={"position_in_fov": "fov", "position_in_well": "well_position"}
    )
    described = positions.assign(cell_id=names)
    mapped = map_spaces(described, two_spaces or spaces, seed)
    columns = ["cell_id", "space", "batch", "fov", "well_position", "x", "y"]
    write_parquet(mapped[columns], coordinates)


def umap_guides(
    profiles: str, groups: str, significance: str, settings: dict, seed: int, coordinates: str
) -> None:
    """Map the guides (or genes) that figure 4B classifies, in each space.

    Parameters
    ----------
    profiles
        Guide profiles, or gene profiles where settings["level"] is "gene"; those of all cells
        are mapped.
    groups
        Functional groups (parquet): gene, group.
    significance
        Guide significance (parquet): guide, gene, p_value.
    settings
        level and max_p_value, of benchmarks.functions.
    seed
        Random state of UMAP.
    coordinates
        Output: guide (the gene at gene level), gene, group, space, x, y.
    """
    table = read_frame(profiles)
    labelled = label_profiles(
        table[table["cells"] == "all"],
        read_frame(groups),
        read_frame(significance),
        settings,
        split_merged=True,
    )
    described = labelled.assign(guide=labelled[settings["level"]])[["guide", "gene", "group"]]
    spaces = {
        space: labelled[columns].to_numpy(np.float32)
        for space, columns in spaces_of(labelled.columns).items()
    }
    write_parquet(map_spaces(described, spaces, seed), coordinates)


def umap_profiles(guides: str, genes: str, seed: int, coordinates: str) -> None:
    """Map all guides, and all targeting genes, in each space.

    Parameters
    ----------
    guides, genes
        Tables of profiles; those of all cells are mapped. NTC guides are points of the map. The
        gene NTC is not, because gene profiles are differences from NTC.
    seed
        Random state of UMAP.
    coordinates
        Output: level (guide or gene), name, space, x, y.
    """
    maps = []
    for level, path in (("guide", guides), ("gene", genes)):
        table = read_frame(path, filters=[("cells", "==", "all")])
        if level == "gene":
            table = table[~table["is_ntc"]]
        described = pd.DataFrame({"level": level, "name": table[level]})
        spaces = {
            space: table[columns].to_numpy(np.float32)
            for space, columns in spaces_of(table.columns).items()
        }
        maps.append(map_spaces(described, spaces, seed))
    write_parquet(pd.concat(maps, ignore_index=True), coordinates)
