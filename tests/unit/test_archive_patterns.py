"""A pattern reads back what it was filled with; wells have one form."""

import re
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mcvae_ops.archive.image_files import select_files
from mcvae_ops.archive.patterns import (
    FIELDS,
    Pattern,
    row_letters,
    row_number,
    well_name,
    well_of,
    wells_of,
)
from mcvae_ops.archive.table_address import table_address
from mcvae_ops.errors import InputError

NAME = st.text(st.characters(exclude_characters="/\n{}", exclude_categories=["Cs"]), min_size=1)
LITERAL = st.text(st.characters(exclude_characters="{}\n", exclude_categories=["Cs"]), max_size=5)
WELL = st.from_regex(r"[A-Za-z]{1,2}[0-9]{1,3}", fullmatch=True).filter(str.isascii)


def fields_of(pattern: str, path: str, **values) -> dict | None:
    match = Pattern(pattern).regex(values or None).fullmatch(path)
    return match and match.groupdict()


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("{plate}/{*}_{well}_s{tile}_w{channel:1}{*}.tif",
         "Week1_22123/Week1_150607_B02_s3_w4CE6A8B2E-9C50.TIF",
         {"plate": "Week1_22123", "well": "B02", "tile": "3", "channel": "4"}),
        ("{well}_01_{*}_{tile}_{channel}_001.tif", "B7_01_1_3_DAPI_001.tif",
         {"well": "B7", "tile": "3", "channel": "DAPI"}),
        ("{plate}__{*}/Images/r{row:2}c{column:2}f{tile:2}p01-ch{channel:1}sk1fk1fl1.tiff",
         "BR1__2020-11-02T19_54_45-Measurement1/Images/r01c12f09p01-ch5sk1fk1fl1.tiff",
         {"plate": "BR1", "row": "01", "column": "12", "tile": "09", "channel": "5"}),
        ("{plate}_{well}/Corr{channel}/Corr{channel}_Site_{tile}.tiff",
         "CP186A_Well1/CorrDNA/CorrDNA_Site_100.tiff",
         {"plate": "CP186A", "well": "Well1", "channel": "DNA", "tile": "100"}),
        ("{plate}_{well}/Corr{channel}/Corr{channel}_Site_{tile}.tiff",
         "CP186A_Well1/CorrDNA/CorrER_Site_100.tiff", None),
        ("{well}_{tile}_{channel}.tif", "A01_1_dna.tif.bak", None),
        ("{well}_{tile}_{channel}.tif", "sub/A01_1_dna.tif", None),
        ("{plate}.zarr", "aconcagua_1.zarr", {"plate": "aconcagua_1"}),
    ],
)  # fmt: skip
def test_paths_of_public_screens(pattern, path, found):
    assert fields_of(pattern, path) == found


def test_known_values_settle_what_a_pattern_leaves_open():
    pattern, path = "{plate}_{well}_{channel}.tif", "a_b_A1_w_1.tif"
    assert fields_of(pattern, path)["plate"] == "a"
    assert fields_of(pattern, path, plate=["a", "a_b"], channel=["w_1"]) == {
        "plate": "a_b", "well": "A1", "channel": "w_1",
    }  # fmt: skip
    assert fields_of(pattern, path, plate=["c"]) is None
    assert fields_of(pattern, path, plate=[]) is None


@given(LITERAL, NAME, LITERAL, WELL, st.integers(0, 10**6), NAME)
def test_what_was_filled_in_is_read_back(first, plate, between, well, tile, channel):
    pattern = f"{first}{{plate}}/{between}{{well}}_{{tile}}/{{channel}}"
    values = {"plate": plate, "well": well, "tile": tile, "channel": channel}
    path = Pattern(pattern).fill(values)
    known = {"plate": [plate], "channel": [channel], "well": [well]}
    assert fields_of(pattern, path, **known) == values | {"tile": str(tile)}
    assert path.startswith(Pattern(pattern).prefix({"plate": plate}))


@given(st.integers(0, 99), st.integers(1, 26), st.integers(1, 48))
def test_numbers_are_brought_to_their_width(tile, row, column):
    pattern = Pattern("r{row:2}c{column:2}f{tile:3}")
    path = pattern.fill({"row": row, "column": column, "tile": tile})
    assert path == f"r{row:02d}c{column:02d}f{tile:03d}"
    assert well_of(pattern.regex().fullmatch(path).groupdict()) == f"{chr(64 + row)}{column:02d}"


@given(st.text(alphabet="{}*:az0 /." + "".join(FIELDS), max_size=30), st.text(max_size=30))
def test_any_text_is_a_pattern_or_one_sentence(text, path):
    try:
        pattern = Pattern(text)
    except InputError as error:
        assert str(error).startswith("configuration key screen.images: found ")
        return
    if pattern.pieces:
        pattern.regex().fullmatch(path)


