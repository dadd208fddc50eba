"""A flipped bit is noticed in every kind of file; all that is read comes from one reader."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save

from mcvae_ops.errors import InputError
from mcvae_ops.files import count_rows, read_frame, read_note, read_schema, write_note
from mcvae_ops.models.safetensors_files import read_safetensors
from mcvae_ops.weights_header import json_header
from tests.conftest import ROOT
from tests.helpers.bit_flips import KINDS, NOTICED, embedding, exported_weights, flips

# They read files of others, and say in their own words what is wrong with them.
OF_OTHERS = {
    "files.py",
    "content.py",
    "parquet_tables.py",
    "list_formats.py",
    "profile_tables.py",
    "sources.py",
    "table_guess.py",
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_flipped_bit_is_noticed(tmp_path, kind):
    assert flips(kind, 60, tmp_path) == {NOTICED: 60}


def test_exported_weights_without_a_digest_are_read(tmp_path):
    export = exported_weights(tmp_path).path
    header = json_header(export.read_bytes())
    export.write_bytes(save({"network.a": torch.ones(2)}, {"mcvae_ops": json.dumps(header)}))
    assert read_safetensors(export, "cpu")["channels"] == ["DAPI", "GFP"]


@pytest.mark.parametrize("n_bytes", [0, 5, 100, -1, -50])
def test_a_file_that_is_cut_is_noticed(tmp_path, n_bytes):
    path = embedding(tmp_path).path
    path.write_bytes(path.read_bytes()[:n_bytes])
    for read in (read_frame, read_schema, count_rows):
        with pytest.raises(InputError, match="delete it, and Snakemake makes it again"):
            read(path)


def test_files_of_others_are_read_and_ours_by_others(tmp_path):
    table = pa.table({"a": np.arange(10), "b": ["x"] * 10})
    pq.write_table(table, tmp_path / "other.parquet")
    assert read_frame(tmp_path / "other.parquet", ["a"])["a"].tolist() == list(range(10))
    path = embedding(tmp_path).path
    assert pq.read_table(path).num_rows == count_rows(path) == len(read_frame(path))


def test_a_missing_file_is_said_by_its_name(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_frame(tmp_path / "none.parquet")
    assert read_note(tmp_path / "none.json") is None


@pytest.mark.parametrize("content", [b"", b"{}", b"{", b"\xff\xfe", b"a\n{}", b"\n"])
def test_a_damaged_note_is_none(tmp_path, content):
    path = tmp_path / "note.json"
    write_note({"a": [1, "ü"]}, path)
    assert read_note(path) == {"a": [1, "ü"]}
    path.write_bytes(content)
    assert read_note(path) is None


def test_every_parquet_file_is_read_by_one_reader():
    reader = re.compile(r"\bpq\.(read_\w+|Parquet\w+)|\bpd\.read_parquet")
    for path in (ROOT / "src").rglob("*.py"):
        if path.name not in OF_OTHERS:
            assert not reader.findall(path.read_text()), path
