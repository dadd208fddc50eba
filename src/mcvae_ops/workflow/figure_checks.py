"""Checks of figures, of the groups of genes in them, and of the explorer."""

import difflib

from mcvae_ops.workflow.key_errors import missing, wrong
from mcvae_ops.workflow.panel_inputs import undrawable
from mcvae_ops.workflow.panels import PANELS

PICTURE_PX = 16_383  # of WebP, width and height


def check_groups(config: dict) -> None:
    """Refuse groups that are not named where figures compare them, or that no simulation has."""
    if config["archive"]["annotations"]["functional_groups"] is None:
        return
    are_compared = "fig4d" not in undrawable(config)
    simulate = config.get("simulate") if config["source"] == "simulated" else None
    groups = [group["name"] for group in simulate["library"]["groups"]] if simulate else None
    for key in ("shifting_groups", "novel_groups"):
        named = config["benchmarks"]["features"][key]
        if not named and are_compared:
            raise missing(
                f"benchmarks.features.{key}",
                "a functional group",
                "archive.annotations.functional_groups is set, and Fig. 4D and 4E compare groups",
                "name groups of that table, or set it to null",
            )
        for group in named if groups else ():
            if group not in groups:
                raise wrong(
                    f"benchmarks.features.{key}",
                    f"group {group!r}",
                    f"groups of simulate.library.groups ({', '.join(groups)})",
                    "correct the name or leave it out",
                )


def check_pictures(config: dict) -> None:
    """The explorer's pictures: the crops of a gene side by side, a row per channel and arm."""
    size_px, crops = config["crop"]["size_px"], config["figures"]["crops_per_gene"]
    for key, value, n in (
        ("crop.size_px", size_px, 2 * len(config["screen"]["channels"])),
        ("figures.crops_per_gene", crops, crops),
    ):
        if n * size_px > PICTURE_PX:
            raise wrong(
                key,
                str(value),
                f"pictures of the explorer of at most {PICTURE_PX:,} px, not {n} x {size_px} px",
                "make it smaller",
            )


def check_panels(config: dict) -> None:
    """Refuse panels that are none."""
    panels = config["figures"]["panels"]
    for panel in () if panels == "all" else panels:
        if panel not in PANELS:
            near = difflib.get_close_matches(panel.lower(), PANELS, n=1)
            raise wrong(
                "figures.panels",
                f"the unknown panel {panel!r}",
                f"all, or a list of some of {', '.join(PANELS)}",
                f"write {near[0]} instead" if near else "correct or remove it",
            )
