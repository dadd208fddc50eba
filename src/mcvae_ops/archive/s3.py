"""Public buckets of S3: the addresses of their objects, and what lies below a prefix.

Requests are anonymous. The variable AWS_ENDPOINT_URL names another service than Amazon's, as it
does for the programs of AWS.
"""

import os
from collections.abc import Iterator
from urllib.parse import quote, unquote_plus, urlencode
from xml.etree import ElementTree

from mcvae_ops.archive.transfer import read_range
from mcvae_ops.errors import InputError

SCHEME = "s3://"


def is_s3(address: str) -> bool:
    """Say whether an address is that of a bucket."""
    return address.startswith(SCHEME)


def object_url(address: str) -> str:
    """Return the https address of ``s3://bucket/key``; the key is quoted."""
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    return f"{_bucket_url(bucket)}/{quote(key)}"


def list_objects(address: str, archive: dict) -> Iterator[tuple[str, int]]:
    """Yield (key, size in bytes) of the objects whose key begins with a prefix.

    Parameters
    ----------
    address
        ``s3://bucket/prefix``.
    archive
        Section of the configuration.

    Raises
    ------
    InputError
        If the bucket may not be listed, or answers with something else.
    TransferError
        If it does not answer.
    """
    bucket, _, prefix = address.removeprefix(SCHEME).partition("/")
    query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
    while True:
        url = f"{_bucket_url(bucket)}/?{urlencode(query)}"
        page = _page(read_range(url, archive), address, url)
        for entry in page.iter("Contents"):
            yield unquote_plus(entry.findtext("Key")), int(entry.findtext("Size"))
        if page.findtext("IsTruncated") != "true":
            return
        query["continuation-token"] = page.findtext("NextContinuationToken")


def _page(answer: tuple[bytes, int | None] | None, address: str, url: str) -> ElementTree.Element:
    """Parse a page of a listing; its tags lose their name space."""
    try:
        page = ElementTree.fromstring(answer[0] if answer else b"")
        for element in page.iter():
            element.tag = element.tag.rpartition("}")[2]
        if page.tag == "ListBucketResult":
            return page
        found = page.tag
    except ElementTree.ParseError:
        found = "no XML" if answer else "no such bucket"
    raise InputError(
        where=address,
        found=f"{found} at {url}",
        expected="a listing of the bucket",
        fix="correct archive.root, or name a table of files in archive.files",
    )


def _bucket_url(bucket: str) -> str:
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        return f"{endpoint.rstrip('/')}/{bucket}"
    if "." in bucket:  # the certificate of the service holds for one more label only
        return f"https://s3.amazonaws.com/{bucket}"
    return f"https://{bucket}.s3.amazonaws.com"
