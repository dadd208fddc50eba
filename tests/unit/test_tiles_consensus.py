"""Planted shifts are found, and a shift that cannot be found is unreliable."""

import numpy as np
import pandas as pd
import pytest
import scipy.ndimage
import tifffile
from threadpoolctl import threadpool_limits

from mcvae_ops.errors import InputError, TileError
from mcvae_ops.screen import Channel
from mcvae_ops.tiles.consensus import consensus_table, median_shifts, spread_tiles
from mcvae_ops.tiles.cross_power import Measured
from mcvae_ops.tiles.known_shifts import plant_shift
from mcvae_ops.tiles.registration import METHODS, Method, measure_shift, prepare_image
from mcvae_ops.tiles.shifts import (
    Shifts,
    apply_consensus,
    consensus_of_well,
    estimate_shifts,
    resolve_chain,
)
from tests.helpers.tile_scenes import STAINS, draw_scene, record, shift_image

ALIGNMENT = {
    "reference": "DNA",
    "in_register": [],
    "measure": {"foci": "DNA", "actin": "tubulin"},
    "method": "bandpass",
    "binning": 2,
    "upsample_factor": 20,
    "window_fraction": 1.0,
    "max_shift_px": 25,
    "min_confidence": 0.5,
    "consensus_tiles": 12,
    "consensus_of": "plate",
}
CHANNELS = [
    Channel("actin", "far", 0),
    Channel("foci", "red", 0),
    Channel("DNA", "near", 0),
    Channel("tubulin", "near", 1),
]
NAMES = [channel.name for channel in CHANNELS]


def measure(moving, fixed, **settings):
    settings = ALIGNMENT | settings
    prepared = (prepare_image(image, settings) for image in (moving, fixed))
    return measure_shift(*prepared, settings)[:2]


def planted(rng, number):
    shifts = {stain: rng.uniform(-25, 25, 2) for stain in ("foci", "actin")}
    return {s: np.round(px) if number % 2 else px for s, px in shifts.items()}


def test_planted_shifts_of_different_stains_are_found():
    rng = np.random.default_rng(0)
    errors = []
    for number in range(12):
        scene = draw_scene(rng, 512, int(rng.integers(40, 110)))
        for brightness in (1.0, 0.2):
            shifts = planted(rng, number)
            tile = record(rng, scene, shifts, rng.uniform(0.003, 0.01), brightness)
            found = estimate_shifts(np.stack([tile[n] for n in NAMES]), CHANNELS, ALIGNMENT)
            assert found.method == ("measured", "measured", "reference", "reference")
            for name, px, sure in zip(NAMES, found.px, found.confidence, strict=True):
                errors.append((np.hypot(*(px - shifts.get(name, (0, 0)))), sure, name in shifts))
    error, sure, moved = np.array(errors).T
    assert (error[moved == 0] == 0).all() and (sure[moved == 0] == 1).all()
    error, sure = error[moved == 1], sure[moved == 1]
    assert (error < 0.5).mean() >= 0.99
    assert (sure > ALIGNMENT["min_confidence"]).mean() >= 0.99
    assert not (error[sure > ALIGNMENT["min_confidence"]] > 1).any()


