"""The licences of annotations, by the name of the source."""

import re

UNKNOWN = "unknown"
LICENCES = {
    "corum": "CC BY-NC 4.0",
    "reactome": "CC0",
    "humap": "CC BY 4.0",
    "stringdb": "CC BY 4.0",
    "string": "CC BY 4.0",
    "signor": "CC BY-NC 4.0",
}


def plain_name(source: str) -> str:
    """Return the name of a source without case, dots and hyphens: hu.MAP is humap."""
    return source.lower().replace(".", "").replace("-", "")


def licence_of(source: str) -> str:
    """Return the licence of a source, or "unknown"; CORUM_pairs has that of CORUM."""
    first = re.split(r"[_\s]", source, maxsplit=1)[0]
    return LICENCES.get(plain_name(first), UNKNOWN)


def is_non_commercial(source: str) -> bool:
    """Tell whether the licence of a source forbids commercial use."""
    return "NC" in licence_of(source)
