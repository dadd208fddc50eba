"""Archives of feature tables: what is damaged, locked or far too large is one sentence."""

import io
import struct
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mcvae_ops.archive import content
from mcvae_ops.archive.parts import members_of
from mcvae_ops.errors import InputError


def parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": range(1000)}), buffer)
    return buffer.getvalue()


def zipped(member: bytes) -> bytearray:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.parquet", member)
    return bytearray(buffer.getvalue())


def tarred(member: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("a.parquet")
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
