"""What is not as it should be: how bad it is, and what a reader does about it."""

from collections.abc import Sequence
from typing import NamedTuple

GRADES = ("good", "look", "bad")
# What is above the first limit is worth a look, above the second bad.
DROPPED = (0.05, 0.5)  # share of the cells
FAILED = (0.01, 0.2)  # share of the tiles


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


def graded(value: float, limits: tuple[float, float]) -> str:
    """Return the grade of a value of which less is better."""
    return GRADES[sum(value > limit for limit in limits)]


def worst_first(notices: Sequence[Notice]) -> list[Notice]:
    """Return warnings, bad ones first."""
    return sorted(notices, key=lambda notice: notice.grade != "bad")
