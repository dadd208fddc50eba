"""Archives, metadata, lists and folders that would hang, fill the memory or crash."""

import gzip
import io
import json
import os
import sqlite3
import struct
import subprocess
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from contextlib import closing

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mcvae_ops.archive import content, pagetab, table_formats
from mcvae_ops.archive.addresses import files_below
from mcvae_ops.archive.annotations import unpacking
from mcvae_ops.archive.annotations.list_formats import rows_of
from mcvae_ops.archive.annotations.list_sources import Listed, tidy_list
from mcvae_ops.archive.annotations.unpacking import unpacked
from mcvae_ops.archive.ngff import fields_of_plate
from mcvae_ops.archive.parts import members_of
from mcvae_ops.archive.transfer import read_json
from mcvae_ops.doctor.listing import Listing
from mcvae_ops.errors import InputError, TileError
from mcvae_ops.profiles.profile_tables import read_profiles
from mcvae_ops.screen import Channel
from mcvae_ops.tiles.read import read_tile
from mcvae_ops.workflow.ledger import verify, write_ledger
from tests.helpers.raw_server import answer, raw_server

ARCHIVE = {"streams": 1, "retries": 0, "timeout_s": 5, "keep_raw": False}
MANY = 40_000_000


def headed(kind: bytes, name: str) -> bytes:
    """A tar.gz that begins with 40 MB of zeros: in a header, or in what is no table."""
    head = tarfile.TarInfo(name)
    head.type, head.size = kind, MANY
    return gzip.compress(head.tobuf(tarfile.USTAR_FORMAT) + b"\0" * MANY, 1)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(tarfile.XHDTYPE, "x"), (tarfile.GNUTYPE_LONGNAME, "x"), (tarfile.REGTYPE, "x.bin")],
)
def test_what_is_no_table_of_an_archive_is_bounded_too(tmp_path, monkeypatch, kind, name):
    monkeypatch.setattr(content, "_LEAST_CONTENT_BYTES", 1_000_000)
    (tmp_path / "i.tar.gz").write_bytes(headed(kind, name))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"more than \d+ bytes in it"):
        list(members_of(tmp_path / "i.tar.gz", "i.tar.gz"))
    assert tracemalloc.get_traced_memory()[1] < MANY / 2
    tracemalloc.stop()


def test_the_bound_of_a_list_is_that_of_the_file_however_often_it_is_packed(monkeypatch):
    monkeypatch.setattr(content, "_LEAST_CONTENT_BYTES", 100_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv.gz", gzip.compress(b"\0" * MANY, 1))
    with pytest.raises(InputError, match=r"more than \d+ bytes in it"):
        unpacked(packed.getvalue(), "list")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.REGTYPE])
def test_no_more_than_the_first_header_of_a_tar_is_read_to_know_it(tmp_path, kind):
    (tmp_path / "i").write_bytes(headed(kind, "x"))
    tracemalloc.start()
    assert content.fault_of(tmp_path / "i", "i.tar.gz") == ""
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("whole", [b"", b"a,b\n" * 200, gzip.compress(b"a" * 600), b"\x1f\x8b\x08"])
def test_what_is_no_tar_is_said(tmp_path, whole):
    (tmp_path / "i").write_bytes(whole)
    assert content.fault_of(tmp_path / "i", "i.tar.gz") == "no tar archive"


@pytest.mark.parametrize("piece", [b"<!---->", b"<!-- -->\n", b"<?xml?>", b"<!--"])
def test_a_file_of_comments_is_judged_at_once(tmp_path, piece):
    (tmp_path / "a.bin").write_bytes(piece * 200)
    began_s = time.process_time()
    assert content.fault_of(tmp_path / "a.bin", "a.bin") == ""
    assert time.process_time() - began_s < 1


def test_a_page_is_known_behind_comments(tmp_path):
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbf <?xml v?>\n<!-- a > b --> <!----><!DOCTYPE html>")
    assert content.fault_of(tmp_path / "a", "a.bin") == "a web page (HTML)"


def test_a_list_takes_no_more_than_a_list_may(monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_BYTES", 100_000)
    with pytest.raises(InputError, match="more than 100000 bytes in it"):
        unpacked(gzip.compress(b"\0" * MANY, 1), "list")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", b"a\n" * 2_000_001), ("a.csv", b"gene\n" + b'"a"\r' * 2_000_000),
        ("a.gmt", b"s\t\t" + b"a\t" * 10_000_000), ("a.json", b"[" + b"{}," * 10_000_001 + b"{}]"),
        ("a.csv", b"gene\n" + b"a|" * 10_000_000),
    ],
    ids=["lines", "quoted lines", "GMT", "JSON", "one field"],
)  # fmt: skip
def test_a_list_has_no_more_fields_than_any_list_of_genes(name, text):
    tracemalloc.start()
    with pytest.raises(InputError, match=r"0,00\d lines|10,000,00\d fields"):
        rows_of(text, name)
    assert tracemalloc.get_traced_memory()[1] < 4 * len(text)
    tracemalloc.stop()


