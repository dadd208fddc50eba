"""The screen's images among a study's files: chosen by their path, put into one table."""

import logging
import re
import string
import sys
from collections import Counter
from collections.abc import Iterable
from urllib.parse import quote

import pandas as pd

from mcvae_ops.archive.pagetab import study_entries
from mcvae_ops.archive.transfer import is_remote, local_path, read_json
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet, write_text
from mcvae_ops.screen import tile_numbers

logger = logging.getLogger(__name__)

_FIELDS = ("plate", "well", "tile", "group", "acquisition")


def pattern_regex(pattern: str, n_groups: int) -> re.Pattern:
    """Turn a path pattern into a regular expression with one named group per field.

    A tile is made of digits, other names hold no slash; a field that occurs twice must read the
    same both times. Where all channels of a tile are in one file (`n_groups` is 1), its path need
    not name the channel group.

    Raises
    ------
    InputError
        If the pattern has a field that is not known, or lacks one that is needed.
    """
    parts, seen = [], set()
    try:
        pieces = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise _wrong_pattern(f"{pattern!r} ({error})") from None
    for text, field, _, _ in pieces:
        parts.append(re.escape(text))
        if field is None:
            continue
        if field not in _FIELDS:
            raise _wrong_pattern(f"{{{field}}}")
        kind = "[0-9]+" if field == "tile" else "[^/]+?"
        parts.append(f"(?P={field})" if field in seen else f"(?P<{field}>{kind})")
        seen.add(field)
    needed = {"plate", "well", "tile"} | ({"group"} if n_groups > 1 else set())
    if missing := needed - seen:
        raise _wrong_pattern(f"no {{{min(missing)}}}")
    return re.compile("".join(parts))


