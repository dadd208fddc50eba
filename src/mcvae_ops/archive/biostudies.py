"""The study: which of its files are images of the screen, and where they lie.

BioStudies JSON has a trap: an element of ``subsections`` or ``files`` is an object or a list of
objects, and values can be null.
"""

import json
import logging
import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from mcvae_ops.archive.transfer import is_remote, local_path, opened, read_json
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet

logger = logging.getLogger(__name__)

_BLOCK_CHARACTERS = 1 << 20
_FIELDS = ("plate", "well", "tile", "group", "acquisition")


def pattern_regex(pattern: str) -> re.Pattern:
    """Turn a path pattern into a regular expression with one named group per field.

    A tile is made of digits, other names hold no slash; a field that occurs twice must read the
    same both times.

    Raises
    ------
    InputError
        If the pattern has a field that is not known, or lacks one that is needed.
    """
    parts, seen = [], set()
    for text, field, _, _ in string.Formatter().parse(pattern):
        parts.append(re.escape(text))
        if field is None:
            continue
        if field not in _FIELDS:
            raise _wrong_pattern(f"{{{field}}}")
        kind = "[0-9]+" if field == "tile" else "[^/]+?"
        parts.append(f"(?P={field})" if field in seen else f"(?P<{field}>{kind})")
        seen.add(field)
    if missing := {"plate", "well", "tile", "group"} - seen:
        raise _wrong_pattern(f"no {{{min(missing)}}}")
    return re.compile("".join(parts))


def select_files(entries: Iterable[tuple[str, int]], screen: dict) -> tuple[pd.DataFrame, Counter]:
    """Keep the files whose path names a plate, well, tile and channel group of the screen.

    Parameters
    ----------
    entries
        (path, size in bytes) of the archive's files.
    screen
        Section of the configuration.

    Returns
    -------
    Columns path, size_bytes, plate, well, tile, group; and how many files were left out, by kind.
    """
    regex = pattern_regex(screen["path_pattern"])
    groups = {channel["group"] for channel in screen["channels"]}
    rows, left_out = [], Counter()
    for path, size_bytes in entries:
        match = regex.fullmatch(path)
        found = match.groupdict() if match else {}
        kind = _why_left_out(found, screen, groups)
        if kind:
            left_out[kind] += 1
        else:
            rows.append((path, size_bytes, found["plate"], found["well"], found["tile"],
                         found["group"]))  # fmt: skip
    columns = ["path", "size_bytes", "plate", "well", "tile", "group"]
    table = pd.DataFrame(rows, columns=columns).astype({"size_bytes": "int64", "tile": "int32"})
    return table.sort_values(["plate", "well", "tile", "group"], ignore_index=True), left_out


def stream_array(path: str | Path) -> Iterator:
    """Yield the elements of a JSON array one by one: a file list can be larger than memory."""
    decoder, buffer, position = json.JSONDecoder(), "", 0
    with open(path, encoding="utf-8") as handle:
        if handle.read(1) != "[":
            raise InputError(str(path), "no JSON array", "a list of files", "replace the file")
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
                if not more:
                    raise InputError(
                        str(path), "a JSON array that breaks off", "a whole one", "fetch it again"
                    ) from None
                buffer, position = buffer[position:] + more, 0


def sections_of(study: dict) -> Iterator[dict]:
    """Yield the section of a study and all sections below it."""
    waiting = [study.get("section")]
    while waiting:
        for section in flat(waiting.pop()):
            yield section
            waiting.append(section.get("subsections"))


def flat(value) -> Iterator[dict]:
    """Yield the objects of what may be an object, a list (of lists) of them, or null."""
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from flat(item)


def file_lists_of(study: dict) -> list[str]:
    """Return the names of the file lists that a study refers to."""
    return [
        attribute["value"]
        for section in sections_of(study)
        for attribute in flat(section.get("attributes"))
        if str(attribute.get("name")).casefold() == "file list" and attribute.get("value")
    ]


