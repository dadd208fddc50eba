"""Batches are brought to one scale, and cells are turned."""

import numpy as np
import torch

from mcvae_ops.models.preprocess import Preprocessing, augment, batch_scale


def test_batches_of_another_gain_and_offset_become_alike():
    rng = np.random.default_rng(0)
    cells = rng.gamma(2.0, 300.0, (400, 2, 6, 6))  # the same in three batches
    gain, offset = np.array([0.5, 1.0, 1.7]), np.array([250.0, 100.0, 40.0])
    counts = (cells * gain[:, None, None, None, None] + offset[:, None, None, None, None]).round()
    low, high = (
        torch.tensor(np.percentile(counts, percent, axis=(1, 3, 4)), dtype=torch.float32)
        for percent in (1, 99)
    )
    normalised = Preprocessing(6, 100.0, 0.0, 1.0, False, *batch_scale(low, high))
    plain = Preprocessing(6, 100.0, 0.0, 1.0)
    batch = torch.arange(3).repeat_interleave(400)
    images = torch.from_numpy(counts.astype(np.uint16)).flatten(0, 1)
    found = normalised(images, batch).unflatten(0, (3, 400))
    torch.testing.assert_close(found[0], found[1], atol=0.05, rtol=0)
    torch.testing.assert_close(found[2], found[1], atol=0.05, rtol=0)
    # The median batch stays as it was.
    torch.testing.assert_close(found[1], plain(images, batch).unflatten(0, (3, 400))[1])


def test_a_cell_is_turned_into_each_of_the_eight_positions_alike_often():
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    found = augment(image.expand(4000, 1, 3, 3), torch.Generator().manual_seed(0))
    positions = {
        tuple(np.rot90(mirrored, k).ravel())
        for mirrored in (image[0, 0].numpy(), image[0, 0].numpy().T)
        for k in range(4)
    }
    drawn, often = np.unique(found.flatten(1).numpy(), axis=0, return_counts=True)
    assert set(map(tuple, drawn)) == positions
    assert often.min() > 400
