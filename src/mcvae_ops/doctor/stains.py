"""What a channel shows, by its name: DAPI is DNA, GFP a colour alone."""

import re

STAINS = {
    "DNA": r"dapi|hoechst|dna|draq5?|nuc(lei|leus)?|h2b|405|cascade ?blue",
    "ER": r"er|cona|concanavalin.*",
    "RNA": r"rna|syto ?\d*",
    "AGP": r"agp",
    "mitochondria": r"mito.*|tmrm",
    "actin": r"actin|phalloidin.*|af750",
    "tubulin": r".*tubulin",
    "Golgi, membrane": r"wga",
    "gamma-H2AX": r".*h2ax|a594",
    "": r"gfp|rfp|[myc]?cherry|cy[357]|fitc|tritc|texas ?red|a(f|lexa)?\d{3}|bf|brightfield|phase"
    r"|488|561|568|594|640|647|750|[a-z]fp|marker",
}
"""What a name of a channel means, as expressions in small letters; "" is a colour alone."""


def stain_of(name: str) -> str | None:
    """Return what a channel shows by its name: "" of a mere colour, None of any other word."""
    for stain, names in STAINS.items():
        if re.fullmatch(names, name.lower().replace("-", "").replace("_", "")):
            return stain
    return None
