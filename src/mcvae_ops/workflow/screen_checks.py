"""Checks of a screen: its channels, tiles, images and wells."""

from collections import Counter

from mcvae_ops.archive.image_places import check_address
from mcvae_ops.archive.patterns import well_name
from mcvae_ops.errors import InputError
from mcvae_ops.screen import (
    ALL_TILES,
    channels_from,
    crops_are_given,
    folder_name,
    tile_numbers,
    tile_shape,
)
from mcvae_ops.tiles.chain import resolve_chain
from mcvae_ops.workflow.key_errors import missing, wrong


def check_channels(config: dict) -> None:
    """Refuse channels of one name or place, and an alignment of channels that are none."""
    channels = config["screen"]["channels"]
    names = [channel["name"] for channel in channels]
    places = [
        f"index {channel['index']} of group {channel['group']}"
        for channel in channels
        if channel["index"] is not None
    ]
    for label, number in [*Counter(names).items(), *Counter(places).items()]:
        if number > 1:
            raise InputError.twice(
                where="configuration key screen.channels",
                what=label,
                fix="correct or remove one of them",
            )
    measure, in_register = config["alignment"]["measure"], config["alignment"]["in_register"]
    for key, wanted, fix in (
        ("reference", [config["alignment"]["reference"]], "correct its name"),
        ("measure", [*measure, *measure.values()], "correct its name, or drop the entry with null"),
        ("in_register", [] if in_register == "all" else in_register, "correct its name"),
    ):
        for channel in wanted:
            if channel not in names:
                expected = f"a channel of the screen ({', '.join(names)})"
                raise wrong(f"alignment.{key}", f"channel {channel!r}", expected, fix)


def check_chain(config: dict) -> None:
    """Refuse a channel without a way to the reference; told before the first job."""
    resolve_chain(channels_from(config["screen"]["channels"]), config["alignment"])


def check_tiles(config: dict) -> None:
    """Refuse tiles that are none, or of no size where one is needed, and crops beyond them."""
    screen = config["screen"]
    if screen["tiles"] == ALL_TILES and config["source"] == "embeddings":
        tiles = []  # the tables say them
    elif not (tiles := tile_numbers(screen["tiles"])):
        raise wrong(
            "screen.tiles",
            repr(screen["tiles"]),
            "ranges whose first tile is not above the last",
            "correct them",
        )
    _check_grid(screen, tiles)
    if screen["tile_size_px"] is None:
        if config["source"] not in ("crops", "embeddings"):
            raise missing(
                "screen.tile_size_px", "a size", "images are read", "set it, in px: [y, x]"
            )
        for key in ("cut_px", "duplicates"):
            if screen[key] is not None:
                raise missing(
                    "screen.tile_size_px",
                    "a size",
                    f"screen.{key} needs it",
                    "set it, in px: [y, x]",
                )
        return
    size_px = min(tile_shape(screen["tile_size_px"]))
    if config["crop"]["size_px"] > size_px:
        raise wrong(
            "crop.size_px",
            str(config["crop"]["size_px"]),
            f"at most the tile size ({size_px} px)",
            "make the crops smaller",
        )


def _check_grid(screen: dict, tiles: list[int]) -> None:
    grid = screen["well_grid"]
    if grid is None:
        if screen["duplicates"] is not None:
            raise missing(
                "screen.well_grid",
                "a grid",
                "screen.duplicates compares places of cells in the well",
                "set it, or set screen.duplicates to null",
            )
        return
    if screen["cut_px"] is not None:
        raise wrong(
            "screen.well_grid",
            "a grid beside screen.cut_px",
            "null: a stitched well is cut into tiles row by row",
            "set it to null",
        )
    first = grid["first_tile"]
    last = first + sum(grid["column_heights"]) - 1
    for tile in tiles[:1] + tiles[-1:]:
        if not first <= tile <= last:
            raise wrong(
                "screen.tiles",
                str(tile),
                f"tiles of the well grid ({first} to {last})",
                "correct it, or column_heights or first_tile of screen.well_grid",
            )


def check_images(config: dict) -> None:
    """Refuse an address of images that cannot be read, or wells that are named twice."""
    screen = config["screen"]
    if config["source"] not in ("crops", "embeddings") and not crops_are_given(config["cells"]):
        check_address(screen)
    for plate, wells in screen["plates"].items():
        # A simulated archive names its folders after the plates.
        if config["source"] == "simulated" and any(n != folder_name(n) for n in (plate, *wells)):
            raise wrong(
                "screen.plates",
                repr(plate),
                "names of letters, digits, _, - and . on a simulated screen",
                "rename it",
            )
        for name, number in Counter(map(well_name, wells)).items():
            if number > 1:
                raise InputError.twice(
                    where=f"configuration key screen.plates.{plate}",
                    what=f"well {name}",
                    fix="remove one of them: A1, A01 and r01c01 are one well",
                )
