"""HDF5 files that name other files are refused by every reader of them."""

import os

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from mcvae_ops.archive.hdf5_files import opened_hdf5
from mcvae_ops.archive.table_formats import header_of
from mcvae_ops.errors import InputError, TileError
from mcvae_ops.profiles.profile_tables import read_profiles
from mcvae_ops.tiles.crop_stacks import opened_stack


def external_link(group, other):
    group["secret"] = h5py.ExternalLink(str(other), "/values")


def external_storage(group, other):
    group.create_dataset("secret", (4,), "u1", external=[(str(other), 0, 4)])


def virtual(group, other):
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource(str(other), "values", (4,))
    group.create_virtual_dataset("secret", layout)


@pytest.fixture
def cells(tmp_path):
    path = tmp_path / "cells.h5ad"
    obs = pd.DataFrame({"gene": ["TP53", "MYC"]}, index=["0", "1"])
    AnnData(np.ones((2, 3), np.float32), obs).write_h5ad(path)
    return path


@pytest.mark.parametrize("names_another", [external_link, external_storage, virtual])
def test_a_file_that_names_another_is_refused(names_another, cells, tmp_path):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as data:
        data["values"] = np.arange(4, dtype="u1")
    with h5py.File(cells, "a") as data:
        names_another(data["obs"], other)
    said = f"obs/secret lies in another file, {other}"
    with pytest.raises(InputError, match=said):
        header_of(cells, "cells.h5ad", None)
    with pytest.raises(InputError, match=said):
        read_profiles(cells, "profiles")
    with pytest.raises(TileError, match=said), opened_stack(f"{cells}/X", {}):
        pass


def test_a_file_of_its_own_is_opened(cells):
    with h5py.File(cells, "a") as data:
        data["alias"] = h5py.SoftLink("/X")
        data["uns/again"] = data["obs"]  # a link to what is there, and so no tree
        data["uns/again/round"] = data["uns"]
        layout = h5py.VirtualLayout((2, 3), "f4")
        layout[:] = h5py.VirtualSource(data["X"])
        data.create_virtual_dataset("view", layout)
    with opened_hdf5(cells) as data:
        assert (data["view"][:] == 1).all()


def test_a_file_is_visited_once_until_it_changes(cells, tmp_path, monkeypatch):
    visited, visit = [], h5py.File.visititems

    def counted(data, of_item):
        visited.append(data.filename)
        return visit(data, of_item)

    monkeypatch.setattr(h5py.File, "visititems", counted)
    with h5py.File(cells, "a") as data:
        data["crops"] = np.zeros((2, 1, 4, 4), np.uint16)
    for _ in range(3):
        header_of(cells, "cells.h5ad", None)
        with opened_stack(f"{cells}/crops", {}) as stack:
            assert stack.n_crops == 2
    assert visited == [str(cells)]
    before = cells.stat()
    with h5py.File(cells, "a") as data:
        data["crops"][:] = 1  # as large as before
    os.utime(cells, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    header_of(cells, "cells.h5ad", None)
    assert visited == [str(cells)] * 2
    with h5py.File(cells, "a") as data:
        external_link(data["obs"], tmp_path / "other.h5")
    for _ in range(2):
        with pytest.raises(InputError, match="obs/secret lies in another file"):
            header_of(cells, "cells.h5ad", None)


def test_an_open_file_is_visited_each_time(cells, tmp_path):
    with open(cells, "rb") as handle:
        header_of(handle, "cells.h5ad", None)
    with h5py.File(cells, "a") as data:
        external_link(data["obs"], tmp_path / "other.h5")
    with open(cells, "rb") as handle, pytest.raises(InputError, match="lies in another file"):
        header_of(handle, "cells.h5ad", None)
