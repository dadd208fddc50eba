"""Whatever a Dataverse answers, it is a table of parts or one sentence."""

import pytest

from mcvae_ops.archive import dataverse, sources, table_files
from mcvae_ops.archive.dataverse import parts_of
from mcvae_ops.archive.table_address import table_address
from mcvae_ops.archive.table_files import files_of
from mcvae_ops.errors import InputError

DATA = {"id": 1, "filesize": 10, "checksum": {"type": "MD5", "value": "aa"}}
PART = {"label": "interphase.parquet", "directoryLabel": "d", "dataFile": DATA}


def answer(files) -> dict:
    return {"status": "OK", "data": {"latestVersion": {"files": files}}}


def without(entry: dict, key: str) -> dict:
    return {name: value for name, value in entry.items() if name != key}


@pytest.mark.parametrize(
    "entry",
    [
        None, "x", 5, without(PART, "label"), without(PART, "dataFile"),
        *(PART | {"label": label} for label in (5, 1.5, None, "a\0.parquet", "a\n.parquet")),
        *(PART | {"directoryLabel": place} for place in (5, [None], "../../x", "a\tb")),
        *(PART | {"dataFile": data} for data in (
            "é\0", without(DATA, "id"), without(DATA, "filesize"),
            *(DATA | {"id": key} for key in ("../../evil", float("inf"), "1?a=b", "١")),
            *(DATA | {"filesize": size}
              for size in ("big", "9", -5, 1e30, float("inf"), True, {}, 10**30)),
            DATA | {"originalFileFormat": "x", "originalFileSize": {"a": None}},
            *(DATA | {"checksum": checksum}
              for checksum in ("é", [1], {"type": "MD5", "value": 5})),
        )),
    ],
)  # fmt: skip
def test_an_entry_that_says_no_file_is_one_sentence(entry):
    with pytest.raises(InputError) as caught:
        parts_of(answer([PART, entry]), "https://h", True)
    assert "\n" not in str(caught.value) and "\0" not in str(caught.value)


@pytest.mark.parametrize("files", [None, {"a": 1}, "x"])
def test_a_list_that_is_none_is_one_sentence(files):
    with pytest.raises(InputError):
        parts_of(answer(files), "https://h", True)


@pytest.mark.parametrize(
    "answered",
    [
        None, 5, [], {}, {"values": None}, {"values": {"a": 1}}, {"values": [1]},
        *({"values": [entry]} for entry in (
            None, {"type": "URL"}, {"type": "URL", "data": "x"},
            *({"type": "URL", "data": {"value": value}}
              for value in (5, None, "http://[::1", "http:x", "file:///etc/passwd", "ftp://h/x")),
        )),
    ],
)  # fmt: skip
def test_a_doi_that_leads_to_no_server_is_one_sentence(monkeypatch, answered):
    monkeypatch.setattr(dataverse, "read_json", lambda place, archive: answered)
    with pytest.raises(InputError, match="no address that this DOI stands for"):
        dataverse.dataset_url("doi:10.7910/DVN/VYKTI5", {})


@pytest.mark.parametrize("names", ["{*}.csv", "a.csv"])
def test_a_converted_table_may_have_no_published_size(monkeypatch, names):
    data = DATA | {"originalFileFormat": "text/csv", "originalFileName": "a.csv"}
    listed = answer([{"label": "a.tab", "dataFile": data}])
    monkeypatch.setattr(
        sources, "parts_of_dataset", lambda doi, *_, suffixes: parts_of(listed, "https://h", True)
    )
    address = table_address(names, "cells.table", "doi:10.7910/DVN/VYKTI5")
    found = files_of(address, {"files": None}, {"plates": {"P": ["A1"]}, "tiles": "0"})
    assert [row[::2] for row in found] == [("a.csv", None)]


def test_a_listed_table_that_is_gone_is_one_sentence(monkeypatch):
    monkeypatch.setattr(table_files, "read_range", lambda *_: None)
    with pytest.raises(InputError, match=r"h/a\.csv: found no file"):
        table_files.RemoteFile("https://h/a.csv", 100, {}).read(10)
