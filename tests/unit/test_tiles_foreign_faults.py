"""Faults of foreign tiles against a plate of good ones: refused, or believed where right."""

import numpy as np
import pytest

from mcvae_ops.errors import InputError, TileError
from mcvae_ops.screen import Channel
from mcvae_ops.tiles.chain import resolve_chain
from mcvae_ops.tiles.consensus import consensus_table
from mcvae_ops.tiles.load import check_bands, check_confidence, check_quality
from mcvae_ops.tiles.quality import tile_quality
from mcvae_ops.tiles.shifts import apply_consensus, consensus_of_well, estimate_shifts
from tests.helpers.tile_scenes import draw_scene, record

SIZE, TRUE = 384, (4.0, -6.5)
CHANNELS = [Channel("foci", "red", 0), Channel("DNA", "near", 0), Channel("tubulin", "near", 1)]
NAMES = [channel.name for channel in CHANNELS]
QUALITY = {"max_saturated_fraction": 0.02, "max_range_ratio": 8.0, "min_focus_ratio": 0.5}
ALIGNMENT = {
    "reference": "DNA", "measure": {"foci": "DNA"}, "in_register": [], "method": "bandpass",
    "binning": 2, "upsample_factor": 20, "window_fraction": 1.0, "max_shift_px": 15,
    "min_confidence": 0.5, "consensus_tiles": 12, "consensus_of": "plate", "quality": QUALITY,
}  # fmt: skip


def tile_of(rng, n_cells=50):
    recorded = record(rng, draw_scene(rng, SIZE, n_cells), {"foci": TRUE}, 0.003)
    return np.stack([recorded[name] for name in NAMES])


@pytest.fixture(scope="module")
def plate():
    """Eight good tiles of a plate, and its consensus."""
    rng = np.random.default_rng(5)
    tiles = [tile_of(rng) for _ in range(8)]
    measured = [("A1", estimate_shifts(t, CHANNELS, ALIGNMENT), tile_quality(t)) for t in tiles]
    return tiles, consensus_of_well(consensus_table(measured, CHANNELS, ALIGNMENT), "A1")


def accepted(tile, consensus):
    """Return the shifts that a run would use; the checks are those of `aligned_tile`."""
    check_bands(tile, NAMES)
    quality = tile_quality(tile)
    check_quality(quality, NAMES, consensus, QUALITY)
    measured = estimate_shifts(tile, CHANNELS, ALIGNMENT)
    check_confidence(quality, measured.confidence, NAMES, consensus)
    return apply_consensus(measured, CHANNELS, ALIGNMENT, consensus)


def test_good_tiles_are_accepted(plate):
    for tile in plate[0]:
        assert np.hypot(*(accepted(tile, plate[1]).px[0] - TRUE)) < 0.3


@pytest.mark.parametrize("part", ["lower half", "band", "square", "right part"])
@pytest.mark.parametrize("channels", [[0], [0, 1, 2]])
def test_parts_that_were_never_written_are_refused(plate, part, channels):
    tile = plate[0][0].copy()
    where = {"lower half": np.s_[SIZE // 2 :], "band": np.s_[100:164],
             "square": np.s_[64:192, 128:256], "right part": np.s_[:, 300:]}[part]  # fmt: skip
    for k in channels:
        tile[k][where] = 0
    with pytest.raises(TileError, match=rf"channel {NAMES[channels[0]]} is dead in \d+% of"):
        accepted(tile, plate[1])


def test_a_background_that_is_clipped_to_black_is_no_dead_part():
    rng = np.random.default_rng(1)
    tile = tile_of(rng, 12).astype(int)
    clipped = np.maximum(tile - np.quantile(tile, 0.8, axis=(1, 2), keepdims=True), 0)
    check_bands(clipped.astype(np.uint16), NAMES)
    check_bands(np.zeros((1, SIZE, SIZE), np.uint16), ["DNA"])  # constant: check_quality says so


def test_the_file_of_another_site_is_refused(plate):
    tiles, consensus = plate
    for k in range(1, 4):
        mixed = tiles[0].copy()
        mixed[0] = tiles[k][0]
        with pytest.raises(TileError, match=r"foci does not match .* of another site\?"):
            accepted(mixed, consensus)


def test_an_empty_tile_is_not_of_another_site(plate):
    """Nothing to match; its light is judged elsewhere, its shift is that of the plate."""
    empty = tile_of(np.random.default_rng(2), 0)
    quality, measured = tile_quality(empty), estimate_shifts(empty, CHANNELS, ALIGNMENT)
    check_confidence(quality, measured.confidence, NAMES, plate[1])
    guarded = apply_consensus(measured, CHANNELS, ALIGNMENT, plate[1])
    assert guarded.method[0] == "consensus" and np.hypot(*(guarded.px[0] - TRUE)) < 0.3


def test_periodic_structure_is_not_believed(plate):
    """Stripes match themselves one period away, with high confidence."""
    tile = plate[0][0].astype(float)
    y = np.arange(SIZE)[:, None]
    for k, shift in ((0, TRUE[0] + 8), (1, 0)):
        tile[k] = 400 + 3000 * (np.sin(2 * np.pi * (y + shift) / 8) + 1) + 0.02 * tile[k]
    tile = tile.astype(np.uint16)
    measured = estimate_shifts(tile, CHANNELS, ALIGNMENT)
    assert np.hypot(*(measured.px[0] - TRUE)) > 3
    guarded = apply_consensus(measured, CHANNELS, ALIGNMENT, plate[1])
    assert guarded.method[0] == "consensus" and np.hypot(*(guarded.px[0] - TRUE)) < 0.3


def test_channels_in_register_need_no_shift():
    own = [Channel(name, name, 0) for name in NAMES]
    with pytest.raises(InputError, match=r"name it in alignment\.in_register"):
        resolve_chain(own, ALIGNMENT | {"measure": {}})
    chain = resolve_chain(own, ALIGNMENT | {"measure": {}, "in_register": "all"})
    assert chain == dict.fromkeys(["DNA", "foci", "tubulin"])
    some = resolve_chain(own, ALIGNMENT | {"in_register": ["tubulin"]})
    assert some == {"DNA": None, "tubulin": None, "foci": "DNA"}
    tile = tile_of(np.random.default_rng(3))
    shifts = estimate_shifts(tile, own, ALIGNMENT | {"measure": {}, "in_register": "all"})
    assert not shifts.px.any() and set(shifts.method) == {"reference"}
