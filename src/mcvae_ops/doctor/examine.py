"""From an address to a configuration: a file of the screen, and a page of reasons."""

import logging
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd

from mcvae_ops.archive.image_files import COLUMNS, cut_tiles, select_files
from mcvae_ops.archive.image_places import as_recorded
from mcvae_ops.archive.plan import costs_of, lines_of
from mcvae_ops.doctor.crop_guess import crop_findings
from mcvae_ops.doctor.finding import Finding, as_config, as_page, as_table, as_yaml
from mcvae_ops.doctor.found_images import IMAGES, Images, find_images, name_plate
from mcvae_ops.doctor.label_guess import Joined, join, label_findings, table_of_cells
from mcvae_ops.doctor.listing import Listing
from mcvae_ops.doctor.screen_guess import (
    brightness_findings,
    crop_finding,
    image_findings,
    nucleus_px,
    segment_finding,
    words_of,
)
from mcvae_ops.doctor.table_guess import TableFacts, compare, find_tables
from mcvae_ops.errors import InputError, shown
from mcvae_ops.files import write_csv, write_text
from mcvae_ops.screen import tile_numbers
from mcvae_ops.workflow.configuration import check_configuration, read_yaml

logger = logging.getLogger(__name__)


def doctor(
    look: str,
    look_tables: str | None,
    name: str,
    defaults: str,
    schema: str,
    configuration: str,
    page: str,
    plate_map: str,
) -> None:
    """Rule doctor: write the configuration of what lies at an address, and a page of reasons.

    Only listings, headers, the first rows of tables and a few rows of pixels are read.

    Parameters
    ----------
    look
        The address; see `Listing`.
    look_tables
        Where tables lie, if elsewhere; or None.
    name
        Of the screen.
    defaults, schema
        ``config/defaults.yaml`` and ``config.schema.yaml``.
    configuration, page
        Outputs: the file of the screen (YAML), and the page (Markdown).
    plate_map
        A plate map to fill in (CSV), written where no table says what was done to the wells, and
        none is there.

    Raises
    ------
    InputError
        If nothing that can be read lies at the address.
    """
    began_s = time.monotonic()
    archive = read_yaml(Path(defaults))["archive"] | {"retries": 2}
    listing = Listing(look, archive)
    elsewhere = Listing(look_tables, archive) if look_tables else None
    images, notes = find_images(listing), []
    places = {"plate": set(), "well": set(), "tile": set()} if images is None else images.places
    tables = find_tables(elsewhere or listing, places, notes)
    cells = table_of_cells(tables, images.n_places if images else 0)
    if images is None and (cells is None or "crop" not in cells.roles):
        raise InputError(
            where=f"look={look}",
            found=f"{len(listing.files)} files, none of them an image",
            expected="TIFF, PNG or OME-Zarr, or a table of crops",
            fix="correct the address",
        )
    before = f"{look_tables.rstrip('/')}/" if look_tables else ""
    if cells is not None and "crop" in cells.roles:
        images, findings, joined = None, *_given_crops(cells, tables, listing, before, name)
        source = Finding("source", "crops", "A column of the table of cells names crops.")
    else:
        findings, joined = _from_images(images, cells, tables, listing, before, name, plate_map)
        source = Finding("source", "archive", "Images lie at the address.")
    findings = [source, *findings, *_annotation_findings()]
    _write_plate_map(findings, images, plate_map)
    whole, refusal = _checked(as_config(findings), Path(defaults), Path(schema))
    used = [path for table, _ in joined.used[: len(joined.cells)] for path in table.paths]
    costs, left_out = _costs(whole, listing, images, used) if whole else ([], pd.DataFrame())
    seconds = time.monotonic() - began_s
    asked = sum(one.question is not None for one in findings)
    head = [
        f"Written by snakemake doctor, from what lies at {shown(look)}.",
        f"{asked} questions (QUESTION:) are left to you; {Path(page).name} explains each value.",
    ]
    write_text(as_yaml(findings, head), configuration)
    facts = [
        f"Looked at {shown(look)}: {len(listing.files)} files and {len(listing.stores)} OME-Zarr "
        f"stores{'' if listing.is_whole else ' (the first ones only)'}.",
        f"Read {_read_bytes(listing, elsewhere) / 1e6:.2f} MB (listings, headers, first rows, some "
        f"rows of pixels) in {seconds:.1f} s.",
        f"Configuration: {configuration}." if refusal is None else f"Not accepted yet: {refusal}",
    ]
    sections = _sections(images, tables, joined, left_out, costs, notes)
    write_text(as_page(findings, f"What lies at {shown(look)}", facts, sections), page)
    for line in (*facts, *(f"QUESTION {f.key}: {f.question}" for f in findings if f.question)):
        logger.info("%s", line)
        sys.stdout.write(line + "\n")


