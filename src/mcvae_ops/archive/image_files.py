"""The images of a screen among the files of an archive: chosen by their path, in one table."""

import difflib
import logging
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import pandas as pd

from mcvae_ops.archive.addresses import split_address
from mcvae_ops.archive.image_places import (
    Places,
    as_recorded,
    check_address,
    is_plate,
    screen_of_masks,
)
from mcvae_ops.archive.ngff import attributes, fields_of_plate, open_store
from mcvae_ops.archive.patterns import Pattern, is_too_long, is_zarr, well_name
from mcvae_ops.archive.sources import Source
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_csv, write_parquet
from mcvae_ops.screen import tile_numbers

logger = logging.getLogger(__name__)

COLUMNS = ["path", "size_bytes", "plate", "well", "tile", "group"]
_KEYS = {"plate": "screen.plates", "well": "screen.plates", "channel": "screen.channels"}


@dataclass
class LeftOut:
    """Files that are no images of the screen, counted by the reason.

    Attributes
    ----------
    n_files, size_bytes, example
        By reason.
    values
        By the field whose value is not of the screen: how many files have each value.
    """

    n_files: Counter = field(default_factory=Counter)
    size_bytes: Counter = field(default_factory=Counter)
    example: dict[str, str] = field(default_factory=dict)
    values: dict[str, Counter] = field(default_factory=dict)

    def add(self, reason: str, path: str, size_bytes: int, found: str = "") -> None:
        """Count a file; a reason ``another plate`` also counts the plate that was found."""
        self.n_files[reason] += 1
        self.size_bytes[reason] += max(size_bytes, 0)
        self.example.setdefault(reason, path)
        self.values.setdefault(reason.removeprefix("another "), Counter())[found] += 1

    def table(self) -> pd.DataFrame:
        """Return columns kind, n_files, size_bytes and example, the most frequent kind first."""
        rows = [
            (reason, n_files, self.size_bytes[reason], self.example[reason])
            for reason, n_files in self.n_files.most_common()
        ]
        return pd.DataFrame(rows, columns=["kind", "n_files", "size_bytes", "example"])


def cut_tiles(table: pd.DataFrame, screen: dict) -> pd.DataFrame:
    """Return one row per tile where a stitched well is cut into tiles, all of one image."""
    if screen["cut_px"] is None:
        return table
    tiles = pd.DataFrame({"tile": pd.array(tile_numbers(screen["tiles"]), "int32")})
    cut = table.drop(columns="tile").merge(tiles.astype("int32"), how="cross")
    return cut[table.columns].sort_values(["plate", "well", "tile", "group"], ignore_index=True)


def select_files(entries: Iterable[tuple[str, int]], screen: dict) -> tuple[pd.DataFrame, LeftOut]:
    """Keep the files whose path names a plate, well, tile and channel of the screen.

    Parameters
    ----------
    entries
        (path, size in bytes) of the archive's files.
    screen
        images (the `Pattern` of their paths), plates, tiles and channels of the configuration.

    Returns
    -------
    Columns path, size_bytes, plate, well, tile, group (the channel of the path); and what was left
    out.
    """
    pattern, places = Pattern(screen["images"]), Places(screen)
    exact, loose = pattern.regex(places.known()), pattern.regex()
    rows, left_out = [], LeftOut()
    for path, size_bytes in entries:
        fits = not is_too_long(path)
        match = (exact.fullmatch(path) or loose.fullmatch(path)) if fits else None
        if match is None:
            left_out.add("path does not match", path, size_bytes)
            continue
        place = places.complete(match.groupdict())
        if foreign := places.foreign_field(place):
            left_out.add(f"another {foreign}", path, size_bytes, place[foreign])
            continue
        well = places.wells[place["plate"]][place["well"]]
        # Interned, because 130,662 rows repeat a few names.
        names = map(sys.intern, (place["plate"], well, place["channel"]))
        rows.append((path, size_bytes, int(place["tile"]), *names))
    return _table(rows), left_out


def plate_fields(source: Source, screen: dict) -> tuple[pd.DataFrame, LeftOut]:
    """Return the fields of plates in OME-Zarr, as `select_files` returns files.

    Only the metadata of the configured wells are read; images have no size, because they are read
    by windows.
    """
    pattern, places = Pattern(screen["images"]), Places(screen)
    rows, left_out = [], LeftOut()
    for plate, wells in places.wells.items():
        path = pattern.fill({"plate": plate})

        def is_wanted(name: str, wells: dict = wells, path: str = path) -> bool:
            if well_name(name) in wells:
                return True
            left_out.add("another well", path, 0, well_name(name))
            return False

        fields = fields_of_plate(source.address(path), source.archive, is_wanted)
        for well, tile, below in fields:
            if tile not in places.tiles:
                left_out.add("another tile", f"{path}/{below}", 0, str(tile))
                continue
            channel = places.channels[0]
            rows.append((f"{path}/{below}", 0, tile, plate, wells[well_name(well)], channel))
    return _table(rows), left_out


def single_images(source: Source, screen: dict) -> tuple[pd.DataFrame, LeftOut]:
    """Return images in OME-Zarr whose addresses name well and tile, as `select_files` does."""
    pattern, places, rows = Pattern(screen["images"]), Places(screen), []
    for place in places.all():
        path = pattern.fill(place)
        store, below = open_store(source.address(path), source.archive)
        with suppress(InputError):
            attributes(store, below)
            names = (place[name] for name in ("tile", "plate", "well", "channel"))
            rows.append((path, 0, *names))
    return _table(rows), LeftOut()


