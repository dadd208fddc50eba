"""Wells and tiles in short, as the configuration of a screen reads them again."""

from hypothesis import given
from hypothesis import strategies as st

from mcvae_ops.archive.patterns import wells_of
from mcvae_ops.doctor.place_ranges import numbers_as_text, wells_as_text
from mcvae_ops.screen import tile_numbers


@given(st.sets(st.integers(0, 400), min_size=1))
def test_ranges_of_tiles_are_read_as_they_were_written(tiles):
    assert tile_numbers(numbers_as_text(list(tiles))) == sorted(tiles)


@given(st.sets(st.tuples(st.sampled_from("ABCDEFGH"), st.integers(1, 12)), min_size=1))
def test_wells_are_read_as_they_were_written(wells):
    names = [f"{row}{column}" for row, column in wells]
    assert sorted(wells_of(wells_as_text(names))) == sorted(names)


def test_a_well_of_a_large_number_is_no_rectangle():
    assert wells_as_text(["A01", "A99999999999"]) == ["A01", "A99999999999"]
