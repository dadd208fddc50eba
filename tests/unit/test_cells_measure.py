"""Classical features, against scikit-image and by hand."""

import centrosome.propagate
import numpy as np
import pandas as pd
import pytest
from skimage.measure import regionprops

from mcvae_ops.cells.measure import FULL_SCALE_BITS, measure_tile, standardise_to_controls
from mcvae_ops.screen import Channel

CHANNELS = [Channel("DAPI", "near", 0), Channel("actin", "far", 0)]


def draw_labels(shift: int = 0) -> np.ndarray:
    """Draw three ellipses, whose labels do not follow on one another."""
    y, x = np.mgrid[:128, :128] - shift
    labels = np.zeros((128, 128), np.int32)
    for label, cy, cx, a, b in ((7, 30, 30, 12, 8), (3, 35, 80, 9, 9), (11, 85, 60, 15, 7)):
        labels[((y - cy) / a) ** 2 + ((x - cx) / b) ** 2 < 1] = label
    return labels


def draw_image() -> np.ndarray:
    return np.random.default_rng(0).uniform(200, 6000, (2, 128, 128)).astype(np.float32)


@pytest.fixture(scope="module")
def measured() -> pd.DataFrame:
    return measure_tile(draw_image(), draw_labels(), CHANNELS, 16)


def test_one_row_per_label_in_increasing_order(measured):
    assert list(measured.index) == [3, 7, 11]
    assert measured.index.name == "label"
    assert (measured.dtypes == np.float32).all()


def test_shape_and_intensity_are_those_of_scikit_image(measured):
    image = draw_image()
    for k, channel in enumerate(CHANNELS):
        for cell in regionprops(draw_labels(), image[k]):
            row = measured.loc[cell.label]
            shape = {
                "Area": cell.area,
                "Eccentricity": cell.eccentricity,
                "MajorAxisLength": cell.axis_major_length,
                "Solidity": cell.solidity,
            }
            for name, expected in shape.items():
                assert row[f"cell_{name}"] == pytest.approx(expected, rel=1e-5), name
            intensity = {
                "MeanIntensity": cell.intensity_mean,
                "MaxIntensity": cell.intensity_max,
                "IntegratedIntensity": cell.intensity_mean * cell.area,
                "StdIntensity": cell.intensity_std,
            }
            for name, expected in intensity.items():
                found = row[f"{channel.name}_Intensity_{name}"] * 2**FULL_SCALE_BITS
                assert found == pytest.approx(expected, rel=1e-4), name


def test_correlation_of_two_channels(measured):
    image, labels = draw_image(), draw_labels()
    for label in (3, 7, 11):
        expected = np.corrcoef(image[0][labels == label], image[1][labels == label])[0, 1]
        found = measured.loc[label].filter(regex="^DAPI_actin_.*Pearson|^DAPI_actin_Corr")
        assert found.iloc[0] == pytest.approx(expected, abs=1e-4)


def test_features_tell_nothing_of_where_a_cell_lies(measured):
    moved = measure_tile(np.roll(draw_image(), (20, 20), (1, 2)), draw_labels(20), CHANNELS, 16)
    pd.testing.assert_frame_equal(moved, measured, rtol=2e-3, atol=1e-4)


def test_ways_in_cells_are_found_once_for_all_channels(measured, monkeypatch):
    find, n_found = centrosome.propagate.propagate, []

    def counted(*arrays):
        n_found.append(1)
        return find(*arrays)

    monkeypatch.setattr(centrosome.propagate, "propagate", counted)
    alone = [measure_tile(draw_image()[[k]], draw_labels(), [channel], 16)
             for k, channel in enumerate(CHANNELS)]  # fmt: skip
    n_alone = len(n_found) // 2
    both = measure_tile(draw_image(), draw_labels(), CHANNELS, 16)
    assert len(n_found) == 3 * n_alone > 0
    pd.testing.assert_frame_equal(both, measured, check_exact=True)
    for table in alone:
        pd.testing.assert_frame_equal(table, measured[table.columns], check_exact=True)
    assert centrosome.propagate.propagate is counted


def test_standardised_by_hand():
    features = pd.DataFrame(
        {
            "varies": [1.0, 3.0, 8.0, np.nan],  # controls: mean 2, sd 1
            "with a gap": [4.0, np.inf, 5.0, 6.0],  # one finite control
            "constant": [0.1, 0.1, 7.0, 8.0],
            "missing": [np.nan, np.nan, 1.0, 2.0],
        }
    )
    found = standardise_to_controls(features, np.array([True, True, False, False]))
    assert (found.dtypes == np.float32).all()
    np.testing.assert_array_equal(found["varies"], np.float32([-1, 1, 6, np.nan]))
    for name in ("with a gap", "constant", "missing"):
        assert found[name].isna().all()


@pytest.mark.parametrize("n", [3, 7, 100, 990, 12_345])
def test_controls_that_do_not_vary_are_not_taken_to_by_rounding(n):
    values = np.random.default_rng(n).uniform(1e-4, 1e4, 50).astype(np.float32)
    features = pd.DataFrame(np.tile(values, (n + 1, 1)))
    features.iloc[n] *= 2
    assert standardise_to_controls(features, np.arange(n + 1) < n).isna().all(axis=None)
