"""Vectors of cells as columns of a table: ``{name}_{k}`` is number k of the vector `name`."""

from collections.abc import Collection, Mapping, Sequence

from mcvae_ops.archive.table_header import Header


def with_vectors(header: Header, vectors: Mapping[str, int], reason: str) -> Header:
    """Return a header with the columns of vectors in place of these."""
    names = [f"{name}_{k}" for name, length in vectors.items() for k in range(length)]
    kinds = {name: kind for name, kind in header.kinds.items() if name not in vectors}
    twice = [*header.twice, *(name for name in names if name in kinds)]
    no_features = {name: reason for name in names if name not in kinds} | header.no_features
    return Header(dict.fromkeys(names, "number") | kinds, no_features, twice)


def elements_of(
    columns: Sequence[str], stored: Collection[str], vectors: Mapping[str, int]
) -> dict[str, tuple[str, int]]:
    """Return the vector, and the place in it, of each column that is one of its numbers."""
    places = {f"{name}_{k}": (name, k) for name, length in vectors.items() for k in range(length)}
    return {name: places[name] for name in columns if name in places and name not in stored}
