"""Cells as differences from controls, and sums of groups: as from an array of all cells."""

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.profiles.aggregate import sums_of_groups
from mcvae_ops.profiles.centred import CentredCells

BATCH_OF = np.array([0, 0, 0, 1, 1, 2, 0])
IS_CONTROL = np.array([True, False, True, True, False, False, False])
LATENT = np.arange(14, dtype=np.float32).reshape(7, 2) ** 2


def by_hand() -> np.ndarray:
    centred = LATENT.astype(float)
    for batch in (0, 1):  # batch 2 has no control
        here = batch == BATCH_OF
        centred[here] -= centred[here & IS_CONTROL].mean(axis=0)
    return centred


@pytest.mark.parametrize("rows", [np.arange(7), np.array([6, 0, 5]), BATCH_OF == 0, IS_CONTROL])
def test_rows_are_centred_when_they_are_asked_for(rows):
    centred = CentredCells(LATENT, BATCH_OF, IS_CONTROL)
    assert len(centred) == 7 and centred.shape == (7, 2)
    np.testing.assert_array_equal(centred[rows], by_hand()[rows])


def test_controls_are_kept_by_batch():
    controls = CentredCells(LATENT, BATCH_OF, IS_CONTROL).controls
    assert sorted(controls) == [0, 1]
    np.testing.assert_array_equal(controls[0], by_hand()[[0, 2]])


@pytest.mark.parametrize("block", [2, 3, 100])
def test_sums_of_groups_are_those_of_pandas_block_by_block(monkeypatch, block):
    monkeypatch.setattr("mcvae_ops.profiles.aggregate.BLOCK", block)
    rows, group_of = np.array([0, 1, 3, 4, 6]), np.array([2, 0, 0, 2, 2])
    sums = sums_of_groups(CentredCells(LATENT, BATCH_OF, IS_CONTROL), rows, group_of, 4)
    expected = pd.DataFrame(by_hand()[rows]).groupby(group_of).sum()
    np.testing.assert_allclose(sums[[0, 2]], expected)
    assert not sums[[1, 3]].any()
