"""Recall of known relationships by EFAAR's protocol, to compare with maps that report it.

Null: the cosine similarities of all pairs of genes of the map, known or not. A known pair is found
if at most 5 % of the null are at most as similar, or at least 95 % are less similar: either tail
counts. Recall is the fraction of the known pairs that are found; a random map finds 10 %. Genes
match by their whole name, so that the merged gene ``A&B`` matches neither A nor B.

References
----------
Celik et al. 2022, doi:10.1101/2022.12.09.519400; 2024, doi:10.1371/journal.pcbi.1012463; function
``known_relationship_benchmark`` of EFAAR_benchmarking.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.retrieval import cosine_distances
from mcvae_ops.embeddings.spaces import finite_profiles, spaces_of
from mcvae_ops.profiles.normalise import zscore_features

TAIL = 0.05

Pairs = set[tuple[str, str]]


def known_pairs(complexes: pd.DataFrame, pairs: pd.DataFrame, name: str) -> dict[str, Pairs]:
    """Return the known pairs of each list: those of the complexes under `name`, then the others.

    Parameters
    ----------
    complexes
        Columns complex, gene.
    pairs
        Columns source, gene_a, gene_b.
    """
    together: Pairs = set()
    for _, genes in complexes.groupby("complex")["gene"]:
        together.update(combinations(sorted(set(genes)), 2))
    of_lists = {
        str(source): set(zip(part["gene_a"], part["gene_b"], strict=True))
        for source, part in pairs.groupby("source")
    }
    return {name: together, **of_lists}


def efaar_recall(profiles: np.ndarray, pairs: np.ndarray) -> float:
    """Return the fraction of the known pairs in the tails of all pairs of the map.

    Parameters
    ----------
    profiles
        (gene, feature).
    pairs
        (pair, 2): positions of the two genes of each known pair.
    """
    distances = cosine_distances(profiles)
    null = np.sort(distances[np.triu_indices(len(distances), 1)])
    known = distances[pairs[:, 0], pairs[:, 1]]
    nearer_or_alike = np.searchsorted(null, known, side="right") / len(null)
    nearer = np.searchsorted(null, known, side="left") / len(null)
    return float(np.mean((nearer_or_alike <= TAIL) | (nearer >= 1 - TAIL)))


def efaar_rows(genes: pd.DataFrame, known: Mapping[str, Pairs]) -> list[dict]:
    """Return the recall of each list in each space, on all cells.

    Parameters
    ----------
    genes
        Columns model, seed, cells, gene, is_ntc and latent columns; as for the other protocols,
        profiles are z-scored over the genes, and controls are left out.
    known
        As `known_pairs` returns.
    """
    rows = []
    for (model, seed), part in genes[genes["cells"] == "all"].groupby(["model", "seed"]):
        part = finite_profiles(part)
        edges = {name: _positions(pairs, part["gene"]) for name, pairs in known.items()}
        for space, columns in spaces_of(part.columns).items():
            profiles = zscore_features(part[columns].to_numpy(np.float64))
            row = partial(
                table.row, benchmark="complexes", protocol=table.EFAAR, model=model, space=space,
                seed=seed, cells="all", metric="recall", level=100 * (1 - TAIL),
            )  # fmt: skip
            rows += [
                row(item=name, value=efaar_recall(profiles, pairs), n=len(pairs))
                for name, pairs in edges.items()
                if len(pairs)
            ]
    return rows


def _positions(pairs: Pairs, library: Sequence[str]) -> np.ndarray:
    position = {gene: k for k, gene in enumerate(library)}
    found = [(position[a], position[b]) for a, b in pairs if a in position and b in position]
    return np.array(sorted(found), dtype=int).reshape(-1, 2)