@pytest.mark.parametrize(
    ("file", "moving", "fixed", "binning"),
    [("ixm", 2, 1, 2), ("ixm", 2, 0, 1), ("ixm", 1, 2, 1), ("ht29", 1, 0, 1), ("ht29", 1, 0, 2)],
)
def test_planted_shifts_in_real_images_are_found(shared, file, moving, fixed, binning):
    """The channels of a real image need not lie in register: the shift on top counts."""
    folder = shared / "data" / "images"
    if file == "ixm":
        image = tifffile.imread(folder / "IXMtest_A02_s9.tif").astype(float)
    else:
        paths = [folder / f"AS_09125_050116030001_D03f00d{k}.tif" for k in range(3)]
        image = np.stack([tifffile.imread(path) for path in paths]).astype(float) * 16
    rng, inner = np.random.default_rng(1), np.s_[28:-28, 28:-28]
    counts = image.astype(np.uint16)
    at_rest, _ = measure(counts[moving][inner], counts[fixed][inner], binning=binning)
    errors, confidences = [], []
    for number in range(14):
        shift = rng.uniform(-25, 25, 2) if number % 2 else rng.integers(-25, 26, 2)
        moved = shift_image(np.pad(image[moving], 16, mode="reflect"), shift)[16:-16, 16:-16]
        gain = 1 + rng.uniform(0.003, 0.01) * rng.standard_normal(image[fixed][inner].shape)
        pair = [np.maximum(each[inner], 0) * gain for each in (moved, image[fixed])]
        found, sure = measure(*(np.rint(each).astype(np.uint16) for each in pair), binning=binning)
        errors.append(np.hypot(*(found - shift - at_rest)))
        confidences.append(sure)
    errors, sure = np.array(errors), np.array(confidences) >= ALIGNMENT["min_confidence"]
    assert (errors < 0.5).mean() >= 0.99
    assert sure.mean() >= 0.9


@pytest.mark.parametrize("binning", [1, 2, 4])
@pytest.mark.parametrize("background", [300, 3000])
def test_a_shift_that_cannot_be_known_is_unreliable(binning, background):
    """Stains of other cells, on a camera with a strong fixed pattern: zero would be the trap."""
    rng = np.random.default_rng(2)
    for fixed_pattern in (0.003, 0.01, 0.03):
        scenes = [draw_scene(rng, 384, 50) for _ in range(2)]
        scene = {"DNA": scenes[0]["DNA"], "foci": scenes[1]["foci"]}
        tile = record(rng, scene, {}, fixed_pattern, background=background)
        _, sure = measure(tile["foci"], tile["DNA"], binning=binning)
        assert sure < ALIGNMENT["min_confidence"]


def test_the_fixed_pattern_does_not_pin_the_shift_to_zero():
    rng = np.random.default_rng(3)
    scene = draw_scene(rng, 512, 80)
    shift = (11.3, -8.6)
    tile = record(rng, scene, {"actin": shift}, 0.03, background=1500)
    found, sure = measure(tile["actin"], tile["tubulin"], binning=1)
    assert np.hypot(*(found - shift)) < 0.5 and sure > 0.5


@pytest.mark.parametrize("stain", ["tubulin", "actin"])
@pytest.mark.parametrize("binning", [1, 2, 4])
def test_stains_that_share_little_are_unreliable(stain, binning):
    rng = np.random.default_rng(9)
    for _ in range(2):
        tile = record(rng, draw_scene(rng, 384, 50), {stain: (7, -12)}, 0.005)
        found, sure = measure(tile[stain], tile["DNA"], binning=binning)
        assert np.hypot(*(found - (7, -12))) < 1 or sure < ALIGNMENT["min_confidence"]


@pytest.mark.parametrize("method", ["phase", "none"])
def test_the_plain_methods_find_a_shift_without_noise(method):
    scene = draw_scene(np.random.default_rng(4), 384, 60)
    tile = record(np.random.default_rng(5), scene, {}, 0.0)
    image = tile["DNA"]
    moved = np.roll(image, (5, -9), (0, 1))
    found, sure = measure(moved, image, method=method)
    np.testing.assert_allclose(found, (-5, 9), atol=0.1)
    assert sure > 0.5


def test_a_method_of_ones_own_is_one_entry_of_the_registry(monkeypatch):
    def difference(moving, fixed, alignment):
        return Measured(np.subtract(fixed, moving), 1.0, 0.0)

    own = Method(lambda image, alignment: scipy.ndimage.center_of_mass(image), difference)
    monkeypatch.setitem(METHODS, "centroid", own)
    image = np.zeros((4, 64, 64), np.uint16)
    image[:, 30, 30] = 1000
    image[0] = np.roll(image[0], (5, -9), (0, 1))
    found = estimate_shifts(image, CHANNELS, ALIGNMENT | {"method": "centroid"})
    np.testing.assert_allclose(found.px, [(-5, 9), (0, 0), (0, 0), (0, 0)])


