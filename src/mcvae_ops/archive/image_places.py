"""The places of a screen's images: its plates, wells, tiles and channels, as paths spell them."""

from collections.abc import Iterator, Mapping
from itertools import product

from mcvae_ops.archive.patterns import Pattern, is_zarr, row_and_column, well_name, well_of
from mcvae_ops.errors import InputError
from mcvae_ops.screen import tile_numbers


class Places:
    """The plates, wells, tiles and channels of a screen, as a path may spell them.

    Parameters
    ----------
    screen
        plates, tiles and channels of the configuration.
    """

    def __init__(self, screen: dict) -> None:
        self.wells = {
            plate: {well_name(well): well for well in wells}
            for plate, wells in screen["plates"].items()
        }
        self.tiles = frozenset(tile_numbers(screen["tiles"]))
        self.first_tile = str(min(self.tiles))
        self.channels = list(dict.fromkeys(channel["group"] for channel in screen["channels"]))

    def known(self) -> dict[str, list[str]]:
        """Return the values that settle what a pattern leaves open."""
        return {"plate": list(self.wells), "channel": self.channels}

    def all(self) -> Iterator[dict]:
        """Yield the values that fill a pattern, for every place of the screen."""
        for plate, wells in self.wells.items():
            for well, tile, channel in product(wells.values(), sorted(self.tiles), self.channels):
                row, column = row_and_column(well)
                yield {"plate": plate, "well": well, "row": row, "column": column, "tile": tile,
                       "channel": channel}  # fmt: skip

    def complete(self, found: Mapping[str, str]) -> dict[str, str]:
        """Return plate, well (in its one form), channel and tile of a path.

        A field that the pattern lacks means the only value of the configuration.
        """
        plate = found.get("plate", next(iter(self.wells)))
        only_well = next(iter(self.wells.get(plate, {})), "")
        return {
            "plate": plate,
            "well": well_of(found) or only_well,
            "channel": found.get("channel", self.channels[0]),
            "tile": found.get("tile", self.first_tile),
        }

    def foreign_field(self, place: Mapping[str, str]) -> str | None:
        """Return the first field of a place whose value is not of the screen."""
        if place["plate"] not in self.wells:
            return "plate"
        if place["well"] not in self.wells[place["plate"]]:
            return "well"
        if place["channel"] not in self.channels:
            return "channel"
        # Digits beyond those of any tile are no number of a tile.
        is_tile = len(place["tile"]) <= 9 and int(place["tile"]) in self.tiles
        return None if is_tile else "tile"


def as_recorded(screen: dict) -> dict:
    """Return a screen with the tiles that are recorded as images: a stitched well is one."""
    return screen if screen["cut_px"] is None else screen | {"tiles": "0"}


def screen_of_masks(screen: dict, address: str) -> dict:
    """Return a screen whose images are masks: one channel, in files of their own."""
    return screen | {"images": address, "channels": [{"name": "mask", "group": "mask"}]}


def is_plate(pattern: Pattern) -> bool:
    """Say whether an address is that of plates in OME-Zarr: their metadata name the fields."""
    return is_zarr(pattern.text) and pattern.fields <= {"plate"}


def check_address(screen: dict, key: str = "screen.images") -> None:
    """Raise an `InputError` if a path would not say which plate, well, tile or channel it is of.

    Parameters
    ----------
    screen
        images, plates, tiles, cut_px and channels of the configuration.
    key
        The key that has the address, for errors.
    """
    pattern = Pattern(screen["images"], f"configuration key {key}")
    places = Places(as_recorded(screen))
    several = {
        "plate": len(places.wells) > 1,
        "well": max(map(len, places.wells.values())) > 1,
        "tile": len(places.tiles) > 1,
        "channel": len(places.channels) > 1,
    }
    fields = set(pattern.fields) | ({"well", "tile"} if is_plate(pattern) else set())
    if {"row", "column"} <= fields:
        fields.add("well")
    if missing := [name for name, needed in several.items() if needed and name not in fields]:
        raise InputError(
            where=pattern.where,
            found=f"{pattern.text}, without {{{missing[0]}}}",
            expected=f"{{{missing[0]}}}, because the screen has several",
            fix="add the field",
        )
