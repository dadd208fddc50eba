"""The files that a BioStudies study names: in its JSON, in its file lists, or page by page.

An element of ``subsections`` or ``files`` is an object or a list of objects, and values can be
null; a large study answers with a forwarding object. Whatever comes, it gives entries or an
`InputError`.
"""

import csv
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

from mcvae_ops.archive.addresses import is_remote
from mcvae_ops.archive.biostudies import study_address
from mcvae_ops.archive.transfer import LARGEST_LIST_BYTES, opened, read_json
from mcvae_ops.errors import InputError

_BLOCK_CHARACTERS = 1 << 20
_LONGEST_ELEMENT = 1 << 24  # characters
_PAGE = 1000  # the most that the server gives; asked for more, it gives nothing
_LARGEST_BYTES = 1 << 62
UNKNOWN_SIZE = -1


def study_entries(study: str, root: str, archive: dict) -> Iterator[tuple[str, int]]:
    """Yield (path, size in bytes or -1) of all files that a study names.

    Parameters
    ----------
    study
        Accession, or path or address of the study's JSON.
    root
        Address below which its files, and so its file lists, lie; with a slash at its end.
    archive
        Section of the configuration.

    Raises
    ------
    InputError
        If this is no study, or a file has no path.
    """
    study = study_address(study)
    content = _object(read_json(study, archive, LARGEST_LIST_BYTES), study)
    link = content.get("ftpHttp_link")
    if isinstance(link, str) and is_remote(link):  # the files of this machine are not the study's
        accession = content.get("accno") or study.rstrip("/").rpartition("/")[2]
        place = f"{link.rstrip('/')}/{accession}.json"
        content = _object(read_json(place, archive, LARGEST_LIST_BYTES), place)
    named = False
    for section in sections_of(content):
        for element in flat(section.get("files")):
            named = True
            yield _entry(element, study)
    for name in file_lists_of(content):
        named = True
        yield from _list_entries(root, name, archive)
    if not named and is_remote(study):
        yield from _page_entries(study.rstrip("/"), archive)


def sections_of(study: dict) -> Iterator[dict]:
    """Yield the section of a study and all sections below it."""
    waiting = [study.get("section")]
    while waiting:
        for section in flat(waiting.pop()):
            yield section
            waiting.append(section.get("subsections"))


def flat(value) -> Iterator[dict]:
    """Yield the objects of what may be an object, a list (of lists) of them, or null."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
        elif isinstance(item, list):
            waiting.extend(reversed(item))


def file_lists_of(study: dict) -> list[str]:
    """Return the names of the file lists that a study refers to."""
    return [
        attribute["value"]
        for section in sections_of(study)
        for attribute in flat(section.get("attributes"))
        if str(attribute.get("name")).casefold() == "file list"
        and isinstance(attribute.get("value"), str)
        and attribute["value"].strip("/. ")
    ]


def stream_array(path: str | Path) -> Iterator:
    """Yield the elements of a JSON array one by one: a file list can be larger than memory."""
    decoder, buffer, position = json.JSONDecoder(), "", 0
    try:
        with open(path, encoding="utf-8") as handle:
            if handle.read(1) != "[":
                raise InputError(
                    where=str(path),
                    found="no JSON array",
                    expected="a list of files",
                    fix="replace the file",
                )
            while True:
                while position < len(buffer) and buffer[position] in " \t\r\n,":
                    position += 1
                if buffer[position : position + 1] == "]":
                    return
                try:
                    element, position = decoder.raw_decode(buffer, position)
                    yield element
                except json.JSONDecodeError:
                    more = handle.read(_BLOCK_CHARACTERS)
                    if not more or len(buffer) - position > _LONGEST_ELEMENT:
                        raise _broken(path) from None
                    buffer, position = buffer[position:] + more, 0
    except (UnicodeDecodeError, RecursionError):
        raise _broken(path) from None


def stream_table(path: str | Path) -> Iterator[dict]:
    """Yield the rows of a tab-separated file list as path and size."""
    try:
        with open(path, encoding="utf-8", newline="") as handle:
            rows = csv.reader(handle, delimiter="\t")
            header = [name.strip().casefold() for name in next(rows, [])]
            at = next((header.index(name) for name in ("path", "files", "file") if name in header),
                      None)  # fmt: skip
            if at is None:
                raise InputError(
                    where=str(path), found=f"columns {', '.join(header)[:80] or 'none'}",
                    expected="a column path or Files", fix="replace the file list",
                )  # fmt: skip
            size_at = header.index("size") if "size" in header else None
            for row in rows:
                if len(row) > at:
                    known = size_at is not None and len(row) > size_at
                    yield {"path": row[at], "size": row[size_at] if known else None}
    except (UnicodeDecodeError, csv.Error):
        raise _broken(path) from None


def _list_entries(root: str, name: str, archive: dict) -> Iterator[tuple[str, int]]:
    # A list handed in as .tsv is published as .json too, with the sizes.
    as_json = str(Path(name).with_suffix(".json"))
    with ExitStack() as stack:
        read = stream_array
        try:
            path = stack.enter_context(opened(root + _quoted(as_json, root), archive))
        except InputError:
            if as_json == name:
                raise
            path = stack.enter_context(opened(root + _quoted(name, root), archive))
            read = stream_table
        for element in read(path):
            for item in flat(element):
                yield _entry(item, name)


def _page_entries(study: str, archive: dict) -> Iterator[tuple[str, int]]:
    offset, seen = 0, set()
    while True:
        place = f"{study}/files?limit={_PAGE}&offset={offset}"
        page = read_json(place, archive)
        items = page if isinstance(page, list) else None
        if isinstance(page, dict):
            items = next((page[key] for key in ("files", "data") if key in page), None)
        if not isinstance(items, list):
            raise InputError(
                where=place,
                found="no list of files",
                expected="a page of the study's files",
                fix="place a table of files by hand and name it in archive.files",
            )
        if not items:
            return
        entries = [_entry(element, place) for element in flat(items)]
        if hash(tuple(entries)) in seen:
            raise InputError(
                where=place,
                found="an earlier page once more",
                expected="the next files of the study",
                fix="place a table of files by hand and name it in archive.files",
            )
        yield from entries
        seen.add(hash(tuple(entries)))
        offset += len(items)


def _entry(element: dict, where: str) -> tuple[str, int]:
    path, size = element.get("path"), element.get("size")
    if not isinstance(path, str) or not path:
        raise InputError(
            where=where,
            found=f"a file without a path ({str(element)[:80]!r})",
            expected="a path for every file",
            fix="replace the list of files",
        )
    _quoted(path, where)
    if isinstance(size, str) and size.isascii() and size.isdigit():
        size = int(size[:20])
    known = isinstance(size, int) and 0 <= size < _LARGEST_BYTES
    return path, int(size) if known else UNKNOWN_SIZE


def _quoted(path: str, where: str) -> str:
    try:
        return quote(path)
    except UnicodeEncodeError:
        raise InputError(
            where=where,
            found=f"a path that is no text ({path!r:.80})",
            expected="a path",
            fix="replace the list of files",
        ) from None


def _object(content, where: str) -> dict:
    if not isinstance(content, dict):
        raise InputError(
            where=where,
            found=f"{type(content).__name__}",
            expected="a study (a JSON object)",
            fix="correct archive.root",
        )
    return content


def _broken(path: str | Path) -> InputError:
    return InputError(
        where=str(path),
        found="a list of files that breaks off",
        expected="a whole one",
        fix="fetch it again",
    )