def test_complexes_have_no_more_genes_than_any_list():
    text = b"complex,genes\nA," + b"a " * 11_000_000
    with pytest.raises(InputError, match="21,999,999 characters of genes"):
        tidy_list(Listed("corum", "corum", "a.csv"), text, "Human")


@pytest.mark.parametrize(
    "code",
    ["# a = [\n" * 50_000, "# a = [(])\n" * 50_000, "# a = [\n" * 25_000 + "# ]\n" * 25_000],
    ids=["open", "crossed", "nested"],
)
def test_code_of_a_notebook_is_searched_once(code):
    cell = {"cell_type": "code", "source": code + "\n\n# b = ['AURKA',\n#  'PLK1']\n"}
    text = json.dumps({"nbformat": 4, "cells": [cell]}).encode()
    began_s = time.process_time()
    assert rows_of(text, "a.ipynb#b").rows == [["gene"], ["AURKA"], ["PLK1"]]
    assert time.process_time() - began_s < 10


def test_a_notebook_has_no_more_code_than_people_write():
    cell = {"cell_type": "code", "source": "1<" * 2_100_000}
    with pytest.raises(InputError, match="4,200,000 characters of code"):
        rows_of(json.dumps({"nbformat": 4, "cells": [cell]}).encode(), "a.ipynb#b")


@pytest.fixture
def equal_rows(tmp_path):
    """A table of 4 million equal rows, in some kB."""
    names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(4_000_000, np.int32)), ["TP53"])
    table = pa.table({name: names for name in ("gene", "a", "b", "c", "d", "e", "f", "g", "h")})
    pq.write_table(table, tmp_path / "equal.parquet", compression="zstd", store_schema=False)
    assert (tmp_path / "equal.parquet").stat().st_size < 200_000
    return tmp_path / "equal.parquet"


def test_a_table_of_many_equal_rows_is_not_read(equal_rows):
    with pytest.raises(InputError, match=r"more than \d+ bytes in it"):
        rows_of(equal_rows.read_bytes(), "list.parquet")
    with pytest.raises(InputError, match=r"more than \d+ bytes in it"):
        read_profiles(equal_rows, "genes.parquet")


@pytest.mark.parametrize("kind", ["too much", "damaged"])
def test_packed_profiles_are_bounded_and_may_be_damaged(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(content, "_LEAST_CONTENT_BYTES", 1_000_000)
    packed = bytearray(gzip.compress(b"a,b\n" * (10_000_000 if kind == "too much" else 9)))
    if kind == "damaged":
        packed[12:16] = b"\xff\xff\xff\xff"
    (tmp_path / "a.csv.gz").write_bytes(packed)
    with pytest.raises(InputError, match="genes: found no table that can be read"):
        read_profiles(tmp_path / "a.csv.gz", "genes")


def test_an_answer_is_read_no_further_than_it_may():
    with (
        raw_server(lambda c, request, n: c.sendall(answer(200, b'"' + b"a" * 999))) as server,
        pytest.raises(InputError, match="more than 500 bytes"),
    ):
        read_json(f"{server.address}/info", ARCHIVE | {"retries": 1}, 500)


def zarr_group(path, attributes):
    path.mkdir(parents=True)
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    text = attributes if isinstance(attributes, str) else json.dumps(attributes)
    (path / ".zattrs").write_text(text)


def plate_of(*wells):
    return {"plate": {"wells": list(wells)}}


A1 = plate_of({"path": "A/1"})


@pytest.mark.parametrize(
    "plate",
    [
        plate_of({"path": 5}, {}), plate_of("A/1"), plate_of({"path": "../../etc"}),
        plate_of({"path": "A//1"}), plate_of({"path": None}), {"ome": 5}, {"plate": 5}, [1, 2],
        "[", f'{{"a": {"[" * 100_000}{"]" * 100_000}}}', plate_of({"path": "A/1\0"}),
    ],
    ids=lambda plate: str(plate)[:40],
)  # fmt: skip
def test_odd_metadata_of_a_plate_are_one_sentence(tmp_path, plate):
    zarr_group(tmp_path / "p.zarr", plate)
    with pytest.raises(InputError) as caught:
        list(fields_of_plate(str(tmp_path / "p.zarr"), ARCHIVE, lambda well: True))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "well",
    [
        {"well": 5}, {"well": {"images": 5}}, {"well": {"images": [5]}},
        {"well": {"images": [{"p": 1}]}}, {"well": {"images": [{"path": "../../.."}]}},
    ],
    ids=str,
)  # fmt: skip
def test_odd_metadata_of_a_well_are_one_sentence(tmp_path, well):
    zarr_group(tmp_path / "p.zarr", A1)
    zarr_group(tmp_path / "p.zarr/A/1", well)
    with pytest.raises(InputError, match=r"p\.zarr/A/1"):
        list(fields_of_plate(str(tmp_path / "p.zarr"), ARCHIVE, lambda well: True))


