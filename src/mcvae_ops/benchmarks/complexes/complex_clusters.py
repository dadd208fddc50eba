"""Complexes that overlap, merged into clusters: what counts as one unit.

An annotation lists one molecular machine many times over: with and without a factor, whole and in
part. Were every entry a unit of its own, intervals would be far too narrow (see
`tests/calibration`), and a mean over complexes would be a mean over how often each was described.
"""

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

# More than this part of the smaller of two complexes is shared, on average over two clusters.
MERGED_OVERLAP = 0.5


def cluster_complexes(complexes: pd.DataFrame) -> dict[str, int]:
    """Return the cluster of each complex: average linkage of their overlap coefficient.

    Parameters
    ----------
    complexes
        Columns complex, gene.

    Returns
    -------
    Complex -> cluster, numbered from 0 on. It depends on the annotation alone, not on the genes of
    a library, so that models are compared by the same draws.
    """
    names, complex_of = np.unique(complexes["complex"].to_numpy(str), return_inverse=True)
    if len(names) < 2:
        return {name: 0 for name in names}
    genes, gene_of = np.unique(complexes["gene"].to_numpy(str), return_inverse=True)
    holds = sparse.csr_array(
        (np.ones(len(gene_of)), (complex_of, gene_of)), shape=(len(names), len(genes))
    )
    holds.data[:] = 1
    size = holds.sum(axis=1)
    overlap = (holds @ holds.T).toarray() / np.minimum(size[:, None], size)
    apart = squareform(1 - overlap, checks=False).clip(0)
    below = np.nextafter(1 - MERGED_OVERLAP, 0)
    clusters = fcluster(linkage(apart, "average"), below, "distance") - 1
    return dict(zip(names.tolist(), clusters.tolist(), strict=True))
