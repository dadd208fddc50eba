"""What is not as it should be: how bad it is, and what a reader does about it."""

from collections.abc import Sequence
from typing import NamedTuple


class Notice(NamedTuple):
    """A warning.

    Attributes
    ----------
    grade
        "bad" or "look".
    words
        What was found, with its numbers.
    step
        What to do, in plain words; several warnings may ask for the same.
    link
        Where on the page it is done or seen.
    """

    grade: str
    words: str
    step: str
    link: str = "#quality"


def worst_first(notices: Sequence[Notice]) -> list[Notice]:
    """Return warnings, bad ones first."""
    return sorted(notices, key=lambda notice: notice.grade != "bad")