@given(st.text(st.characters(exclude_characters="\n"), max_size=20))
def test_a_literal_matches_itself_alone(text):
    assume("{" not in text and "}" not in text and text)
    regex = Pattern(text).regex()
    assert regex.fullmatch(text)
    assert not regex.fullmatch(text + "x")


@pytest.mark.parametrize("text", ["{site}", "{tile:x}", "{tile:0}", "{tile", "{plate!r}", "{}"])
def test_what_is_no_field_is_refused(text):
    with pytest.raises(InputError, match=r"configuration key screen.images: found .*\{plate\}"):
        Pattern(text)


def test_the_prefix_to_list():
    pattern = Pattern("images/{plate}__{*}/r{row}.tif")
    assert pattern.prefix({"plate": "P1"}) == "images/P1__"
    assert pattern.prefix({}) == "images/"
    assert not pattern.can_be_filled() and Pattern("{plate}/{tile}").can_be_filled()


@pytest.mark.parametrize(
    ("name", "form"),
    [("r01c01", "A01"), ("A01", "A01"), ("A1", "A01"), ("a1", "A01"), ("R16C24", "P24"),
     ("r16c24", "P24"), ("r27c01", "AA01"), ("aa1", "AA01"), ("Well1", "Well1"), ("H012", "H12"),
     ("r00c01", "r00c01"), ("A", "A"), ("12", "12")],
)  # fmt: skip
def test_wells_have_one_form(name, form):
    assert well_name(name) == form
    assert well_name(form) == form


@given(st.integers(1, 702))
def test_rows_have_letters(number):
    assert row_number(row_letters(number)) == number


def test_rows_count_as_on_a_plate_of_1536_wells():
    assert [row_letters(k) for k in (1, 26, 27, 28, 32)] == ["A", "Z", "AA", "AB", "AF"]


def test_rectangles_of_wells():
    assert wells_of("A1-B3") == ["A1", "A2", "A3", "B1", "B2", "B3"]
    assert wells_of(["A09-A10", "Well1", "c3"]) == ["A09", "A10", "Well1", "c3"]
    assert len(wells_of("A01-P24")) == 384 and len(wells_of("A01-AF48")) == 1536
    with pytest.raises(InputError, match=re.escape("found B3-A1")):
        wells_of("B3-A1")


HOSTILE = ["a" * 3000, "_" * 3000, "1" * 3000, "P/A1/" + "_A1_s1" * 500, "_A1" * 1000]


@pytest.mark.parametrize("path", HOSTILE)
@pytest.mark.parametrize(
    "pattern",
    [
        "{plate}{well}{*}{channel}{tile}.tif",
        "{plate}_{well}_{*}_{channel}_{tile}.tif",
        "{plate}/{well}/{*}_{well}_s{tile}_{channel}.tif",
        "{*}_{*}_{*}_{stage}_{*}.tif",
        "{*}{row}{column}{tile}.tif",
    ],
)
def test_the_time_grows_with_the_length_of_a_path(pattern, path):
    for values in (None, {"plate": ["P"], "channel": ["g"]}):
        began_s = time.perf_counter()
        assert Pattern(pattern).regex(values).fullmatch(path) is None
        assert time.perf_counter() - began_s < 1


@given(
    st.lists(
        st.sampled_from(["{plate}", "{well}", "{tile}", "{channel}", "{*}", "_", "s", "/", "1"]),
        min_size=1, max_size=8,
    ),
    st.text("As_1/", max_size=14),
)  # fmt: skip
def test_a_pattern_reads_what_a_search_of_all_places_reads(pieces, path):
    pattern = Pattern("".join(pieces))
    naive, seen = "", set()
    for piece in pieces:
        name = piece.strip("{}")
        kind = {"tile": "[0-9]{1,20}?", "well": "[A-Za-z0-9]{1,32}?", "*": "[^/]*?"}
        if piece == name:
            naive += piece
        elif name == "*":
            naive += kind[name]
        else:
            naive += f"(?P={name})" if name in seen else f"(?P<{name}>{kind.get(name, '[^/]+?')})"
            seen.add(name)
    expected = re.fullmatch(naive, path)
    found = pattern.regex().fullmatch(path)
    assert (found and found.groupdict()) == (expected and expected.groupdict())


@pytest.mark.parametrize("path", ["a" * 100_000, "é" * 600, f"{'a/' * 600}x.tif"])
def test_a_path_that_no_archive_has_is_not_matched(path):
    """A field that occurs again takes the third power of the length."""
    text = "{plate}{well}{*}{well}{plate}.tif"
    screen = {"images": text, "plates": {"P": ["A1"]}, "tiles": "0",
              "channels": [{"name": "a", "group": "a"}]}  # fmt: skip
    began_s = time.process_time()
    files, left_out = select_files([(path, 1)], screen)
    assert table_address(f"/data/{text}", "cells.table").place(path) is None
    assert files.empty and left_out.n_files == {"path does not match": 1}
    assert time.process_time() - began_s < 1
