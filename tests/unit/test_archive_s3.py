"""Buckets are listed page by page, whatever their keys are called."""

import pytest

from mcvae_ops.archive import transfer
from mcvae_ops.archive.patterns import ZARR
from mcvae_ops.archive.s3 import list_objects, object_url
from mcvae_ops.archive.transfer import fetch
from mcvae_ops.errors import InputError
from tests.helpers.object_server import serving
from tests.helpers.raw_server import answer, raw_server

ARCHIVE = {"streams": 2, "retries": 2, "timeout_s": 5, "keep_raw": False}
KEYS = ["a b/c+d.tif", "a b/e%20f.tif", "a b/ü&<x>.tif", "other/z.tif"]


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "_PATIENCE_S", 0.01)
    for key in KEYS:
        (tmp_path / "pub" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pub" / key).write_bytes(key.encode())
    with serving(tmp_path, page_size=2) as objects:
        monkeypatch.setenv("AWS_ENDPOINT_URL", objects.address)
        yield objects


def test_all_pages_below_a_prefix(bucket):
    listed = dict(list_objects("s3://pub/a b/", ARCHIVE))
    assert listed == {key: len(key.encode()) for key in KEYS[:3]}
    assert len(bucket.requests) == 2
    assert len(dict(list_objects("s3://pub", ARCHIVE))) == 4


def test_a_listed_object_can_be_fetched(bucket, tmp_path):
    for key, size_bytes in list_objects("s3://pub/", ARCHIVE):
        path = fetch(object_url(f"s3://pub/{key}"), tmp_path / "got", ARCHIVE, size_bytes)
        assert path.read_text() == key
        path.unlink()
        (tmp_path / "received.tsv").unlink()


def test_slow_down_is_waited_for_and_a_refusal_is_said(bucket):
    bucket.slow_down = 2
    assert len(dict(list_objects("s3://pub/", ARCHIVE))) == 4
    bucket.slow_down = 3
    with pytest.raises(transfer.TransferError, match="3 times, HTTP 503"):
        dict(list_objects("s3://pub/", ARCHIVE))
    bucket.denied = "pub"
    with pytest.raises(InputError, match=r"HTTP 403 .*AccessDenied"):
        dict(list_objects("s3://pub/", ARCHIVE))


def test_what_is_no_listing_is_said(bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"{bucket.address}/pub/other/z.tif?")
    with pytest.raises(InputError, match="no XML"):
        dict(list_objects("s3://pub/", ARCHIVE))
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.address)
    assert dict(list_objects("s3://empty/", ARCHIVE)) == {}


def test_addresses_of_objects(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert object_url("s3://b/k 1/+.tif") == "https://b.s3.amazonaws.com/k%201/%2B.tif"
    assert object_url("s3://b.c/k") == "https://s3.amazonaws.com/b.c/k"


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        ("<IsTruncated>true</IsTruncated>", "without end"),
        ("<IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken>",
         "without end"),
        ("<Contents><Key>a</Key><Size>\u0661</Size></Contents>", "an object of"),
        ("<Contents><Key>a</Key></Contents>", "an object of"),
    ],
)  # fmt: skip
def test_a_listing_that_is_odd_or_endless_is_said(monkeypatch, inner, words):
    page = f"<ListBucketResult>{inner}</ListBucketResult>".encode()
    with raw_server(lambda c, request, n: c.sendall(answer(200, page))) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        with pytest.raises(InputError, match=words):
            dict(list_objects("s3://pub/", ARCHIVE))


@pytest.mark.parametrize(
    "inner",
    [
        "<Contents><Key>a.zarr/0</Key><Size>1</Size></Contents>",
        "<Contents><Key>{}.zarr/0</Key><Size>1</Size></Contents>",
        "<IsTruncated>true</IsTruncated><NextContinuationToken>{n}</NextContinuationToken>",
        "<Contents><Key>a</Key><Size>1</Size></Contents><IsTruncated>true</IsTruncated>"
        "<NextContinuationToken>{n}</NextContinuationToken>",
    ],
)
def test_a_listing_that_goes_round_in_circles_is_said(monkeypatch, inner):
    """A service that takes no notice of where to go on, or goes on with nothing."""

    def handle(connection, request, n):
        page = f"<ListBucketResult>{inner.format(n % 2, n=n)}</ListBucketResult>"
        connection.sendall(answer(200, page.encode()))

    with raw_server(handle) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        with pytest.raises(InputError, match="without end"):
            list(list_objects("s3://pub/", ARCHIVE, ZARR))
