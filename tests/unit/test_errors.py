"""What a sentence shows, and what it keeps to itself."""

import pytest

from mcvae_ops.archive.transfer import fetch
from mcvae_ops.errors import TOKEN_VARIABLE, InputError, dataverse_key, shown
from tests.helpers.raw_server import answer, raw_server

ARCHIVE = {"streams": 1, "retries": 0, "timeout_s": 5, "keep_raw": False}
KEY = "0f9a-SECRET-77"


@pytest.mark.parametrize("around", ["{}", "{}\r", "{}\r\n", " {} "])
def test_white_space_around_the_key_is_no_part_of_it(tmp_path, monkeypatch, around):
    """A file of variables with the line ends of Windows leaves a carriage return."""
    monkeypatch.setenv(TOKEN_VARIABLE, around.format(KEY))
    with raw_server(lambda c, request, n: c.sendall(answer(200, b"a"))) as server:
        archive = ARCHIVE | {"dataset": f"{server.address}/api/datasets/1"}
        fetch(f"{server.address}/api/access/1", tmp_path / "a.bin", archive)
    assert f"X-Dataverse-key: {KEY}\r\n" in server.requests[0]
    assert KEY not in shown(f"refused {KEY!r}")


@pytest.mark.parametrize("key", [f"\u2019{KEY}\u2019", f"{KEY}\r\nX: 1", f"\udcff{KEY}"])
def test_a_key_that_can_be_none_is_named_but_not_shown(tmp_path, monkeypatch, key):
    monkeypatch.setenv(TOKEN_VARIABLE, key)
    with raw_server(lambda c, request, n: c.sendall(answer(200, b"a"))) as server:
        archive = ARCHIVE | {"dataset": f"{server.address}/api/datasets/1"}
        with pytest.raises(InputError, match=f"variable {TOKEN_VARIABLE}") as caught:
            fetch(f"{server.address}/api/access/1", tmp_path / "a.bin", archive)
    assert "SECRET" not in str(caught.value) and not server.requests


def test_no_key_is_none(monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, " \n")
    assert dataverse_key() == "" and shown("a b") == "a b"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://me:pass@host/a.tif?X-Amz-Signature=1&b=2#c: found", "https://host/a.tif: found"),
        ("x from http://u@h:80/p?q, again?", "x from http://h:80/p, again?"),
        ("https://h/x?cols=a,b&token=S", "https://h/x"),
        ("https://h/x?a=1;sig=S; run again", "https://h/x; run again"),
        ("(https://h/x?f=(1)&key=S) and", "(https://h/x) and"),
        ("'https://h/x?n=O'Neil&key=S'", "'https://h/x'"),
        ('"https://h/x#a"b"', '"https://h/x"'),
        ("https://user:p/w@h/x", "https://h/x"),
        ("https://user:p@s/w@h/x", "https://h/x"),
        ("//u:p@h/x?key=S", "//h/x"),
    ],
)
def test_addresses_are_shown_without_user_and_query(text, said):
    assert shown(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/a b.tif", "file:///a/b@c", "file:///a@c", "is it 5? mail@host",
        "https://h/a//b@2x.tif", "http://h:8080/b@2x.tif", "http://[::1]:80/b@2x.tif",
        "https://h/x: found HTTP 404, expected a file (or a folder); why?",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text):
    assert shown(text) == text
