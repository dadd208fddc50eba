"""What the configuration says of a screen, by the images that were found."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcvae_ops.doctor.finding import Finding
from mcvae_ops.doctor.found_images import CUT_PX, Images
from mcvae_ops.doctor.image_guess import (
    Brightness,
    ImageFacts,
    agreed,
    brightness,
    nuclear_diameter_px,
)
from mcvae_ops.doctor.place_ranges import numbers_as_text, wells_as_text
from mcvae_ops.doctor.stains import stain_of

_CROP_UM, _NUCLEUS_UM, _NUCLEUS_PX = 30, 12, 24
_SMALLEST_CROP_PX = 24
_MOST_SITES = 10_000
_WORDS = {
    "compound": ("compound", "dose", "DMSO"),
    "drug": ("compound", "dose", "DMSO"),
    "treatment": ("treatment", "dose", "control"),
    "genotype": ("genotype", "clone", "WT"),
}


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
    return images.is_store and images.tiles == [0] and max(facts[0].shape[-2:]) > CUT_PX


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
                min(CUT_PX, max(64, min(height, width) // 2)),
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