def test_only_the_middle_is_used_when_asked():
    rng = np.random.default_rng(6)
    scene = draw_scene(rng, 512, 90)
    tile = record(rng, scene, {"foci": (3, 4)}, 0.003)
    tile["foci"][:90] = rng.poisson(300, (90, 512))
    found, sure = measure(tile["foci"], tile["DNA"], window_fraction=0.6)
    assert np.hypot(*(found - (3, 4))) < 0.5 and sure > 0.5


def test_a_planted_shift_is_the_shift_that_is_measured():
    rng = np.random.default_rng(10)
    image = record(rng, draw_scene(rng, 384, 60), {}, 0.0)["DNA"]
    for shift in ((4, -7), (2.3, 5.6)):
        found, _ = measure(plant_shift(image, shift), image)
        np.testing.assert_allclose(found, shift, atol=0.15)


def test_a_shift_does_not_depend_on_the_threads():
    """Nothing else of the way to the crops runs on several threads."""
    rng = np.random.default_rng(12)
    tile = record(rng, draw_scene(rng, 384, 60), {"actin": (4.2, -7.7)}, 0.005)
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            found.append(measure(tile["actin"], tile["tubulin"]))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_chain():
    chain = resolve_chain(CHANNELS, ALIGNMENT)
    assert chain == {"foci": "DNA", "DNA": None, "tubulin": None, "actin": "tubulin"}
    riding = [*CHANNELS, Channel("dye", "far", 1)]
    assert resolve_chain(riding, ALIGNMENT)["dye"] == "actin"
    with pytest.raises(InputError, match="a way from actin to the reference DNA is missing"):
        resolve_chain(CHANNELS, ALIGNMENT | {"measure": {"foci": "DNA"}})
    with pytest.raises(InputError, match="a way from"):
        circle = {"foci": "actin", "actin": "foci"}
        resolve_chain(CHANNELS, ALIGNMENT | {"measure": circle})


def test_shifts_add_up_along_a_chain():
    rng = np.random.default_rng(7)
    scene = draw_scene(rng, 512, 90)
    early = record(rng, scene, {"foci": (4.0, -6.5)}, 0.003)
    late = record(rng, scene, {"foci": (-3.0, 2.0)}, 0.003)
    channels = [Channel(name, name, 0) for name in ("late", "DNA", "early")]
    settings = ALIGNMENT | {"measure": {"late": "early", "early": "DNA"}}
    image = np.stack([late["foci"], early["DNA"], early["foci"]])
    found = estimate_shifts(image, channels, settings)
    np.testing.assert_allclose(found.px, [(-3, 2), (0, 0), (4, -6.5)], atol=0.5)


def test_a_constant_channel_is_refused():
    image = np.zeros((4, 64, 64), np.uint16)
    image[[0, 2, 3]] = np.random.default_rng(8).integers(0, 99, (64, 64))
    with pytest.raises(TileError, match="foci is constant"):
        estimate_shifts(image, CHANNELS, ALIGNMENT)


def shifts_of(px, confidence, error_px=0.05):
    method = ("measured", "measured", "reference", "reference")
    return Shifts(
        np.array([px, (1.0, 2.0), (0, 0), (0, 0)]),
        np.array([confidence, 1, 1, 1]),
        np.array([error_px, 0, 0, 0]),
        method,
    )