def list_files(
    archive: dict, screen: dict, manifest: str, left_out: str, key: str = "screen.images"
) -> None:
    """Rule list_files: one row per image of the screen; and what was left out, by kind.

    Parameters
    ----------
    archive
        Section of the configuration: ``root`` and ``files`` (see `Source`), and how to fetch files.
    screen
        images, plates, tiles, cut_px and channels of the configuration; images lie below the root
        unless their address is absolute.
    manifest, left_out
        Outputs: the images (parquet), and the other files, counted by kind (TSV).
    key
        The key that has the address, for errors.

    Raises
    ------
    InputError
        If a plate, well or channel has no file, a file has no size, or two claim one place.
    """
    root, images = split_address(archive["root"], screen["images"])
    check_address(screen, key)
    screen, whole = as_recorded(screen | {"images": images}), screen
    source = Source(root, archive["files"], archive)
    pattern = Pattern(images, f"configuration key {key}")
    if not is_zarr(images):
        entries = source.entries(pattern, list(Places(screen).all()))
        table, rest = select_files(entries, screen)
    elif is_plate(pattern):
        table, rest = plate_fields(source, screen)
    else:
        table, rest = single_images(source, screen)
    check_files(table, rest, source.name, screen, key)
    for row in rest.table().itertuples():
        logger.info("%d files left out: %s (as %s)", row.n_files, row.kind, row.example)
    table.insert(1, "address", [source.address(path) for path in table["path"]])
    _log_counts(table, screen)
    write_parquet(cut_tiles(table, whole), manifest)
    write_csv(rest.table(), left_out)


def list_masks(archive: dict, screen: dict, masks: dict, manifest: str, left_out: str) -> None:
    """Rule list_masks: one row per mask of the screen's tiles, as `list_files` lists images.

    Parameters
    ----------
    archive, screen
        See `list_files`.
    masks
        address of the masks, and the key that has it.
    manifest, left_out
        Outputs.
    """
    of_masks = screen_of_masks(screen, masks["address"])
    list_files(archive, of_masks, manifest, left_out, masks["key"])


def check_files(
    table: pd.DataFrame, rest: LeftOut, where: str, screen: dict, key: str = "screen.images"
) -> None:
    """Raise an `InputError` if a plate, well or channel has no file, or a file no or two places."""
    if table.empty:
        reasons = ", ".join(f"{n} {kind}" for kind, n in rest.n_files.most_common())
        example = next(iter(rest.example.values()), "")
        raise InputError(
            where=where,
            found=f"no image of the screen ({reasons or 'no file at all'})"
            + (f", as {example}" if example else ""),
            expected=f"paths like {screen['images']}",
            fix=f"correct {key} or screen.plates",
        )
    if not is_zarr(screen["images"]) and (table["size_bytes"] < 0).any():
        raise InputError(
            where=where,
            found=f"no size of {table['path'][table['size_bytes'] < 0].iloc[0]}",
            expected="the size of every file in bytes",
            fix="place a table with the columns path and size by hand and name it in archive.files",
        )
    places = ["plate", "well", "tile", "group"]
    twice = table[table.duplicated(places, keep=False)].sort_values(places)
    if len(twice):
        raise InputError(
            where=where,
            found=f"{twice['path'].iloc[0]} and {twice['path'].iloc[1]}",
            expected="one file per plate, well, tile and channel",
            fix=f"make {key} more exact",
        )
    _check_complete(table, rest, where, Places(screen), key)


def _check_complete(
    table: pd.DataFrame, rest: LeftOut, where: str, places: Places, key: str
) -> None:
    """Raise an `InputError` for the first plate, well or channel without a file."""
    wells = set(zip(table["plate"], table["well"], strict=True))
    for plate, names in places.wells.items():
        if plate not in {plate for plate, _ in wells}:
            raise _without_files("plate", plate, rest, where, key)
        for well in names.values():
            if (plate, well) not in wells:
                raise _without_files("well", well, rest, where, key, f" of plate {plate}")
    channels = set(table["group"])
    for channel in places.channels:
        if channel not in channels:
            raise _without_files("channel", channel, rest, where, key)


def _without_files(
    kind: str, value: str, rest: LeftOut, where: str, key: str, of_what: str = ""
) -> InputError:
    others = rest.values.get(kind, Counter())
    lower = {other.lower(): other for other in others}
    near = difflib.get_close_matches(value.lower(), lower, n=1)
    found, fix = f"no file of {kind} {value}{of_what}", f"correct {key} or {_KEYS[kind]}"
    if near:
        other = lower[near[0]]
        found += f", but {others[other]} files of {other}"
        fix = f"write {other} in {_KEYS[kind]} if it is meant"
    return InputError(
        where=where, found=found, expected=f"files of every {kind} of the screen", fix=fix
    )


def _table(rows: list[tuple]) -> pd.DataFrame:
    columns = ["path", "size_bytes", "tile", "plate", "well", "group"]
    table = pd.DataFrame(rows, columns=columns).astype({"size_bytes": "int64", "tile": "int32"})
    return table[COLUMNS].sort_values(["plate", "well", "tile", "group"], ignore_index=True)


def _log_counts(table: pd.DataFrame, screen: dict) -> None:
    tiles = table.groupby(["plate", "well", "tile"]).size()
    wells = table[["plate", "well"]].drop_duplicates()
    n_expected = len(tile_numbers(screen["tiles"])) * sum(map(len, screen["plates"].values()))
    logger.info("%d files, %d wells, %d tiles, %.3g GB", len(table), len(wells), len(tiles),
                table["size_bytes"].sum() / 1e9)  # fmt: skip
    if n_expected > len(tiles):
        logger.warning("%d of %d tiles have no file", n_expected - len(tiles), n_expected)
    if incomplete := (tiles < table["group"].nunique()).sum():
        logger.warning("%d tiles lack a file", incomplete)
