"""Every batch has controls, or one sentence says what to set."""

import pytest

from mcvae_ops.cells.controls import check_batches
from mcvae_ops.errors import InputError

POOLED = {("P", "A1"): (5, 20), ("P", "A2"): (4, 9), ("Q", "A1"): (1, 3)}
ARRAYED = {("P", "A1"): (5, 0), ("P", "A2"): (0, 9), ("Q", "A1"): (1, 0), ("Q", "A2"): (0, 3)}
PLATE_WITHOUT = {("P", "A1"): (5, 0), ("P", "A2"): (0, 9), ("Q", "A1"): (0, 3)}


@pytest.mark.parametrize(
    ("counts", "batch", "said"),
    [
        (POOLED, ["plate", "well"], None),
        (POOLED, ["plate"], None),
        (ARRAYED, ["plate"], None),
        (ARRAYED, ["plate", "well"], r"screen\.batch: found \[plate, well\], but controls stand in "
         r"wells of their own \(2 of 4 wells\), .*; set screen\.batch: \[plate\]\."),
        (PLATE_WITHOUT, ["plate"], "no control cell on plate Q"),
    ],
)  # fmt: skip
def test_controls_of_every_batch(counts, batch, said):
    if said is None:
        check_batches(counts, batch)
        return
    with pytest.raises(InputError, match=said):
        check_batches(counts, batch)
