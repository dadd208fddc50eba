"""The images of a screen: addresses, plates, wells, tiles and channels, and what is in them."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mcvae_ops.archive.ngff import attributes, fields_of_plate, open_store
from mcvae_ops.archive.patterns import Pattern, well_name
from mcvae_ops.doctor.finding import Finding
from mcvae_ops.doctor.image_guess import (
    Brightness,
    ImageFacts,
    agreed,
    brightness,
    nuclear_diameter_px,
    plate_channels,
    read_image,
    read_store,
)
from mcvae_ops.doctor.listing import Listing
from mcvae_ops.doctor.path_guess import (
    PathGuess,
    common_prefix,
    guess_pattern,
    is_mask,
    numbers_as_text,
    shapes,
    stain_of,
    wells_as_text,
)
from mcvae_ops.doctor.table_guess import TableFacts
from mcvae_ops.errors import InputError

IMAGES = (".tif", ".tiff", ".png")
_MOST_WELLS = 96
_CUT_PX = 2048
_CROP_UM, _NUCLEUS_UM, _NUCLEUS_PX = 30, 12, 24
_SMALLEST_CROP_PX = 24
_MOST_GROUPS = 24  # of which images are read
_MOST_NOTES = 20
_MOST_SITES = 10_000
_WORDS = {
    "compound": ("compound", "dose", "DMSO"),
    "drug": ("compound", "dose", "DMSO"),
    "treatment": ("treatment", "dose", "control"),
    "genotype": ("genotype", "clone", "WT"),
}


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
        if facts.is_stitched or (len(tiles) == 1 and max(facts.shape[-2:]) > _CUT_PX):
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


def image_findings(
    images: Images, root: str, name: str, said_um: float | None, tiles_before_stitching: bool
) -> tuple[list[Finding], Brightness | None]:
    """Return what the images say, and how bright they are.

    Parameters
    ----------
    images
        See `find_images`; the plate is named.
    root
        ``archive.root``.
    name
        Of the screen.
    said_um
        Pixel size that a table says; or None.
    tiles_before_stitching
        Whether wells are one image each, and the cells have numbers of tiles that no image has.
    """
    n_wells = sum(map(len, images.wells.values()))
    all_facts = [one for facts in images.facts.values() for one in facts]
    findings = [
        Finding("screen.name", name, "Results go to results/" + name + "."),
        Finding(
            "screen.plates",
            {p: wells_as_text(w) for p, w in images.wells.items()},
            f"{counted(len(images.wells), 'plate')} with {counted(n_wells, 'well')}, as the "
            f"{'metadata' if images.is_store else 'names of the images'} say."
            + ("" if images.plate_is_read else " No address names a plate."),
        ),
        Finding(
            "screen.images",
            images.text,
            f"{images.n_files} {'fields' if images.is_store else 'files'} fit, "
            f"{images.size_bytes / 1e9:.3g} GB; {images.n_other} other images do not.",
            " ".join(images.questions) or None,
        ),
        Finding("archive.root", root, "The address that was looked at."),
    ]
    bright = brightness([p for one in all_facts for p in one.pixels])
    stitched = bool(all_facts) and (
        all_facts[0].is_stitched or _is_large_alone(images, all_facts) or tiles_before_stitching
    )
    if not stitched:
        findings.append(
            Finding(
                "screen.tiles",
                numbers_as_text(images.tiles),
                f"{counted(len(images.tiles), 'site')}; {_mean_tiles(images)}",
            )
        )
        findings.append(_grid_finding(images))
    if not all_facts:
        findings.append(
            Finding(
                "screen.tile_size_px",
                1024,
                "No image could be read.",
                "how large is an image: [y, x] in px?",
            )
        )
        return findings + _channel_findings(images), bright
    findings += _size_findings(all_facts, stitched, said_um)
    return findings + _channel_findings(images), bright


def _is_large_alone(images: Images, facts: Sequence[ImageFacts]) -> bool:
    """Say whether the only field of each well is too large for a camera's image."""
    return images.is_store and images.tiles == [0] and max(facts[0].shape[-2:]) > _CUT_PX


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: 1 well, 2 wells."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def _mean_tiles(images: Images) -> str:
    n_wells = sum(map(len, images.wells.values()))
    return f"{images.n_places / max(n_wells, 1):.4g} for each well on average."


