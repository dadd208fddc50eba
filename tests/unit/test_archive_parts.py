"""Archives of feature tables: what is damaged, locked or far too large is one sentence."""

import errno
import io
import struct
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mcvae_ops.archive import content, parts
from mcvae_ops.archive.parts import members_of
from mcvae_ops.errors import InputError


def parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": range(1000)}), buffer)
    return buffer.getvalue()


def zipped(member: bytes, how: int = zipfile.ZIP_DEFLATED, name: str = "a.parquet") -> bytearray:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        archive.writestr(name, member)
    return bytearray(buffer.getvalue())


def tarred(member: bytes, name: str = "a.parquet") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(member)
        archive.addfile(info, io.BytesIO(member))
    return buffer.getvalue()


def in_directory(archive: bytearray, offset: int, in_header: int, value: int) -> bytearray:
    """Set a field in the directory of a zip archive, and in the header of its member."""
    at = archive.find(b"PK\x01\x02") + offset
    archive[at : at + 2] = archive[in_header : in_header + 2] = struct.pack("<H", value)
    return archive


def damaged(archive: bytearray, at: int) -> bytearray:
    archive[at] ^= 0xFF
    return archive


CASES = {
    "interphase.zip": [
        damaged(zipped(parquet()), 60),
        in_directory(zipped(parquet()), 8, 6, 1),
        in_directory(zipped(parquet()), 10, 8, 97),
        zipped(parquet())[:300],
        damaged(zipped(parquet(), zipfile.ZIP_BZIP2), 60),
        damaged(zipped(parquet(), zipfile.ZIP_LZMA), 60),
    ],
    "interphase.tar.gz": [tarred(parquet())[:300], damaged(bytearray(tarred(parquet())), 200)],
}


def rows(path, name) -> int:
    return sum(pq.ParquetFile(p).metadata.num_rows for _, p in members_of(path, name, path.parent))


@pytest.mark.parametrize(
    ("name", "archive"), [(name, archive) for name, cases in CASES.items() for archive in cases]
)
def test_a_damaged_archive_is_one_sentence(tmp_path, name, archive):
    (tmp_path / name).write_bytes(archive)
    with pytest.raises(InputError, match=name):
        rows(tmp_path / name, name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("name", "packed"), [("i.zip", zipped), ("i.tar.gz", tarred)])
def test_a_small_archive_does_not_fill_the_disk(tmp_path, monkeypatch, name, packed):
    monkeypatch.setattr(content, "_LEAST_CONTENT_BYTES", 1_000_000)
    (tmp_path / name).write_bytes(packed(parquet()))
    assert rows(tmp_path / name, name) == 1000
    (tmp_path / name).write_bytes(packed(b"\0" * 30_000_000))
    with pytest.raises(InputError, match=r"more than \d+ bytes in it"):
        rows(tmp_path / name, name)


@pytest.mark.parametrize(("name", "packed"), [("i.zip", zipped), ("i.tar.gz", tarred)])
@pytest.mark.parametrize(
    "member", [f"{'a' * 300}.parquet", f"b/{'é' * 200}.PARQUET"], ids=["a", "é"]
)
def test_a_member_may_have_a_longer_name_than_a_file(tmp_path, name, packed, member):
    (tmp_path / name).write_bytes(packed(parquet(), name=member))
    assert rows(tmp_path / name, name) == 1000


def test_a_full_disk_is_no_damage_of_an_archive(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(parts, "unpack", full)
    (tmp_path / "i.zip").write_bytes(zipped(parquet()))
    with pytest.raises(OSError, match="No space left"):
        rows(tmp_path / "i.zip", "i.zip")
