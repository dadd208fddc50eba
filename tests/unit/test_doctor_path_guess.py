"""Patterns of paths: names as microscopes and archives give them."""

import time
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcvae_ops.archive.patterns import Pattern
from mcvae_ops.doctor.path_guess import guess_pattern
from mcvae_ops.doctor.path_shapes import shapes
from mcvae_ops.doctor.stains import stain_of

UUID = "CE6A8B2E-9C50-4D1A-B0F1-{:012X}"


def phenix() -> list[str]:
    places = product((1, 2), (1, 2), (1, 2, 3), (1, 2), range(1, 6))
    return [
        f"P{p}__2020-11-02T1{p}_54_45-Measurement1/Images/r{r:02}c{c:02}f{f:02}p01-ch{k}sk1fk1.tiff"
        for p, r, c, f, k in places
    ]


def image_xpress() -> list[str]:
    places = product(("Week1_22123", "Week1_22141"), ("B02", "C05"), range(1, 5), (1, 2, 4))
    return [f"{plate}/Week1_150607_{well}_s{site}_w{wave}{UUID.format(n)}.tif"
            for n, (plate, well, site, wave) in enumerate(places)]  # fmt: skip


def folders_of_wells() -> list[str]:
    return [f"plate_{p}/{row}/{column}/site{site}_{stain}.tif" for p, row, column, site, stain in
            product("AB", "ABC", (1, 2, 3), (1, 2), ("DAPI", "GFP"))]  # fmt: skip


def given_words() -> list[str]:
    return [f"exp1/{well}/img_{well}_{tile:03}_{stain}.TIF" for well, tile, stain in
            product(("A1", "B12"), range(12), ("hoechst", "actin", "er"))]  # fmt: skip


def yokogawa() -> list[str]:
    return [f"Plate_{p}/T00001F{f:03}L01A0{c}Z01C0{c}_{well}.tif" for p, f, c, well in
            product((1, 2), (1, 2, 3), (1, 2, 3), ("A01", "B05"))]  # fmt: skip


def channels_like_wells() -> list[str]:
    return [f"{exp}/{well}/{well}_F{f:03}_C{c}.tiff" for exp, well, f, c in
            product(("ab", "cd"), ("A01", "H12"), range(1, 10), range(1, 5))]  # fmt: skip


def cellomics() -> list[str]:
    return [f"BR1/AS_09125_{well}f{site:02}d{c}.TIF" for well, site, c in
            product(("A01", "D03", "D04"), range(4), range(3))]  # fmt: skip


NAMES = {
    "{plate}/T00001F{tile:3}L01A{channel}Z01C{channel}_{well}.tif": yokogawa,
    "{plate}/{well}/{well}_F{tile:3}_{channel}.tiff": channels_like_wells,
    "BR1/AS_09125_{row}{column:2}f{tile:2}d{channel}.TIF": cellomics,
    "{plate}__{*}/Images/r{row:2}c{column:2}f{tile:2}p01-ch{channel}sk1fk1.tiff": phenix,
    "{plate}/Week1_150607_{well}_s{tile}_w{channel:1}{*}.tif": image_xpress,
    "{plate}/{row}/{column}/site{tile}_{channel}.tif": folders_of_wells,
    "exp1/{well}/img_{well}_{tile:3}_{channel}.TIF": given_words,
}


@pytest.mark.parametrize("pattern", NAMES)
def test_a_pattern_is_found_and_gives_each_file_its_place(pattern):
    paths = NAMES[pattern]()
    guess = guess_pattern([(path, 10) for path in paths])
    assert guess.text == pattern
    assert guess.n_files == len(paths) == len(set(guess.places))
    assert guess.size_bytes == 10 * len(paths)
    assert not guess.questions


def test_a_number_of_the_plane_is_asked_for():
    paths = [
        f"{well}_s{s}_z{z}_DAPI.tif" for well, s, z in product(("A1", "A2"), (1, 2), (1, 2, 3))
    ]
    guess = guess_pattern([(path, 1) for path in paths])
    assert guess.text == "{well}_s{tile}_z{*}_DAPI.tif"
    assert "plane" in guess.questions[0]
    assert "8 of 12 files have the place of another file" in guess.questions[1]