def test_a_field_of_5000_digits_has_the_number_of_its_place(tmp_path):
    zarr_group(tmp_path / "p.zarr", A1)
    zarr_group(tmp_path / "p.zarr/A/1", {"well": {"images": [{"path": "9" * 5000}]}})
    found = list(fields_of_plate(str(tmp_path / "p.zarr"), ARCHIVE, lambda well: True))
    assert found == [("A1", 0, "A/1/" + "9" * 5000)]


def test_a_large_png_is_refused_before_it_is_decoded(tmp_path):
    """2 MB that say 60,000 x 60,000 px; their pixels would take 7 GB."""

    def chunk(name, body):
        checksum = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + checksum

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 16, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 2_000_000))
    image = b"\x89PNG\r\n\x1a\n" + head + pixels + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(image)
    with pytest.raises(TileError, match=r"\(60000, 60000\) where"):
        read_tile({"g": tmp_path / "a.png"}, [Channel("a", "g", 0)], 1, "max", 320)


@pytest.mark.parametrize("names", ["a", "ab", "abc"])
def test_a_study_whose_pages_never_end_is_one_sentence(names):
    pages = [json.dumps([{"path": name, "size": 1}] * 1000).encode() for name in names]

    def handle(connection, request, n):
        page = pages[n % len(pages)]
        connection.sendall(answer(200, page if "files?" in request else b'{"section": {}}'))

    with raw_server(handle) as server, pytest.raises(InputError, match="once more"):
        list(pagetab.study_entries(f"{server.address}/S-1", f"{server.address}/", ARCHIVE))


def test_an_element_without_an_end_is_read_no_further_than_it_may(tmp_path, monkeypatch):
    monkeypatch.setattr(pagetab, "_LONGEST_ELEMENT", 1 << 20)
    (tmp_path / "list.json").write_text('[{"path": "' + "a" * 30_000_000)
    with pytest.raises(InputError, match="breaks off"):
        list(pagetab.stream_array(tmp_path / "list.json"))


