"""What the camera records: light, shot noise and shifts are those of the configuration."""

import numpy as np
import pytest

from mcvae_ops.simulate.optics import (
    PlateOptics,
    WellOptics,
    displace,
    draw_displacement,
    draw_plate_optics,
    draw_well_optics,
    expose,
)
from tests.helpers.simulated import DEFAULT

OPTICS = DEFAULT["simulate"]["optics"]
GROUPS = [channel["group"] for channel in DEFAULT["screen"]["channels"]]  # A594 AF750 DAPI-GFP x2
SIZE = 256


def record(
    signal: float,
    z_planes: int = 1,
    gain: float = 1.0,
    vignetting: float = 0.0,
    pattern: np.ndarray | None = None,
    seed: int = 0,
    **optics: float,
) -> np.ndarray:
    """Record an even field: float (z, y, x)."""
    pattern = np.ones((SIZE, SIZE), np.float32) if pattern is None else pattern
    plate = PlateOptics(np.zeros((1, 2)), np.array([vignetting]), pattern)
    well = WellOptics(np.array([gain]), np.array([100.0]))
    field = np.full((1, SIZE, SIZE), signal, np.float32)
    stack = expose(field, z_planes, plate, well, OPTICS | optics, np.random.default_rng(seed))
    assert stack.dtype == np.uint16
    return stack[0].astype(float)


@pytest.mark.parametrize("gain", [1.0, 1.3])
@pytest.mark.parametrize("signal", [0.0, 900.0])
def test_mean_is_offset_plus_gain_times_light_and_variance_is_shot_and_read_noise(signal, gain):
    image = record(signal, gain=gain, photons_per_count=0.5, read_noise_counts=4.0)
    light = gain * (signal + OPTICS["background_counts"])
    variance = light / 0.5 + 4.0**2 + 1 / 12  # rounding to whole counts
    n = image.size
    assert image.mean() == pytest.approx(100 + light, abs=4.5 * np.sqrt(variance / n))
    assert image.var() == pytest.approx(variance, rel=4.5 * np.sqrt(2 / n))


@pytest.mark.parametrize(("bits", "kind"), [(8, np.uint8), (12, np.uint16)])
def test_counts_end_where_the_camera_does(bits, kind):
    plate = PlateOptics(np.zeros((1, 2)), np.zeros(1), np.ones((8, 8), np.float32))
    well = WellOptics(np.ones(1), np.zeros(1))
    field = np.full((1, 8, 8), 1e5, np.float32)
    stack = expose(field, 1, plate, well, OPTICS | {"bits": bits}, np.random.default_rng(0))
    assert stack.dtype == kind
    assert stack.min() == 2**bits - 1


def test_noise_is_fresh_in_every_plane():
    planes = record(900.0, z_planes=3, defocus_loss=0.0)
    planes -= planes.mean(axis=(1, 2), keepdims=True)
    correlation = np.corrcoef(planes.reshape(3, -1)) - np.eye(3)
    assert np.abs(correlation).max() < 4.5 / SIZE


def test_planes_off_focus_lose_light():
    planes = record(900.0, z_planes=3, defocus_loss=0.12) - 100
    background = OPTICS["background_counts"]
    expected = [0.88 * 900 + background, 900 + background, 0.88 * 900 + background]
    np.testing.assert_allclose(planes.mean(axis=(1, 2)), expected, atol=1)


def test_point_spread_grows_off_focus():
    plate = PlateOptics(np.zeros((1, 2)), np.zeros(1), np.ones((65, 65), np.float32))
    field = np.zeros((1, 65, 65), np.float32)
    field[0, 32, 32] = 1e5
    still = OPTICS | {"photons_per_count": 1e12, "read_noise_counts": 0.0, "background_counts": 0.0}
    well = WellOptics(np.ones(1), np.zeros(1))
    stack = expose(field, 3, plate, well, still, np.random.default_rng(0))[0].astype(float)
    for plane, sd_px in zip(stack, (np.hypot(0.8, 1.3), 0.8, np.hypot(0.8, 1.3)), strict=True):
        offset = np.arange(65) - 32
        along = plane.sum(axis=0) / plane.sum()
        assert (along * offset).sum() == pytest.approx(0, abs=0.01)
        assert np.sqrt((along * offset**2).sum()) == pytest.approx(sd_px, rel=0.05)