def _grid_finding(images: Images) -> Finding:
    """A grid that has as many places as a well has sites, offered; the order is in no file."""
    n = max(images.tiles) - min(images.tiles) + 1
    edge = math.isqrt(n)
    if not 4 <= n <= _MOST_SITES or edge * edge != n:
        asks = "how many sites has each column of the well, from left to right?" if n > 3 else None
        return Finding("screen.well_grid", None, f"{counted(n, 'site')}: no square.", asks)
    grid = {"column_heights": [edge] * edge, "centre_tiles": 1, "first_tile": min(images.tiles)}
    return Finding(
        "screen.well_grid",
        None,
        f"{n} sites: a square of {edge} x {edge} fits by number, {grid}.",
        "are sites counted column by column, in a snake? Then write this grid.",
    )


def _pixel_finding(facts: Sequence[ImageFacts], said_um: float | None) -> Finding:
    key, sizes = "screen.pixel_size_um", {one.pixel_size_um for one in facts if one.pixel_size_um}
    believed = {one.pixel_size_um for one in facts if one.origin != "TIFF tags"} - {None}
    if said_um is not None:
        return Finding(key, said_um, "A table of the microscope says it (ImageResolutionX).")
    if len(believed) == 1:
        return Finding(key, float(f"{believed.pop():.6g}"), f"From {facts[0].origin}.")
    why = "No header says it."
    if sizes:
        why = f"Headers say {', '.join(f'{one:.4g}' for one in sorted(sizes))} um"
        why += "." if believed else ", which the tags of a TIFF often mean of the camera."
    return Finding(key, None, why, "how large is a pixel, in um?")


