"""Clipping is exact; crops are centred, bilinear, and depend on their tile alone."""

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st

from mcvae_ops.tiles.crop import clip, clip_bounds, crop_cells, resample, sample_shifted


@given(
    st.lists(st.integers(0, 65535), min_size=1, max_size=400),
    st.sampled_from([0.0, 0.001, 0.01, 0.1, 0.25, 0.49]),
)
def test_bounds_are_numpys_inverted_cdf(counts, fraction):
    image = np.array(counts, np.uint16)
    expected = np.quantile(image, [fraction, 1 - fraction], method="inverted_cdf")
    assert clip_bounds(image, fraction) == tuple(expected)


def test_bounds_of_a_tile_are_numpys_percentiles():
    image = np.random.default_rng(1).gamma(2, 400, (640, 640)).astype(np.uint16)
    expected = np.percentile(image, [0.1, 99.9], method="inverted_cdf")
    assert clip_bounds(image, 0.001) == tuple(expected)
    default = np.percentile(image, [0.1, 99.9])
    np.testing.assert_allclose(clip_bounds(image, 0.001), default, atol=3)


def test_each_channel_is_clipped_at_its_own_bounds():
    rng = np.random.default_rng(2)
    image = np.stack([rng.integers(0, 1000, (50, 40)), rng.integers(5000, 65536, (50, 40))])
    image = image.astype(np.uint16)
    clipped = clip(image, 0.01)
    assert clipped.dtype == np.uint16
    for before, after in zip(image, clipped, strict=True):
        low, high = clip_bounds(before, 0.01)
        assert (after.min(), after.max()) == (low, high)
        inside = (before >= low) & (before <= high)
        np.testing.assert_array_equal(after[inside], before[inside])


def test_sampling_agrees_with_ndimage_to_one_count():
    rng = np.random.default_rng(3)
    image = rng.integers(0, 60000, (2, 80, 90)).astype(np.uint16)
    shifts = np.array([[0.0, 0.0], [3.37, -5.81]])
    window = np.rint(sample_shifted(image, shifts, 20, 25, 32))
    for k, shift in enumerate(shifts):
        moved = scipy.ndimage.shift(image[k].astype(float), shift, order=1)
        np.testing.assert_allclose(window[k], moved[20:52, 25:57], atol=1)


def test_a_whole_shift_moves_counts_untouched():
    image = np.random.default_rng(4).integers(0, 65536, (2, 60, 60)).astype(np.uint16)
    shifts = np.array([[0.0, 0.0], [4.0, -7.0]])
    moved = resample(image, shifts)
    np.testing.assert_array_equal(moved[0], image[0])
    np.testing.assert_array_equal(moved[1, 4:, :-7], image[1, :-4, 7:])


def test_the_cell_lies_in_the_middle_of_its_crop():
    image = np.zeros((1, 50, 50), np.uint16)
    image[0, 23, 31] = 9
    crops = crop_cells(image, np.zeros((1, 2)), np.array([[23.4, 30.6]]), 10)
    assert np.argwhere(crops.images[0, 0]).tolist() == [[5, 5]]


def test_cells_whose_window_leaves_the_tile_are_dropped_with_a_reason():
    image = np.zeros((2, 40, 40), np.uint16)
    shifts = np.array([[0, 0], [2.5, 0]])
    centres = np.array([[4.4, 20], [5, 20], [8, 20], [35, 20], [35.5, 20], [np.nan, 20]])
    crops = crop_cells(image, shifts, centres, 10)
    assert crops.reasons.tolist() == [
        "window leaves the tile",
        "shifted window leaves the tile",
        "",
        "",
        "window leaves the tile",
        "position is not a number",
    ]
    assert crops.is_inside.tolist() == [False, False, True, True, False, False]
    assert crops.images.shape == (2, 2, 10, 10) and crops.images.dtype == np.uint16


def test_a_crop_does_not_depend_on_the_other_cells():
    rng = np.random.default_rng(5)
    image = rng.integers(0, 65536, (2, 100, 100)).astype(np.uint16)
    shifts, centres = np.array([[0, 0], [1.3, -2.7]]), rng.uniform(20, 80, (30, 2))
    together = crop_cells(image, shifts, centres, 16).images
    alone = [crop_cells(image, shifts, centre[None], 16).images[0] for centre in centres]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("value", [0, 65535])
def test_the_ends_of_the_scale_survive(value):
    image = np.full((1, 30, 30), value, np.uint16)
    crops = crop_cells(image, np.array([[0.3, 0.7]]), np.array([[15, 15]]), 8)
    assert (crops.images == value).all()
