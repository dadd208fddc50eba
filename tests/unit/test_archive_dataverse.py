"""Whatever a Dataverse answers, it is a table of parts or one sentence."""

import pytest

from mcvae_ops.archive.dataverse import parts_of
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