def test_masks_and_other_cycles_stand_behind_images():
    entries = [(f"images/A1_s{k}_DAPI.tif", 10) for k in range(4)]
    entries += [(f"images/A1_s{k}_DAPI_MaskCells.tif", 90) for k in range(4)]
    entries += [(f"Cycle1/A1_s{k}_DAPI.tif", 90) for k in range(4)]
    first = next(shapes(entries))
    assert [path for path, _ in first] == [path for path, _ in entries[:4]]


@given(st.lists(st.text(st.characters(codec="ascii"), min_size=1, max_size=30), min_size=1))
def test_any_names_give_a_pattern_or_none_of_them(names):
    guess = guess_pattern([(name, 1) for name in names])
    assert guess.n_files <= len(names)
    Pattern(guess.text)


PIECES = [
    "a",
    "7",
    "B02",
    "_",
    "__",
    "-",
    ".",
    " ",
    "/",
    "{",
    "s",
    "ch",
    "DAPI",
    "0" * 8,
    "\0",
    "²",
]


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12), min_size=1, max_size=4),
    st.integers(1, 60),
    st.lists(st.sampled_from(["ab", "cd", "A01", "5"]), min_size=4, max_size=4),
)
def test_odd_names_take_a_time_that_their_length_bounds(parts, n_times, values):
    """The same parts many times, values that return, and a name that the pattern cannot read."""
    names = [
        f"{value}/{''.join(map(''.join, parts)) * n_times}{k % 7}_{value}{suffix}"[-1024:]
        for k, value in enumerate(values * 10)
        for suffix in (".tif", ".tiff")[: 1 + (k == 3)]
    ]
    began_s = time.process_time()
    guess = guess_pattern([(name, 1) for name in names])
    assert guess.n_files <= len(names)
    assert time.process_time() - began_s < 3


RETURNING = [f"{letter}/" + "_".join(letter + "xyz"[(k * j) % 3] for j in range(40))
             for k, letter in enumerate("pqrstu" * 500)]  # fmt: skip
ODD = {
    "a part that returns": [f"{name}_{name[0]}.tif" for name in RETURNING]
    + [f"{name}_{name[0]}.tiff" for name in RETURNING[:40]],
    "letters": [f"{'a' * 900}{k}.tif" for k in range(3000)],
    "parts": [f"{'a_' * 450}{k}.tif" for k in range(3000)],
    "stains": ["_".join(f"a{100 + k * j % 899}" for j in range(200)) + ".tif" for k in range(3000)],
}


@pytest.mark.parametrize("names", ODD.values(), ids=ODD)
def test_long_names_end_within_seconds(names):
    began_s = time.process_time()
    guess = guess_pattern([(name, 1) for name in names])
    assert guess.n_files >= 1000
    assert time.process_time() - began_s < 5


def test_a_part_that_returns_is_compared_where_no_text_is_between():
    names = [f"{p}/{p}_{w}/{w}_s{s}_{x}_{w}_DAPI.tif" for p, w, s, x in
             product(("ab", "cd"), ("A01", "H12"), (1, 2), ("u", "vw"))]  # fmt: skip
    guess = guess_pattern([(name, 1) for name in names])
    assert guess.text == "{plate}/{plate}_{well}/{well}_s{tile}_{channel}_{*}_DAPI.tif"


def test_a_field_of_200_characters_has_no_width():
    names = [f"{'ab'[k % 2] * 200}/{k % 3}{k:0200d}.tif" for k in range(9)]
    guess = guess_pattern([(name, 1) for name in names])
    assert guess.text == "{plate}/{tile}.tif"


def test_thousands_of_numbers_are_no_channels():
    paths = [f"P{k % 2}_A01_ch{k:04}.tif" for k in range(4000)]
    assert "channel" not in guess_pattern([(path, 1) for path in paths]).fields


@pytest.mark.parametrize(
    ("name", "stain"),
    [("DAPI", "DNA"), ("Hoechst", "DNA"), ("Phalloidin", "actin"), ("GFP", ""), ("A01", None),
     ("gamma-H2AX", "gamma-H2AX"), ("Site", None)],
)  # fmt: skip
def test_names_of_stains_are_known(name, stain):
    assert stain_of(name) == stain