def _from_images(
    images: Images,
    cells: TableFacts | None,
    tables: list[TableFacts],
    listing: Listing,
    before: str,
    name: str,
    plate_map: str,
) -> tuple[list[Finding], Joined]:
    """Return what images and the tables of their cells say."""
    name_plate(images, tables, name)
    for table in tables:
        compare(table, images.places)
    findings, bright = image_findings(
        images,
        listing.root,
        name,
        _pixel_size_um(tables),
        images.tiles == [0] and cells is not None and cells.shares.get("tile") == 0,
    )
    said = {finding.key: finding.value for finding in findings}
    if cells is not None and images.masks and cells.n_rows is not None:
        cells = None if cells.n_rows < 5 * images.n_places else cells
    joined = join(cells, tables, images.places, before)
    pixel_um = said.get("screen.pixel_size_um")
    diameter = nucleus_px(images, pixel_um)
    wells = [(plate, well) for plate, names in images.wells.items() for well in names]
    findings += label_findings(joined, wells, plate_map)
    if cells is None and images.masks:
        findings.append(
            Finding(
                "cells",
                {"masks": images.masks},
                "Masks of nuclei or cells; positions are the centroids of their regions.",
            )
        )
    elif cells is None:
        findings.append(segment_finding(images, diameter))
    gene = next((n["gene"] for _, n in joined.used if "gene" in n), "")
    findings += [words] if (words := words_of(gene)) else []
    findings.append(crop_finding(said["screen.tile_size_px"], pixel_um, diameter))
    return findings + brightness_findings(bright), joined


def _pixel_size_um(tables: list[TableFacts]) -> float | None:
    """Return the pixel size that a table of images says in metres; None if none does."""
    for table in tables:
        column = table.roles.get("pixel_size_m")
        values = set() if column is None else set(table.rows[column].dropna().astype(float))
        if len(values) == 1 and 1e-8 < (size_m := values.pop()) < 1e-4:
            return float(f"{1e6 * size_m:.6g}")
    return None


def _given_crops(
    cells: TableFacts, tables: list[TableFacts], listing: Listing, before: str, name: str
) -> tuple[list[Finding], Joined]:
    """Return what a table of given crops, and the first crop, say."""
    findings, places, parse = crop_findings(cells, listing, name)
    joined = join(cells, tables, places, before)
    if parse:
        joined.cells[0]["parse"] = parse
    wells = [(plate, well) for plate in places["plate"] for well in places["well"]]
    return findings + label_findings(joined, wells, ""), joined


def _annotation_findings() -> list[Finding]:
    return [
        Finding(
            "archive.annotations",
            None,
            "Lists of complexes and groups of genes are no part "
            "of a screen: name yours here. Figures that need them are left out "
            "without.",
        )
    ]


def _checked(config: dict, defaults: Path, schema: Path) -> tuple[dict | None, str | None]:
    """Return the whole configuration, and what the checks say if they refuse it."""
    try:
        return check_configuration(config, defaults, schema, defaults.parent.parent), None
    except InputError as error:
        return None, str(error)


