"""Tables in AnnData (.h5ad): annotations of cells, their features, and their vectors."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from mcvae_ops.archive.hdf5_files import opened_hdf5
from mcvae_ops.archive.table_batches import rows_at_once
from mcvae_ops.archive.table_header import Header, Place, header_of_schema
from mcvae_ops.archive.vector_columns import elements_of, with_vectors

_OBS_NAMES = "obs_names"


def anndata_header(place: Place, table: str | None) -> Header:
    """Read the header of a file of AnnData: columns of obs, X and obsm."""
    from anndata.io import read_elem

    with opened_hdf5(place) as data:  # an open file will do, unlike for read_h5ad
        obs = read_elem(data["obs"])
        features = list(map(str, read_elem(data["var"]).index)) if "X" in data else []
        vectors = {name: array.shape[1] for name, array in _obsm(data).items()}
    kinds = header_of_schema(pa.Schema.from_pandas(obs, preserve_index=False)).kinds
    kinds[_OBS_NAMES] = "text"
    twice = [name for name, n in Counter([*kinds, *features]).items() if n > 1]
    annotations = dict.fromkeys(kinds, "annotation of cells (obs)")
    header = Header(kinds | dict.fromkeys(features, "number"), annotations, twice)
    return with_vectors(header, vectors, "in an array of cells (obsm)")


def anndata_batches(
    path: Path, table: str | None, texts: Sequence[str], numbers: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield some columns of all cells of a file of AnnData."""
    from anndata.io import read_elem

    # Not read_h5ad, which would read all of obsm: the pictures of all cells in .h5sc.
    with opened_hdf5(path) as data:
        obs, var = (read_elem(data[name]) for name in ("obs", "var"))
        obs = obs.assign(**{_OBS_NAMES: obs.index})
        obsm = _obsm(data)
        lengths = {name: array.shape[1] for name, array in obsm.items()}
        elements = elements_of(numbers, {*obs, *var.index}, lengths)
        at = var.index.get_indexer([n for n in numbers if n not in obs and n not in elements])
        x = _array(data["X"]) if "X" in data else None
        vectors = {name: obsm[name] for name, _ in elements.values()}
        step = rows_at_once(len(var) + sum(lengths[name] for name in vectors))
        for start in range(0, len(obs), step):
            rows = obs.iloc[start : start + step]
            named = [name for name in dict.fromkeys([*texts, *numbers]) if name in obs]
            arrays = {name: pa.array(rows[name], from_pandas=True) for name in named}
            if len(at):
                block = _dense(x[start : start + step])
                arrays |= {var.index[k]: pa.array(block[:, k]) for k in at}
            blocks = {name: _dense(vectors[name][start : start + step]) for name in vectors}
            arrays |= {c: pa.array(blocks[name][:, k]) for c, (name, k) in elements.items()}
            yield pa.table(arrays)


def _obsm(data) -> dict:
    """Return the arrays of obsm with one vector of each cell, opened; pictures are none."""
    group = data.get("obsm", {})
    arrays = {name: _array(place) for name in group if (place := group.get(name)) is not None}
    return {name: array for name, array in arrays.items() if len(getattr(array, "shape", ())) == 2}


def _array(place):
    """Return an array of an open file, of which parts can be read; None if it is a table."""
    import h5py
    from anndata.io import sparse_dataset

    if isinstance(place, h5py.Dataset):
        return place
    return None if place.attrs.get("encoding-type") == "dataframe" else sparse_dataset(place)


def _dense(block) -> np.ndarray:
    return block.toarray() if hasattr(block, "toarray") else np.asarray(block)
