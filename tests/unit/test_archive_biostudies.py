"""The study's list of files becomes the files of the screen."""

import contextlib
import json
import time

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcvae_ops.archive.image_files import list_files, select_files
from mcvae_ops.archive.image_places import check_address
from mcvae_ops.archive.pagetab import (
    file_lists_of,
    sections_of,
    stream_array,
    stream_table,
    study_entries,
)
from mcvae_ops.errors import InputError

PATTERN = (
    "screenA/{plate}/phenotype/images/input/DAPI-GFP-A594-AF750/"
    "20X_DAPI-GFP-A594-AF750_{well}_{channel}_Site-{tile}.tif"
)
ARCHIVE = {"streams": 2, "retries": 1, "timeout_s": 5, "keep_raw": False}


def screen_of(plates, first=0, last=1280):
    groups = ("A594", "AF750", "DAPI-GFP", "DAPI-GFP")
    return {
        "plates": plates,
        "tiles": f"{first}-{last}",
        "images": PATTERN,
        "cut_px": None,
        "channels": [{"group": group} for group in groups],
    }


def listed(study, files, screen, manifest, root=None):
    left_out = str(manifest) + ".left_out.tsv"
    root = f"biostudies:{study}" if study else root
    places = {"root": root, "files": files and str(files)}
    list_files(ARCHIVE | places, screen, str(manifest), left_out)
    return pd.read_parquet(manifest)


def path_of(plate="P1", well="A1", group="A594", tile=3):
    return PATTERN.format(plate=plate, well=well, channel=group, tile=tile)


def test_the_real_list_of_the_six_plates(shared, tmp_path):
    wells = ["A1", "A2", "A3", "B1", "B2", "B3"]
    plates = {f"20200202_6W-LaC024{p}": list(wells) for p in "ADEF"}
    plates |= {f"20200206_6W-LaC025{p}": list(wells) for p in "AB"}
    plates["20200202_6W-LaC024D"].remove("A3")
    plates["20200202_6W-LaC024E"].remove("B1")
    study = tmp_path / "S-BIAD394.json"
    study.write_text("{}")
    files = shared / "data" / "archive" / "s-biad394_six_plates.parquet"
    table = listed(study, files, screen_of(plates), tmp_path / "files.parquet")
    assert len(table) == 130_662
    assert len(table[["plate", "well", "tile"]].drop_duplicates()) == 43_554
    assert len(table[["plate", "well"]].drop_duplicates()) == 34
    assert table["size_bytes"].sum() == pytest.approx(12.2e12, rel=0.01)
    assert table.dtypes.astype(str).loc[["size_bytes", "tile"]].tolist() == ["int64", "int32"]
    assert table["address"][0] == f"{tmp_path.as_uri()}/Files/{table['path'][0]}"


def test_what_is_not_of_the_screen_is_counted_by_kind():
    paths = [
        path_of(),
        path_of(plate="P9"),
        path_of(well="C1"),
        path_of(tile=99),
        path_of(group="GFP"),
        path_of().replace("/20X_DAPI", "/20X_GFP", 1),
        "screenA/P1/phenotype/labels/a.tif",
    ]
    table, left_out = select_files([(path, 5) for path in paths], screen_of({"P1": ["A1"]}, last=9))
    assert table["path"].tolist() == [path_of()]
    left_out = left_out.table()
    assert left_out["size_bytes"].sum() == 30 and set(left_out["example"]) < set(paths)
    assert left_out.set_index("kind")["n_files"].to_dict() == {
        "another plate": 1,
        "another well": 1,
        "another tile": 1,
        "another channel": 1,
        "path does not match": 2,
    }


def test_one_file_per_tile_needs_no_channel_group_in_its_path():
    screen = screen_of({"P1": ["A1"]}) | {"images": "{plate}/{well}_{tile}.tif"}
    screen["channels"] = [{"group": "all"}, {"group": "all"}]
    table, _ = select_files([("P1/A1_0.tif", 5)], screen)
    assert table["group"].tolist() == ["all"]


def test_a_pattern_that_lacks_a_field_is_refused():
    screen = screen_of({"P1": ["A1"]}) | {"images": "{plate}/{well}/{channel}.tif"}
    with pytest.raises(InputError, match=r"without \{tile\}"):
        check_address(screen)


STUDY = {
    "accno": "S-1",
    "section": {
        "attributes": None,
        "subsections": [
            [{"type": "a", "attributes": [{"name": "File List", "value": "list.tsv"}]}],
            {"type": "b", "subsections": {"files": [[{"path": "x/1"}], {"path": "x/2"}]}},
            None,
        ],
        "files": None,
    },
}


def test_sections_are_found_in_objects_lists_and_null():
    assert sum(1 for _ in sections_of(STUDY)) == 4
    assert file_lists_of(STUDY) == ["list.tsv"]


