"""Match the genes of a library with the gene symbols of an annotation.

A merged gene (``U2AF1L5&U2AF1``: its guides cut both genes) matches either symbol.
"""

from collections.abc import Collection, Sequence

import numpy as np

from mcvae_ops.screen import symbols_of


def symbol_positions(library: Sequence[str]) -> dict[str, list[int]]:
    """Return the positions in the library of the genes that match each symbol."""
    positions: dict[str, list[int]] = {}
    for position, gene in enumerate(library):
        for symbol in symbols_of(gene):
            positions.setdefault(symbol, []).append(position)
    return positions


def named_in(library: Sequence[str], symbols: Collection[str]) -> np.ndarray:
    """Return which library genes, or parts of a merged gene, are in `symbols`."""
    symbols = set(symbols)
    return np.array([not symbols.isdisjoint(symbols_of(gene)) for gene in library], bool)