def test_pipes_and_links_to_nothing_are_no_files(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"1")
    os.mkfifo(tmp_path / "b.tif")
    (tmp_path / "c.tif").symlink_to(tmp_path / "nowhere")
    (tmp_path / "d").symlink_to(tmp_path)  # a circle
    (tmp_path / "e").symlink_to(tmp_path)  # with the other one, 2**40 folders
    assert [path.name for path in files_below(tmp_path)] == ["a.tif"]
    assert Listing(str(tmp_path), ARCHIVE).files == [("a.tif", 1)]


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """The ledger of a rule that wrote a file, which has changed since."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "right.txt").write_text("right")
    write_ledger(["right.txt"], tmp_path / "checksums/screen/rule.sha256")
    (tmp_path / "right.txt").write_text("wrong")
    return tmp_path / "checksums/screen/rule.sha256"


@pytest.mark.parametrize("line", [b"abc", b"\xff\xfe", b"ab  a\0b\n", b"ab  " + b"a" * 5000, b"\n"])
def test_a_damaged_line_of_the_ledger_hides_no_other(ledger, caplog, line):
    ledger.write_bytes(line + b"\n" + ledger.read_bytes())
    with pytest.raises(InputError, match=r"rule\.sha256: .* what rule rule wrote"):
        verify("checksums/screen", 2)
    assert "right.txt is not what rule rule wrote" in caplog.text


@pytest.mark.parametrize("n_bytes", [0, 1, 50, -1, -5])
@pytest.mark.parametrize("n_first", [0, 1])
def test_a_ledger_that_is_cut_is_said(ledger, n_first, n_bytes):
    whole = b"".join(ledger.read_bytes().splitlines(keepends=True)[n_first:])
    ledger.write_bytes(whole[:n_bytes])
    with pytest.raises(InputError, match=r"rule\.sha256: found other lines"):
        verify("checksums/screen", 2)


def test_a_ledger_is_checked_by_sha256sum_and_one_without_its_first_line_is_read(ledger):
    def checked():
        return subprocess.run(["sha256sum", "--strict", "--check", ledger]).returncode

    assert checked() == 1
    with pytest.raises(InputError, match=r"right\.txt: found other bytes"):
        verify("checksums/screen", 2)
    ledger.parent.parent.parent.joinpath("right.txt").write_text("right")
    assert checked() == 0
    ledger.write_bytes(ledger.read_bytes().partition(b"\n")[2])
    verify("checksums/screen", 2)


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT"


@pytest.mark.parametrize(
    "view",
    [f"{ENDLESS} x AS gene FROM c ORDER BY x", f"{ENDLESS} count(*) AS gene FROM c"],
    ids=["sorted", "counted"],
)
def test_a_view_without_an_end_is_one_sentence(tmp_path, monkeypatch, view):
    monkeypatch.setattr(table_formats, "_LEAST_STEPS", 10_000_000)
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.execute(f"CREATE VIEW cells AS {view}")
    began_s = time.process_time()
    with pytest.raises(InputError, match=r"table a\.db: found damage"):
        table_formats.header_of(tmp_path / "a.db", "a.db", "cells")
    with pytest.raises(InputError, match=r"table a\.db: found damage"):
        list(table_formats.batches_of(tmp_path / "a.db", "a.db", "cells", ["gene"], []))
    assert time.process_time() - began_s < 10


@pytest.mark.parametrize(
    "value", ["hex(zeroblob(500000))", "zeroblob(900000000)", "hex(zeroblob(2049))"]
)
@pytest.mark.parametrize(("texts", "numbers"), [(["gene"], []), ([], ["gene"])])
def test_a_view_of_long_values_is_one_sentence(tmp_path, value, texts, numbers):
    columns = ", ".join(f"{value} AS c{k}" for k in range(200))
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.execute(f"CREATE VIEW cells AS {ENDLESS} {columns}, {value} AS gene FROM c")
    tracemalloc.start()
    header = table_formats.header_of(tmp_path / "a.db", "a.db", "cells")
    assert set(header.kinds.values()) == {"other"}
    with pytest.raises(InputError, match=r"table a\.db: found a value of more than 4,096 bytes, e"):
        list(table_formats.batches_of(tmp_path / "a.db", "a.db", "cells", texts, numbers))
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_no_more_of_a_view_is_held_than_may_be(tmp_path, monkeypatch):
    monkeypatch.setattr(table_formats, "_VALUES_AT_ONCE", 2000)
    view = f"{ENDLESS} hex(randomblob(2000)) AS gene, x FROM c LIMIT 10000"
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.execute(f"CREATE VIEW cells AS {view}")
    tracemalloc.start()
    batches = table_formats.batches_of(tmp_path / "a.db", "a.db", "cells", ["gene"], ["x"])
    assert sum(len(batch) for batch in batches) == 10_000
    assert tracemalloc.get_traced_memory()[1] < 2000 * 4096
    tracemalloc.stop()


def test_pictures_in_a_database_are_no_columns_that_are_read(tmp_path):
    """As CellProfiler writes them; the text of the schema is longer than any value may be."""
    features = ", ".join(f"Image_Texture_SumEntropy_DNA_{k:04} FLOAT" for k in range(300))
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.execute(
            f"CREATE TABLE Per_Image (picture MEDIUMBLOB, Well VARCHAR(3), {features})"
        )
        row = "INSERT INTO Per_Image (picture, Well) VALUES (?, ?)"
        database.executemany(row, [(b"\x89PNG" * 10_000, "A01"), (b"\x89PNG" * 10_000, "A02")])
        database.commit()
    header = table_formats.header_of(tmp_path / "a.db", "a.db", "Per_Image")
    assert (header.kinds["picture"], header.kinds["Well"]) == ("other", "text")
    batches = table_formats.batches_of(tmp_path / "a.db", "a.db", "Per_Image", ["Well"], [])
    assert pa.concat_tables(batches)["Well"].to_pylist() == ["A01", "A02"]


def test_answers_of_many_brackets_are_no_json():
    with (
        raw_server(lambda c, request, n: c.sendall(answer(200, b"[" * 200_000))) as server,
        pytest.raises(InputError, match="no JSON"),
    ):
        read_json(f"{server.address}/a", ARCHIVE)