def _costs(
    config: dict, listing: Listing, images: Images | None, used: list[str]
) -> tuple[list[str], pd.DataFrame]:
    """Return the lines of the plan, and the images that the pattern leaves out, by kind."""
    if images is None:
        return [], pd.DataFrame()
    screen, left_out = as_recorded(config["screen"]), pd.DataFrame()
    if images.is_store:
        table = pd.DataFrame(
            [
                (images.text, images.bytes_of_field, plate, well, tile, "image")
                for plate, wells in images.wells.items()
                for well in wells
                for tile in tile_numbers(screen["tiles"])
            ],
            columns=COLUMNS,
        )
        table["address"] = listing.address(images.text) if images.is_store else ""
    else:
        pictures = [entry for entry in listing.files if entry[0].lower().endswith(IMAGES)]
        table, rest = select_files(pictures, screen)
        left_out = rest.table()
        table.insert(1, "address", [listing.address(path) for path in table["path"]])
    sizes = dict(listing.files)
    parts = pd.DataFrame(
        {
            "address": [listing.address(path) for path in used if path in sizes],
            "size_bytes": [sizes[path] for path in used if path in sizes],
        }
    )
    here = Path("none")
    costs = costs_of(
        cut_tiles(table, config["screen"]), parts if used else None, config, here, here
    )
    return lines_of(costs), left_out


def _write_plate_map(findings: list[Finding], images: Images | None, path: str) -> None:
    """Write a plate map to fill in, unless one is there."""
    is_named = any(f.key == "labels" and f.value == {"table": f"./{path}"} for f in findings)
    if not is_named or images is None or Path(path).exists():
        return
    rows = [(plate, well, "") for plate, wells in images.wells.items() for well in wells]
    write_csv(pd.DataFrame(rows, columns=["plate", "well", "gene"]), path)


def _read_bytes(listing: Listing, elsewhere: Listing | None) -> int:
    # Both count what was received since they began, the second one within the first.
    return listing.read_bytes() + (elsewhere.local_bytes if elsewhere else 0)


def _sections(
    images: Images | None,
    tables: list[TableFacts],
    joined: Joined,
    left_out: pd.DataFrame,
    costs: list[str],
    notes: list[str],
) -> list[str]:
    """Return the sections of the page below the values."""
    sections = []
    if images is not None:
        sections += ["## Images", ""]
        sections += [f"* {note}" for note in images.notes]
        rows = [(r.kind, r.n_files, r.example) for r in left_out.itertuples()]
        if rows:
            sections += ["", as_table(("left out", "files", "such as"), rows)]
    if tables:
        sections += ["", "## Tables", ""]
        rows = [
            (
                t.address,
                len(t.paths),
                "" if t.n_rows is None else t.n_rows,
                len(t.header.kinds),
                ", ".join(
                    f"{role}: {column}" + (f" ({t.shares[role]:.0%})" if role in t.shares else "")
                    for role, column in t.roles.items()
                ),
                "yes" if any(t is used for used, _ in joined.used) else "no",
            )
            for t in tables
        ]
        sections.append(
            as_table(
                (
                    "table",
                    "files",
                    "rows",
                    "columns",
                    "what columns look like (share of values that images have)",
                    "taken",
                ),
                rows,
            )
        )
    sections += [f"* {note}" for note in notes]
    if joined.features:
        reasons = Counter(reason or "feature" for reason in joined.features.values())
        names = {
            r: [n for n, own in joined.features.items() if (own or "feature") == r][:4]
            for r in reasons
        }
        rows = [(reason, n, ", ".join(names[reason])) for reason, n in reasons.most_common()]
        sections += ["", "## Columns", "", as_table(("kind", "columns", "such as"), rows)]
    if costs:
        sections += ["", "## A full run", "", "```", *costs, "```"]
    return sections