def select_files(
    entries: Iterable[tuple[str, int]], screen: dict
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the files whose path names a plate, well, tile and channel group of the screen.

    Parameters
    ----------
    entries
        (path, size in bytes) of the archive's files.
    screen
        Section of the configuration.

    Returns
    -------
    Columns path, size_bytes, plate, well, tile, group; and what was left out: columns kind,
    n_files, size_bytes, example.
    """
    groups = {channel["group"] for channel in screen["channels"]}
    regex = pattern_regex(screen["path_pattern"], len(groups))
    tiles = frozenset(tile_numbers(screen["tiles"]))
    rows, n_files, size_of, example = [], Counter(), Counter(), {}
    for path, size_bytes in entries:
        match = regex.fullmatch(path)
        found = {"group": next(iter(groups))} | match.groupdict() if match else {}
        kind = _why_left_out(found, screen, groups, tiles)
        if kind:
            n_files[kind] += 1
            size_of[kind] += max(size_bytes, 0)
            example.setdefault(kind, path)
        else:
            # Interned, since 130,662 rows repeat a few names.
            names = (sys.intern(found[field]) for field in ("plate", "well", "group"))
            rows.append((path, size_bytes, int(found["tile"]), *names))
    columns = ["path", "size_bytes", "tile", "plate", "well", "group"]
    table = pd.DataFrame(rows, columns=columns).astype({"size_bytes": "int64", "tile": "int32"})
    table = table[["path", "size_bytes", "plate", "well", "tile", "group"]]
    left_out = [(kind, n, size_of[kind], example[kind]) for kind, n in n_files.most_common()]
    return (
        table.sort_values(["plate", "well", "tile", "group"], ignore_index=True),
        pd.DataFrame(left_out, columns=["kind", "n_files", "size_bytes", "example"]),
    )


def files_root(study: str, archive: dict) -> str:
    """Return the address below which a study's files lie, with a slash at its end."""
    if not is_remote(study):
        return (local_path(study).resolve().parent / "Files").as_uri() + "/"
    info = read_json(f"{study.rstrip('/')}/info", archive)
    if not isinstance(info, dict) or not isinstance(info.get("httpLink"), str):
        raise InputError(
            where=f"{study}/info",
            found="no httpLink",
            expected="the address of the files",
            fix="set archive.root to it",
        )
    return info["httpLink"].rstrip("/") + "/Files/"


def table_entries(path: str) -> list[tuple[str, int]]:
    """Return (path, size in bytes) of a hand-placed table of files (parquet, or tsv)."""
    is_parquet = path.endswith((".parquet", ".pq"))
    try:
        table = pd.read_parquet(path) if is_parquet else pd.read_csv(path, sep="\t")
    except (ValueError, OSError) as error:
        raise InputError(
            where=path, found=f"no table ({error})", expected="parquet or tsv", fix="replace it"
        ) from None
    if missing := {"path", "size"} - set(table.columns):
        raise InputError(
            where=path,
            found=f"no column {min(missing)!r}",
            expected="columns path and size",
            fix="add the column",
        )
    return list(zip(table["path"], table["size"].astype("int64"), strict=True))


def list_files(archive: dict, screen: dict, manifest: str, left_out: str) -> None:
    """Rule list_files: one row per image file of the screen; and what was left out, by kind.

    Parameters
    ----------
    archive
        ``study``: its path or address, not needed where both others are given. ``root``: folder or
        address below which the files lie; None asks the study. ``files``: a hand-placed table of
        files instead of the study's own list, or None. And how files are fetched.
    screen
        ``plates``, ``tiles``, ``path_pattern``, ``acquisition``, ``channels`` of the configuration.
    manifest, left_out
        Outputs: the files (parquet), and the study's other files, counted by kind (TSV).

    Raises
    ------
    InputError
        If no file belongs to the screen, one has no size, or two claim the same place.
    """
    study, root, files = archive["study"], archive["root"], archive["files"]
    if study is None and (root is None or files is None):
        raise InputError(
            where="configuration key archive.study",
            found="nothing",
            expected="a study, or archive.files and archive.root",
            fix="set it",
        )
    root = files_root(study, archive) if root is None else _as_root(root)
    entries = study_entries(study, root, archive) if files is None else table_entries(files)
    table, rest = select_files(entries, screen)
    for row in rest.itertuples():
        logger.info("%d files left out: %s (as %s)", row.n_files, row.kind, row.example)
    check_files(table, rest, files or study, screen["path_pattern"])
    table.insert(1, "address", [root + quote(path) for path in table["path"]])
    tiles = table.groupby(["plate", "well", "tile"]).size()
    wells = table[["plate", "well"]].drop_duplicates()
    logger.info("%d files, %d wells, %d tiles, %.3g GB", len(table), len(wells), len(tiles),
                table["size_bytes"].sum() / 1e9)  # fmt: skip
    if incomplete := (tiles < table["group"].nunique()).sum():
        logger.warning("%d tiles lack a file", incomplete)
    write_parquet(table, manifest)
    write_text(rest.to_csv(sep="\t", index=False), left_out)


def check_files(table: pd.DataFrame, rest: pd.DataFrame, where: str, pattern: str) -> None:
    """Raise an `InputError` if the table is empty, lacks a size, or names a place twice."""
    if table.empty:
        kinds = ", ".join(f"{row.n_files} {row.kind}" for row in rest.itertuples())
        raise InputError(
            where=where,
            found=f"no image of the screen ({kinds or 'no file at all'})",
            expected=f"paths like {pattern}",
            fix="correct screen.path_pattern, screen.plates or screen.acquisition",
        )
    if (table["size_bytes"] < 0).any():
        raise InputError(
            where=where,
            found=f"no size of {table['path'][table['size_bytes'] < 0].iloc[0]}",
            expected="the size of every file in bytes",
            fix="place a table with the columns path and size by hand and name it in archive.files",
        )
    twice = table[table.duplicated(["plate", "well", "tile", "group"], keep=False)]
    if len(twice):
        raise InputError(
            where=where,
            found=f"{twice['path'].iloc[0]} and {twice['path'].iloc[1]}",
            expected="one file per plate, well, tile and channel group",
            fix="make screen.path_pattern more exact",
        )


def _as_root(root: str) -> str:
    root = root if is_remote(root) else local_path(root).resolve().as_uri()
    return root.rstrip("/") + "/"


def _why_left_out(found: dict, screen: dict, groups: set[str], tiles: frozenset[int]) -> str:
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
    # Digits beyond those of any tile are not even turned into a number.
    if len(found["tile"]) > 9 or int(found["tile"]) not in tiles:
        return "another tile"
    return ""


def _wrong_pattern(found: str) -> InputError:
    return InputError(
        where="configuration key screen.path_pattern",
        found=found,
        expected="the fields {plate}, {well}, {tile}, {group} and, if need be, {acquisition}",
        fix="correct the pattern",
    )