def test_vignetting_takes_its_share_in_the_corners():
    image = record(2000.0, vignetting=0.25, photons_per_count=50.0)[0] - 100
    light = 2000 + OPTICS["background_counts"]
    ends = (slice(8), slice(-8, None))
    corners = [image[rows, columns].mean() for rows in ends for columns in ends]
    np.testing.assert_allclose(corners, 0.75 * light, rtol=0.02)
    assert image[124:132, 124:132].mean() == pytest.approx(light, rel=0.01)
    assert image[124:132, :2].mean() == pytest.approx((1 - 0.25 / 2) * light, rel=0.01)


def test_fixed_pattern_is_the_same_in_every_tile():
    pattern = draw_plate_optics(
        GROUPS, "DAPI-GFP", SIZE, OPTICS | {"fixed_pattern_sd": 0.05}, np.random.default_rng(0)
    ).fixed_pattern
    assert pattern.std() == pytest.approx(0.05, rel=0.02)
    assert pattern.mean() == pytest.approx(1, abs=0.001)
    tiles = [record(2000.0, pattern=pattern, photons_per_count=50.0, seed=k) for k in (1, 2)]
    shared = np.corrcoef(tiles[0].ravel(), tiles[1].ravel())[0, 1]
    light = 2000 + OPTICS["background_counts"]
    signal = (0.05 * light) ** 2
    expected = signal / (signal + light / 50 + OPTICS["read_noise_counts"] ** 2)
    assert shared == pytest.approx(expected, abs=0.01)


def test_a_full_well_of_the_camera_saturates():
    assert (record(1e6) == 65535).all()


def test_channels_of_one_file_move_together_and_the_reference_not_at_all():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        plate = draw_plate_optics(GROUPS, "DAPI-GFP", 8, OPTICS, rng)
        length_px = np.hypot(*plate.displacement_px.T)
        assert (length_px[2:] == 0).all()
        assert ((length_px[:2] >= 3) & (length_px[:2] <= 9)).all()
        low, high = OPTICS["vignetting"]
        assert ((plate.vignetting >= low) & (plate.vignetting <= high)).all()
        moved = draw_displacement(plate, GROUPS, OPTICS, rng) - plate.displacement_px
        assert (moved[2:] == 0).all()
        assert (moved[:2] != 0).all()


def test_jitter_has_its_spread():
    rng = np.random.default_rng(0)
    plate = draw_plate_optics(GROUPS, "A594", 8, OPTICS, rng)
    drawn = np.stack([draw_displacement(plate, GROUPS, OPTICS, rng) for _ in range(4000)])
    jitter = drawn - plate.displacement_px
    np.testing.assert_array_equal(jitter[:, 2], jitter[:, 3])
    np.testing.assert_allclose(jitter[:, 1:3].std(axis=0), OPTICS["shift_jitter_px"], rtol=0.05)
    np.testing.assert_allclose(jitter[:, 1:3].mean(axis=0), 0, atol=0.006)


def test_gain_and_offset_of_wells_have_their_spread():
    well = draw_well_optics(20_000, OPTICS, np.random.default_rng(0))
    assert np.log(well.gain).std() == pytest.approx(OPTICS["gain_sd"], rel=0.03)
    assert np.log(well.gain).mean() == pytest.approx(0, abs=0.006)
    assert well.offset_counts.mean() == pytest.approx(OPTICS["offset_counts"], abs=0.4)
    assert well.offset_counts.std() == pytest.approx(OPTICS["offset_sd_counts"], rel=0.03)


def test_displace_moves_by_parts_of_a_pixel():
    y, x = np.mgrid[:64, :64].astype(np.float32)

    def spot(row, column):
        return np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * 3**2)).astype(np.float32)

    field = np.stack([spot(30, 28), spot(30, 28)])
    moved = displace(field, np.array([[0.0, 0.0], [2.3, -4.6]]))
    np.testing.assert_array_equal(moved[0], field[0])
    np.testing.assert_allclose(moved[1], spot(32.3, 23.4), atol=0.002)
