"""Which hits resemble one another: cosines of their profiles, like ones side by side."""

from collections.abc import Sequence

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from mcvae_ops.benchmarks.estimates.retrieval import cosine_distances

MOST = 60  # rows of the map


def similarity(names: Sequence[str], profiles: np.ndarray) -> dict[str, list]:
    """Return the cosines of profiles in the order of a hierarchical clustering.

    Parameters
    ----------
    names
        Of the profiles.
    profiles
        Differences from the controls, (profile, dimension), finite.

    Returns
    -------
    name, and cosine, the matrix row by row. The order is that of the leaves of average linkage,
    with the least steps between neighbouring leaves (Bar-Joseph et al. 2001,
    doi:10.1093/bioinformatics/17.suppl_1.S22). Fewer than two profiles have no order: both are
    empty.
    """
    if len(names) < 2:
        return {"name": [], "cosine": []}
    distances = cosine_distances(profiles)
    tree = linkage(squareform(distances, checks=False), "average", optimal_ordering=True)
    order = leaves_list(tree)
    cosines = (1 - distances)[np.ix_(order, order)]
    return {
        "name": [names[k] for k in order],
        "cosine": [round(float(value), 2) for value in cosines.ravel()],
    }
