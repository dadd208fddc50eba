"""Public buckets of S3: the addresses of their objects, and what lies below a prefix.

Requests are anonymous. The variable AWS_ENDPOINT_URL names another service than Amazon's, as it
does for the programs of AWS.
"""

import os
import re
from collections.abc import Iterator
from urllib.parse import quote, unquote_plus, urlencode
from xml.etree import ElementTree

from mcvae_ops.archive.transfer import read_range
from mcvae_ops.errors import InputError

SCHEME = "s3://"
_MOST_EMPTY = 100  # pages without a key, one after the other


def is_s3(address: str) -> bool:
    """Say whether an address is that of a bucket."""
    return address.startswith(SCHEME)


def object_url(address: str) -> str:
    """Return the https address of ``s3://bucket/key``; the key is quoted."""
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    return f"{_bucket_url(bucket)}/{quote(key)}"


def list_objects(
    address: str, archive: dict, stores: re.Pattern | None = None
) -> Iterator[tuple[str, int]]:
    """Yield (key, size in bytes) of the objects whose key begins with a prefix.

    Parameters
    ----------
    address
        ``s3://bucket/prefix``.
    archive
        Section of the configuration.
    stores
        What the name of a store of many objects ends with (``.zarr``): each is given once, by its
        key without a slash and with size 0, and its objects are not listed.

    Raises
    ------
    InputError
        If the bucket may not be listed, or answers with something else.
    TransferError
        If it does not answer.
    """
    bucket, _, prefix = address.removeprefix(SCHEME).partition("/")
    query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
    first_keys, n_empty = set(), 0
    while True:
        url = f"{_bucket_url(bucket)}/?{urlencode(query)}"
        page = _page(read_range(url, archive), address, url)
        first_key = page.findtext("Contents/Key")
        n_empty = 0 if first_key else n_empty + 1
        if first_key in first_keys or n_empty > _MOST_EMPTY:
            raise _no_listing(address, "pages that go on without end", url)
        first_keys |= {first_key} if first_key else set()
        store = None
        for entry in page.iter("Contents"):
            key = unquote_plus(entry.findtext("Key", ""))
            if stores is not None and (match := stores.search(key)):
                store = key[: match.end()]
                yield store, 0
                break
            yield key, _size(entry, address)
        if store is not None:
            # Keys come in the order of their bytes, and 0 follows the slash.
            query.pop("continuation-token", None)
            query["start-after"] = f"{store}0"
            continue
        if page.findtext("IsTruncated") != "true":
            return
        token = page.findtext("NextContinuationToken")
        if not token:
            raise _no_listing(address, "pages that go on without end", url)
        query["continuation-token"] = token


def _size(entry: ElementTree.Element, address: str) -> int:
    size = entry.findtext("Size", "")
    if not (size.isascii() and size.isdigit() and len(size) < 19):
        key = entry.findtext("Key", "")[:80]
        raise _no_listing(address, f"an object of {size[:20]!r} bytes", key)
    return int(size)


def _page(answer: tuple[bytes, int | None] | None, address: str, url: str) -> ElementTree.Element:
    """Parse a page of a listing; its tags lose their name space."""
    try:
        page = ElementTree.fromstring(answer[0] if answer else b"")
        for element in page.iter():
            element.tag = element.tag.rpartition("}")[2]
        if page.tag == "ListBucketResult":
            return page
        content = page.tag
    except ElementTree.ParseError:
        content = "no XML" if answer else "no such bucket"
    raise _no_listing(address, content, url)


def _no_listing(address: str, found: str, url: str) -> InputError:
    return InputError(
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
