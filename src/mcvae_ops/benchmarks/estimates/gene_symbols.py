"""Match the genes of a library with the symbols of an annotation.

A merged gene (``U2AF1L5&U2AF1``: guides that cut both) matches an annotation of either symbol.
"""

from collections.abc import Collection, Sequence

import numpy as np


def symbol_positions(library: Sequence[str]) -> dict[str, list[int]]:
    """Return, for each single symbol, the positions of the library genes that name it."""
    positions: dict[str, list[int]] = {}
    for position, gene in enumerate(library):
        for symbol in {gene, *gene.split("&")}:
            positions.setdefault(symbol, []).append(position)
    return positions


def named_in(library: Sequence[str], symbols: Collection[str]) -> np.ndarray:
    """Return, for each library gene, whether `symbols` names it or a part of it."""
    symbols = set(symbols)
    return np.array(
        [gene in symbols or not symbols.isdisjoint(gene.split("&")) for gene in library], bool
    )
