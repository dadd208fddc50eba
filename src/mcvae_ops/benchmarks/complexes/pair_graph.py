"""The pairs of library genes that belong together, and the complexes that they share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from mcvae_ops.benchmarks.complexes.complex_clusters import cluster_complexes
from mcvae_ops.benchmarks.estimates.gene_symbols import symbol_positions


@dataclass(frozen=True)
class Graph:
    """Genes (nodes) and the pairs that belong together (edges).

    Attributes
    ----------
    nodes
        Positions in the library of the genes that have an edge, ascending.
    edges
        (edge, 2): positions in `nodes`, the smaller one first, no edge twice.
    members
        (edge, cluster), sparse, 0 or 1: whether a complex of the cluster holds both genes; None for
        a list of pairs.
    complexes
        Name of a complex -> positions of its genes in `nodes`; complexes with two or more only.
    clusters
        Name of each of these complexes -> its cluster.
    """

    nodes: np.ndarray
    edges: np.ndarray
    members: sparse.csr_array | None
    complexes: dict[str, np.ndarray]
    clusters: dict[str, int]

    @property
    def n_clusters(self) -> int:
        """Number of clusters of complexes that have an edge: the units of a bootstrap."""
        return len(set(self.clusters.values()))

    @property
    def units(self) -> str:
        """What a bootstrap draws, in words."""
        return f"{self.n_clusters} clusters of complexes"

    def representatives(self) -> list[str]:
        """Return the largest complex of each cluster, the first by name among equals."""
        by_size = sorted(self.clusters, key=lambda name: (-len(self.complexes[name]), name))
        return sorted({self.clusters[name]: name for name in reversed(by_size)}.values())


def complex_graph(library: Sequence[str], complexes: pd.DataFrame) -> Graph:
    """Connect library genes that share a complex.

    Parameters
    ----------
    library
        Gene symbols; a merged gene (``A&B``) matches either symbol.
    complexes
        Columns complex, gene. A complex with fewer than two library genes has no edge.

    Returns
    -------
    The graph; `members` has one column per cluster of the annotation's complexes.
    """
    positions, cluster_of = symbol_positions(library), cluster_complexes(complexes)
    ends, owners, nodes_of = [], [], {}
    for name, genes in complexes.groupby("complex", sort=True)["gene"]:
        members = sorted({p for gene in genes for p in positions.get(gene, ())})
        if len(members) < 2:
            continue
        nodes_of[name] = np.array(members)
        first, second = np.triu_indices(len(members), 1)
        ends.append(np.stack([nodes_of[name][first], nodes_of[name][second]], axis=1))
        owners.append(np.full(len(first), cluster_of[name]))
    if not ends:
        return _no_edges()
    nodes, edges, edge_of = _index(np.concatenate(ends))
    owner_of = np.concatenate(owners)
    n_clusters = 1 + max(cluster_of.values())
    membership = sparse.csr_array(
        (np.ones(len(owner_of)), (edge_of, owner_of)), shape=(len(edges), n_clusters)
    )
    membership.data[:] = 1
    positions_of = {name: np.searchsorted(nodes, held) for name, held in nodes_of.items()}
    clusters = {name: cluster_of[name] for name in nodes_of}
    return Graph(nodes, edges, membership, positions_of, clusters)


def pair_graph(library: Sequence[str], pairs: pd.DataFrame) -> Graph:
    """Connect the library genes of each pair of a list.

    Parameters
    ----------
    library
        Gene symbols; a merged gene (``A&B``) matches either symbol.
    pairs
        Columns gene_a, gene_b; direction and repetition do not matter.
    """
    positions = symbol_positions(library)
    known = pairs[pairs["gene_a"].isin(positions) & pairs["gene_b"].isin(positions)]
    ends = [
        (min(a, b), max(a, b))
        for gene_a, gene_b in zip(known["gene_a"], known["gene_b"], strict=True)
        for a in positions[gene_a]
        for b in positions[gene_b]
        if a != b
    ]
    if not ends:
        return _no_edges()
    nodes, edges, _ = _index(np.array(ends))
    return Graph(nodes, edges, None, {}, {})


def draw_clusters(graph: Graph, rounds: int, seed: int) -> np.ndarray:
    """Draw clusters of complexes with replacement; return the number of draws, (cluster, round).

    The same seed draws the same clusters for every library, so that models are paired. A list of
    pairs has no cluster and no round.
    """
    if graph.members is None:
        return np.empty((0, 0))
    n_clusters = graph.members.shape[1]
    rng = np.random.default_rng([seed, 1])
    return rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), size=rounds).T


def resampled_weights(graph: Graph, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of edges and nodes in each round of drawn clusters.

    The weight of an edge or a node is the mean number of draws of the clusters that hold it. It is
    1 on average, so that the expected prevalence, on which precision depends, does not change.

    Parameters
    ----------
    graph
        A graph with complexes. A list of pairs has nothing to draw and gets no round.
    counts
        Number of draws of each cluster, as `draw_clusters` returns.

    Returns
    -------
    (edge, round) and (node, round).
    """
    n_nodes, n_edges = len(graph.nodes), len(graph.edges)
    if graph.members is None:
        return np.empty((n_edges, 0)), np.empty((n_nodes, 0))
    ends = sparse.csr_array(
        (np.ones(2 * n_edges), (graph.edges.T.ravel(), np.tile(np.arange(n_edges), 2))),
        shape=(n_nodes, n_edges),
    )
    holders = ((ends @ graph.members) > 0).astype(np.float64)  # (node, cluster)
    return _mean_count(graph.members, counts), _mean_count(holders, counts)


def _mean_count(members: sparse.csr_array, counts: np.ndarray) -> np.ndarray:
    return (members @ counts) / members.sum(axis=1)[:, None]


def _index(ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the nodes, the unique edges as positions in the nodes, and the edge of each pair."""
    nodes, local = np.unique(ends, return_inverse=True)
    local = local.reshape(ends.shape)
    keys, edge_of = np.unique(local[:, 0] * len(nodes) + local[:, 1], return_inverse=True)
    return nodes, np.stack(np.divmod(keys, len(nodes)), axis=1), edge_of


def _no_edges() -> Graph:
    return Graph(np.empty(0, int), np.empty((0, 2), int), None, {}, {})