def files_root(study: str) -> str:
    """Return the address below which a study's files lie, with a slash at its end."""
    if is_remote(study):
        return read_json(f"{study.rstrip('/')}/info")["httpLink"].rstrip("/") + "/Files/"
    return (local_path(study).resolve().parent / "Files").as_uri() + "/"


def study_entries(study: str, root: str) -> Iterator[tuple[str, int]]:
    """Yield (path, size in bytes) of all files that a study names, in its lists or itself."""
    content = read_json(study)
    if "ftpHttp_link" in content:
        accession = content.get("accno") or study.rstrip("/").rpartition("/")[2]
        content = read_json(f"{content['ftpHttp_link'].rstrip('/')}/{accession}.json")
    for section in sections_of(content):
        yield from map(_entry, flat(section.get("files")))
    for name in file_lists_of(content):
        # A list handed in as .tsv is published as .json too, with the sizes.
        with opened(root + quote(str(Path(name).with_suffix(".json")))) as path:
            for element in stream_array(path):
                yield from map(_entry, flat(element))


def table_entries(path: str) -> list[tuple[str, int]]:
    """Return (path, size in bytes) of a hand-placed table of files (parquet, or tsv)."""
    is_parquet = path.endswith((".parquet", ".pq"))
    table = pd.read_parquet(path) if is_parquet else pd.read_csv(path, sep="\t")
    if missing := {"path", "size"} - set(table.columns):
        raise InputError(
            path, f"no column {min(missing)!r}", "columns path and size", "add the column"
        )
    return list(zip(table["path"], table["size"].astype("int64"), strict=True))


def list_files(study: str, files: str | None, screen: dict, manifest: str) -> None:
    """Rule list_files: one row per image file of the screen.

    Raises
    ------
    InputError
        If no file belongs to the screen, or two files claim the same place.
    """
    root = files_root(study)
    entries = study_entries(study, root) if files is None else table_entries(files)
    table, left_out = select_files(entries, screen)
    for kind, n in sorted(left_out.items()):
        logger.info("%d files left out: %s", n, kind)
    if table.empty:
        kinds = ", ".join(f"{n} {kind}" for kind, n in left_out.most_common())
        raise InputError(
            files or study,
            f"no image of the screen ({kinds or 'no file at all'})",
            f"paths like {screen['path_pattern']}",
            "correct screen.path_pattern, screen.plates or screen.acquisition",
        )
    place = ["plate", "well", "tile", "group"]
    if table.duplicated(place).any():
        twice = table[table.duplicated(place, keep=False)]
        raise InputError(
            files or study,
            f"{twice['path'].iloc[0]} and {twice['path'].iloc[1]}",
            "one file per plate, well, tile and channel group",
            "make screen.path_pattern more exact",
        )
    table.insert(1, "address", [root + quote(path) for path in table["path"]])
    tiles = table.groupby(["plate", "well", "tile"]).size()
    n_groups = table["group"].nunique()
    wells = table[["plate", "well"]].drop_duplicates()
    logger.info("%d files, %d wells, %d tiles, %.3g GB", len(table), len(wells), len(tiles),
                table["size_bytes"].sum() / 1e9)  # fmt: skip
    if (tiles < n_groups).any():
        logger.warning("%d tiles lack a file", (tiles < n_groups).sum())
    write_parquet(table, manifest)


def _entry(element: dict) -> tuple[str, int]:
    return element["path"], int(element.get("size") or 0)


def _why_left_out(found: dict, screen: dict, groups: set[str]) -> str:
    if not found:
        return "path does not match"
    if found["plate"] not in screen["plates"]:
        return "another plate"
    if found["well"] not in screen["plates"][found["plate"]]:
        return "another well"
    if found.get("acquisition", screen["acquisition"]) != screen["acquisition"]:
        return "another acquisition"
    if found["group"] not in groups:
        return "another channel group"
    if not screen["tiles"]["first"] <= int(found["tile"]) <= screen["tiles"]["last"]:
        return "another tile"
    return ""


def _wrong_pattern(found: str) -> InputError:
    return InputError(
        "configuration key screen.path_pattern",
        found,
        "the fields {plate}, {well}, {tile}, {group} and, if need be, {acquisition}",
        "correct the pattern",
    )
