"""The ledger of what arrived outlives torn lines and odd names."""

import pytest

from mcvae_ops.archive.checksums import LEDGER, note_receipt, received

SHA256 = "ab" * 32


@pytest.mark.parametrize(
    "content",
    [
        b"c.bin\t1\tab",
        b"c.bin\t1\n",
        b"c.bin\t1\tabcd",
        b"\xff\xfe\nc.bin\tx\ty\n",
        b"c.bin\t\xd9\xa1\t" + SHA256.encode() + b"\n",
    ],
)
def test_a_torn_line_is_passed_over_and_swallows_no_other(tmp_path, content):
    (tmp_path / LEDGER).write_bytes(content)
    assert received(tmp_path / "c.bin") is None
    note_receipt(tmp_path / "d.bin", 5, SHA256)
    note_receipt(tmp_path / "c.bin", 6, SHA256)
    assert received(tmp_path / "d.bin") == (5, SHA256)
    assert received(tmp_path / "c.bin") == (6, SHA256)


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\r", "ü %09", "b\t1\t" + SHA256])
def test_a_name_is_one_field(tmp_path, name):
    note_receipt(tmp_path / name, 1, SHA256)
    note_receipt(tmp_path / "b", 2, SHA256)
    assert received(tmp_path / name) == (1, SHA256)
    assert received(tmp_path / "b") == (2, SHA256)
    assert (tmp_path / LEDGER).read_bytes().count(b"\n") == 2