def test_a_local_study_is_listed(tmp_path):
    (tmp_path / "Files").mkdir()
    (tmp_path / "S-1.json").write_text(json.dumps(STUDY))
    entries = [
        {"path": path_of(tile=tile, group=group), "size": 7, "attributes": [], "type": "file"}
        for tile in (10, 2)
        for group in ("DAPI-GFP", "A594", "AF750")
    ]
    (tmp_path / "Files" / "list.json").write_text(json.dumps(entries, indent=1))
    target = tmp_path / "out" / "files.parquet"
    table = listed(tmp_path / "S-1.json", None, screen_of({"P1": ["A1"]}), target)
    assert list(table.columns) == [
        "path",
        "address",
        "size_bytes",
        "plate",
        "well",
        "tile",
        "group",
    ]
    assert table["tile"].tolist() == [2, 2, 2, 10, 10, 10]
    assert table["group"].tolist()[:3] == ["A594", "AF750", "DAPI-GFP"]
    with pytest.raises(InputError, match="6 another plate"):
        listed(tmp_path / "S-1.json", None, screen_of({"P2": ["A1"]}), target)


def test_two_files_of_one_place_are_refused(tmp_path):
    table = pd.DataFrame({"path": [path_of(tile="03"), path_of(tile=3)], "size": [1, 1]})
    table.to_csv(tmp_path / "files.tsv", sep="\t", index=False)
    (tmp_path / "S-1.json").write_text("{}")
    with pytest.raises(InputError, match="one file per plate"):
        listed(tmp_path / "S-1.json", tmp_path / "files.tsv", screen_of({"P1": ["A1"]}),
               tmp_path / "out.parquet")  # fmt: skip


def test_a_long_list_is_streamed(tmp_path):
    entries = [{"path": "f" * 50 + str(k), "size": k, "attributes": None} for k in range(60_000)]
    path = tmp_path / "list.json"
    path.write_text(json.dumps(entries))
    started_s = time.monotonic()
    assert list(stream_array(path)) == entries
    assert time.monotonic() - started_s < 10
    path.write_text(path.read_text()[:-40])
    with pytest.raises(InputError, match="breaks off"):
        list(stream_array(path))


def test_a_file_list_as_table(tmp_path):
    path = tmp_path / "list.tsv"
    path.write_text("Files\tsize\tnote\na/b.tif\t12\tx\nc.tif\n")
    assert list(stream_table(path)) == [
        {"path": "a/b.tif", "size": "12"},
        {"path": "c.tif", "size": None},
    ]
    (tmp_path / "Files").mkdir()
    path.rename(tmp_path / "Files" / "list.tsv")
    (tmp_path / "S-1.json").write_text(json.dumps(STUDY))
    entries = list(
        study_entries(str(tmp_path / "S-1.json"), tmp_path.as_uri() + "/Files/", ARCHIVE)
    )
    assert entries == [("x/1", -1), ("x/2", -1), ("a/b.tif", 12), ("c.tif", -1)]


def test_a_hand_placed_list_and_root_need_no_study(tmp_path):
    paths = [path_of(group=group) for group in ("A594", "AF750", "DAPI-GFP")]
    pd.DataFrame({"path": paths, "size": 7}).to_csv(tmp_path / "f.tsv", sep="\t")
    table = listed(None, tmp_path / "f.tsv", screen_of({"P1": ["A1"]}), tmp_path / "out.parquet",
                   "https://host/root")  # fmt: skip
    assert table["address"].tolist() == [f"https://host/root/{path}" for path in paths]
    with pytest.raises(InputError, match=r"archive\.root: found nothing"):
        listed(None, tmp_path / "f.tsv", screen_of({"P1": ["A1"]}), tmp_path / "out.parquet")


def test_a_file_without_a_size_is_said(tmp_path):
    study = {"section": {"files": [{"path": path_of(), "size": None}]}}
    (tmp_path / "S-1.json").write_text(json.dumps(study))
    with pytest.raises(InputError, match="no size of screenA"):
        listed(tmp_path / "S-1.json", None, screen_of({"P1": ["A1"]}), tmp_path / "out.parquet")


KEYS = st.sampled_from(
    ["section", "subsections", "files", "path", "size", "attributes", "name", "value", "accno", "x"]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["File List", "list.tsv", "a/../b", path_of(), "\ud800"])
)
PAGETAB = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=30
)
GENTLE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@GENTLE
@given(PAGETAB | st.builds(lambda section: {"section": section}, PAGETAB), PAGETAB)
def test_any_study_gives_entries_or_our_error(tmp_path, study, list_content):
    (tmp_path / "Files").mkdir(exist_ok=True)
    (tmp_path / "S-1.json").write_text(json.dumps(study))
    (tmp_path / "Files" / "list.json").write_text(json.dumps(list_content))
    with contextlib.suppress(InputError):
        root = tmp_path.as_uri() + "/Files/"
        for path, size in study_entries(str(tmp_path / "S-1.json"), root, ARCHIVE):
            assert path and isinstance(size, int) and size >= -1


@GENTLE
@given(st.binary() | st.text().map(lambda text: ("[" + text).encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_list_or_our_error(tmp_path, content):
    (tmp_path / "list").write_bytes(content)
    for read in (stream_array, stream_table):
        with contextlib.suppress(InputError):
            list(read(tmp_path / "list"))


@given(st.text(), st.integers())
def test_any_path_is_kept_or_counted(path, size):
    table, left_out = select_files([(path, size)], screen_of({"P1": ["A1"]}))
    assert len(table) + left_out.table()["n_files"].sum() == 1