@pytest.mark.parametrize(("px", "confidence"), [((3.0, 4.0), 0.2), ((3.0, 26.0), 0.9)])
def test_the_consensus_replaces_an_unreliable_shift(px, confidence):
    consensus = median_shifts([shifts_of((5.0, 6.0), 0.9)] * 3, CHANNELS, ALIGNMENT)
    guarded = apply_consensus(shifts_of(px, confidence), CHANNELS, ALIGNMENT, consensus)
    assert guarded.method == ("consensus", "measured", "reference", "reference")
    np.testing.assert_array_equal(guarded.px, [(5, 6), (1, 2), (0, 0), (0, 0)])
    nothing = median_shifts([shifts_of(px, confidence)], CHANNELS, ALIGNMENT)
    assert nothing["n_tiles"].tolist() == [0, 1, 1, 1]
    with pytest.raises(TileError, match=r"channel actin.*no consensus"):
        apply_consensus(shifts_of(px, confidence), CHANNELS, ALIGNMENT, nothing)


def test_many_tiles_that_agree_better_replace_a_reliable_shift():
    tiles = [shifts_of((5.0, 6.0 + 0.01 * k), 0.9) for k in range(-3, 4)]
    consensus = median_shifts(tiles, CHANNELS, ALIGNMENT)
    few = median_shifts(tiles[:4], CHANNELS, ALIGNMENT)
    vague, exact = shifts_of((5.3, 6.0), 0.6, 0.2), shifts_of((5.3, 6.0), 0.6, 0.001)
    elsewhere = shifts_of((6.0, 6.0), 0.6, 0.2)
    for measured, agreed, method in (
        (vague, consensus, "consensus"),
        (exact, consensus, "measured"),
        (elsewhere, consensus, "measured"),
        (vague, few, "measured"),
    ):
        guarded = apply_consensus(measured, CHANNELS, ALIGNMENT, agreed)
        assert guarded.method == (method, "measured", "reference", "reference")
        expected = (5, 6) if method == "consensus" else measured.px[0]
        np.testing.assert_array_equal(guarded.px[0], expected)


def test_wells_can_have_a_consensus_of_their_own():
    quality = np.ones((4, 3))
    measured = [("A1", shifts_of((5.0, 6.0), 0.9), quality)] * 2
    measured += [("A2", shifts_of((9.0, 6.0), 0.9), 2 * quality)] * 3
    measured += [("B1", shifts_of((1.0, 1.0), 0.1), quality)]
    plate = consensus_table(measured, CHANNELS, ALIGNMENT)
    assert set(plate["well"]) == {""} and len(plate) == 4
    wells = consensus_table(measured, CHANNELS, ALIGNMENT | {"consensus_of": "well"})
    found = {
        well: consensus_of_well(wells, well).set_index("channel").loc["actin"]
        for well in ("A1", "A2", "B1", "B2")
    }
    assert [found[well]["dy_px"] for well in found] == [5, 9, 9, 9]
    assert [found[well]["focus"] for well in found] == [1, 2, 1.5, 1.5]
    assert consensus_of_well(plate, "A1")["dy_px"].tolist() == [9, 1, 0, 0]


def test_one_stray_tile_does_not_move_the_consensus():
    tiles = [shifts_of((5 + 0.1 * k, -3), 0.9) for k in range(-2, 3)] + [shifts_of((-20, 9), 0.9)]
    consensus = median_shifts(tiles, CHANNELS, ALIGNMENT).iloc[0]
    assert abs(consensus["dy_px"] - 5) < 0.2 and consensus["dx_px"] == -3
    assert consensus["n_tiles"] == 6 and consensus["spread_px"] < 0.3


def test_consensus_tiles_lie_over_wells_and_sites():
    rows = [(well, tile) for well in ("A1", "A2", "B1") for tile in range(100)] * 2
    chosen = spread_tiles(pd.DataFrame(rows, columns=["well", "tile"]), 6)
    assert chosen == [(w, t) for w in ("A1", "A2", "B1") for t in (25, 75)]
    assert len(spread_tiles(pd.DataFrame(rows[:3], columns=["well", "tile"]), 6)) == 3
    assert set(STAINS) == set(NAMES)