def _size_findings(
    facts: Sequence[ImageFacts], stitched: bool, said_um: float | None
) -> list[Finding]:
    (height, width), same = agreed([_Sized(one.shape[-2:]) for one in facts], "size")
    first = facts[0]
    size = height if height == width else [height, width]
    kinds = sorted({f"{one.axes} {one.shape} {one.dtype}, {one.codec}" for one in facts})
    findings = [
        Finding(
            "screen.tile_size_px",
            size,
            f"Headers of {len(facts)} images: {'; '.join(kinds)}.",
            None if same else "images differ in size: which are of the screen?",
        )
    ]
    if stitched:
        findings.append(
            Finding(
                "screen.cut_px",
                min(_CUT_PX, max(64, min(height, width) // 2)),
                "One image of this size per well, or tiles of cells that no image has: the "
                "wells are stitched, and read in windows.",
            )
        )
    findings.append(_pixel_finding(facts, said_um))
    planes, _ = agreed(facts, "z_planes")
    if planes > 1:
        findings.append(
            Finding(
                "screen.z_planes",
                planes,
                "Focal planes in each file; they become one image by their maximum.",
            )
        )
    if set(first.axes) & set("QI"):
        findings.append(
            Finding(
                "screen.axes",
                None,
                f"The file says {first.axes}.",
                "which axes are these: CYX, ZYX or ZCYX?",
            )
        )
    return findings


@dataclass(frozen=True)
class _Sized:
    size: tuple[int, ...]


def channels_of(images: Images) -> list[dict]:
    """Return the channels as the configuration has them."""
    channels = []
    for group in images.groups:
        # A file that was cut short has fewer planes than others.
        facts = max(images.facts.get(group, []), key=lambda one: one.n_channels, default=None)
        n, named = (facts.n_channels, facts.channels) if facts else (1, ())
        names = _names_in(group, n, named)
        for k, name in enumerate(names):
            entry = {"name": name}
            if stain := stain_of(name):
                entry["stain"] = stain
            if group and name != group:
                entry["group"] = group
            if n > 1 and not (images.is_store and named):
                entry["index"] = k
            channels.append(entry)
    return channels


def _names_in(group: str, n: int, named: Sequence[str]) -> list[str]:
    if n == 1 and group:
        return [group if not group.isdigit() else f"channel{group}"]
    if len(named) == n:
        return list(named)
    parts = group.replace("_", "-").split("-")
    if n > 1 and len(parts) == n and group:
        return parts
    return [f"{group or 'channel'}{k}" for k in range(n)]


def _channel_findings(images: Images) -> list[Finding]:
    channels = channels_of(images)
    unnamed = [c["name"] for c in channels if stain_of(c["name"]) is None]
    named_by = {one.origin for facts in images.facts.values() for one in facts if one.channels}
    why = (
        f"{len(channels)} channels in {len(images.groups)} files per site"
        if images.groups != [""]
        else f"{len(channels)} channels in each file"
    )
    why += f", named by {' and '.join(sorted(named_by))}." if named_by else "."
    question = None
    if unnamed:
        question = f"what do {', '.join(unnamed)} show? Write their names and stains."
    elif any(c.get("index") is not None and len(c["name"]) for c in channels) and not named_by:
        question = "is this the order of the channels in the files?"
    findings = [Finding("screen.channels", channels, why, question)]
    if len(images.groups) > 1:
        findings.append(
            Finding(
                "alignment.in_register",
                "all",
                "Channels lie in files of their own.",
                "did one camera record all channels in one place? If not, say in alignment.measure "
                "which channel each is registered to (the first job says how far they are off).",
            )
        )
    return findings


def nucleus_px(images: Images, pixel_size_um: float | None) -> int:
    """Return the diameter of nuclei: of bright regions in a sample of DNA, or else a usual one."""
    facts = [one for group in images.groups for one in images.facts.get(group, [])[:1]]
    samples = [pixels for one in facts for pixels in one.pixels]
    dna = _of_dna(channels_of(images))
    found = nuclear_diameter_px(np.asarray(samples[dna])) if dna < len(samples) else None
    usual = round(_NUCLEUS_UM / pixel_size_um) if pixel_size_um else _NUCLEUS_PX
    return max(round(found or usual), 3)


def _of_dna(channels: list[dict]) -> int:
    return next((k for k, c in enumerate(channels) if c.get("stain") == "DNA"), 0)


def segment_finding(images: Images, diameter_px: int) -> Finding:
    """Return how cells are found on images that no table and no mask describes."""
    channels = channels_of(images)
    dna = _of_dna(channels)
    return Finding(
        "cells",
        {"segment": {"channel": channels[dna]["name"], "diameter_px": diameter_px}},
        "No table and no mask says where cells are: nuclei are segmented in this channel; the "
        "diameter is that of the median bright region of a sample.",
        "is this the stain of nuclei, and this their diameter, in px?",
    )


def crop_finding(tile_size: object, pixel_size_um: float | None, diameter_px: int) -> Finding:
    """Return the size of a crop: 30 um, or three nuclei, at most the smallest edge of a tile."""
    smallest = min(tile_size) if isinstance(tile_size, list) else tile_size
    if pixel_size_um:
        size = 2 * round(_CROP_UM / pixel_size_um / 2)
        why, question = f"{_CROP_UM} um.", None
    else:
        size = 2 * round(1.5 * diameter_px)
        why = f"Three nuclei of {diameter_px} px, the median bright region of a sample of pixels."
        question = "how large is the square around a cell, in px? The paper takes 30 um."
    size = min(max(size, _SMALLEST_CROP_PX), smallest // 2 * 2)
    return Finding("crop.size_px", size, why, question)


def brightness_findings(bright: Brightness | None) -> list[Finding]:
    """Return clipping and arcsinh, from the sample of pixels."""
    if bright is None:
        return []
    findings = []
    if bright.counts is not None:
        findings.append(
            Finding(
                "screen.counts",
                bright.counts,
                "The images are floats: counts are value x scale + offset, within 0 and 65,535.",
            )
        )
    findings.append(
        Finding(
            "crop.clip_fraction",
            None,
            f"The default, 0.001 at both ends, clips a "
            f"sample at {bright.low:.0f} and {bright.high:.0f} counts; "
            f"{bright.saturated:.2%} of the pixels are saturated.",
        )
    )
    why = "The sample then lies within -0.9 and 0.7; the cofactor is its spread in dark pixels."
    findings += [
        Finding("training.arcsinh_cofactor", bright.cofactor, why),
        Finding("training.arcsinh_offset", bright.offset, ""),
        Finding("training.arcsinh_scale", bright.scale, ""),
    ]
    return findings


def words_of(column: str) -> Finding | None:
    """Return what a screen calls its perturbations, by the name of the column of genes."""
    for word, (perturbation, guide, control) in _WORDS.items():
        if word in column.lower():
            value = {"perturbation": perturbation, "guide": guide, "control": control}
            return Finding("screen.words", value, f"The column of labels is {column}.")
    return None
