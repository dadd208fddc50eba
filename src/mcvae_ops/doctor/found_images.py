"""The images at an address: which files they are, and what their places say."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mcvae_ops.archive.ngff import attributes, fields_of_plate, open_store
from mcvae_ops.archive.patterns import Pattern, well_name
from mcvae_ops.doctor.image_guess import ImageFacts, plate_channels, read_image, read_store
from mcvae_ops.doctor.listing import Listing
from mcvae_ops.doctor.path_guess import PathGuess, guess_pattern
from mcvae_ops.doctor.path_parts import common_prefix
from mcvae_ops.doctor.path_shapes import is_mask, shapes
from mcvae_ops.doctor.stains import stain_of
from mcvae_ops.doctor.table_guess import TableFacts
from mcvae_ops.errors import InputError

IMAGES = (".tif", ".tiff", ".png")
CUT_PX = 2048
_MOST_WELLS = 96
_MOST_GROUPS = 24  # of which images are read
_MOST_NOTES = 20


@dataclass
class Images:
    """The images at an address.

    Attributes
    ----------
    text
        Pattern of their addresses.
    wells
        Plate to its wells, as the addresses spell them.
    tiles
        Numbers.
    groups
        What ``{channel}`` reads, in order; [""] where all channels are in one file.
    facts
        By group, of some images.
    masks
        Pattern of masks of nuclei or cells; None where there are none.
    n_files, size_bytes, n_other
        Of the pattern, and of images that it does not read.
    notes, questions
        Sentences.
    is_store
        Whether they are OME-Zarr.
    plate_is_read
        Whether the address names the plate.
    """

    text: str
    wells: dict[str, list[str]]
    tiles: list[int]
    groups: list[str] = field(default_factory=lambda: [""])
    facts: dict[str, list[ImageFacts]] = field(default_factory=dict)
    masks: str | None = None
    n_files: int = 0
    size_bytes: int = 0
    n_other: int = 0
    notes: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    is_store: bool = False
    plate_is_read: bool = False
    n_places: int = 0

    @property
    def bytes_of_field(self) -> int:
        """Bytes of the pixels of one field, not compressed."""
        facts = next((one for facts in self.facts.values() for one in facts), None)
        return 0 if facts is None else int(np.prod(facts.shape)) * facts.dtype.itemsize

    @property
    def places(self) -> dict[str, set[str]]:
        """What the names of the images say: plates, wells, tiles."""
        return {
            "plate": set(self.wells),
            "well": {well_name(well) for wells in self.wells.values() for well in wells},
            "tile": {str(tile) for tile in self.tiles},
        }


def find_images(listing: Listing) -> Images | None:
    """Find the images of a listing; None where there are none."""
    if listing.stores:
        return _of_stores(listing)
    entries = [(path, size) for path, size in listing.files if path.lower().endswith(IMAGES)]
    if not entries:
        return None
    pictures = [group for group in shapes(entries) if not is_mask(group[0][0])]
    masks = [group for group in shapes(entries) if is_mask(group[0][0])]
    if not pictures:
        return None
    guess = guess_pattern(pictures[0])
    images = _of_guess(guess)
    images.n_other = sum(map(len, pictures)) - guess.n_files
    if masks:
        found = guess_pattern(masks[0])
        images.masks = found.text.replace("{channel}", "{*}")
        images.notes.append(f"{found.n_files} masks: {found.text}.")
    for group in pictures[1 : _MOST_NOTES + 1]:
        images.notes.append(f"{len(group)} further images are not read, such as {group[0][0]}.")
    if (n_more := sum(map(len, pictures[_MOST_NOTES + 1 :]))) > 0:
        images.notes.append(f"{n_more} images with names of yet other forms are not read.")
    by_group = defaultdict(list)
    for path, place in _samples(pictures[0], guess):
        by_group[place].append(path)
    sizes = dict(pictures[0])
    for group in images.groups[:_MOST_GROUPS]:
        for path in by_group[group]:
            try:
                images.facts.setdefault(group, []).append(read_image(listing, path, sizes[path]))
            except InputError as error:
                images.notes.append(str(error))
    return images


def name_plate(images: Images, tables: Sequence[TableFacts], fallback: str) -> None:
    """Name the plate of images whose addresses do not say it: as a table does, if one does.

    The name may stand in the address, in a part that all images share.
    """
    if images.plate_is_read:
        return
    old = next(iter(images.wells))
    named = [
        set(table.rows[table.roles["plate"]].dropna())
        for table in tables
        if "plate" in table.roles and table.roles["plate"] in table.rows
    ]
    inside = [p for plates in named for p in plates if len(p) > 3 and p in images.text]
    name = next(iter(inside), None)
    if name is not None:
        images.text = images.text.replace(name, "{plate}")
    else:
        alone = [next(iter(plates)) for plates in named if len(plates) == 1]
        name = next(iter(alone), fallback if old == "" else old)
    images.wells = {name: images.wells.pop(old)}


def _of_guess(guess: PathGuess) -> Images:
    wells: dict[str, set[str]] = defaultdict(set)
    for plate, well, _, _ in set(guess.places):
        wells[plate].add(well)
    tiles = sorted({int(tile) for _, _, tile, _ in guess.places if tile}) or [0]
    images = Images(
        guess.text,
        {plate: sorted(names) or ["A1"] for plate, names in sorted(wells.items())},
        tiles,
        sorted(guess.fields.get("channel", [""]), key=_channel_order),
        n_files=guess.n_files,
        size_bytes=guess.size_bytes,
        questions=list(guess.questions),
        plate_is_read="plate" in guess.fields,
        n_places=len({place[:3] for place in guess.places}),
    )
    if "well" not in guess.fields:
        images.wells = {plate: ["A1"] for plate in images.wells}
        images.questions.append("No well stands in the names of the images: all are taken for A1.")
    expected = images.n_places * len(images.groups)
    if guess.n_files < expected:
        images.notes.append(f"{expected - guess.n_files} of {expected} files are not there.")
    return images


def _channel_order(name: str) -> tuple:
    """DNA first, then by number or name."""
    return stain_of(name) != "DNA", (int(name), "") if name.isdecimal() else (0, name)


def _samples(entries: Sequence[tuple[str, int]], guess: PathGuess) -> list[tuple[str, str]]:
    """Return (path, group) of the first and the middle file of each channel, if they are images."""
    regex, by_group = Pattern(guess.text).regex(), defaultdict(list)
    for path, size in entries:
        match = regex.fullmatch(path)
        if match and size:
            by_group[match.groupdict().get("channel", "")].append(path)
    return [
        (paths[k], group) for group, paths in by_group.items() for k in sorted({0, len(paths) // 2})
    ]


def _of_stores(listing: Listing) -> Images | None:
    """Read plates in OME-Zarr, or single images with names as files have them."""
    folder = listing.stores[0].rpartition("/")[0]
    stores = sorted(s for s in listing.stores if s.rpartition("/")[0] == folder)
    said = attributes(*open_store(listing.address(stores[0]), listing.archive))
    if "plate" not in said:
        images = _of_guess(guess_pattern([(store, 0) for store in stores]))
        images.is_store, images.facts[""] = True, [read_store(listing, stores[0])]
        return images
    names = _varying(stores)
    in_names = len(stores) > 1
    text = stores[0] if not in_names else stores[0].replace(names[0], "{plate}")
    if not in_names:
        names = [stores[0].rpartition("/")[2][: -len(".zarr")]]
    images = Images(text, {}, [], is_store=True, plate_is_read=in_names)
    tiles: set[int] = set()
    first = None
    for name, store in zip(names, stores, strict=True):
        seen: list[str] = []

        def is_wanted(well: str, seen: list[str] = seen) -> bool:
            seen.append(well)
            return len(seen) <= _MOST_WELLS

        found = list(fields_of_plate(listing.address(store), listing.archive, is_wanted))
        if len(seen) > _MOST_WELLS:
            images.notes.append(f"{store}: only {_MOST_WELLS} of {len(seen)} wells were opened.")
        with_fields = {well for well, _, _ in found}
        empty = [well for well in seen[:_MOST_WELLS] if well not in with_fields]
        if empty:
            images.notes.append(f"{store}: {len(empty)} wells have no image, such as {empty[0]}.")
        images.wells[name] = sorted(with_fields | set(seen[_MOST_WELLS:]), key=_well_order)
        tiles |= {tile for _, tile, _ in found}
        images.n_places += len(found)
        if first is None and found:
            first = f"{store}/{found[0][2]}"
    images.tiles, images.n_files = sorted(tiles), images.n_places
    if first is not None:
        facts = read_store(listing, first)
        listing.count(
            0
            if listing.root.startswith(("http", "s3"))
            else sum(one.nbytes for one in facts.pixels)
        )
        if not facts.channels and (named := plate_channels(listing, stores[0])):
            facts = ImageFacts(
                facts.axes,
                facts.shape,
                facts.dtype,
                facts.codec,
                facts.pixel_size_um,
                named,
                facts.pixels,
                "OPS standard",
            )
        images.facts[""] = [facts]
        if facts.is_stitched or (len(tiles) == 1 and max(facts.shape[-2:]) > CUT_PX):
            images.tiles = [0]
    return images


def _well_order(well: str) -> tuple:
    return len(well.rstrip("0123456789")), well_name(well)


def _varying(stores: Sequence[str]) -> list[str]:
    """Return what differs in the names of stores, from one separator to the next."""
    start = common_prefix(stores)
    end = common_prefix([store[::-1] for store in stores])[::-1]
    start = start[: max(start.rfind(sign) for sign in "_-/. ") + 1]
    end = end[min(k for k in (end.find(sign) for sign in "_-/. ") if k >= 0) :]
    return [store[len(start) : len(store) - len(end)] for store in stores]
