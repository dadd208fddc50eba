"""Crops of finished tiles count only for the settings, files and cells that they were made from."""

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.tiles import resume
from mcvae_ops.tiles.resume import FinishedTiles

FILES = pd.DataFrame({"path": ["a.tif"], "size_bytes": [9]})
N_CELLS, SHAPE = {3: 2, 4: 3}, (1, 4, 4)


def cells(n, y_px=1.0):
    return pd.DataFrame({"cell_id": [f"c{k}" for k in range(n)], "y_px": y_px})


def crops(n, value):
    return np.full((n, *SHAPE), value, np.uint16)


@pytest.fixture
def finished(tmp_path):
    one = FinishedTiles(tmp_path, {"a": 1}, N_CELLS, SHAPE)
    one.save(4, FILES, cells(3), crops(2, 44), {"n": 2})
    one.save(3, FILES, cells(2), crops(2, 33), {"n": 2})
    return one


def test_every_tile_has_its_place(finished):
    assert finished.first_row == {3: 0, 4: 2}
    assert finished.crops()[:, 0, 0, 0].tolist() == [33, 33, 44, 44, 0]
    assert finished.load(3, FILES, cells(2)) == {"n": 2}
    assert finished.load(3, FILES, cells(2, 7.0)) is None
    assert finished.load(3, FILES.assign(size_bytes=8), cells(2)) is None


@pytest.mark.parametrize(
    "other",
    [({"a": 2}, N_CELLS, SHAPE), ({"a": 1}, {3: 4, 4: 3}, SHAPE), ({"a": 1}, N_CELLS, (2, 4, 4))],
)
def test_what_others_write_leaves_it_alone(finished, tmp_path, other):
    second = FinishedTiles(tmp_path, *other)
    assert second.load(4, FILES, cells(3)) is None
    second.save(4, FILES, cells(3), np.zeros((3, *second.shape), np.uint16), {})
    assert finished.crops()[2, 0, 0, 0] == 44 and finished.load(4, FILES, cells(3)) is not None
    second.clear()
    assert not tmp_path.exists()


def test_a_tile_that_was_being_written_anew_does_not_count(finished, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(resume, "write_note", killed)
    with pytest.raises(KeyboardInterrupt):
        finished.save(4, FILES, cells(3, 7.0), crops(3, 55), {})
    assert finished.load(4, FILES, cells(3)) is None
    assert finished.load(3, FILES, cells(2)) is not None


def test_a_chunk_without_cells_has_no_crops(tmp_path):
    empty = FinishedTiles(tmp_path, {}, {3: 0}, SHAPE)
    empty.save(3, FILES, cells(0), crops(0, 0), {})
    assert empty.crops().shape == (0, *SHAPE)
