"""Checks of cells: tables, masks, outlines, a segmentation, or given crops."""

from mcvae_ops.archive.image_places import check_address, screen_of_masks
from mcvae_ops.screen import DISC, crops_are_given
from mcvae_ops.workflow.key_errors import missing, wrong
from mcvae_ops.workflow.shorthand import NO_IMAGES

ORIGINS = ("table", "masks", "segment")  # what cells come from


def check_given_crops(config: dict) -> None:
    """Refuse crops beside another source, and what is said of images beside crops."""
    for number, table in enumerate(config["cells"]):
        if number and "crop" in table["columns"]:
            raise wrong(
                f"cells[{number}].columns.crop",
                "the crop in a further table",
                "the first table of cells, whose rows are the cells",
                "move it there",
            )
    given = crops_are_given(config["cells"])
    if given and config["source"] not in ("crops", "embeddings"):
        raise wrong(
            "cells.columns.crop",
            f"crops where source is {config['source']}",
            "source: crops, which reads them in place of images",
            "set source: crops, or remove the column",
        )
    if not given or config["source"] != "crops":
        return
    screen, first = config["screen"], config["cells"][0]
    beside = {
        "screen.images": screen["images"] != NO_IMAGES["screen"]["images"],
        "screen.cut_px": screen["cut_px"],
        "screen.duplicates": screen["duplicates"],
        "cells.masks": first["masks"],
        "cells.segment": first["segment"],
        "alignment.measure": config["alignment"]["measure"],
        "crop.illumination": config["crop"]["illumination"],
    }
    for key, is_said in beside.items():
        if is_said:
            raise wrong(
                key,
                "a value where source is crops",
                "nothing: crops are given, and no image is read",
                "remove it, or set source: archive",
            )


def check_cells(config: dict) -> None:
    """Refuse cells of several origins, or a segmentation that is not described whole."""
    for number, table in enumerate(config["cells"]):
        origins = [key for key in ORIGINS if table[key]]
        if len(origins) > 1 or (number and origins != ["table"]):
            raise wrong(
                "cells",
                " and ".join(origins) or "an entry without a table",
                f"one of {', '.join(ORIGINS)} in the first entry, tables after it",
                "remove the others",
            )
        if table["vectors"] and origins != ["table"]:
            raise wrong(
                "cells.vectors",
                "vectors without a table",
                "a table, whose rows they follow",
                "name it in cells.table",
            )
        if table["measure"] and "table" in origins:
            raise wrong(
                "cells.measure",
                "true beside a table",
                "cells of masks or of a segmentation, whose outlines can be measured",
                "remove it",
            )
    first = next(iter(config["cells"]), None)
    if first is None or not (first["masks"] or first["segment"]):
        return
    if first["masks"]:
        check_address(screen_of_masks(config["screen"], first["masks"]), "cells.masks")
    else:
        _check_segment(first["segment"], config["screen"])
    if not config["labels"] and config["source"] == "archive":
        raise missing(
            "labels",
            "a plate map",
            "images say nothing of genes and controls",
            "name a table with the columns well and gene",
        )


def _check_segment(segment: dict, screen: dict) -> None:
    names = [channel["name"] for channel in screen["channels"]]
    if segment["channel"] not in names:
        raise wrong(
            "cells.segment.channel",
            f"channel {segment['channel']!r}",
            f"a channel of the screen ({', '.join(names)})",
            "correct its name",
        )
    diameters = [key for key in ("diameter_px", "diameter_um") if segment[key] is not None]
    if len(diameters) != 1:
        raise wrong(
            "cells.segment",
            " and ".join(diameters) or "no diameter",
            "diameter_px or diameter_um",
            "say how large a cell (or nucleus) is in this channel",
        )
    if diameters == ["diameter_um"] and screen["pixel_size_um"] is None:
        raise missing(
            "screen.pixel_size_um",
            "the size of a pixel",
            "cells.segment.diameter_um is in um",
            "set it, or cells.segment.diameter_px",
        )


def check_outlines(config: dict) -> None:
    """Refuse an address of outlines that does not say of which tile they are."""
    outlines = config["screen"]["outlines"]
    if outlines not in (None, DISC) and config["source"] in ("archive", "simulated"):
        check_address(screen_of_masks(config["screen"], outlines), "screen.outlines")
